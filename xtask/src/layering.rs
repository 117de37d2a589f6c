//! Which crate may use which: the arrows of ARCHITECTURE.md, read from `cargo tree`.

use std::io;
use std::path::Path;
use std::process::Command;

/// A crate, and those of ours that what it ships may use.
///
/// A new arrow is a decision: it needs a record in `docs/src/adr`, then a word here.
const MAY_USE: &[(&str, &[&str])] = &[
    ("advisories", &[]),
    ("tuf-core", &[]),
    ("oci-image", &[]),
    ("image-scan", &["oci-image"]),
    ("image-signatures", &["tuf-core", "oci-image"]),
    // Formats of signatures, read; no key that signs (docs/src/adr/0016).
    ("image-evidence", &["tuf-core", "oci-image", "image-signatures"]),
    // Signers are counted there, also when rules are rehearsed (docs/src/adr/0020).
    ("image-policy", &["tuf-core", "oci-image", "image-evidence"]),
    // Packs stand in for the network: they hand over bytes, and decide nothing (docs/src/adr/0021).
    ("image-pack", &["tuf-core", "tuf-client", "oci-image", "verifier-lib"]),
    ("publish-store", &["oci-image"]),
    ("scan-engines", &["image-scan"]),
    ("signing-keys", &["tuf-core"]),
    ("tuf-client", &["tuf-core", "oci-image"]),
    ("verifier-lib", &["tuf-core", "tuf-client", "oci-image", "image-evidence"]),
    ("verdict-report", &["image-pack", "verifier-lib"]),
    ("binding-calls", &["tuf-core", "tuf-client", "oci-image", "verdict-report", "verifier-lib"]),
    ("hallmark-ffi", &["binding-calls"]),
    ("hallmark-python", &["binding-calls"]),
    // image-evidence: what is signed is read as others will read it (docs/src/adr/0022).
    (
        "signer-cli",
        &[
            "tuf-core",
            "tuf-client",
            "oci-image",
            "image-evidence",
            "image-signatures",
            "publish-store",
            "signing-keys",
        ],
    ),
    // test-repos: `verify demo` runs the attack catalogue (docs/src/adr/0002).
    (
        "verify-cli",
        &[
            "tuf-core",
            "tuf-client",
            "oci-image",
            "advisories",
            "image-evidence",
            "image-pack",
            "image-policy",
            "image-scan",
            "image-signatures",
            "scan-engines",
            // `verify attest` signs verdicts (docs/src/adr/0022).
            "signing-keys",
            "verdict-report",
            "verifier-lib",
            "test-repos",
        ],
    ),
    ("test-repos", &["tuf-core"]),
    ("bench", &["tuf-core", "tuf-client", "oci-image", "verifier-lib", "test-repos"]),
    ("xtask", &[]),
];

/// What tests may use besides.
const TESTS_MAY_USE: &[&str] = &["test-repos"];

/// Crates of others that only some of ours may name, so that what they bring stays in one place.
const ONLY: &[(&str, &[&str])] = &[
    ("reqwest", &["oci-image"]),
    ("rustls", &["oci-image"]),
    ("clap", &["signer-cli", "verify-cli", "bench"]),
    ("rpassword", &["signer-cli"]),
    ("pkcs8", &["signing-keys"]),
    ("signal-hook", &["signer-cli"]),
    ("tiny_http", &["signer-cli"]),
    ("postcard", &["advisories"]),
    ("ring", &["tuf-core"]),
    ("cryptoki", &["signing-keys"]),
    ("object_store", &["publish-store"]),
    ("ed25519-dalek", &["tuf-core"]),
    ("rustls-webpki", &["image-evidence", "image-signatures"]),
    ("x509-cert", &["image-signatures"]),
    ("object", &["image-scan"]),
    ("packageurl", &["image-evidence", "image-scan"]),
    ("zip", &["advisories", "image-scan"]),
    ("zstd", &["image-scan"]),
    ("sigstore-verify", &["image-evidence"]),
    ("cel", &["image-policy"]),
    ("coset", &["image-evidence", "image-signatures"]),
    ("nix", &["scan-engines"]),
    ("quick-xml", &["scan-engines"]),
    ("pyo3", &["hallmark-python"]),
];

/// `(crate, crate that it uses)`.
type Arrow = (String, String);

/// The arrows that may not be.
pub(crate) fn faults(root: &Path) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (user, used) in arrows(root, "normal,build")? {
        faults.extend(fault(&user, &used, &[]));
    }
    for (user, used) in arrows(root, "dev")? {
        faults.extend(fault(&user, &used, TESTS_MAY_USE));
    }
    Ok(faults)
}

fn fault(user: &str, used: &str, besides: &[&str]) -> Option<String> {
    let Some(may_use) = row(MAY_USE, user) else {
        return Some(format!("{user}: expected a row in xtask/src/layering.rs, got none"));
    };
    let ours = row(MAY_USE, used).is_some();
    if ours && !may_use.contains(&used) && !besides.contains(&used) {
        return Some(format!("{user} -> {used}: expected one of {may_use:?}"));
    }
    let users = row(ONLY, used).filter(|_| besides.is_empty())?;
    (!users.contains(&user)).then(|| format!("{user} -> {used}: expected only {users:?} to use it"))
}

fn row(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(first, _)| *first == name).map(|(_, rest)| *rest)
}

/// Who names whom in a Cargo.toml, by the kinds of edges of `cargo tree`.
fn arrows(root: &Path, edges: &str) -> io::Result<Vec<Arrow>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["tree", "--workspace", "--all-features", "--target=all", "--locked", "--quiet"])
        .args(["--depth=1", "--prefix=depth", "--format=@{p}", "--edges", edges])
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(read_tree(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines of `DEPTH@NAME VERSION …`: a crate of ours at depth 0, and below it what it uses.
fn read_tree(tree: &str) -> Vec<Arrow> {
    let mut user = String::new();
    let mut arrows = Vec::new();
    for line in tree.lines() {
        let Some((depth, package)) = line.split_once('@') else { continue };
        let name = package.split_whitespace().next().unwrap_or(package).to_owned();
        match depth {
            "0" => user = name,
            _ => arrows.push((user.clone(), name)),
        }
    }
    arrows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_is_one_that_may_be() {
        let faults = faults(&crate::workspace()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_tree_is_read_as_arrows() {
        let arrow = |user: &str, used: &str| (user.to_owned(), used.to_owned());
        let tree = "0@a v0.1.0 (somewhere)\n1@b v1.0.0\n1@c v2.0.0 (proc-macro)\n\n0@d v0.1.0\n1@a v0.1.0\n";
        assert_eq!(read_tree(tree), [arrow("a", "b"), arrow("a", "c"), arrow("d", "a")]);
    }

    #[test]
    fn an_arrow_against_the_grain_is_a_fault() {
        for (user, used, besides, ok) in [
            ("tuf-client", "tuf-core", &[][..], true),
            ("tuf-core", "serde", &[], true),
            ("tuf-core", "oci-image", &[], false),
            ("oci-image", "tuf-core", &[], false),
            ("tuf-client", "test-repos", &[], false),
            ("tuf-client", "test-repos", TESTS_MAY_USE, true),
            ("tuf-core", "verifier-lib", TESTS_MAY_USE, false),
            ("verifier-lib", "pkcs8", &[], false),
            ("newcomer", "serde", &[], false),
        ] {
            assert_eq!(fault(user, used, besides).is_none(), ok, "{user} -> {used}");
        }
    }
}
