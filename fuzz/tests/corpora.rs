//! Every input of the corpora, once through its target: no libFuzzer, and any toolchain. What was found once
//! stays found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hallmark_fuzz::TARGETS;

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let file = |entry: fs::DirEntry| {
        let bytes = fs::read(entry.path()).expect("a readable file");
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    files.map(|entry| file(entry.expect("a readable folder"))).collect()
}

#[test]
fn every_input_keeps_the_promises() {
    let mut wrong = Vec::new();
    for (target, run) in TARGETS {
        for (name, bytes) in corpus(target) {
            let taken = std::panic::catch_unwind(|| run(&bytes));
            let expected = match &name {
                good if good.starts_with("good-") => Some(true),
                bad if bad.starts_with("bad-") => Some(false),
                _ => None,
            };
            match (taken, expected) {
                (Err(_), _) => wrong.push(format!("{target}/{name}: a finding")),
                (Ok(taken), Some(expected)) if taken != expected => {
                    wrong.push(format!("{target}/{name}: expected taken {expected}, got {taken}"));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_seeds_are_in_the_corpora_as_they_are_made_now() {
    let seeds = hallmark_fuzz::seeds::all();
    for (target, _) in TARGETS {
        let (kept, mut made) = (corpus(target), seeds.iter().filter(|(of, _, _)| *of == target).peekable());
        assert!(made.peek().is_some(), "{target} has no seeds");
        for (_, name, bytes) in made {
            assert_eq!(kept.get(name), Some(bytes), "{target}/{name}: run `cargo run --example seeds`");
        }
    }
}
