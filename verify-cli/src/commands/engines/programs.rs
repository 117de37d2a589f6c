//! Engines that are programs: run in bounds, on a copy of the image that is removed after them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use image_scan::Report;
use scan_engines::jail::{Bounds, Ended, Job, Reach, run};
use scan_engines::protocol::{self, DESCRIPTION_MAX, Description, Input, PROTOCOL, Request};
use scan_engines::{ANSWER_MAX, Answer, BadAnswer, atomic, grype, oval, trivy};

use super::{CONFINE, Image, broken, unwritten, words};
use crate::access::{cache_dir, home_dir, program_path};
use crate::engine_args::EngineArgs;
use crate::failure::Failure;
use crate::files;
use crate::style::say;

/// Where programs are looked for by those that are run.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A call of an engine's program.
struct Call<'a> {
    args: &'a EngineArgs,
    image: &'a Image,
    program: PathBuf,
    name: OsString,
    environment: Vec<(OsString, OsString)>,
    reach: Reach,
}

impl<'a> Call<'a> {
    fn of(args: &'a EngineArgs, image: &'a Image, program: &OsStr) -> Result<Self, Failure> {
        let found = program_path(program).ok_or_else(|| {
            let what =
                format!("engine {}: expected a program of that name, got none", Path::new(program).display());
            Failure::unknown(what).hint("install it, or name its path")
        })?;
        let scratch = image.made("scratch")?;
        let variables =
            [("PATH", PATH.as_ref()), ("LANG", "C.UTF-8".as_ref()), ("HOME", scratch.as_os_str())];
        let mut environment: Vec<_> =
            variables.into_iter().map(|(name, value)| (name.into(), value.to_owned())).collect();
        environment.push(("TMPDIR".into(), scratch.into()));
        let reach = if args.plugin_network { Reach::Network } else { Reach::Files };
        Ok(Self { args, image, program: found, name: program.to_owned(), environment, reach })
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it; whatever it ends with is an answer.
    fn ended(&self, arguments: Vec<OsString>, output: u64) -> Result<Ended, Failure> {
        let launcher = std::env::current_exe().map_err(|error| broken(&self.name, &error))?;
        let job = Job {
            launcher: (launcher, words([CONFINE, "--"])),
            program: self.program.clone(),
            arguments,
            environment: self.environment.clone(),
            folder: self.image.made("scratch")?,
            bounds: Bounds {
                time: self.args.plugin_time,
                memory: self.args.plugin_memory,
                output,
                reach: self.reach,
            },
        };
        run(&job).map_err(|error| {
            let failure = broken(&self.name, &error);
            match error {
                scan_engines::jail::JailError::NotConfined(_) if self.reach == Reach::Files => {
                    failure.hint("if it may use the network, say so with --plugin-network")
                }
                _ => failure,
            }
        })
    }

    /// Runs it, and it must succeed.
    fn stdout(&self, arguments: Vec<OsString>, output: u64) -> Result<Vec<u8>, Failure> {
        let Ended { code, stdout, stderr } = self.ended(arguments, output)?;
        match code {
            0 => Ok(stdout),
            code => Err(broken(&self.name, &format!("ended with exit code {code}: {stderr}"))),
        }
    }

    fn understood<T>(&self, parsed: Result<T, BadAnswer>) -> Result<T, Failure> {
        parsed.map_err(|error| broken(&self.name, &error))
    }
}

pub(super) fn trivy(args: &EngineArgs, image: &Image, program: &OsStr) -> Result<Answer, Failure> {
    let mut call = Call::of(args, image, program)?;
    let mut arguments = words(["image", "--format", "json", "--quiet", "--scanners", "vuln", "--input"]);
    arguments.push(image.layout()?.into());
    if !args.plugin_network {
        arguments.extend(words(["--offline-scan", "--skip-db-update", "--skip-java-db-update"]));
    }
    if let Some(cache) = cache_dir("TRIVY_CACHE_DIR", "trivy") {
        call = call.with("TRIVY_CACHE_DIR", cache);
    }
    let stdout = call.stdout(arguments, ANSWER_MAX)?;
    call.understood(trivy::parse(&stdout))
}

pub(super) fn grype(args: &EngineArgs, image: &Image, program: &OsStr) -> Result<Answer, Failure> {
    let update = if args.plugin_network { "true" } else { "false" };
    let mut call = Call::of(args, image, program)?
        .with("GRYPE_DB_AUTO_UPDATE", update)
        .with("GRYPE_CHECK_FOR_APP_UPDATE", "false");
    if let Some(cache) = cache_dir("GRYPE_DB_CACHE_DIR", "grype/db") {
        call = call.with("GRYPE_DB_CACHE_DIR", cache);
    }
    let mut place = OsString::from("oci-dir:");
    place.push(image.layout()?);
    let mut arguments = words(["-o", "json", "-q"]);
    arguments.insert(0, place);
    let stdout = call.stdout(arguments, ANSWER_MAX)?;
    call.understood(grype::parse(&stdout))
}

/// Settings of apt that keep it from this machine's own: its library is what reads the image's packages for oscap, and
/// without these it fails, and oscap says `false`.
const APT: &str = "Dir::Etc::parts \"/nonexistent.d\";\nDir::Etc::main \"/nonexistent\";\n";

pub(super) fn oscap(
    args: &EngineArgs,
    image: &Image,
    file: &Path,
    report: &Report,
) -> Result<Answer, Failure> {
    let definitions = files::bytes(file, oval::OVAL_MAX)?;
    let scratch = image.made("scratch")?;
    let (apt, copy) = (scratch.join("apt.conf"), scratch.join("oval.xml"));
    std::fs::write(&apt, APT).map_err(unwritten)?;
    // What was read is what is evaluated.
    std::fs::write(&copy, &definitions).map_err(unwritten)?;
    if report.components.iter().any(|one| one.path.contains("/status.d/")) {
        say!("warning: oscap doesn't see packages without a dpkg, of which the image has some");
    }
    let root = image.root("root")?;
    let call =
        Call::of(args, image, "oscap".as_ref())?.with("APT_CONFIG", apt).with("OSCAP_PROBE_ROOT", root);
    let mut arguments = words(["oval", "eval"]);
    arguments.push(copy.into());
    let Ended { code, stdout, stderr } = call.ended(arguments, ANSWER_MAX)?;
    // 2: some definition is true.
    let is_blind = stderr.contains("has failed");
    if !matches!(code, 0 | 2) || is_blind {
        let failure = broken(&call.name, &format!("ended with exit code {code}: {stderr}"));
        return Err(match is_blind {
            true => failure.hint("to read packages of Debian's, it needs the image's /usr/share/dpkg"),
            false => failure,
        });
    }
    call.understood(oval::parse(&definitions, &stdout))
}

/// The folder below `/scanin`.
const UUID: &str = "image";

pub(super) fn atomic(args: &EngineArgs, image: &Image, file: &Path) -> Result<Answer, Failure> {
    let text = files::text(file, atomic::CONFIG_MAX)?;
    let scanner =
        atomic::scanner(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let engine = ["podman", "docker"].into_iter().find(|name| program_path(name.as_ref()).is_some());
    let mut call = Call::of(args, image, engine.unwrap_or("podman").as_ref())?;
    // The container engine keeps its images at home, and is what confines the scanner.
    call.reach = Reach::All;
    if let Some(home) = home_dir() {
        call = call.with("HOME", home);
    }
    image.root(&format!("scanin/{UUID}"))?;
    let out = image.made(&format!("scanout/{UUID}"))?;
    let mount = |name: &str, mode: &str| {
        let mut mount = image.folder.path().join(name).into_os_string();
        mount.push(format!(":/{name}{mode}"));
        mount
    };
    let network = if args.plugin_network { "host" } else { "none" };
    let container = image.folder.path().file_name().unwrap_or_default().to_os_string();
    let mut arguments =
        words(["run", "--rm", "--network", network, "--security-opt", "label=disable", "--name"]);
    arguments.extend([container.clone(), "-v".into()]);
    arguments.extend([mount("scanin", ":ro"), "-v".into(), mount("scanout", "")]);
    let own = scanner.custom_args.iter().chain([&scanner.image]).chain(&scanner.args);
    arguments.extend(own.map(OsString::from));
    call.name = scanner.name.clone().into();
    call.stdout(arguments, ANSWER_MAX).inspect_err(|_| {
        // The container is no child of what was ended. Where there is none any more, there is nothing to do.
        let mut remove = words(["rm", "--force"]);
        remove.push(container);
        let _ = call.ended(remove, ANSWER_MAX);
    })?;
    let written = read_answer(&out.join("json")).map_err(|why| broken(&call.name, &why))?;
    call.understood(atomic::parse(&written, &scanner.name, UUID))
}

/// A file that a scanner wrote. No link, nor the folder that it is in, which the scanner could have replaced: it would
/// lead anywhere.
fn read_answer(path: &Path) -> Result<Vec<u8>, String> {
    let kind = |path: &Path| {
        std::fs::symlink_metadata(path).map_err(|error| format!("/scanout/{UUID}/json: {error}"))
    };
    let is_folder = path.parent().map(kind).transpose()?.is_some_and(|kind| kind.is_dir());
    if !is_folder || !kind(path)?.is_file() {
        return Err(format!("/scanout/{UUID}/json: expected a file, got something else"));
    }
    files::bytes(path, ANSWER_MAX).map_err(|failure| failure.what().to_owned())
}

pub(super) fn plugin(args: &EngineArgs, image: &Image, program: &OsStr) -> Result<Answer, Failure> {
    let call = Call::of(args, image, program)?;
    let said = call.stdout(words(["describe"]), DESCRIPTION_MAX)?;
    let description = call.understood(Description::parse(&said))?;
    let path = match description.input {
        Input::OciLayout => image.layout()?,
        Input::Root => image.root("root")?,
    };
    let digest = image.digest();
    let request = Request {
        protocol: PROTOCOL,
        reference: image.reference.clone(),
        digest: digest.clone(),
        verified: image.verified,
        input: description.input,
        path: path.display().to_string(),
        scratch: image.made("scratch")?.display().to_string(),
    };
    let file = image.folder.path().join("request.json");
    let text = serde_json::to_vec_pretty(&request).map_err(Failure::unknown)?;
    std::fs::write(&file, text).map_err(unwritten)?;
    let mut arguments = words(["scan"]);
    arguments.push(file.into());
    let stdout = call.stdout(arguments, ANSWER_MAX)?;
    call.understood(protocol::parse(&stdout, &description, &digest))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_answer_is_read_from_where_it_belongs_only() {
        let folder = tempfile::tempdir().unwrap();
        let (out, other) = (folder.path().join("image"), folder.path().join("other"));
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("json"), "{}").unwrap();
        symlink(&other, &out).unwrap();
        assert!(read_answer(&out.join("json")).is_err(), "a folder that is a link");
        std::fs::remove_file(&out).unwrap();
        std::fs::create_dir(&out).unwrap();
        assert!(read_answer(&out.join("json")).is_err(), "nothing");
        symlink(other.join("json"), out.join("json")).unwrap();
        assert!(read_answer(&out.join("json")).is_err(), "a file that is a link");
        std::fs::remove_file(out.join("json")).unwrap();
        std::fs::write(out.join("json"), "{}").unwrap();
        assert_eq!(read_answer(&out.join("json")).unwrap(), b"{}");
    }
}
