//! `verify doctor`: which clients would take an image, with which key, and why not.

use std::path::PathBuf;

use chrono::{SecondsFormat, Utc};
use image_evidence::Trust;
use oci_image::{Location, Platform, Reference, Selector};
use serde::Serialize;
use verifier_lib::evidence::Subjects;
use verifier_lib::{Layers, Verdict};

use crate::access::{Access, registry, source_failure};
use crate::args::{ChainArgs, Format};
use crate::commands::image::verify;
use crate::doctor::attested::{self, Attested};
use crate::doctor::containers_policy::ContainersPolicy;
use crate::doctor::look::{Seen, Sight, Wanted};
use crate::doctor::model::{Answer, Row, Weighed, With, Word};
use crate::doctor::{Key, Level, Question, Trusted, rows};
use crate::doctor_args::{Client, DoctorArgs};
use crate::evidence;
use crate::evidence_args::SignerArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::report::print_json;
use crate::style::{Style, in_a_line, out, short_digests, shown};

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The answer of `verify doctor`. Schema: `docs/schema/verify-doctor.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this form.
    version: u32,
    /// The name that was asked for.
    reference: String,
    /// The digest of the manifest or index.
    digest: String,
    /// Of an index: the digest of the image of this platform, which is what some clients look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// Where the list of what refers to the image was: `referrers` in the registry, `referrers-tag` under a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<&'static str>,
    /// Whether every client that was named would take the image, by one key at least; without any named, every client.
    answer: Answer,
    /// Each client by each key, in the order of clients and keys.
    clients: Vec<ClientReport>,
    /// What is said of the image besides, of each type, and whether cosign takes it. It has no part in `answer`.
    attestations: Vec<AttestationReport>,
}

/// What is said of the image in statements of one type.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AttestationReport {
    /// The predicate type.
    predicate_type: String,
    /// cosign 2 and 3 by each key: whether they take it as such a statement.
    clients: Vec<ClientReport>,
}

/// One client, by one key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ClientReport {
    /// `hallmark`, `cosign2`, `cosign3`, `podman`, `notation`, `policy-controller`, `kyverno` or `docker-attest`.
    client: &'static str,
    /// By what it would decide; nothing where nothing was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<WithReport>,
    /// Whether it would take the image.
    answer: Answer,
    /// Why not, the most telling first.
    reasons: Vec<ReasonReport>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The words by which it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    /// What to do so that it takes the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

/// By what a client would decide.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WithReport {
    /// `key`, `identity`, `policy` or `root`.
    kind: &'static str,
    /// The file of a key or policy, an identity, where a root came from.
    name: String,
}

/// Why one of its signatures doesn't count, or there is none.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ReasonReport {
    /// In a word.
    reason: &'static str,
    /// What was expected, and what came.
    detail: String,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let Location::Registry(reference) = &args.chain.image else {
        let what =
            format!("expected an image in a registry, where those clients look, got {}", args.chain.image);
        return Err(Failure::usage(what).hint("`verify evidence` looks into a layout"));
    };
    if args.chain.offline {
        return Err(Failure::unknown(format!("could not look at {reference}: --offline was given")));
    }
    let trusted = trusted(args, reference)?;
    let source = registry(reference, &args.chain.access)?;
    let selector = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Selector::Digest(digest),
        (None, tag) => Selector::Tag(tag.map_or("latest", |tag| tag.as_str())),
    };
    let platform = args.chain.platform.clone().unwrap_or_else(Platform::host);
    let subjects = Subjects::unverified(&source, selector, &platform).map_err(|why| source_failure(&why))?;
    let now = args.chain.at.unwrap_or_else(Utc::now);
    let mut clients = if args.clients.is_empty() { Client::ALL.to_vec() } else { args.clients.clone() };
    clients.sort_unstable();
    clients.dedup();
    let wanted = Wanted {
        cosign: clients.iter().any(|one| matches!(one, Client::Cosign2 | Client::Cosign3)),
        docker: clients.contains(&Client::DockerAttest),
    };
    let seen = Seen::of(&source, &subjects, wanted);
    let mut all = Vec::new();
    if clients.contains(&Client::Hallmark) {
        all.push(hallmark(args)?);
    }
    let question = Question { reference, seen: &seen, platform: &platform, now };
    all.extend(rows(&clients, &question, &trusted));
    let report = Report::new(&question, &clients, &all, &attested::rows(&clients, &question, &trusted));
    match args.format {
        Format::Json => print_json(&report),
        Format::Text => report.print(),
    }
    Ok(match report.answer {
        _ if args.clients.is_empty() => Exit::Trusted,
        Answer::Accepts => Exit::Trusted,
        Answer::Refuses => Exit::Refused,
        Answer::Unknown => Exit::Unknown,
    })
}

/// What the clients could be told to trust.
fn trusted(args: &DoctorArgs, reference: &Reference) -> Result<Trusted, Failure> {
    let signers = &args.signers;
    let keys = signers.keys.iter().map(|file| Key::read(file)).collect::<Result<_, _>>()?;
    if signers.identities.len() != signers.issuers.len() {
        let (identities, issuers) = (signers.identities.len(), signers.issuers.len());
        let what = format!("expected an --issuer for each --identity, got {issuers} for {identities}");
        return Err(Failure::usage(what));
    }
    let mut identities = Vec::new();
    for (identity, issuer) in signers.identities.iter().zip(&signers.issuers) {
        let only = SignerArgs {
            trusted_root: signers.trusted_root.clone(),
            identities: vec![identity.clone()],
            issuers: vec![issuer.clone()],
            ..SignerArgs::default()
        };
        let trust = evidence::trust(&only)?;
        let identity = image_evidence::Identity { subject: identity.clone(), issuer: issuer.clone() };
        identities.push((identity, trust));
    }
    let notation = signers.notation_policy.as_ref().map(|file| {
        let only = SignerArgs { notation_policy: Some(file.clone()), ..SignerArgs::default() };
        let trust: Trust = evidence::trust(&only)?;
        let text = files::text(file, image_evidence::limits::TRUST_MAX)?;
        Ok::<_, Failure>((file.clone(), trust, Level::of(&text, &reference.name().to_string())))
    });
    let containers = args.containers_policy.as_ref();
    let containers = containers.map(|file| Ok::<_, Failure>((file.clone(), ContainersPolicy::read(file)?)));
    Ok(Trusted {
        keys,
        identities,
        trusted_root: signers.trusted_root.clone(),
        notation: notation.transpose()?,
        containers: containers.transpose()?,
    })
}

/// What this program makes of it, by the root that is pinned or given.
fn hallmark(args: &DoctorArgs) -> Result<Row, Failure> {
    let row = |with, weighed, way_out| Row {
        client: Client::Hallmark,
        with,
        weighed,
        command: Some(own_command(&args.chain)),
        way_out,
    };
    let access = match Access::of(&args.chain) {
        Ok(access) => access,
        Err(failure) => {
            let weighed = match failure.exit {
                Exit::Refused => Weighed::refuses(Word::Chain, failure.what()),
                Exit::Unknown => Weighed::unknown(Word::Chain, failure.what()),
                Exit::Trusted | Exit::Usage | Exit::Gate => return Err(failure),
            };
            return Ok(row(None, weighed, failure.advice().map(str::to_owned)));
        }
    };
    let with = Some(With { kind: "root", name: access.trust.subject.clone() });
    let way_out = Some("`verify image --explain` shows every link, and which one doesn't hold".to_owned());
    Ok(match verify(&access, &args.chain, Layers::Defer) {
        Verdict::Trusted(image) => {
            let note = format!("the name means {} today, says role {}", image.digest(), image.role());
            row(with, Weighed::Accepts(Some(note)), None)
        }
        Verdict::Refused(broken) => {
            row(with, Weighed::refuses(Word::Chain, broken.link.detail.clone()), way_out)
        }
        Verdict::Unknown(broken) => {
            row(with, Weighed::unknown(Word::Chain, broken.link.detail.clone()), way_out)
        }
    })
}

/// How this program is asked the same.
fn own_command(chain: &ChainArgs) -> Vec<String> {
    let ChainArgs { image, known_as, platform, at, root, .. } = chain;
    let path = |path: &PathBuf| path.display().to_string();
    let options = [
        ("--as", known_as.as_ref().map(ToString::to_string)),
        ("--platform", platform.as_ref().map(ToString::to_string)),
        ("--at", at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
        ("--repo", root.repo.as_ref().map(ToString::to_string)),
        ("--root", root.root.as_ref().map(path)),
        ("--root-sha256", root.root_sha256.clone()),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    ["verify".to_owned(), "image".to_owned(), image.to_string()].into_iter().chain(given.flatten()).collect()
}

/// Whether each client takes it, by one key at least.
fn answer(clients: &[Client], rows: &[Row]) -> Answer {
    let one = |client: &Client| {
        let own = rows.iter().filter(|row| row.client == *client).map(|row| row.weighed.answer());
        // Of keys, one that is accepted is enough; else what could not be told might have been.
        own.min_by_key(|answer| match answer {
            Answer::Accepts => 0_u8,
            Answer::Unknown => 1,
            Answer::Refuses => 2,
        })
    };
    let each: Vec<_> = clients.iter().map(|client| one(client).unwrap_or(Answer::Unknown)).collect();
    match (each.contains(&Answer::Refuses), each.contains(&Answer::Unknown)) {
        (true, _) => Answer::Refuses,
        (false, true) => Answer::Unknown,
        (false, false) => Answer::Accepts,
    }
}

impl Report {
    fn new(question: &Question<'_>, clients: &[Client], rows: &[Row], attested: &[Attested]) -> Self {
        let (reference, seen) = (question.reference, question.seen);
        let listed = match &seen.listing {
            Sight::There(listing) => Some(listing.place.name()),
            Sight::Absent | Sight::Unseen(_) => None,
        };
        Self {
            version: REPORT_VERSION,
            reference: reference.to_string(),
            digest: seen.top.digest.to_string(),
            part: seen.part.as_ref().map(|part| part.digest.to_string()),
            listed,
            answer: answer(clients, rows),
            clients: rows.iter().map(ClientReport::of).collect(),
            attestations: attested
                .chunk_by(|one, next| one.kind == next.kind)
                .filter_map(|of_a_kind| {
                    Some(AttestationReport {
                        predicate_type: of_a_kind.first()?.kind.clone(),
                        clients: of_a_kind.iter().map(|one| ClientReport::of(&one.row)).collect(),
                    })
                })
                .collect(),
        }
    }

    fn print(&self) {
        let style = Style::stdout();
        out!("{}", style.strong(&in_a_line(&self.reference)));
        out!("  {}", self.digest);
        if let Some(part) = &self.part {
            out!("  an index, of which this platform gets {}", short_digests(part));
        }
        out!("");
        table(&self.clients, style);
        for said in &self.attestations {
            let kind = style.strong(&shown(&in_a_line(&said.predicate_type)));
            out!("\nattested {kind}, as `cosign verify-attestation` takes it\n");
            table(&said.clients, style);
        }
        let attested = self.attestations.iter().flat_map(|said| &said.clients);
        let commands = self.clients.iter().chain(attested).filter(|row| row.answer == Answer::Accepts);
        let commands: Vec<_> = commands.filter_map(|row| row.command.as_deref()).map(line).collect();
        if !commands.is_empty() {
            out!("\nas those who take it are asked");
            commands.iter().for_each(|command| out!("  {}", in_a_line(command)));
        }
    }
}

/// A line for each client and key, and more where it doesn't take what it is asked about.
fn table(rows: &[ClientReport], style: Style) {
    let name = |row: &ClientReport| row.name().to_owned();
    let clients = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or_default();
    let with = rows.iter().map(|row| row.shown_with().chars().count()).max().unwrap_or_default();
    let mut before = "";
    for row in rows {
        // A client's name stands once, before its keys.
        let shown = if row.client == before { String::new() } else { name(row) };
        before = row.client;
        let by = row.shown_with();
        let line = format!("{shown:clients$}  {by:with$}");
        out!("{line}  {}  {}", row.mark(style), row.first());
        let indent = " ".repeat(clients.saturating_add(with).saturating_add(8));
        for reason in row.reasons.iter().skip(1) {
            out!("{indent} {}", in_a_line(&short_digests(&reason.detail)));
        }
        if let Some(way_out) = &row.way_out {
            out!("{indent} {}", style.faint(&format!("-> {}", in_a_line(way_out))));
        }
    }
}

/// A command as a shell reads it.
pub(crate) fn line(words: &[String]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&byte);
    let quoted = |word: &String| match !word.is_empty() && word.bytes().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

impl ClientReport {
    fn of(row: &Row) -> Self {
        let reasons = row.weighed.whys().iter();
        let reasons = reasons.map(|why| ReasonReport { reason: why.word.name(), detail: why.detail.clone() });
        Self {
            client: row.client.word(),
            with: row.with.as_ref().map(|with| WithReport { kind: with.kind, name: with.name.clone() }),
            answer: row.weighed.answer(),
            reasons: reasons.collect(),
            note: match &row.weighed {
                Weighed::Accepts(note) => note.clone(),
                Weighed::Refuses(_) | Weighed::Unknown(_) => None,
            },
            command: row.command.clone(),
            way_out: row.way_out.clone(),
        }
    }

    fn name(&self) -> &'static str {
        let is = |client: &&Client| client.word() == self.client;
        Client::ALL.iter().find(is).map_or("", |client| client.name())
    }

    fn shown_with(&self) -> String {
        self.with.as_ref().map_or_else(|| "-".to_owned(), |with| in_a_line(&with.name))
    }

    fn mark(&self, style: Style) -> String {
        match self.answer {
            Answer::Accepts => style.good("yes"),
            Answer::Refuses => style.bad("no "),
            Answer::Unknown => style.unsure("?  "),
        }
    }

    /// The first thing to say.
    fn first(&self) -> String {
        let first = self.reasons.first().map(|reason| reason.detail.as_str());
        let text = first.or(self.note.as_deref()).unwrap_or_default();
        shown(&in_a_line(&short_digests(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-doctor", &schemars::schema_for!(Report));
    }

    #[test]
    fn a_command_is_one_that_a_shell_reads_as_it_was_meant() {
        let words = ["cosign", "--key", "my key.pub", "it's", ""].map(str::to_owned);
        assert_eq!(line(&words), r"cosign --key 'my key.pub' 'it'\''s' ''");
    }

    #[test]
    fn a_client_takes_it_by_one_key_of_several_and_every_client_must() {
        let row = |client, weighed| Row { client, with: None, weighed, command: None, way_out: None };
        let no = || Weighed::refuses(Word::Unsigned, "x");
        let unsure = || Weighed::unknown(Word::Unreachable, "x");
        let both = [Client::Cosign2, Client::Podman];
        for (rows, expected) in [
            (
                vec![
                    (Client::Cosign2, no()),
                    (Client::Cosign2, Weighed::Accepts(None)),
                    (Client::Podman, Weighed::Accepts(None)),
                ],
                Answer::Accepts,
            ),
            (vec![(Client::Cosign2, Weighed::Accepts(None)), (Client::Podman, no())], Answer::Refuses),
            (
                vec![
                    (Client::Cosign2, no()),
                    (Client::Cosign2, unsure()),
                    (Client::Podman, Weighed::Accepts(None)),
                ],
                Answer::Unknown,
            ),
            (vec![(Client::Cosign2, unsure()), (Client::Podman, no())], Answer::Refuses),
            (vec![(Client::Cosign2, Weighed::Accepts(None))], Answer::Unknown),
        ] {
            let rows: Vec<_> = rows.into_iter().map(|(client, weighed)| row(client, weighed)).collect();
            assert_eq!(answer(&both, &rows), expected, "{rows:?}");
        }
    }
}
