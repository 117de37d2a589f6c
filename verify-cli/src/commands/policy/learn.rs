//! `verify policy learn`: a first draft of rules from what was seen, for a person to read.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use image_policy::{Entry, Learnt, Policy};
use oci_image::Location;
use verifier_lib::{Layers, Verdict};

use super::inventory;
use crate::access::Access;
use crate::args::ChainArgs;
use crate::carried::Carried;
use crate::commands::image::{demanded, verify};
use crate::evidence_args::{DemandArgs, SignerArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::policy_args::LearnArgs;
use crate::record::Sighting;
use crate::style::{out, say, shown};

pub(super) fn run(args: &LearnArgs) -> Result<Exit, Failure> {
    let mut entries = match &args.inventory {
        Some(path) => inventory::read(path)?,
        None => Vec::new(),
    };
    for image in &args.images {
        entries.push(Entry::Seen(Box::new(seen(image, args)?)));
    }
    let learnt = image_policy::learn(&entries);
    for (image, why) in &learnt.left_out {
        say!("warning: nothing is learnt from {}: {}", shown(image), shown(why));
    }
    let Learnt { policy, scopes, images, .. } = learnt;
    if images == 0 {
        let what = "expected images that are trusted, got none";
        return Err(Failure::refused(what).hint("look at one with `verify image REF --explain`"));
    }
    // What can't be read back is of no use to anybody.
    Policy::parse(&policy).map_err(|why| Failure::usage(format!("what was seen makes no rules: {why}")))?;
    match &args.output {
        None => out!("{}", policy.trim_end()),
        Some(path) => written(path, &policy)?,
    }
    say!("learnt {scopes} scopes from {images} images; read them, then `verify policy check --strict`");
    Ok(Exit::Trusted)
}

/// Never over a file that is there: rules that somebody read and changed are not lost.
fn written(path: &Path, policy: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(policy.as_bytes()));
    written.map_err(|why| files::unusable(path, &why).hint("name a file that isn't there yet"))
}

/// What is seen of an image when it is verified now.
fn seen(image: &Location, args: &LearnArgs) -> Result<image_policy::Facts, Failure> {
    if matches!(image, Location::Layout { .. }) {
        let what = format!("expected an image in a registry, whose name rules can be about, got {image}");
        let hint =
            "`verify image LAYOUT --as NAME --record FILE` records one, and --inventory learns from that";
        return Err(Failure::usage(what).hint(hint));
    }
    let chain = ChainArgs {
        image: image.clone(),
        known_as: None,
        platform: args.platform.clone(),
        all_platforms: false,
        at: args.at,
        offline: false,
        state: args.state.clone(),
        root: args.root.clone(),
        access: args.access.clone(),
        carried: Carried::default(),
    };
    let mut seen = Sighting::kept(&chain)?;
    match verdict(&chain, &args.signers, &mut seen) {
        Ok(verdict) => seen.end(&verdict)?,
        Err(failure) if failure.exit == Exit::Usage => return Err(failure),
        Err(failure) => seen.failed(&failure)?,
    }
    Ok(seen.facts().clone())
}

fn verdict(chain: &ChainArgs, signers: &SignerArgs, seen: &mut Sighting) -> Result<Verdict, Failure> {
    // A root that is believed on first use is not pinned: it is in the rules, for a person to compare.
    let access = Access::of(chain)?;
    let verdict = verify(&access, chain, Layers::Defer);
    seen.chain(&access, &verdict);
    let options = DemandArgs { signers: signers.clone(), ..DemandArgs::default() };
    Ok(demanded(verdict, &options, chain, None, seen)?.0)
}
