//! The command line that the TUF conformance suite drives (its CLIENT-CLI.md): `init`, `refresh`,
//! `download`. It is for the suite; people use `verify`.
//!
//! Left out: the suite's artifact cache beyond "same bytes are not fetched again".

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use oci_image::{HttpFetcher, HttpOptions};
use tuf_client::{Client, DirStore, HttpTransport, Refreshed, Transport};
use url::Url;
use url::form_urlencoded::byte_serialize;

#[derive(Default)]
struct Call {
    metadata_dir: PathBuf,
    metadata_url: String,
    target_names: Vec<String>,
    target_dir: PathBuf,
    target_base_url: String,
    command: Vec<String>,
}

fn main() -> ExitCode {
    let call = read_call(std::env::args().skip(1));
    let done = match call.command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["init", root] => init(&call.metadata_dir, Path::new(root)),
        ["refresh"] => client(&call).and_then(|client| Ok(client.refresh().map(|_| ())?)),
        ["download"] => download(&call),
        other => Err(format!("expected init ROOT, refresh or download, got {other:?}").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_call(mut words: impl Iterator<Item = String>) -> Call {
    let mut call = Call::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "--metadata-dir" => call.metadata_dir = value().into(),
            "--metadata-url" => call.metadata_url = value(),
            "--target-name" => call.target_names.push(value()),
            "--target-dir" => call.target_dir = value().into(),
            "--target-base-url" => call.target_base_url = value(),
            _ => call.command.push(word),
        }
    }
    call
}

fn private(metadata_dir: &Path) -> PathBuf {
    metadata_dir.join(".client")
}

fn init(metadata_dir: &Path, root: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(private(metadata_dir))?;
    let bytes = fs::read(root)?;
    fs::write(private(metadata_dir).join("bootstrap.root"), &bytes)?;
    fs::write(metadata_dir.join("root.json"), &bytes)?;
    Ok(())
}

fn client(call: &Call) -> Result<Client, Box<dyn Error>> {
    let private = private(&call.metadata_dir);
    let root = fs::read(private.join("bootstrap.root"))?;
    let store = DirStore::with_metadata(call.metadata_dir.clone(), private)?;
    // The suite fakes the clock of the whole process.
    let now = || SystemTime::now().into();
    Ok(Client::new(root, transport(&call.metadata_url)?, Box::new(store), now))
}

fn transport(base: &str) -> Result<Arc<dyn Transport>, Box<dyn Error>> {
    let fetcher = HttpFetcher::new(HttpOptions::default());
    Ok(Arc::new(HttpTransport::new(&Url::parse(base)?, fetcher)))
}

fn download(call: &Call) -> Result<(), Box<dyn Error>> {
    let client = client(call)?.with_targets(transport(&call.target_base_url)?);
    let state = client.refresh()?;
    call.target_names.iter().try_for_each(|name| save_target(call, &state, name))
}

fn save_target(call: &Call, state: &Refreshed, name: &str) -> Result<(), Box<dyn Error>> {
    // One flat name a target, whatever its path holds.
    let file = call.target_dir.join(byte_serialize(name.as_bytes()).collect::<String>());
    let download = state.download_unless(name, |_| fs::read(&file).ok())?;
    if download.fetched {
        fs::write(file, &download.bytes)?;
    }
    Ok(())
}
