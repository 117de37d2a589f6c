//! `verify scan --plugin`: other engines look at the image that was just read, each at a copy of its own, whose
//! every byte has the digest that the manifest names. What they say goes into the report; what goes wrong with one
//! ends the scan, and names it.

mod clair;
mod programs;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use image_scan::Report;
use oci_image::{Descriptor, Digest, ImageManifest, ImageSource, LayoutWriter, Manifest, Selector};
use scan_engines::jail;
use tempfile::TempDir;

use crate::access::{image_source, source_failure};
use crate::args::ChainArgs;
use crate::commands::scan::scan_failure;
use crate::engine_args::{ConfineArgs, EngineArgs, EngineName};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::style::shown;

/// The word by which this program starts itself.
const CONFINE: &str = "confine";

/// The most that an image may measure as a folder.
const ROOT_MAX: u64 = 64 << 30;

/// The step between this program and an engine's.
pub(crate) fn confine(args: &ConfineArgs) -> Exit {
    let launcher = std::env::current_exe();
    let words = [OsStr::new(CONFINE), OsStr::new("--")];
    let code = launcher.map_or(1, |launcher| jail::enter((&launcher, &words), &args.words));
    std::process::exit(code.into())
}

/// Adds what other engines find to a report.
pub(crate) fn run(args: &EngineArgs, chain: &ChainArgs, report: Report) -> Result<Report, Failure> {
    let mut report = report;
    for engine in &args.plugin {
        let image = Image::of(chain, &report)?;
        let answer = match engine {
            EngineName::Trivy(program) => programs::trivy(args, &image, program),
            EngineName::Grype(program) => programs::grype(args, &image, program),
            EngineName::Oscap(oval) => programs::oscap(args, &image, oval, &report),
            EngineName::Atomic(file) => programs::atomic(args, &image, file),
            EngineName::Plugin(program) => programs::plugin(args, &image, program),
            EngineName::Clair(url) => clair::scan(args, &image, url, chain),
        }?;
        report = report.with_engine(answer.engine, answer.findings);
    }
    Ok(report)
}

/// The image that was read, to be read again, and a folder for it.
struct Image {
    source: Box<dyn ImageSource>,
    descriptor: Descriptor,
    bytes: Vec<u8>,
    manifest: ImageManifest,
    reference: String,
    verified: bool,
    folder: TempDir,
}

impl Image {
    fn of(chain: &ChainArgs, report: &Report) -> Result<Self, Failure> {
        let digest: Digest =
            report.image.manifest.parse().map_err(|error| Failure::unknown(format!("{error}")))?;
        let (source, ..) = image_source(chain)?;
        let fetched = source.manifest(Selector::Digest(digest)).map_err(|error| source_failure(&error))?;
        let descriptor = fetched.descriptor();
        if descriptor.digest != digest {
            let got = descriptor.digest;
            return Err(Failure::refused(format!("expected a manifest with digest {digest}, got {got}")));
        }
        let manifest = Manifest::parse(&fetched.bytes, fetched.media_type.as_deref());
        let Ok(Manifest::Image(manifest)) = manifest else {
            return Err(Failure::refused(format!("{digest}: expected an image, got something else")));
        };
        let folder = tempfile::Builder::new().prefix("hallmark-scan-").tempdir().map_err(unwritten)?;
        Ok(Self {
            source,
            descriptor,
            bytes: fetched.bytes,
            manifest,
            reference: report.image.reference.clone(),
            verified: report.image.verified,
            folder,
        })
    }

    fn digest(&self) -> String {
        self.descriptor.digest.to_string()
    }

    /// A folder of that name, made empty.
    fn made(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).map_err(unwritten)?;
        Ok(path)
    }

    /// As an OCI layout with one image.
    fn layout(&self) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join("image");
        let failed = |error: oci_image::LayoutError| Failure::unknown(shown(&error.to_string()));
        let mut writer = LayoutWriter::open(&path).map_err(failed)?;
        for blob in self.manifest.layers.iter().chain([&self.manifest.config]) {
            let reader = self.source.blob(blob).map_err(|error| source_failure(&error))?;
            writer.put_blob(blob, reader, &mut |_| {}).map_err(|error| match error {
                oci_image::LayoutError::Blob { .. } => Failure::refused(shown(&error.to_string())),
                error => failed(error),
            })?;
        }
        writer.put_manifest(&self.descriptor, &self.bytes).map_err(failed)?;
        writer.commit(Some("image"), self.descriptor.clone()).map_err(failed)?;
        Ok(path)
    }

    /// As a folder that holds what a container of it would have.
    fn root(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.made(name)?;
        image_scan::unpack(&self.manifest.layers, self.source.as_ref(), &path, ROOT_MAX)
            .map_err(|error| scan_failure(&error))?;
        Ok(path)
    }
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::unknown(format!("could not write a copy of the image: {error}"))
}

/// What is wrong with an engine: it could not tell.
fn broken(name: &OsStr, why: &dyn std::fmt::Display) -> Failure {
    let name = Path::new(name).file_name().unwrap_or(name).to_string_lossy();
    Failure::unknown(format!("engine {}: {}", shown(&name), shown(&why.to_string())))
}

/// Words for a program.
fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

#[cfg(test)]
mod tests {
    use scan_engines::protocol::{Description, PluginAnswer, Request};

    #[test]
    fn the_schemas_in_docs_are_those_of_the_protocol() {
        let kept = crate::report::tests::schema_is_kept;
        kept("plugin-description", &schemars::schema_for!(Description));
        kept("plugin-request", &schemars::schema_for!(Request));
        kept("plugin-answer", &schemars::schema_for!(PluginAnswer));
    }
}
