//! python-tuf, the reference implementation, reads what `signer` wrote; `verify` reads what it wrote.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_repos::images::ImageBuilder;
use test_repos::tree::Tree;

use crate::publisher::{Publisher, verify};
use crate::support::{Ran, oci, run, skipped, succeeds};

const NAME: &str = "registry.example.com/acme/web:1.4";

/// A Python that has the package `tuf`. `None`, loudly, where there is none.
pub(crate) fn python() -> Option<Command> {
    let program = std::env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into());
    let imports = "import tuf.ngclient, cryptography";
    let has = Command::new(&program).args(["-c", imports]).output().is_ok_and(|ran| ran.status.success());
    if !has {
        skipped(
            "python has no tuf: install the packages tuf and securesystemslib[crypto], or set HALLMARK_PYTHON",
        );
        return None;
    }
    Some(Command::new(program))
}

/// A layout with one image, and the bytes of its manifest.
fn layout(dir: &Path) -> Vec<u8> {
    let image = ImageBuilder::new().file("etc/motd", b"hello").layer().build().unwrap();
    image.write_layout(dir, "1.4").unwrap();
    fs::read(dir.join("blobs/sha256").join(image.digest().trim_start_matches("sha256:"))).unwrap()
}

#[test]
fn python_tuf_refreshes_what_signer_published_and_downloads_the_target() {
    let Some(mut python) = python() else { return };
    let Some(publisher) = Publisher::init() else { return };
    let image = publisher.path("image");
    let manifest = publisher.path("manifest.json");
    fs::write(&manifest, layout(&image)).unwrap();
    publisher.sign(&["add", &oci(&image, "1.4"), "--as", NAME]);
    publisher.sign(&["publish"]);
    // A second publish, so that there is a chain of versions to follow.
    publisher.sign(&["publish"]);

    python.args(["-c", include_str!("refresh.py")]).arg(publisher.published()).arg(publisher.root());
    let got = succeeds(python.arg(NAME).arg(&manifest).arg(publisher.path("client")));
    assert_eq!(got, test_repos::sha256_digest(&fs::read(&manifest).unwrap()));
}

/// A small database of advisories, made by `verify db build`.
fn database(publisher: &Publisher) -> PathBuf {
    let bucket = publisher.path("osv/PyPI");
    fs::create_dir_all(&bucket).unwrap();
    let advisory = r#"{ "id": "PYSEC-2026-1", "modified": "2026-01-01T00:00:00Z", "affected": [{
        "package": { "ecosystem": "PyPI", "name": "a" }, "versions": ["1.0"] }] }"#;
    let mut zip = zip::ZipWriter::new(fs::File::create(bucket.join("all.zip")).unwrap());
    zip.start_file("PYSEC-2026-1.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(advisory.as_bytes()).unwrap();
    zip.finish().unwrap();
    let file = publisher.path("advisories.db");
    advisories::build(&publisher.path("osv"), &file).unwrap();
    file
}

#[test]
fn python_tuf_downloads_the_database_that_verify_db_update_installs() {
    let Some(mut python) = python() else { return };
    let Some(publisher) = Publisher::init() else { return };
    let file = database(&publisher);
    let text = file.display().to_string();
    publisher.sign(&["add", "--file", &text, "--path", "advisories/osv.db"]);
    publisher.sign(&["publish"]);

    python.args(["-c", include_str!("refresh.py")]).arg(publisher.published()).arg(publisher.root());
    let got = succeeds(python.arg("advisories/osv.db").arg(&file).arg(publisher.path("client")));
    let digest = test_repos::sha256_digest(&fs::read(&file).unwrap());
    assert_eq!(got, digest);
    let ran = publisher.verify(&["db", "update", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(digest.trim_start_matches("sha256:")), "{}", ran.stdout);
}

/// A repository that python-tuf made: targets need two keys of two kinds, and delegate `acme`.
struct ByPython {
    home: tempfile::TempDir,
}

impl ByPython {
    fn author(python: &mut Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        let manifest = home.path().join("manifest.json");
        fs::write(&manifest, layout(&home.path().join("image"))).unwrap();
        python.args(["-c", include_str!("author.py")]).arg(home.path().join("repo/metadata"));
        succeeds(python.arg(NAME).arg(manifest));
        Self { home }
    }

    fn metadata(&self) -> PathBuf {
        self.home.path().join("repo/metadata")
    }

    fn verify(&self, state: &str) -> Ran {
        let image = oci(&self.home.path().join("image"), "1.4");
        let mut command = verify(&self.home.path().join(state), &["image", &image, "--as", NAME]);
        command.arg("--repo").arg(self.home.path().join("repo"));
        run(command.arg("--root").arg(self.metadata().join("1.root.json")))
    }
}

#[test]
fn verify_trusts_what_python_tuf_signed_until_one_byte_changes() {
    let Some(mut python) = python() else { return };
    let repository = ByPython::author(&mut python);
    let ran = repository.verify("state");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("acme"), "the delegated role is named: {}", ran.stderr);

    for file in ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.acme.json"] {
        let path = repository.metadata().join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        // The last digit of a signature, of a year or of a key: something that counts.
        let at = bad.iter().rposition(u8::is_ascii_digit).unwrap();
        bad[at] = if bad[at] == b'9' { b'8' } else { bad[at] + 1 };
        fs::write(&path, bad).unwrap();
        let ran = repository.verify(&format!("state-{file}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{file}: {}", ran.stderr);
        fs::write(&path, good).unwrap();
    }
    assert_eq!(repository.verify("state").code, Some(0), "and all is as it was");
}

#[test]
fn a_manifest_that_python_tuf_did_not_sign_is_refused() {
    let Some(mut python) = python() else { return };
    let repository = ByPython::author(&mut python);
    assert_eq!(repository.verify("state").code, Some(0));
    let before = Tree::of(repository.home.path().join("state")).unwrap();
    let other = ImageBuilder::new().file("etc/motd", b"goodbye").layer().build().unwrap();
    fs::remove_dir_all(repository.home.path().join("image")).unwrap();
    other.write_layout(repository.home.path().join("image"), "1.4").unwrap();
    let ran = repository.verify("state");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(&other.digest()), "{}", ran.stderr);
    before.assert_unchanged();
}
