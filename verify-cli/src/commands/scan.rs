//! `verify scan`: runs the chain, then says what is in the image and what is known to be wrong with it.
//!
//! A verified image is the only way in. `--unverified` is another way, spelled out, and the report says so.

use std::io::Read;

use chrono::{DateTime, SecondsFormat, Utc};
use image_scan::{ImageInfo, Inventory, Report, Rules, ScanError, Subject, VexStatement, counts, formats};
use oci_image::{
    Descriptor, ImageManifest, ImageSource, MANIFEST_MAX, Manifest, Platform, Selector, VerifyingReader,
};
use verifier_lib::{Failing, Layers, Link, Reason, Stage, Status, Verdict, VerifiedImage, VerifiedPlatform};

use crate::access::{Access, image_source, now, source_failure};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, PrintingArgs, ScanArgs, ScanFormat, VerdictFormat};
use crate::carried;
use crate::commands::engines;
use crate::commands::image::verify;
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{self, Applied, key_id};
use crate::progress::Blobs;
use crate::record::Sighting;
use crate::report;
use crate::scan_text;
use crate::style::{out, say, shown};

pub(crate) fn run(args: &ScanArgs) -> Result<Exit, Failure> {
    if args.chain.all_platforms {
        let what = "expected one platform to scan, got --all-platforms";
        return Err(Failure::usage(what).hint("scan each with --platform OS/ARCH"));
    }
    let given = args.packed.chain(&args.chain).inspect_err(|failure| {
        report::print_failure(&args.packed.asked(&args.chain), failure, printing(args.format));
    })?;
    let applied = match policy::apply(args.policy.policy.as_deref(), &given, None)? {
        Ok(applied) => applied,
        Err((name, verdict)) => return Ok(report::print(&name.to_string(), &verdict, printing(args.format))),
    };
    let chain = applied.as_ref().map_or(&given, |applied| &applied.chain);
    let demanded = applied.as_ref().and_then(|applied| applied.scan.as_ref());
    // Before anything is read: a wrong database is no reason to wait for an image.
    let (db, rules) = match demanded {
        Some((db, rules)) => (Some(AdvisoryDb::needed(db.as_deref(), chain)?), Some(rules.clone())),
        None => args.gate.open(chain, !args.engines.plugin.is_empty())?,
    };
    let report = match scanned(args, chain, applied.as_ref(), db.as_ref(), rules.as_ref())? {
        Ok(report) => report,
        Err(exit) => return Ok(exit),
    };
    print(&report, args.format, now(chain));
    Ok(match &report.gate {
        Some(gate) if !gate.passed => Exit::Gate,
        _ => Exit::Trusted,
    })
}

/// The report of an image; or how it ended, where the image isn't trusted.
pub(crate) fn scanned(
    args: &ScanArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    db: Option<&AdvisoryDb>,
    rules: Option<&Rules>,
) -> Result<Result<Report, Exit>, Failure> {
    if args.unverified && !args.gate.vex_keys.is_empty() {
        let what = "--vex-key is about an image that is verified, and --unverified was given";
        return Err(Failure::usage(what).hint("leave one of them out"));
    }
    let (report, vex) = match args.unverified {
        true => (unverified(chain)?, Vec::new()),
        false => match verified(args, chain, applied)? {
            Ok(verified) => verified,
            Err(exit) => return Ok(Err(exit)),
        },
    };
    let report = looked_up(report, db)?;
    let report = engines::run(&args.engines, chain, report)?.with_vex(&vex);
    Ok(Ok(match rules {
        Some(rules) => report.gated(rules, now(chain)),
        None => report,
    }))
}

fn print(report: &Report, format: ScanFormat, now: DateTime<Utc>) {
    let made_at = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    match format {
        ScanFormat::Text => scan_text::print(report),
        ScanFormat::Json => report::print_json(report),
        ScanFormat::Html => out!("{}", formats::html(report)),
        ScanFormat::Sarif => report::print_json(&formats::sarif(report)),
        ScanFormat::Cyclonedx => report::print_json(&formats::cyclonedx(report, &made_at)),
        ScanFormat::Spdx3 => report::print_json(&formats::spdx3(report, &made_at)),
        ScanFormat::Spdx => report::print_json(&formats::spdx(report, &made_at)),
    }
}

fn looked_up(report: Report, db: Option<&AdvisoryDb>) -> Result<Report, Failure> {
    match db {
        Some(db) => report.matched(db).map_err(|error| Failure::unknown(shown(&error))),
        None => Ok(report.without_database()),
    }
}

/// By what findings are weighed.
pub(crate) struct Rulings<'a> {
    pub(crate) rules: Option<&'a Rules>,
    pub(crate) vex: &'a [VexStatement],
    /// The files of the keys whose word that is.
    pub(crate) vex_keys: &'a [std::path::PathBuf],
}

/// The scan as the last link of a chain: of each platform that was verified. Its layers are hashed on the way.
pub(crate) fn last_link(
    access: &Access,
    image: Box<VerifiedImage>,
    db: Option<&AdvisoryDb>,
    rulings: &Rulings<'_>,
    now: DateTime<Utc>,
    seen: &mut Sighting,
) -> Result<Verdict, Failure> {
    let key = |file: &std::path::PathBuf| Some((file.display().to_string(), key_id(file).ok()?));
    let vex_keys = rulings.vex_keys.iter().filter_map(key).collect();
    let (mut broken, mut reasons, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for one in image.platforms() {
        let platform = one.platform().map(|platform| format!("{platform}: ")).unwrap_or_default();
        let report = looked_up(of_platform(access, &image, one)?, db)?.with_vex(rulings.vex);
        seen.scan(&report, &vex_keys);
        let report = match rulings.rules {
            Some(rules) => report.gated(rules, now),
            None => report,
        };
        if let Some(gate) = report.gate.as_ref().filter(|gate| !gate.passed) {
            broken.push(format!("{platform}{}", gate.summary()));
            let rules = gate.broken.iter().map(|rule| format!("{platform}{}", rule.what));
            reasons.extend(rules.map(|what| Reason::new(Failing::Findings, what)));
        }
        let counts: Vec<String> = counts(report.findings.iter())
            .iter()
            .rev()
            .map(|(severity, count)| format!("{count} {}", severity.name()))
            .collect();
        let said = match (&report.database, counts.is_empty()) {
            (None, _) => "nothing was looked up: there is no database".to_owned(),
            (Some(_), true) => "no finding".to_owned(),
            (Some(_), false) => counts.join(", "),
        };
        found.push(format!("{platform}{} components, {said}", report.components.len()));
    }
    if let Err(link) = image.hash_attestations(access.source.as_ref()) {
        return Ok(image.then(*link));
    }
    let subject = image.digest().to_string();
    let link = match broken.is_empty() {
        true => Link::new(Stage::Scan, Status::Passed, subject, found.join("; ")),
        false => {
            let broken = broken.join("; ");
            let detail = format!("a rule of the scan is broken: {broken}");
            Link::new(Stage::Scan, Status::Broken, subject, detail).with_reasons(reasons)
        }
    };
    Ok(Box::new(image.layers_hashed()).then(link))
}

/// The inventory of a verified image; or how it ended, where it isn't trusted.
fn verified(
    args: &ScanArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
) -> Result<Result<(Report, Vec<VexStatement>), Exit>, Failure> {
    let printing = printing(args.format);
    let access = Access::of(chain).inspect_err(|failure| {
        report::print_failure(&chain.image.to_string(), failure, printing);
    })?;
    // Layers are hashed as the scan reads them: once.
    let verdict = match (verify(&access, chain, Layers::Defer), applied) {
        (Verdict::Trusted(image), Some(applied)) => applied.weigh(image),
        (other, _) => other,
    };
    let image = match verdict {
        Verdict::Trusted(image) => image,
        verdict => return Ok(Err(report::print(&access.name.to_string(), &verdict, printing))),
    };
    let report = of_verified(&access, &image)?;
    let keys = applied.map_or(args.gate.vex_keys.as_slice(), |applied| &applied.vex_keys);
    let vex = evidence::vex(keys, chain, &image)?;
    access.trusted()?;
    Ok(Ok((report, vex)))
}

/// How a verdict is printed where there is no report.
fn printing(format: ScanFormat) -> PrintingArgs {
    let format = match format {
        ScanFormat::Text => VerdictFormat::Text,
        ScanFormat::Sarif => VerdictFormat::Sarif,
        _ => VerdictFormat::Json,
    };
    PrintingArgs { explain: false, format }
}

fn of_verified(access: &Access, image: &VerifiedImage) -> Result<Report, Failure> {
    let [one] = image.platforms() else {
        let what = format!("expected one platform to scan, got {}", image.platforms().len());
        return Err(Failure::usage(what).hint("choose one with --platform OS/ARCH"));
    };
    of_platform(access, image, one)
}

fn of_platform(access: &Access, image: &VerifiedImage, one: &VerifiedPlatform) -> Result<Report, Failure> {
    carried::expect_layers(access.pack.as_ref(), &one.manifest().layers)?;
    let subject =
        Subject { digest: one.descriptor().digest, config: one.config(), layers: &one.manifest().layers };
    let info = ImageInfo {
        reference: access.name.to_string(),
        digest: image.digest().to_string(),
        manifest: one.descriptor().digest.to_string(),
        platform: one.platform().map(ToString::to_string),
        verified: true,
        role: Some(image.role().to_owned()),
    };
    Ok(Report::new(info, take(&subject, access.source.as_ref())?))
}

fn take(subject: &Subject<'_>, source: &dyn ImageSource) -> Result<Inventory, Failure> {
    let mut blobs = Blobs::new();
    let taken = Inventory::take(subject, source, &mut |(blob, done)| blobs.update(blob, done));
    drop(blobs);
    taken.map_err(|error| scan_failure(&error))
}

pub(crate) fn scan_failure(error: &ScanError) -> Failure {
    let what = format!("could not scan: {}", shown(&error.to_string()));
    match error {
        ScanError::TooMany { .. } => {
            Failure::unknown(what).hint("what is in the image is not known: don't take it for clean")
        }
        error if error.unreachable() => Failure::unknown(what),
        _ => Failure::refused(what).hint("the bytes are not those of a sound image: do not run them"),
    }
}

/// The inventory of whatever bytes a place has under the name.
fn unverified(args: &ChainArgs) -> Result<Report, Failure> {
    say!("warning: nobody was asked whether {} is to be trusted", args.image);
    let (source, tag, digest, _) = image_source(args)?;
    let selector = match (&digest, &tag) {
        (Some(digest), _) => Selector::Digest(*digest),
        (None, tag) => Selector::Tag(tag.as_deref().unwrap_or("latest")),
    };
    let top = Fetched::of(source.as_ref(), selector)?;
    let (platform, image) = match top.manifest {
        Manifest::Image(image) => (None, Fetched { descriptor: top.descriptor.clone(), manifest: image }),
        Manifest::Index(ref index) => {
            let wanted = args.platform.clone().unwrap_or_else(Platform::host);
            let entry = index.select(&wanted).ok_or_else(|| {
                let has: Vec<_> =
                    index.images().filter_map(|one| Some(one.platform.as_ref()?.to_string())).collect();
                let what = format!("expected an image for {wanted}, got {}", shown(&has.join(", ")));
                Failure::usage(what).hint("choose one that it has with --platform")
            })?;
            let child = Fetched::of(source.as_ref(), Selector::Digest(entry.digest))?;
            let Manifest::Image(image) = child.manifest else {
                return Err(Failure::refused(format!("{}: expected an image, got an index", entry.digest)));
            };
            (entry.platform.clone(), Fetched { descriptor: child.descriptor, manifest: image })
        }
    };
    carried::expect_layers(args.carried.pack.as_ref(), &image.manifest.layers)?;
    let config = config(source.as_ref(), &image.manifest)?;
    let subject =
        Subject { digest: image.descriptor.digest, config: &config, layers: &image.manifest.layers };
    let info = ImageInfo {
        reference: args.image.to_string(),
        digest: top.descriptor.digest.to_string(),
        manifest: image.descriptor.digest.to_string(),
        platform: platform.map(|platform| platform.to_string()),
        verified: false,
        role: None,
    };
    Ok(Report::new(info, take(&subject, source.as_ref())?))
}

/// A manifest, and what its bytes are.
struct Fetched<M> {
    descriptor: Descriptor,
    manifest: M,
}

impl Fetched<Manifest> {
    fn of(source: &dyn ImageSource, which: Selector<'_>) -> Result<Self, Failure> {
        let fetched = source.manifest(which).map_err(|error| source_failure(&error))?;
        let descriptor = fetched.descriptor();
        if let Selector::Digest(expected) = which
            && descriptor.digest != expected
        {
            let got = descriptor.digest;
            return Err(Failure::refused(format!("expected a manifest with digest {expected}, got {got}")));
        }
        let manifest = Manifest::parse(&fetched.bytes, fetched.media_type.as_deref())
            .map_err(|error| Failure::refused(shown(&error.to_string())))?;
        Ok(Self { descriptor, manifest })
    }
}

fn config(source: &dyn ImageSource, manifest: &ImageManifest) -> Result<Vec<u8>, Failure> {
    let config = &manifest.config;
    if config.size > MANIFEST_MAX {
        let what = format!("expected a configuration of at most {MANIFEST_MAX} bytes, got {}", config.size);
        return Err(Failure::refused(what));
    }
    let blob = source.blob(config).map_err(|error| source_failure(&error))?;
    let mut bytes = Vec::new();
    VerifyingReader::for_blob(blob, config)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::refused(format!("configuration {}: {error}", config.digest)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-scan", &schemars::schema_for!(image_scan::Report));
    }
}
