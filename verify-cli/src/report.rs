//! The answer, for people and for programs.

mod sarif;
mod tree;

use image_pack::Embedded;
use serde::Serialize;
use verdict_report::{Report, Word, hint};
use verifier_lib::{Broken, Link, Stage, Status, Verdict, VerifiedImage, tree_of, tree_of_image};

use crate::args::{PrintingArgs, VerdictFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::style::{Style, out, say, shown};

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
    match printing.format {
        VerdictFormat::Json => print_json(&Report { proof, ..Report::of(reference, verdict) }),
        VerdictFormat::Sarif => print_json(&sarif::sarif(&Report::of(reference, verdict))),
        VerdictFormat::Text => match verdict {
            Verdict::Trusted(image) => trusted(reference, image, printing.explain),
            Verdict::Refused(broken) => not_trusted(reference, broken, Word::Refused, printing.explain),
            Verdict::Unknown(broken) => not_trusted(reference, broken, Word::Unknown, printing.explain),
        },
    }
    exit_of(verdict)
}

/// How a verdict ends the program.
pub(crate) fn exit_of(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Trusted(_) => Exit::Trusted,
        Verdict::Unknown(_) => Exit::Unknown,
        Verdict::Refused(broken) if broken.link.stage == Stage::Scan => Exit::Gate,
        Verdict::Refused(_) => Exit::Refused,
    }
}

fn trusted(reference: &str, image: &VerifiedImage, explained: bool) {
    let links = &image.proof().links;
    let style = Style::stderr();
    say!("{} {reference}", style.good("trusted"));
    if explained {
        tree_of_image(image).iter().for_each(|top| tree::print(top, style));
    } else {
        summary(image, links);
    }
    out!("{}", image.pinned());
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

fn not_trusted(reference: &str, broken: &Broken, word: Word, explained: bool) {
    let style = Style::stderr();
    let what = match word {
        Word::Unknown => style.unsure("could not tell"),
        _ => style.bad("refused"),
    };
    say!("{}: {what} {reference}", style.bad("error"));
    say!("  {}", shown(&broken.link.detail));
    if explained {
        tree_of(&broken.proof.links).iter().for_each(|top| tree::print(top, style));
    }
    if let Some(hint) = hint(&broken.link, word) {
        say!("{}: {hint}", style.faint("hint"));
    }
}

/// For programs, the answer where the chain was not even begun. A wrong call has none.
pub(crate) fn print_failure(reference: &str, failure: &Failure, printing: PrintingArgs) {
    let (what, advice) = (failure.what(), failure.advice());
    let report = match failure.exit {
        Exit::Refused => Report::refused(reference, what, advice),
        Exit::Unknown => Report::unknown(reference, what, advice),
        Exit::Trusted | Exit::Usage | Exit::Gate => return,
    };
    match printing.format {
        VerdictFormat::Json => print_json(&report),
        VerdictFormat::Sarif => print_json(&sarif::sarif(&report)),
        VerdictFormat::Text => {}
    }
}

/// Pretty JSON on stdout. A closed pipe is the reader's choice.
pub(crate) fn print_json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        out!("{text}");
    }
}

#[cfg(test)]
pub(crate) mod tests {
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
