//! `verify image`: runs the chain and prints what to pull.

use oci_image::Platform;
use verifier_lib::{Layers, Platforms, Verdict, Verification};

use crate::access::{Access, now};
use crate::args::{ChainArgs, ImageArgs};
use crate::commands::scan;
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Blobs;
use crate::report;

pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Failure> {
    evidence::expect_demand(&args.demand)?;
    if !args.scan && args.gate.is_given() {
        return Err(Failure::usage("the rules of a scan were given, and no scan").hint("add --scan"));
    }
    // Before anything is read: a wrong database is no reason to wait for an image.
    let rules = if args.scan { Some(args.gate.open(&args.chain)?) } else { None };
    let access = Access::of(&args.chain).inspect_err(|failure| {
        report::print_failure(&args.chain.image.to_string(), failure, args.printing);
    })?;
    // What is on this machine is hashed to the last byte; what isn't, as it is pulled.
    // A scan reads every layer, and hashes it as it does.
    let layers = if access.local && !args.scan { Layers::Hash } else { Layers::Defer };
    let verdict = match verify(&access, &args.chain, layers) {
        Verdict::Trusted(image) => {
            let demanded = evidence::demanded(&args.demand, &args.chain, image);
            demanded.inspect_err(|failure| {
                report::print_failure(&args.chain.image.to_string(), failure, args.printing);
            })?
        }
        other => other,
    };
    let verdict = match (verdict, &rules) {
        (Verdict::Trusted(image), Some((db, rules))) => {
            scan::last_link(&access, image, db.as_ref(), rules.as_ref(), now(&args.chain)).inspect_err(
                |failure| {
                    report::print_failure(&args.chain.image.to_string(), failure, args.printing);
                },
            )?
        }
        (other, _) => other,
    };
    if matches!(verdict, Verdict::Trusted(_)) {
        access.trusted()?;
    }
    Ok(report::print(&access.name.to_string(), &verdict, args.printing))
}

pub(crate) fn verify(access: &Access, args: &ChainArgs, layers: Layers) -> Verdict {
    let platforms = match &args.platform {
        _ if args.all_platforms => Platforms::All,
        Some(platform) => Platforms::One(platform.clone()),
        None => Platforms::Host(Platform::host()),
    };
    let mut blobs = Blobs::new();
    Verification::new(&access.client, access.source.as_ref(), access.selector(), &access.name)
        .platforms(platforms)
        .layers(layers)
        .after(access.trust.clone())
        .run(&mut |(blob, done)| blobs.update(blob, done))
}
