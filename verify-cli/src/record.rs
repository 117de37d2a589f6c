//! What was seen of an image while it was verified: the facts that rules decide on, and the inventory to which they
//! are appended.
//!
//! A line is one write to a file that is only ever appended to, so that several processes may share it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;
use clap::Args;
use image_evidence::{Claim, Predicate, Signer, Trust};
use image_policy::{
    BuildFact, Chain, EVIDENCE_MAX, Evidence, FACTS_VERSION, FINDINGS_MAX, Facts, FindingFact, IdentityFact,
    KeyFact, LookedFor, ScanFacts, SignerFact, SignerKind, VerdictFact, Word,
};
use image_scan::{CoverageStatus, Report};
use oci_image::{Digest, Reference};
use verifier_lib::evidence::{Gap, Judged, Outcome};
use verifier_lib::{Link, Verdict};

use crate::access::{Access, now, trusted_name};
use crate::args::ChainArgs;
use crate::evidence_args::SignerArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;

/// The most of a reason that is kept, in characters.
const DETAIL_MAX: usize = 1000;

/// The most names of parameters that are kept, and characters of each: a build has a few.
const PARAMETERS_MAX: usize = 20;
const PARAMETER_MAX: usize = 100;

/// The most things that could not be reached that are kept.
const UNREACHED_MAX: usize = 10;

/// Where what was seen is kept.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Record")]
pub(crate) struct RecordArgs {
    /// Append what was seen of the image to this inventory (a JSON line), for `verify policy simulate` and `learn`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// What is seen of one image, as it is.
#[derive(Debug)]
pub(crate) struct Sighting {
    facts: Facts,
    file: Option<(PathBuf, File)>,
    /// Whether all is looked at that rules could ask for.
    whole: bool,
}

impl Sighting {
    /// Opens the inventory, before anything is asked: what can't be recorded isn't verified.
    pub(crate) fn begin(args: &RecordArgs, chain: &ChainArgs) -> Result<Self, Failure> {
        let file = args.record.as_deref().map(|path| Ok((path.to_owned(), opened(path)?))).transpose()?;
        Self::of(chain, file)
    }

    /// The same without a file, for whoever asks for [`Self::facts`].
    pub(crate) fn kept(chain: &ChainArgs) -> Result<Self, Failure> {
        Ok(Self { whole: true, ..Self::of(chain, None)? })
    }

    fn of(chain: &ChainArgs, file: Option<(PathBuf, File)>) -> Result<Self, Failure> {
        let name = trusted_name(chain)?.to_string();
        let facts = Facts {
            version: FACTS_VERSION,
            at: now(chain).to_rfc3339_opts(SecondsFormat::Secs, true),
            image: name.clone(),
            name,
            ..Facts::default()
        };
        Ok(Self { facts, whole: file.is_some(), file })
    }

    /// The same image once more, from elsewhere: it has the same name, and what a scan found in it stays so, since its
    /// layers are the same by their digests. All else is to be seen anew.
    pub(crate) fn again(&self, chain: &ChainArgs) -> Result<Self, Failure> {
        let mut again = Self::of(chain, None)?;
        again.facts.name.clone_from(&self.facts.name);
        again.facts.scope.clone_from(&self.facts.scope);
        again.facts.scans.clone_from(&self.facts.scans);
        Ok(again)
    }

    /// Whether all is looked at that rules could ask for, though nobody demands it.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The name that is meant, and the scope that decides.
    pub(crate) fn meant(&mut self, name: &Reference, scope: Option<&str>) {
        self.facts.name = name.to_string();
        self.facts.scope = scope.map(str::to_owned);
    }

    /// How the chain fared.
    pub(crate) fn chain(&mut self, access: &Access, verdict: &Verdict) {
        let facts = &mut self.facts;
        facts.repo = Some(access.root.repo.clone());
        facts.root_sha256 = Some(access.root.sha256.clone());
        facts.root_version = Some(access.root.version);
        facts.chain = match verdict {
            Verdict::Trusted(image) => {
                let top = image.digest().to_string();
                let parts = image.platforms().iter().map(|part| part.descriptor().digest.to_string());
                facts.parts = parts.filter(|part| *part != top).collect();
                facts.digest = Some(top);
                facts.role = Some(image.role().to_owned());
                facts.delegation_path = image.delegation_path().to_vec();
                Chain::Held
            }
            Verdict::Refused(_) => Chain::Broken,
            Verdict::Unknown(_) => Chain::Unknown,
        };
    }

    /// The signatures and attestations that were found.
    pub(crate) fn evidence(&mut self, signers: &SignerArgs, trust: &Trust, pieces: &[Judged], gaps: &[Gap]) {
        self.facts.looked_for = Some(looked_for(signers, trust));
        self.facts.evidence = pieces.iter().filter_map(piece).take(EVIDENCE_MAX).collect();
        let unreached = gaps.iter().filter(|gap| gap.unreachable).take(UNREACHED_MAX);
        self.facts.unreached = unreached.map(|gap| short(&format!("{}: {}", gap.what, gap.why))).collect();
    }

    /// What a scan of one platform found, before rules weighed it. `vex_keys` are those whose word on findings counts:
    /// what they are called in reports, and what makes them the same.
    pub(crate) fn scan(&mut self, report: &Report, vex_keys: &BTreeMap<String, Digest>) {
        let findings = report.findings.iter().map(|one| FindingFact {
            id: one.id.clone(),
            aliases: one.aliases.clone(),
            package: one.package.clone(),
            source_package: one.source_package.clone(),
            severity: one.severity.name().to_owned(),
            fixable: one.fixed.is_some(),
            exploited: one.exploited,
            not_affected_by: one
                .suppressed
                .as_ref()
                .map(|said| vex_keys.get(&said.by).map_or_else(|| said.by.clone(), ToString::to_string)),
        });
        let blind = |status| matches!(status, CoverageStatus::NoData | CoverageStatus::NoDatabase);
        let blind = report.coverage.iter().filter(|one| blind(one.status)).count();
        let unread = report.unread.len().saturating_add(report.unread_more);
        let found = ScanFacts {
            database_made_at: report.database.as_ref().map(|database| database.made_at.clone()),
            database_age_seconds: report.database.as_ref().map(|database| database.age_seconds),
            findings: findings.take(FINDINGS_MAX).collect(),
            more_findings: report.findings.len().saturating_sub(FINDINGS_MAX),
            gaps: blind.saturating_add(unread).saturating_add(report.undecided.len()),
            vex_keys: vex_keys.values().map(ToString::to_string).collect(),
        };
        self.facts.scans.get_or_insert_default().push(found);
    }

    /// Records the verdict, before anybody is told it.
    pub(crate) fn end(&mut self, verdict: &Verdict) -> Result<(), Failure> {
        let not_trusted = |facts: &mut Facts, link: &Link| {
            facts.stage = Some(link.stage.name().to_owned());
            facts.detail = Some(short(&link.detail));
        };
        self.facts.verdict = match verdict {
            Verdict::Trusted(_) => Word::Trusted,
            Verdict::Refused(broken) => {
                not_trusted(&mut self.facts, &broken.link);
                Word::Refused
            }
            Verdict::Unknown(broken) => {
                not_trusted(&mut self.facts, &broken.link);
                Word::Unknown
            }
        };
        self.append()
    }

    /// Records that there is no verdict of the chain: no root spoke, or something demanded could not be done.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.facts.verdict = match failure.exit {
            Exit::Refused | Exit::Gate => Word::Refused,
            Exit::Unknown => Word::Unknown,
            // A wrong call says nothing of the image.
            Exit::Trusted | Exit::Usage => return Ok(()),
        };
        self.facts.detail = Some(short(failure.what()));
        self.append()
    }

    fn append(&mut self) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let failed = |why: &dyn std::fmt::Display| {
            Failure::unknown(format!("could not record to {}: {why}", path.display()))
                .hint("nothing is said of what can't be recorded: make room, or leave --record out")
        };
        let line = line(&mut self.facts).map_err(|why| failed(&why))?;
        file.write_all(line.as_bytes()).map_err(|why| failed(&why))
    }
}

/// The line, with as many findings as it has room for.
fn line(facts: &mut Facts) -> Result<String, String> {
    loop {
        match facts.line() {
            Ok(line) => return Ok(line),
            Err(why) => {
                let longest = facts.scans.iter_mut().flatten().max_by_key(|scan| scan.findings.len());
                let Some(scan) = longest.filter(|scan| !scan.findings.is_empty()) else { return Err(why) };
                let kept = scan.findings.len().checked_div(2).unwrap_or(0);
                scan.more_findings =
                    scan.more_findings.saturating_add(scan.findings.len().saturating_sub(kept));
                scan.findings.truncate(kept);
            }
        }
    }
}

fn opened(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // What runs here is nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|why| files::unusable(path, &why))
}

fn short(text: &str) -> String {
    text.chars().take(DETAIL_MAX).collect()
}

fn full(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn looked_for(signers: &SignerArgs, trust: &Trust) -> LookedFor {
    // The keys were read in the order of their files.
    let keys = signers.keys.iter().zip(&trust.keys);
    let identities = trust.identities.iter();
    LookedFor {
        keys: keys.map(|(file, key)| KeyFact { id: key.id().to_string(), file: full(file) }).collect(),
        identities: identities
            .map(|one| IdentityFact { identity: one.subject.clone(), issuer: one.issuer.clone() })
            .collect(),
        trusted_root: signers.trusted_root.as_deref().map(full),
        notation_policy: signers.notation_policy.as_deref().and_then(|file| policy_digest(file).ok()),
        notation_policy_file: signers.notation_policy.as_deref().map(full),
    }
}

/// What tells a trust policy of notation from another one.
pub(crate) fn policy_digest(file: &Path) -> Result<String, Failure> {
    Ok(Digest::of(&files::bytes(file, image_evidence::limits::TRUST_MAX)?).to_string())
}

/// What a piece is worth as a fact; none where nobody vouches for it.
fn piece(judged: &Judged) -> Option<Evidence> {
    let readable = match &judged.outcome {
        Outcome::Signed(verified) => verified.claim.is_countable(),
        Outcome::Published(statement) => Claim::Statement(statement.clone()).is_countable(),
        Outcome::Refused(_) => return None,
    };
    let read = judged.predicate().and_then(Result::ok);
    let build = match &read {
        Some(Predicate::Provenance(provenance)) => {
            let unexpected = provenance.unexpected_parameters().into_iter().take(PARAMETERS_MAX);
            Some(BuildFact {
                builder: provenance.builder.clone(),
                source: provenance.told_source.clone(),
                unexpected_parameters: unexpected
                    .map(|name| name.chars().take(PARAMETER_MAX).collect())
                    .collect(),
            })
        }
        _ => None,
    };
    let verdict = match &read {
        Some(Predicate::Vsa(vsa)) => Some(VerdictFact {
            verifier: vsa.verifier.clone(),
            resource: vsa.resource.clone(),
            passed: vsa.passed,
            levels: vsa.levels.clone(),
        }),
        _ => None,
    };
    Some(Evidence {
        predicate: judged.predicate_type().unwrap_or_default(),
        about: judged.found.subject.digest.to_string(),
        signers: judged.signers().iter().map(signer).collect(),
        fresh: judged.found.fresh,
        readable,
        time: read.and_then(|read| read.time()).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)),
        build,
        verdict,
    })
}

fn signer(signer: &Signer) -> SignerFact {
    match signer {
        Signer::Key { name, id } => SignerFact {
            kind: SignerKind::Key,
            id: Some(id.to_string()),
            // The file's own name: the same wherever the rules lie.
            name: Path::new(name).file_name().map_or_else(|| name.clone(), |own| own.display().to_string()),
            issuer: None,
        },
        Signer::Identity(identity) => SignerFact {
            kind: SignerKind::Identity,
            id: None,
            name: identity.subject.clone(),
            issuer: Some(identity.issuer.clone()),
        },
        Signer::Certificate { subject, id } => SignerFact {
            kind: SignerKind::Certificate,
            id: Some(id.to_string()),
            name: subject.clone(),
            issuer: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_a_line() {
        crate::report::tests::schema_is_kept("inventory", &schemars::schema_for!(Facts));
    }

    #[test]
    fn a_line_that_would_be_too_long_says_how_many_findings_it_left_out() {
        let finding = FindingFact { id: "x".repeat(1000), ..FindingFact::default() };
        let scan = ScanFacts { findings: vec![finding; FINDINGS_MAX], ..ScanFacts::default() };
        let mut facts = Facts { scans: Some(vec![scan.clone(), scan]), ..Facts::default() };
        assert!(line(&mut facts).unwrap().len() <= image_policy::LINE_MAX);
        for scan in facts.scans.unwrap() {
            assert_eq!(scan.findings.len() + scan.more_findings, FINDINGS_MAX);
        }
    }
}
