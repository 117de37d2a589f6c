//! The command line that the TUF conformance suite drives (its CLIENT-CLI.md): `init`, `refresh`,
//! `download`. It is for the suite; people use `verify`.
//!
//! Left out: the suite's artifact cache beyond "same bytes are not fetched again".

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use oci_image::{HttpFetcher, HttpOptions};
use tuf_client::{Client, DirStore, Found, HttpTransport, Refreshed};
use tuf_core::consistent_target_name;
use url::Url;

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
    let transport =
        HttpTransport::new(&Url::parse(&call.metadata_url)?, HttpFetcher::new(HttpOptions::default()));
    // The suite fakes the clock of the whole process.
    let now = std::time::SystemTime::now();
    Ok(Client::new(root, Arc::new(transport), Box::new(store), now.into()))
}

fn download(call: &Call) -> Result<(), Box<dyn Error>> {
    let client = client(call)?;
    let state = client.refresh()?;
    let fetcher = HttpFetcher::new(HttpOptions::default());
    call.target_names.iter().try_for_each(|name| fetch_target(call, &state, &fetcher, name))
}

fn fetch_target(
    call: &Call,
    state: &Refreshed<'_>,
    fetcher: &HttpFetcher,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let Found::Target { target, .. } = state.find(name)? else {
        return Err(format!("{name} is not listed").into());
    };
    // One flat name a target, whatever its path holds.
    let file =
        call.target_dir.join(url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>());
    if fs::read(&file).is_ok_and(|kept| target.check(&kept).is_ok()) {
        return Ok(());
    }
    let hash = target.hashes.values().next().ok_or("a target without hashes")?;
    let stored =
        if state.consistent_snapshot() { consistent_target_name(name, hash) } else { name.to_owned() };
    let url = Url::parse(&format!("{}{stored}", call.target_base_url))?;
    let answer = fetcher.get(&url, target.length, &[])?;
    if answer.status != 200 {
        return Err(format!("{url}: expected HTTP status 200, got {}", answer.status).into());
    }
    target.check(&answer.body).map_err(|reason| format!("target {name} {reason} (TUF 5.7.3)"))?;
    Ok(fs::write(file, &answer.body)?)
}
