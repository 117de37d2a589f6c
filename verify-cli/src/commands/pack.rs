//! `verify pack`: runs the chain, then writes what the verdict rests on into one file.
//!
//! The file has its name only after it was read again, and judged as somebody without a network would judge it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;
use std::rc::Rc;

use image_pack::{Draft, Pack, Recorder};
use image_policy::POLICY_MAX;
use oci_image::{BlobError, Descriptor};
use tempfile::NamedTempFile;
use verifier_lib::{Layers, Link, Stage, Status, Verdict, VerifiedImage};

use crate::access::{Access, now};
use crate::args::ChainArgs;
use crate::carried::{self, Carried};
use crate::commands::image::{demanded, verify};
use crate::commands::pull::trusted;
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::pack_args::PackArgs;
use crate::policy::{self, Applied};
use crate::progress::Blobs;
use crate::record::{RecordArgs, Sighting};
use crate::report;
use crate::style::{say, shown};

pub(crate) fn run(args: &PackArgs) -> Result<Exit, Failure> {
    evidence::expect_demand(&args.demand, args.policy.policy.is_some(), false)?;
    expect_free(args)?;
    let recorder = Recorder::default();
    let carried = Carried { recorder: Some(recorder.clone()), ..Carried::default() };
    let given = ChainArgs { at: Some(now(&args.chain)), carried, ..args.chain.clone() };
    let mut seen = Sighting::begin(&RecordArgs::default(), &given)?;
    let applied = match policy::apply(args.policy.policy.as_deref(), &given, Some(&mut seen))? {
        Ok(applied) => applied,
        Err((name, verdict)) => return Ok(report::print(&name.to_string(), &verdict, args.printing)),
    };
    let chain = applied.as_ref().map_or(&given, |applied| &applied.chain);
    let (access, verdict) =
        trusted(&args.demand, chain, applied.as_ref(), &mut seen).inspect_err(|failure| {
            report::print_failure(&args.chain.image.to_string(), failure, args.printing);
        })?;
    let reference = access.name.to_string();
    let verdict = match verdict {
        Verdict::Trusted(image) => {
            access.trusted()?;
            let draft = carried::draft(&access, chain, &image, &recorder)?;
            let mut draft = carried::with_evidence(draft, chain, &image)?;
            if let Some(policy) = &args.policy.policy {
                draft = draft.with_policy(files::bytes(policy, POLICY_MAX)?);
            }
            if args.with_layers {
                draft = draft.with_layers();
            }
            let making = Making { args, chain, applied: applied.as_ref(), access: &access, seen: &seen };
            making.written(image, &draft)?
        }
        other => other,
    };
    Ok(report::print(&reference, &verdict, args.printing))
}

/// Before anything is fetched: nothing is replaced by accident.
fn expect_free(args: &PackArgs) -> Result<(), Failure> {
    match fs::symlink_metadata(&args.output) {
        Ok(there) if there.is_dir() => {
            Err(Failure::usage(format!("expected a file to write, got the folder {}", args.output.display())))
        }
        Ok(_) if !args.force => Err(Failure::usage(format!("{} is there already", args.output.display()))
            .hint("replace it with --force, or write another file")),
        _ => Ok(()),
    }
}

/// A pack of an image that is trusted, about to be made.
struct Making<'a> {
    args: &'a PackArgs,
    chain: &'a ChainArgs,
    applied: Option<&'a Applied>,
    access: &'a Access,
    /// What was seen of the image as it was verified.
    seen: &'a Sighting,
}

impl Making<'_> {
    /// Writes the pack, judges it, and gives it its name. A layer that is bad turns the verdict.
    fn written(&self, image: Box<VerifiedImage>, draft: &Draft) -> Result<Verdict, Failure> {
        let Self { args, access, .. } = self;
        let failed = |why: io::Error| Failure::unknown(format!("{}: {why}", args.output.display()));
        let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = temporary(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let copying = Rc::new(RefCell::new(Copying { blobs: Blobs::new(), bad: None }));
        let mut out = BufWriter::new(file.as_file_mut());
        let copied = draft
            .write(&mut out, &mut |layer| opened(access, &image, layer, &copying))
            .and_then(|()| out.flush());
        drop(out);
        let bad = copying.borrow_mut().bad.take();
        drop(copying);
        if let Some((layer, error)) = bad {
            let status = if error.unreachable() { Status::Unknown } else { Status::Broken };
            let detail = format!("layer {layer}: {error}");
            return Ok(image.then(Link::new(Stage::Layer, status, layer, detail)));
        }
        copied.map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        self.judged(file.path(), &image)?;
        let named = match args.force {
            true => file.persist(&args.output),
            false => file.persist_noclobber(&args.output),
        };
        let kept = named.map_err(|why| failed(why.error))?;
        let size = kept.metadata().map_err(failed)?.len();
        say!("wrote {}, {size} bytes", args.output.display());
        let image = if args.with_layers { Box::new(image.layers_hashed()) } else { image };
        Ok(Verdict::Trusted(image))
    }

    /// A pack that we would not trust ourselves is not made.
    fn judged(&self, path: &Path, image: &VerifiedImage) -> Result<(), Failure> {
        let Self { args, applied, access, .. } = self;
        let unwritten = |why: &str| {
            Failure::unknown(format!("the pack of {} was not written: {}", access.name, shown(why)))
        };
        let odd = |why: &str| unwritten(why).hint("somebody publishes at this moment, perhaps: try again");
        let pack = Pack::open(path).map_err(|error| odd(&error.to_string()))?;
        let carried = Carried { pack: Some(pack), ..Carried::default() };
        let chain = ChainArgs { known_as: Some(access.name.clone()), carried, ..self.chain.clone() };
        let access = Access::of(&chain)?;
        // Each layer was hashed as it was written, and again as the pack was opened.
        let mut seen = self.seen.again(&chain)?;
        let verdict = verify(&access, &chain, Layers::Defer);
        seen.chain(&access, &verdict);
        let (verdict, _) = demanded(verdict, &args.demand, &chain, *applied, &mut seen)?;
        let held = matches!(verdict, Verdict::Trusted(_));
        let verdict = match applied {
            Some(applied) => applied.weigh_condition(verdict, seen.facts()),
            None => verdict,
        };
        match verdict {
            Verdict::Refused(broken) | Verdict::Unknown(broken) if held => Err(unwritten(&broken.link.detail)
                .hint("whoever judges a pack asks no repository: a condition on `repo` holds where the rules name it in `trust`")),
            Verdict::Trusted(again) if again.digest() == image.digest() => Ok(()),
            Verdict::Trusted(again) => Err(odd(&format!("it is of {}", again.digest()))),
            Verdict::Refused(broken) | Verdict::Unknown(broken) => Err(odd(&broken.link.detail)),
        }
    }
}

/// What is told of layers that are being copied: how far they are, and what went wrong with which.
struct Copying {
    blobs: Blobs,
    bad: Option<(String, BlobError)>,
}

impl Copying {
    fn failed(&mut self, layer: &Descriptor, error: BlobError) -> io::Error {
        let told = io::Error::other(error.to_string());
        self.bad = Some((layer.digest.to_string(), error));
        told
    }
}

fn opened(
    access: &Access,
    image: &VerifiedImage,
    layer: &Descriptor,
    copying: &Rc<RefCell<Copying>>,
) -> io::Result<Box<dyn Read>> {
    match image.layer(access.source.as_ref(), layer) {
        Ok(reader) => {
            Ok(Box::new(Noted { reader, layer: layer.clone(), done: 0, copying: Rc::clone(copying) }))
        }
        Err(error) => Err(copying.borrow_mut().failed(layer, BlobError::Source(error))),
    }
}

/// A layer, and a note of what goes wrong while it is read: not to be taken for a disk that is full.
struct Noted<R> {
    reader: R,
    layer: Descriptor,
    done: u64,
    copying: Rc<RefCell<Copying>>,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut copying = self.copying.borrow_mut();
        let read =
            self.reader.read(buffer).map_err(|error| copying.failed(&self.layer, BlobError::from(error)))?;
        self.done = self.done.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        copying.blobs.update(&self.layer, self.done);
        Ok(read)
    }
}

/// For others to read too, as far as the umask allows; temporary files are private by default.
fn temporary(folder: &Path) -> io::Result<NamedTempFile<File>> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hallmark-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
