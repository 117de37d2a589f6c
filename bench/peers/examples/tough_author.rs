//! `tough_author ROOT FOLDER KEY... -- NAME FILE`: a repository that tough writes, with one target, below a root that is there.
//! Keys are PKCS #8 in DER.

use std::error::Error;
use std::num::NonZeroU64;

use jiff::{SignedDuration, Timestamp};
use tough::TargetName;
use tough::editor::RepositoryEditor;
use tough::key_source::{KeySource, LocalKeySource};
use tough::schema::Target;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(write())
}

async fn write() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "expected ROOT FOLDER KEY... -- NAME FILE";
    let at = words.iter().position(|word| word == "--").ok_or(usage)?;
    let (before, after) = words.split_at(at);
    let ([root, folder, keys @ ..], [_, name, file]) = (before, after) else { return Err(usage.into()) };
    let source = |path: &String| Box::new(LocalKeySource { path: path.into() }) as Box<dyn KeySource>;
    let keys: Vec<_> = keys.iter().map(source).collect();
    let expires = Timestamp::now().checked_add(SignedDuration::from_hours(24 * 30))?;
    let mut editor = RepositoryEditor::new(root).await?;
    editor.targets_version(NonZeroU64::MIN)?.targets_expires(expires)?;
    editor.snapshot_version(NonZeroU64::MIN).snapshot_expires(expires);
    editor.timestamp_version(NonZeroU64::MIN).timestamp_expires(expires);
    editor.add_target(TargetName::new(name)?, Target::from_path(file).await?)?;
    Ok(editor.sign(&keys).await?.write(folder).await?)
}
