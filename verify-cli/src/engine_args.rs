//! The command line of other engines: `verify scan --plugin`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use url::Url;

/// Which other engines look at the image, and how much they may use.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Other engines")]
pub(crate) struct EngineArgs {
    /// Let another engine look too: a plug-in's NAME or PATH, trivy, grype, oscap=OVAL.xml, atomic=FILE or clair=URL
    #[arg(long, value_name = "ENGINE")]
    pub(crate) plugin: Vec<EngineName>,
    /// Let them use the network
    #[arg(long, requires = "plugin")]
    pub(crate) plugin_network: bool,
    /// How long each may take
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds, requires = "plugin")]
    pub(crate) plugin_time: Duration,
    /// How much address space each of their processes may have
    #[arg(long, value_name = "MIB", default_value = "8192", value_parser = mebibytes, requires = "plugin")]
    pub(crate) plugin_memory: u64,
}

/// Another engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum EngineName {
    /// `trivy[=PROGRAM]`
    Trivy(OsString),
    /// `grype[=PROGRAM]`
    Grype(OsString),
    /// `oscap=OVAL.xml`
    Oscap(PathBuf),
    /// `atomic=FILE`, of those in `/etc/atomic.d`
    Atomic(PathBuf),
    /// `clair=URL`
    Clair(Url),
    /// A path with a slash, or a name: `hallmark-plugin-NAME` on the path of programs.
    Plugin(OsString),
}

impl FromStr for EngineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if !name.contains('/') => (name, Some(value)),
            _ => (text, None),
        };
        match (name, value) {
            (_, Some("")) => Err(format!("expected something after {name}=")),
            ("trivy", program) => Ok(Self::Trivy(program.unwrap_or("trivy").into())),
            ("grype", program) => Ok(Self::Grype(program.unwrap_or("grype").into())),
            ("oscap", Some(file)) => Ok(Self::Oscap(file.into())),
            ("oscap", None) => Err("expected the OVAL file: oscap=OVAL.xml".to_owned()),
            ("atomic", Some(file)) => Ok(Self::Atomic(file.into())),
            ("atomic", None) => Err("expected the scanner's file: atomic=/etc/atomic.d/NAME".to_owned()),
            ("clair", Some(url)) => server(url).map(Self::Clair),
            ("clair", None) => Err("expected the server: clair=https://clair.example.com/".to_owned()),
            (_, Some(_)) => Err(format!("{name} takes no value: expected a plug-in's name or path")),
            (path, None) if path.contains('/') => Ok(Self::Plugin(path.into())),
            (name, None) if is_name(name) => Ok(Self::Plugin(format!("hallmark-plugin-{name}").into())),
            _ => Err("expected a plug-in's name or path".to_owned()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(good)
}

/// An address to which paths can be added.
fn server(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|why| why.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("expected an http or https address without credentials".to_owned());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected 1 to 86400 seconds".to_owned())
}

fn mebibytes(text: &str) -> Result<u64, String> {
    let mebibytes = text.parse::<u64>().ok().filter(|mebibytes| (16..=1_048_576).contains(mebibytes));
    mebibytes.map(|mebibytes| mebibytes << 20).ok_or_else(|| "expected 16 to 1048576 MiB".to_owned())
}

/// How the program starts itself to confine an engine; nobody calls it by hand.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct ConfineArgs {
    /// As `scan_engines::jail` writes them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
}
