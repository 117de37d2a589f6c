//! The answer, for people and for programs.

mod sarif;
mod tree;

use image_pack::Embedded;
use serde::Serialize;
use verifier_lib::{Broken, Link, Node, Stage, Status, Verdict, VerifiedImage, tree_of, tree_of_image};

use crate::args::{PrintingArgs, VerdictFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::style::{Style, out, say, shown};

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The answer of `verify image` and `verify pull`. Schema: `docs/schema/verify-image.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this form.
    version: u32,
    /// The verdict.
    verdict: Word,
    /// The name that was verified.
    reference: String,
    /// What to pull, where the image is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    /// The digest of the manifest or index.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The targets role that speaks for the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The platforms that were verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<PlatformReport>,
    /// Every link of the chain, in order.
    links: Vec<Link>,
    /// The same links as a tree: what hangs on what, from the name and its root of trust to each blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<Node>,
    /// The link that broke, or could not be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Link>,
    /// Why the chain was not even begun: no root, or no image to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Everything that a trusted verdict rests on, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Embedded>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PlatformReport {
    /// The platform, where an index names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// The digest of its manifest.
    digest: String,
    /// Whether its layers were hashed now, or are hashed by whoever reads them.
    layers: LayersReport,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum LayersReport {
    /// Every layer was read and hashed.
    Hashed,
    /// Their digests are known; the bytes are hashed when they are read.
    Deferred,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Word {
    Trusted,
    Refused,
    Unknown,
}

/// Prints the answer: the pinned reference or JSON on stdout, the rest on stderr.
pub(crate) fn print(reference: &str, verdict: &Verdict, printing: PrintingArgs) -> Exit {
    print_with(reference, verdict, printing, None)
}

/// As [`print`], and in JSON what a trusted verdict rests on.
pub(crate) fn print_with(
    reference: &str,
    verdict: &Verdict,
    printing: PrintingArgs,
    proof: Option<Embedded>,
) -> Exit {
    match verdict {
        Verdict::Trusted(image) => trusted(reference, image, printing, proof),
        Verdict::Refused(broken) => not_trusted(reference, broken, Word::Refused, printing),
        Verdict::Unknown(broken) => not_trusted(reference, broken, Word::Unknown, printing),
    }
}

fn trusted(reference: &str, image: &VerifiedImage, printing: PrintingArgs, proof: Option<Embedded>) -> Exit {
    let links = &image.proof().links;
    match printing.format {
        VerdictFormat::Json => print_json(&Report { proof, ..trusted_report(reference, image) }),
        VerdictFormat::Sarif => print_json(&sarif::sarif(&trusted_report(reference, image))),
        VerdictFormat::Text => {
            let style = Style::stderr();
            say!("{} {reference}", style.good("trusted"));
            if printing.explain {
                tree_of_image(image).iter().for_each(|top| tree::print(top, style));
            } else {
                summary(image, links);
            }
            out!("{}", image.pinned());
        }
    }
    Exit::Trusted
}

pub(crate) fn trusted_report(reference: &str, image: &VerifiedImage) -> Report {
    let links = image.proof().links.clone();
    let deferred = links.iter().any(|link| link.status == Status::Deferred);
    let layers = if deferred { LayersReport::Deferred } else { LayersReport::Hashed };
    let platforms = image.platforms().iter().map(|one| PlatformReport {
        platform: one.platform().map(ToString::to_string),
        digest: one.descriptor().digest.to_string(),
        layers,
    });
    Report {
        version: REPORT_VERSION,
        verdict: Word::Trusted,
        reference: reference.to_owned(),
        pinned: Some(image.pinned()),
        digest: Some(image.digest().to_string()),
        role: Some(image.role().to_owned()),
        platforms: platforms.collect(),
        links,
        tree: tree_of_image(image),
        broken: None,
        error: None,
        hint: None,
        proof: None,
    }
}

fn summary(image: &VerifiedImage, links: &[Link]) {
    let until = links.iter().filter_map(|link| link.expires.as_deref()).min().unwrap_or("?");
    let platforms: Vec<_> =
        image.platforms().iter().filter_map(|one| Some(one.platform()?.to_string())).collect();
    say!("  role {} says so, until {until}", shown(image.role()));
    if !platforms.is_empty() {
        say!("  platforms: {}", shown(&platforms.join(", ")));
    }
    let layers: Vec<_> = links.iter().filter(|link| link.stage == Stage::Layer).collect();
    match layers.iter().filter(|link| link.status == Status::Deferred).count() {
        0 => say!("  every blob was hashed"),
        _ => say!(
            "  manifests and configuration were hashed; {} layer(s) are hashed as `verify pull` reads them",
            layers.len()
        ),
    }
}

fn not_trusted(reference: &str, broken: &Broken, word: Word, printing: PrintingArgs) -> Exit {
    let hint = hint(&broken.link, word);
    match printing.format {
        VerdictFormat::Json => print_json(&broken_report(reference, broken, word, hint)),
        VerdictFormat::Sarif => print_json(&sarif::sarif(&broken_report(reference, broken, word, hint))),
        VerdictFormat::Text => {
            let style = Style::stderr();
            let what = match word {
                Word::Unknown => style.unsure("could not tell"),
                _ => style.bad("refused"),
            };
            say!("{}: {what} {reference}", style.bad("error"));
            say!("  {}", shown(&broken.link.detail));
            if printing.explain {
                tree_of(&broken.proof.links).iter().for_each(|top| tree::print(top, style));
            }
            if let Some(hint) = hint {
                say!("{}: {hint}", style.faint("hint"));
            }
        }
    }
    match word {
        Word::Unknown => Exit::Unknown,
        _ if broken.link.stage == Stage::Scan => Exit::Gate,
        _ => Exit::Refused,
    }
}

fn broken_report(reference: &str, broken: &Broken, word: Word, hint: Option<&str>) -> Report {
    Report {
        links: broken.proof.links.clone(),
        tree: tree_of(&broken.proof.links),
        broken: Some(broken.link.clone()),
        hint: hint.map(str::to_owned),
        ..Report::empty(reference, word)
    }
}

impl Report {
    fn empty(reference: &str, verdict: Word) -> Self {
        Self {
            version: REPORT_VERSION,
            verdict,
            reference: reference.to_owned(),
            pinned: None,
            digest: None,
            role: None,
            platforms: Vec::new(),
            links: Vec::new(),
            tree: None,
            broken: None,
            error: None,
            hint: None,
            proof: None,
        }
    }
}

/// For programs, the answer where the chain was not even begun. A wrong call has none.
pub(crate) fn print_failure(reference: &str, failure: &Failure, printing: PrintingArgs) {
    let verdict = match failure.exit {
        Exit::Refused => Word::Refused,
        Exit::Unknown => Word::Unknown,
        Exit::Trusted | Exit::Usage | Exit::Gate => return,
    };
    let report = Report {
        error: Some(failure.what().to_owned()),
        hint: failure.advice().map(str::to_owned),
        ..Report::empty(reference, verdict)
    };
    match printing.format {
        VerdictFormat::Json => print_json(&report),
        VerdictFormat::Sarif => print_json(&sarif::sarif(&report)),
        VerdictFormat::Text => {}
    }
}

/// What a person can do about a broken link.
fn hint(link: &Link, word: Word) -> Option<&'static str> {
    if word == Word::Unknown {
        return Some(
            "nothing is known against the image: try again when the network, or a newer state, is there",
        );
    }
    let expired = link.detail.contains(" expired at ");
    Some(match link.stage {
        Stage::Timestamp | Stage::Snapshot if expired => {
            "the repository is frozen or its owner is late: ask them to run `signer publish`"
        }
        Stage::Root | Stage::Targets if expired => "its owner must sign it anew: ask them, by another way",
        Stage::Timestamp | Stage::Snapshot => {
            "what is served is not newer than what this machine accepted, or not signed by its keys: \
             if the repository was restored from a backup, its owner must publish a version above"
        }
        Stage::Root | Stage::Targets => {
            "what is served is not what the owners of the root signed: ask them, by another way"
        }
        Stage::Target if link.detail.contains("another digest") => {
            "the tag no longer stands for that digest: leave one of them out, or ask its publisher"
        }
        Stage::Target if link.detail.contains("was yanked by its publisher") => {
            "do not run it: its publisher took it back"
        }
        Stage::Target if link.detail.contains("breaks its publisher's promise") => {
            "ask its publisher, by another way, why the tag moved"
        }
        Stage::Child if link.detail.contains("platform:") => "choose one that it has with --platform",
        Stage::Manifest | Stage::Child | Stage::Config | Stage::Layer
            if link.got.as_deref() == Some("nothing") =>
        {
            "the place doesn't have what was signed: try another mirror, or ask its publisher"
        }
        Stage::Target => {
            "nobody who may speak for this name has signed it: check the name, or ask its publisher"
        }
        Stage::Manifest => "the name leads to another image than the one that is signed: do not run it",
        Stage::Child | Stage::Config | Stage::Layer => {
            "the bytes are not those that were signed: do not run them"
        }
        Stage::Evidence => {
            "too few of those who must have signed it did: `verify evidence` lists every signature and its worth"
        }
        Stage::Scan => "`verify scan` with the same rules lists every finding, and what mends it",
        Stage::Policy => "`verify policy explain` shows which rule decides, and what it demands",
        Stage::Reference | Stage::Trust => return None,
    })
}

/// Pretty JSON on stdout. A closed pipe is the reader's choice.
pub(crate) fn print_json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        out!("{text}");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-image", &schemars::schema_for!(Report));
    }

    /// Compares a schema with the one in `docs/schema`; with `HALLMARK_WRITE_SCHEMA` set, writes it.
    pub(crate) fn schema_is_kept(name: &str, schema: &schemars::Schema) {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schema/{name}.json"));
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if std::env::var_os("HALLMARK_WRITE_SCHEMA").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{}", path.display());
    }
}
