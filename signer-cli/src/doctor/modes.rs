//! Who may read keys, and who may write what others rely on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Findings, Subject};
use crate::reports::doctor::Area;

/// Group and others, in any way.
const OTHERS: u32 = 0o077;
/// Everyone, for writing.
const WORLD_WRITES: u32 = 0o002;
/// Group or everyone, for writing.
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn look(subject: &Subject<'_>, findings: &mut Findings) {
    let repository = subject.repository;
    let keys = repository.keys();
    for path in fs::read_dir(&keys).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        let mode = mode(&path).unwrap_or(0);
        let shown = path.display().to_string();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pem") if mode & OTHERS != 0 => findings.problem(
                Area::Modes,
                format!("others can reach a private key: mode {mode:04o}"),
                &shown,
                &format!("`chmod 600 {shown}`; if somebody may have read it: `signer role rotate ROLE`"),
            ),
            // Whoever writes these says where a key is looked for, and which program is run for it.
            Some("uri" | "pub") if mode & OTHERS_WRITE != 0 => findings.problem(
                Area::Modes,
                format!("others can say where a key is: mode {mode:04o}"),
                &shown,
                &format!("`chmod go-w {shown}`"),
            ),
            _ => {}
        }
    }
    for (path, weak, what) in [
        (keys.as_path(), OTHERS, "others can look into the folder of keys"),
        (repository.dir(), WORLD_WRITES, "everyone can put other keys and another signer.toml here"),
        (&repository.config(), WORLD_WRITES, "everyone can change what is signed, and for how long"),
        (&repository.root(), WORLD_WRITES, "everyone can put another first root here"),
        (&repository.staged(), WORLD_WRITES, "everyone can stage what you will sign"),
    ] {
        weaker(path, weak, what, findings);
    }
    if let Some(served) = subject.folder() {
        for path in [served, &served.join("metadata"), &served.join("targets")] {
            weaker(path, WORLD_WRITES, "everyone can damage what is served", findings);
        }
    }
    findings.close(Area::Modes, "only the owner reads keys, and no stranger writes here");
}

fn weaker(path: &Path, weak: u32, what: &str, findings: &mut Findings) {
    let Some(mode) = mode(path).filter(|mode| mode & weak != 0) else { return };
    let shown = path.display().to_string();
    let change = if weak == OTHERS { "go-rwx" } else { "o-w" };
    let hint = format!("`chmod {change} {shown}`");
    findings.warning(Area::Modes, format!("{what}: mode {mode:04o}"), &shown, &hint);
}

/// Of what a link leads to.
fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}
