//! `verify pull`: runs the chain, then writes only verified bytes.

use oci_image::{LayoutWriter, Location};
use verifier_lib::{Layers, PullError, Status, Verdict, VerifiedImage};

use crate::access::Access;
use crate::args::PullArgs;
use crate::commands::image::verify;
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Blobs;
use crate::report;
use crate::style::{say, shown};

pub(crate) fn run(args: &PullArgs) -> Result<Exit, Failure> {
    let Location::Layout { dir, tag, digest: None } = &args.destination else {
        let what = format!("expected a destination oci:DIR[:TAG], got {}", args.destination);
        return Err(Failure::usage(what));
    };
    evidence::expect_demand(&args.demand)?;
    let access = Access::of(&args.chain).inspect_err(|failure| {
        report::print_failure(&args.chain.image.to_string(), failure, args.printing);
    })?;
    let reference = access.name.to_string();
    let verdict = match verify(&access, &args.chain, Layers::Defer) {
        Verdict::Trusted(image) => {
            let demanded = evidence::demanded(&args.demand, &args.chain, image);
            demanded.inspect_err(|failure| {
                report::print_failure(&args.chain.image.to_string(), failure, args.printing);
            })?
        }
        other => other,
    };
    let verdict = match verdict {
        Verdict::Trusted(image) => {
            let writer =
                LayoutWriter::open(dir).map_err(|error| Failure::unknown(shown(&error.to_string())))?;
            written(&access, *image, writer, tag.as_deref())?
        }
        other => other,
    };
    if matches!(verdict, Verdict::Trusted(_)) {
        access.trusted()?;
        say!("wrote {}", args.destination);
    }
    Ok(report::print(&reference, &verdict, args.printing))
}

/// Copies the layers. A bad one turns the verdict.
fn written(
    access: &Access,
    image: VerifiedImage,
    writer: LayoutWriter,
    tag: Option<&str>,
) -> Result<Verdict, Failure> {
    let mut blobs = Blobs::new();
    let copied =
        image.write(access.source.as_ref(), writer, tag, &mut |(blob, done)| blobs.update(blob, done));
    drop(blobs);
    match copied {
        Ok(_) => Ok(Verdict::Trusted(Box::new(image.layers_hashed()))),
        Err(PullError::Source(broken)) if broken.link.status == Status::Unknown => {
            Ok(Verdict::Unknown(broken))
        }
        Err(PullError::Source(broken)) => Ok(Verdict::Refused(broken)),
        Err(PullError::Write(error)) => Err(Failure::unknown(shown(&error.to_string()))),
    }
}
