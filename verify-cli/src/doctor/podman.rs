//! podman, skopeo, buildah and CRI-O, by containers/image: simple signing under the tag of the image of one platform,
//! never of the index above it, with every member of the payload and the name that was signed
//! (`signature/policy_eval_sigstore.go`, `copy/copy.go`).

use super::containers_policy::{Match, Requirement, Sigstore};
use super::cosign::unseen;
use super::look::{Blob, Sight};
use super::model::{Row, Weighed, Why, With, Word};
use super::{Key, Question, Trusted, simple};
use crate::doctor_args::Client;

pub(super) fn rows(question: &Question<'_>, trusted: &Trusted) -> Vec<Row> {
    let mut rows: Vec<_> =
        trusted.keys.iter().map(|key| row(question, Some(With::key(key)), by_key(question, key))).collect();
    if let Some((file, policy)) = &trusted.containers {
        let with = With { kind: "policy", name: file.display().to_string() };
        let (scope, requirements) = policy.requirements(question.reference);
        rows.push(row(question, Some(with), by_policy(question, scope, requirements)));
    }
    if rows.is_empty() {
        rows.push(row(question, None, by_nobody(question)));
    }
    rows
}

fn row(question: &Question<'_>, with: Option<With>, weighed: Weighed) -> Row {
    let command =
        with.is_some().then(|| vec!["podman".into(), "pull".into(), question.reference.to_string()]);
    let way_out = (!weighed.accepts()).then(|| way_out(&weighed, with.as_ref()));
    Row { client: Client::Podman, with, weighed, command, way_out }
}

/// As a policy of `verify config podman` has it.
fn by_key(question: &Question<'_>, key: &Key) -> Weighed {
    let each = signatures(question);
    match each {
        Err(weighed) => weighed,
        Ok(blobs) => {
            let weighed =
                Weighed::any(blobs.map(|blob| signature(question, &[key], &Match::Repository, false, blob)));
            match weighed {
                Weighed::Accepts(None) => {
                    Weighed::Accepts(Some("by a policy as `verify config podman` writes it".to_owned()))
                }
                other => other,
            }
        }
    }
}

fn by_nobody(question: &Question<'_>) -> Weighed {
    match signatures(question) {
        Err(weighed) => weighed,
        Ok(_) => Weighed::unknown(Word::NoTrust, "there are signatures, and nobody said whose count"),
    }
}

/// All requirements must hold.
fn by_policy(question: &Question<'_>, scope: &str, requirements: &[Requirement]) -> Weighed {
    let mut unsure = None;
    if requirements.is_empty() {
        return Weighed::refuses(
            Word::Policy,
            format!("expected requirements for scope {scope:?}, got none"),
        );
    }
    for requirement in requirements {
        let weighed = match requirement {
            Requirement::AcceptAnything => continue,
            Requirement::Reject => {
                Weighed::refuses(Word::Policy, format!("scope {scope:?} refuses whatever there is"))
            }
            Requirement::Unread(kind) => Weighed::unknown(
                Word::Unchecked,
                format!("scope {scope:?} demands {kind}, which isn't read here"),
            ),
            Requirement::Sigstore(wanted) => sigstore(question, wanted),
        };
        match weighed {
            Weighed::Accepts(_) => {}
            Weighed::Refuses(_) => return weighed,
            Weighed::Unknown(_) => unsure = unsure.or(Some(weighed)),
        }
    }
    let all_open = requirements.iter().all(|one| matches!(one, Requirement::AcceptAnything));
    let note = if all_open { "takes whatever there is" } else { "takes it" };
    unsure.unwrap_or_else(|| Weighed::Accepts(Some(format!("scope {scope:?} {note}"))))
}

fn sigstore(question: &Question<'_>, wanted: &Sigstore) -> Weighed {
    if let Some(kind) = wanted.unread {
        return Weighed::unknown(Word::Unchecked, format!("signers by {kind} aren't read here"));
    }
    let keys: Vec<_> = match &wanted.keys {
        Ok(keys) => keys.iter().collect(),
        Err(why) => return Weighed::refuses(Word::Policy, why.clone()),
    };
    match signatures(question) {
        Err(weighed) => weighed,
        Ok(blobs) => {
            Weighed::any(blobs.map(|blob| signature(question, &keys, &wanted.identity, wanted.log, blob)))
        }
    }
}

/// The signatures under the tag of what is run; or what is to be said where there are none. One that can't be read
/// ends it, as it ends these clients.
fn signatures<'a>(question: &Question<'a>) -> Result<impl Iterator<Item = &'a Blob> + use<'a>, Weighed> {
    let image = question.seen.part.as_ref().unwrap_or(&question.seen.top);
    let wanted = match question.seen.part {
        Some(_) => "a signature under the tag of the image of this platform",
        None => "a signature under the tag sha256-….sig",
    };
    let holder = match question.seen.tag(image.digest) {
        Sight::There(holder) => holder,
        Sight::Absent => return Err(question.nothing(wanted)),
        Sight::Unseen(trouble) => return Err(unseen("the tag sha256-….sig", trouble)),
    };
    if holder.media_type != oci_image::media::OCI_MANIFEST {
        let detail = format!("expected a manifest of OCI under the tag, got {}", holder.media_type);
        return Err(Weighed::refuses(Word::Malformed, detail));
    }
    if holder.left > 0 {
        let detail = format!("{} more signatures are there, which weren't looked at", holder.left);
        return Err(Weighed::unknown(Word::Unchecked, detail));
    }
    // What is of another type isn't asked for here, and passed over there.
    for blob in &holder.blobs {
        if let Err(trouble) = &blob.bytes {
            return Err(unseen("a signature", trouble));
        }
    }
    let of_this_form = |blob: &&Blob| blob.descriptor.media_type == image_signatures::SIMPLE_SIGNING;
    match holder.blobs.iter().any(|blob| of_this_form(&blob)) {
        true => Ok(holder.blobs.iter().filter(of_this_form)),
        false => Err(question.nothing(wanted)),
    }
}

fn signature(
    question: &Question<'_>,
    keys: &[&Key],
    identity: &Match,
    log: bool,
    blob: &Blob,
) -> Result<Option<String>, Why> {
    if log {
        return Err(match simple::has_log_entry(blob) {
            true => Why::new(Word::Unchecked, "the policy demands a log's entry, which isn't looked at here"),
            false => Why::new(
                Word::Log,
                "expected a log's entry beside the signature, as the policy demands, got none",
            ),
        });
    }
    let mut whys = Vec::new();
    let mut payload = None;
    for key in keys {
        match simple::Payload::by(key, blob) {
            Ok(signed) => payload = payload.or(Some(signed)),
            Err(why) => whys.push(why),
        }
    }
    let Some(payload) = payload else {
        let first = whys.into_iter().next();
        return Err(first.unwrap_or_else(|| Why::new(Word::NoTrust, "expected a key, got none")));
    };
    payload.expect_exact()?;
    if !identity.takes(question.reference, payload.name()) {
        let detail =
            format!("expected a signature for {}, got one for {:?}", question.reference, payload.name());
        return Err(Why::new(Word::OtherName, detail));
    }
    let image = question.seen.part.as_ref().unwrap_or(&question.seen.top);
    if payload.image() != image.digest.to_string() {
        let detail = format!("expected a signature of {}, got one of {}", image.digest, payload.image());
        return Err(Why::new(Word::OtherImage, detail));
    }
    Ok(None)
}

fn way_out(weighed: &Weighed, with: Option<&With>) -> String {
    let publish = "`signer publish --for podman --for-key NAME`";
    let by_policy = with.is_some_and(|with| with.kind == "policy");
    match weighed.whys().first().map(|why| why.word) {
        Some(Word::Unreachable) => "try again when the registry answers".to_owned(),
        Some(Word::NoTrust) => "say whose signatures count: --key FILE, or --containers-policy FILE".to_owned(),
        Some(Word::Unchecked) => "ask the client itself".to_owned(),
        Some(Word::Policy) => "`verify config podman` writes a policy that takes what a key signed".to_owned(),
        Some(Word::OtherName) if by_policy => {
            "let the policy say \"signedIdentity\": {\"type\": \"matchRepository\"}; or behind a mirror remapIdentity".to_owned()
        }
        Some(Word::OtherName) => {
            "have it signed under this name; or behind a mirror let the policy say remapIdentity".to_owned()
        }
        Some(Word::KeyKind) => "sign with a key over P-256, which every client reads".to_owned(),
        Some(Word::OtherImage) => {
            "a signature was moved here from another image: find out who did, then have this one signed".to_owned()
        }
        Some(Word::OtherKey) => format!("give the key of who signed it; or have this one sign: {publish}"),
        _ => format!("have it signed in this form: {publish}"),
    }
}
