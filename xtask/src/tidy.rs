//! What every file of the repository keeps to.
//!
//! Files are found by walking, not by asking git: the rules hold before a commit too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of more lines needs a reason, here.
const MAX_LINES: usize = 600;
const MAY_BE_LONG: &[(&str, &str)] = &[];

/// Folders that are made, not written.
const NOT_OURS: &[&str] = &[".git", "target", "book", "trust"];

/// What nobody else can follow: paths of somebody's machine, and hosts of package registries. They are
/// written in two halves, so that this file keeps its own rule.
const FOREIGN: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("pythonho", "sted.org"),
    concat!("npm", "js.org"),
    concat!("proxy.gol", "ang.org"),
];

/// What Rust code leaves behind when it isn't done.
const UNDONE: &[&str] = &[concat!("#[ign", "ore"), concat!("to", "do!("), concat!("unimpl", "emented!(")];

/// What is not as it should be.
pub(crate) fn faults(root: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    walk(root, &mut files)?;
    files.sort();
    let mut faults = Vec::new();
    for path in &files {
        let Ok(text) = fs::read_to_string(path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        faults.extend(foreign(&name, &text));
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => faults.extend(rust(&name, &text)),
            Some("md") => faults.extend(dead_links(path, &name, &text)),
            _ => {}
        }
    }
    faults.extend(orphans(root, &files));
    faults.extend(unexplained_attacks(root, &files));
    Ok(faults)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let skipped = NOT_OURS.iter().any(|name| entry.file_name() == *name);
        match entry.file_type()? {
            kind if kind.is_dir() && !skipped => walk(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// Words that mean something on one machine only.
fn foreign(name: &str, text: &str) -> Vec<String> {
    // Cargo writes it, with the address of its index.
    if Path::new(name).ends_with("Cargo.lock") {
        return Vec::new();
    }
    let found = |line: &str| FOREIGN.iter().find(|word| line.contains(**word));
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(number, line)| Some(format!("{name}:{number}: speaks of {:?}", found(line)?)))
        .collect()
}

fn rust(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // `tests.rs` is the tests of the module that it lies beside: no more is to be said.
    if !text.starts_with("//!") && !name.ends_with("/tests.rs") {
        faults.push(format!("{name}: expected its purpose in the first line (//!), got none"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !MAY_BE_LONG.iter().any(|(long, _)| *long == name) {
        faults.push(format!("{name}: expected at most {MAX_LINES} lines, got {lines}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let code = !line.trim_start().starts_with("//");
        if let Some(word) = UNDONE.iter().find(|word| code && line.contains(**word)) {
            faults.push(format!("{name}:{number}: has {word:?}"));
        }
    }
    faults
}

/// Links to files that aren't there.
fn dead_links(path: &Path, name: &str, text: &str) -> Vec<String> {
    let folder = path.parent().unwrap_or(path);
    let there = |target: &str| target.is_empty() || folder.join(target).exists();
    let mut faults = Vec::new();
    for target in links(text) {
        let file = target.split('#').next().unwrap_or(target);
        if !there(file) {
            faults.push(format!("{name}: the link to {target} leads nowhere"));
        }
    }
    faults
}

/// The targets of inline links, outside code, that name a file of the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let prose = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let targets = prose.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// Pages of the book that its table of contents doesn't name.
fn orphans(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let book = root.join("docs/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap_or_default();
    let named: Vec<PathBuf> = links(&summary).map(|target| book.join(target)).collect();
    // The book has the records by a link to their folder.
    let records = root.join("docs/adr");
    let in_book = |path: &PathBuf| match path.strip_prefix(&records) {
        Ok(record) => book.join("adr").join(record),
        Err(_) => path.clone(),
    };
    let pages = files.iter().map(in_book).filter(|path| {
        path.starts_with(&book)
            && path.extension().is_some_and(|md| md == "md")
            && !path.ends_with("SUMMARY.md")
    });
    let lost = pages.filter(|page| !named.contains(page));
    lost.map(|page| format!("{}: expected a line in docs/src/SUMMARY.md, got none", page.display())).collect()
}

/// Attacks of the catalogue of which the threat model doesn't speak.
fn unexplained_attacks(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let catalogue = root.join("test-repos/src/attacks");
    let model = fs::read_to_string(root.join("docs/src/threat-model.md")).unwrap_or_default();
    let sources = files.iter().filter(|path| path.starts_with(&catalogue));
    let names = sources.filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.split_once("name: \"")?.1.split_once('"')?.0.to_owned())
    });
    let lost = names.filter(|name| !model.contains(name.as_str()));
    lost.map(|name| format!("docs/src/threat-model.md: expected a word on {name}, got none")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let faults = faults(&crate::workspace()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn rust_files_say_what_they_are_for_and_are_done() {
        assert!(rust("a.rs", "//! Why.\nfn a() {}\n").is_empty());
        for bad in ["fn a() {}\n".to_owned(), format!("//! Why.\n{}]\n", UNDONE[0]), "//! a\n".repeat(601)] {
            assert_eq!(rust("a.rs", &bad).len(), 1, "{bad:.40}");
        }
        assert!(rust("a.rs", &format!("//! Why.\n// {}\n", UNDONE[1])).is_empty());
    }

    #[test]
    fn a_machine_of_ones_own_is_not_spoken_of() {
        let line = format!("\nsee {}alice/notes", FOREIGN[0]);
        assert_eq!(foreign("a.md", &line), [format!("a.md:2: speaks of {:?}", FOREIGN[0])]);
        for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
            assert!(foreign(lock, FOREIGN[4]).is_empty());
        }
    }

    #[test]
    fn links_are_found_outside_code() {
        let text = "[a](b.md#c) [d](https://e) and [f](#g)\n```\n[h](i.md)\n```\n[j](k.md)";
        assert_eq!(links(text).collect::<Vec<_>>(), ["b.md#c", "#g", "k.md"]);
    }
}
