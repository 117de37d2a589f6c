//! `signer add --list`: many images at once, whose manifests stay in their registry. What is signed of each
//! is what the line says: the list is the publisher's own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use oci_image::{Digest, Reference};

use crate::config::Config;
use crate::custom::Custom;
use crate::draft::custom;
use crate::failure::Failure;
use crate::published::Published;
use crate::report::{self, VERSION};
use crate::rules::{Rule, say};
use crate::staged::{Change, Staged, Was, digest_of};
use crate::terminal;

/// A name, a digest, a length and a media type.
const LINE_MAX: usize = 4096;

/// Stages every line, or none.
pub(super) fn stage(
    path: &Path,
    config: &Config,
    published: &Published<'_>,
    staged: &mut Staged,
) -> Result<report::Add, Failure> {
    let wrong_file = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut lines = BufReader::new(File::open(path).map_err(wrong_file)?);
    let (mut text, mut number, mut count) = (String::new(), 0_u64, 0_u64);
    let mut known: Option<(String, Custom)> = None;
    let mut known_already = 0_u64;
    loop {
        text.clear();
        number = number.saturating_add(1);
        if lines.read_line(&mut text).map_err(wrong_file)? == 0 {
            break;
        }
        let line = text.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: String| Failure::usage(format!("{} line {number}", path.display())).detail(why);
        if line.len() > LINE_MAX {
            return Err(wrong(format!("expected at most {LINE_MAX} bytes, got {}", line.len())));
        }
        let Line { name, path, length, digest, media_type } = read(line).map_err(wrong)?;
        config.expect_in_scope(&name)?;
        let before = published.target(&path)?;
        let base = before.as_ref().and_then(digest_of);
        if base == Some(digest) {
            // What else is said of it, such as that it is yanked, stays.
            staged.forget_other_bytes(&path, digest);
            known_already = known_already.saturating_add(1);
            continue;
        }
        count = count.saturating_add(1);
        let rule = config.rule(&path);
        // Of a million new names, most are of one kind, and nothing else is said of them.
        let is_plain = base.is_none() && rule == Rule::Free;
        let same = known.as_ref().filter(|(kind, _)| is_plain && kind == media_type);
        let custom = match same {
            Some((_, said)) => said.clone(),
            None => {
                let mut custom = custom(media_type, None, None);
                if let Some(base) = base {
                    say(&mut custom, "previous", Some(base.to_string().into()));
                }
                rule.keep(&path, before.as_ref().zip(base), digest, &mut custom)?;
                let said = Custom::of(&custom);
                if is_plain {
                    known = Some((media_type.to_owned(), said.clone()));
                }
                said
            }
        };
        let was = Was::of(before.as_ref());
        staged.set(&path, Change::Add { length, digest, custom, listed: true, was, role: None });
    }
    if known_already > 0 {
        terminal::note(&format!("{known_already} of the names are published already, and stay as they are"));
    }
    Ok(report::Add { version: VERSION, dry_run: false, names: Vec::new(), listed: Some(count) })
}

/// One line.
struct Line<'l> {
    name: Reference,
    path: String,
    length: u64,
    digest: Digest,
    media_type: &'l str,
}

fn read(line: &str) -> Result<Line<'_>, String> {
    let mut words = line.split_ascii_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("expected {what}, got nothing"));
    let name: Reference = word("a name")?.parse().map_err(|why| format!("{why}"))?;
    let digest: Digest = word("a digest")?.parse().map_err(|why| format!("{why}"))?;
    let length = word("a length in bytes")?;
    let length: u64 = length.parse().map_err(|_| format!("expected a length in bytes, got {length:?}"))?;
    let media_type = words.next().unwrap_or("application/vnd.oci.image.manifest.v1+json");
    if let Some(more) = words.next() {
        return Err(format!("expected four words at most, got {more:?} too"));
    }
    let path = match (name.tag_path(), name.digest()) {
        (Some(path), None) => path,
        (None, Some(named)) if named == digest => name.digest_path(digest),
        (None, Some(named)) => return Err(format!("expected {named}, got {digest}")),
        _ => return Err(format!("expected a tag or a digest, got both: {name}")),
    };
    Ok(Line { path, length, digest, media_type, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_a_digest_and_a_length() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        let text = format!("r.example.com/a/b:1 {digest} 12");
        let line = read(&text).unwrap();
        assert_eq!((line.path.as_str(), line.digest.to_string()), ("r.example.com/a/b:1", digest.clone()));
        for (line, why) in [
            ("r.example.com/a/b:1", "expected a digest"),
            ("r.example.com/a/b:1 sha256:00 1", "sha256"),
            (&format!("r.example.com/a/b:1 {digest} many"), "expected a length in bytes, got \"many\""),
            (&format!("r.example.com/a/b:1 {digest} 1 a b"), "four words"),
            (&format!("r.example.com/a/b@sha256:{} {digest} 1", "00".repeat(32)), "expected sha256:0000"),
        ] {
            let said = read(line).err().unwrap();
            assert!(said.contains(why), "{said}");
        }
    }
}
