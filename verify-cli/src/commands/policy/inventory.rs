//! An inventory: lines that were recorded, or names of images, from a file or stdin; each image as it was seen last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use image_policy::{Entry, LINE_MAX};

use crate::failure::Failure;
use crate::files;
use crate::style::{say, shown};

/// The largest inventory, in bytes: a million images without scans.
const INVENTORY_MAX: u64 = 1024 * 1024 * 1024;

/// The most images that are kept. A large cluster runs some thousands.
const IMAGES_MAX: usize = 100_000;

/// Reads an inventory; `-` is stdin. Of an image that was seen several times the last time counts.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let reader: Box<dyn BufRead> = match path.as_os_str() == "-" {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => Box::new(BufReader::new(File::open(path).map_err(|why| files::unusable(path, &why))?)),
    };
    let entries = lines(reader, path)?;
    match entries.is_empty() {
        true => Err(files::unusable(path, &"expected images, got none")
            .hint("record some with `verify image REF --record FILE`, or name them, one a line")),
        false => Ok(entries),
    }
}

fn lines(mut reader: Box<dyn BufRead>, path: &Path) -> Result<Vec<Entry>, Failure> {
    let unusable = |why: &dyn std::fmt::Display| files::unusable(path, why);
    // Each image once, in the order in which it came first.
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    let (mut number, mut read) = (0_usize, 0_u64);
    loop {
        let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let mut line = Vec::new();
        let got = reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(|why| unusable(&why))?;
        if got == 0 {
            return Ok(entries);
        }
        number = number.saturating_add(1);
        read = read.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        if read > INVENTORY_MAX {
            return Err(unusable(&format!("expected at most {INVENTORY_MAX} bytes, got more")));
        }
        let whole = line.ends_with(b"\n");
        let text = String::from_utf8(line).map_err(|why| unusable(&format!("line {number}: {why}")))?;
        let entry = match Entry::parse(number, &text) {
            Ok(Some(entry)) => entry,
            Ok(None) => continue,
            // Whoever wrote it was stopped, or is still at it.
            Err(bad) if !whole && text.starts_with('{') && text.len() <= LINE_MAX => {
                say!(
                    "warning: {}: {} is not whole, and was left out",
                    path.display(),
                    shown(&bad.to_string())
                );
                continue;
            }
            Err(bad) => return Err(unusable(&bad)),
        };
        let digest = entry.facts().and_then(|facts| facts.digest.clone()).unwrap_or_default();
        let place = *places.entry((entry.image().to_owned(), digest)).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
        if entries.len() > IMAGES_MAX {
            return Err(unusable(&format!("expected at most {IMAGES_MAX} images, got more")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Entry>, Failure> {
        lines(Box::new(std::io::Cursor::new(text.to_owned())), Path::new("seen.jsonl"))
    }

    #[test]
    fn an_image_counts_as_it_was_seen_last() {
        let line = |verdict: &str, digest: &str| {
            format!(
                r#"{{"version":1,"at":"2027-01-01T00:00:00Z","image":"r.io/a:1","name":"r.io/a:1","verdict":"{verdict}","chain":"held","digest":"{digest}","later":{{}}}}"#
            )
        };
        let text = [line("refused", "x"), line("trusted", "y"), line("trusted", "x"), "r.io/b\n# r".into()];
        let entries = of(&text.join("\n")).unwrap();
        assert_eq!(entries.len(), 3);
        let first = entries[0].facts().unwrap();
        assert_eq!((first.verdict, first.digest.as_deref()), (image_policy::Word::Trusted, Some("x")));
    }

    #[test]
    fn a_line_that_is_none_is_told_and_one_that_was_cut_is_left_out() {
        for (text, words) in [
            ("r.io/a\nNO NAME\n", "line 2: expected the name of an image"),
            ("{}\n", "line 1: expected what was seen of an image (JSON)"),
            (
                "{\"version\":2,\"at\":\"\",\"image\":\"a\",\"name\":\"a\",\"verdict\":\"trusted\",\"chain\":\"held\"}\n",
                "expected version 1, got 2",
            ),
        ] {
            let failure = of(text).unwrap_err();
            assert!(failure.what().contains(words), "{}", failure.what());
        }
        assert!(of(&format!("{{{}", "x".repeat(LINE_MAX + 10))).unwrap_err().what().contains("at most"));
        assert_eq!(of("r.io/a\n{\"version\":1,\"at\"").unwrap().len(), 1);
    }
}
