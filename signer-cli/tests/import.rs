//! `signer import`: a repository with the traits of go-tuf's is taken over whole, or not at all.
//!
//! What python-tuf writes is in `import_python.rs`. The traits here are those of Sigstore's repository when go-tuf
//! wrote it: keys in hex and with members of their own, under two ids; SHA-512; names without versions; tabs;
//! targets within the folder of metadata.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use serde::Serialize as _;
use serde_json::{Value, json};
use signing_keys::file::{NewKind, PrivateKey};
use support::client::Reader;
use support::strace::{points, traced, without_strace};
use support::{Desk, NAME, copy, files};
use test_repos::tree::Tree;
use tuf_core::authoring::Document;
use tuf_core::canonical::canonicalise;
use tuf_core::crypto::{self, Curve, Sign, SignError};
use tuf_core::hash::{sha256_hex, sha512_hex};
use tuf_core::key::{Key, PublicKey};
use tuf_core::schema::Target;

const OLD: &str = "docs/manual.txt";

/// A key as go-tuf lists it.
struct GoKey {
    private: PrivateKey,
    listed: Value,
    ids: [String; 2],
}

/// The same under one of its ids.
struct Under<'k>(&'k GoKey, usize);

impl Sign for Under<'_> {
    fn key(&self) -> &Key {
        self.0.private.key()
    }

    fn key_id(&self) -> String {
        self.0.ids[self.1].clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.private.sign(message)
    }
}

impl GoKey {
    fn new(role: &str) -> Self {
        let kind = if role == "targets" { NewKind::Ecdsa(Curve::P256) } else { NewKind::Ed25519 };
        let private = PrivateKey::generate(kind).unwrap();
        let (keytype, public) = match private.key().material().unwrap() {
            PublicKey::EcdsaP256(point) => ("ecdsa-sha2-nistp256", tuf_core::hash::hex(&point)),
            PublicKey::Ed25519(bytes) => ("ed25519", tuf_core::hash::hex(&bytes)),
            _ => unreachable!(),
        };
        let short = json!({ "keytype": keytype, "scheme": keytype, "keyval": { "public": public } });
        let mut listed = short.clone();
        listed["keyid_hash_algorithms"] = json!(["sha256", "sha512"]);
        let id = |key: &Value| sha256_hex(&canonicalise(key.to_string().as_bytes()).unwrap());
        Self { ids: [id(&listed), id(&short)], private, listed }
    }
}

/// The repository, before it is written.
struct GoTuf {
    keys: BTreeMap<&'static str, GoKey>,
    documents: BTreeMap<&'static str, Document>,
}

impl GoTuf {
    fn new() -> Self {
        let expires = Utc::now().checked_add_signed(TimeDelta::days(100)).unwrap();
        let keys: BTreeMap<_, _> =
            ["root", "targets", "snapshot", "timestamp"].map(|role| (role, GoKey::new(role))).into();
        let mut root = Document::root(expires);
        for (role, key) in &keys {
            for id in &key.ids {
                root.signed_mut()["keys"][id] = key.listed.clone();
            }
            root.signed_mut()["roles"][role] = json!({ "keyids": key.ids, "threshold": 1 });
        }
        root.signed_mut()["consistent_snapshot"] = false.into();
        let documents = [
            ("root", root),
            ("targets", Document::targets(expires)),
            ("snapshot", Document::snapshot(expires)),
            ("timestamp", Document::timestamp(expires)),
        ];
        let mut made = Self { keys, documents: documents.into() };
        made.list(OLD, b"the manual");
        made
    }

    fn list(&mut self, path: &str, bytes: &[u8]) {
        let hashes = BTreeMap::from([("sha512".to_owned(), sha512_hex(bytes))]);
        let length = u64::try_from(bytes.len()).unwrap();
        let target = Target { length, hashes, custom: None };
        self.documents.get_mut("targets").unwrap().set_target(path, &target).unwrap();
    }

    fn signed(&mut self, role: &str) -> &mut serde_json::Map<String, Value> {
        self.documents.get_mut(role).unwrap().signed_mut()
    }

    /// The file, signed under both ids of its key, in tabs.
    fn file(&mut self, role: &str) -> Vec<u8> {
        let (document, key) = (self.documents.get_mut(role).unwrap(), &self.keys[role]);
        document.signed_mut().insert("spec_version".into(), "1.0".into());
        document.sign(&Under(key, 0), crypto::default()).unwrap();
        document.sign(&Under(key, 1), crypto::default()).unwrap();
        let value: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        let mut out = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, tabs)).unwrap();
        out
    }

    /// Writes `theirs/`, as go-tuf lays it out, and the private keys to `keys/`.
    fn write(mut self, desk: &Desk) {
        let dir = desk.path("theirs/repository");
        fs::create_dir_all(dir.join("targets/docs")).unwrap();
        fs::create_dir_all(desk.path("keys")).unwrap();
        for (role, key) in &self.keys {
            let pem = key.private.to_pem(None).unwrap();
            fs::write(desk.path(&format!("keys/{role}.pem")), pem.as_bytes()).unwrap();
        }
        let meta = |bytes: &[u8]| json!({ "version": 1, "length": bytes.len(), "hashes": { "sha512": sha512_hex(bytes) } });
        let root = self.file("root");
        let targets = self.file("targets");
        // Before version 1.0 of the specification a snapshot listed the root too.
        self.signed("snapshot")["meta"] = json!({ "root.json": meta(&root), "targets.json": meta(&targets) });
        let snapshot = self.file("snapshot");
        self.signed("timestamp")["meta"] = json!({ "snapshot.json": meta(&snapshot) });
        let timestamp = self.file("timestamp");
        for (name, bytes) in [
            ("root.json", &root),
            ("1.root.json", &root),
            ("targets.json", &targets),
            ("snapshot.json", &snapshot),
            ("timestamp.json", &timestamp),
        ] {
            fs::write(dir.join(name), bytes).unwrap();
        }
        let hashed = format!("targets/docs/{}.manual.txt", sha512_hex(b"the manual"));
        for name in ["targets/docs/manual.txt", &hashed, "targets/docs/older.txt"] {
            fs::write(dir.join(name), "the manual").unwrap();
        }
    }
}

const ROOT: &str = "theirs/repository/1.root.json";

fn written(change: impl FnOnce(&mut GoTuf)) -> Desk {
    let desk = Desk::new();
    let mut theirs = GoTuf::new();
    change(&mut theirs);
    theirs.write(&desk);
    desk
}

/// Imported, with its keys.
fn imported() -> Desk {
    let desk = written(|_| {});
    desk.signer(&["import", "theirs", "--root", ROOT]).ok();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        desk.signer(&["key", "import", role, &format!("keys/{role}.pem")]).ok();
    }
    desk
}

#[track_caller]
fn all_kept(from: &Path, to: &Path) {
    for path in files(from) {
        let kept = to.join(path.strip_prefix(from).unwrap());
        assert_eq!(fs::read(&path).unwrap(), fs::read(&kept).unwrap(), "{}", kept.display());
    }
}

#[test]
fn a_repository_with_go_tufs_traits_goes_on() {
    let desk = written(|_| {});
    let before = Tree::of(desk.dir.path()).unwrap();
    desk.signer(&["import", "theirs", "--root", ROOT, "--dry-run"]).ok();
    before.assert_unchanged();

    let desk = imported();
    let theirs = desk.path("theirs/repository");
    fs::rename(theirs.join("targets"), desk.path("files")).unwrap();
    all_kept(&theirs, &desk.path("trust/published/metadata"));
    all_kept(&desk.path("files"), &desk.path("trust/published/targets"));
    let first = fs::read(desk.path(ROOT)).unwrap();
    assert_eq!(fs::read(desk.path("trust/root.json")).unwrap(), first);
    // A client that follows from the first root on, as it was before the import.
    let reader = Reader::new(first, desk.path("trust/published/metadata"));
    assert!(reader.find(NAME).is_none());

    // Files get versions in their names before anything else is said.
    desk.signer(&["refresh", "--within", "150d"]).failed(1, &["names files by version", "signer publish"]);
    let digest = desk.add("one");
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.metadata("2.root.json")["signed"]["consistent_snapshot"], true);
    assert_eq!(reader.find(NAME).unwrap().0, digest);
    let old = format!("trust/published/targets/docs/{}.manual.txt", sha512_hex(b"the manual"));
    assert_eq!(fs::read(desk.path(&old)).unwrap(), b"the manual");
    // The keys are listed as they were: in hex, with their other members, and under their ids.
    let (was, is) = (desk.metadata("1.root.json"), desk.metadata("2.root.json"));
    assert_eq!(was["signed"]["keys"], is["signed"]["keys"]);
    assert!(is["signed"]["keys"].to_string().contains("keyid_hash_algorithms"));
    desk.signer(&["refresh", "--within", "150d"]).ok();
    assert_eq!(reader.find(NAME).unwrap().0, digest);

    desk.signer(&["remove", OLD]).ok();
    desk.signer(&["publish"]).ok();
    let [_, _, targets] = desk.versions();
    let listed = desk.metadata(&format!("{targets}.targets.json"))["signed"]["targets"].clone();
    assert!(listed.get(OLD).is_none() && listed.get(NAME).is_some(), "{listed}");
    let doctor = desk.signer(&["doctor", "--format", "json"]).ok().json();
    assert_eq!(doctor["problems"], 0, "{doctor}");
}

#[test]
fn a_publish_that_is_killed_after_its_root_leaves_what_a_client_accepts() {
    let desk = imported();
    copy(&desk.path("trust"), &desk.path("other"));
    desk.add("one");
    desk.signer(&["publish"]).ok();
    // As a kill between the two writes leaves it: the new root, and the timestamp of before.
    let first = fs::read(desk.path(ROOT)).unwrap();
    let root = desk.path("other/published/metadata/2.root.json");
    fs::copy(desk.path("trust/published/metadata/2.root.json"), root).unwrap();
    let reader = Reader::new(first, desk.path("other/published/metadata"));
    assert!(reader.find(NAME).is_none());
    let digest = desk.image("two");
    desk.signer(&["--repo", "other", "add", "oci:two:1.4", "--as", NAME]).ok();
    desk.signer(&["--repo", "other", "publish"]).ok();
    assert_eq!(reader.find(NAME).unwrap().0, digest);
}

/// go-tuf lists a key under several ids. It counts once, and is revoked under all of them.
#[test]
fn a_key_under_two_ids_is_one_key() {
    let desk = imported();
    let ids: Vec<String> = desk.key_ids("root");
    assert_eq!(ids.len(), 2);
    let before = Tree::of(desk.path("trust/staged")).ok();
    desk.signer(&["role", "threshold", "root", "2"])
        .failed(1, &["root could never sign again", "expected at least 2 key(s)", "got 1"]);
    desk.signer(&["role", "revoke", &ids[0]]).failed(1, &["root could never sign again"]);
    before.inspect(Tree::assert_unchanged);
    desk.signer(&["key", "new", "spare", "--unencrypted"]).ok();
    desk.signer(&["role", "add-key", "root", "spare"]).ok();
    let said = desk.signer(&["role", "revoke", &ids[1]]).ok().stdout;
    for id in &ids {
        assert!(said.contains(&format!("drops key {} from root", &id[..12])), "{said}");
    }
    desk.signer(&["publish"]).ok();
    assert!(desk.key_ids("root").iter().all(|id| !ids.contains(id)));
}

/// The new root doesn't trust the key of the timestamp that stands.
#[test]
fn a_first_publish_that_rotates_a_key_can_be_killed_anywhere() {
    if without_strace() {
        return;
    }
    let desk = imported();
    let digest = desk.add("one");
    desk.signer(&["key", "new", "spare", "--unencrypted"]).ok();
    desk.signer(&["role", "rotate", "timestamp", "--key", "spare"]).ok();
    let fresh = || {
        let other = Desk::new();
        copy(desk.dir.path(), other.dir.path());
        other
    };
    let (output, trace) = traced(&fresh(), &["publish"], None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for point in points(&trace) {
        let killed = fresh();
        let (output, _) = traced(&killed, &["publish"], Some(&point));
        assert!(!output.status.success(), "{point:?} was not reached");
        killed.signer(&["publish"]).ok();
        assert_eq!(killed.reader().find(NAME).unwrap().0, digest, "{point:?}");
    }
}

#[test]
fn what_a_client_would_refuse_is_not_imported_and_nothing_is_left_behind() {
    #[track_caller]
    fn refused(desk: &Desk, code: i32, words: &[&str]) {
        let before = Tree::of(desk.dir.path()).unwrap();
        desk.signer(&["import", "theirs", "--root", ROOT]).failed(code, words);
        before.assert_unchanged();
    }
    let expired = "2020-01-01T00:00:00Z";
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let desk = written(|theirs| {
            theirs.signed(role).insert("expires".into(), expired.into());
        });
        refused(
            &desk,
            1,
            &["clients would refuse it", &format!("{role} expired at 2020-01-01"), "hint: sign it anew"],
        );
    }
    // A kind of key that nobody here can check is named.
    let desk = written(|theirs| {
        let id = theirs.keys["timestamp"].ids.clone();
        let other = json!({ "keytype": "lattice", "scheme": "lattice-1", "keyval": { "public": "00" } });
        for id in &id {
            theirs.signed("root")["keys"][id] = other.clone();
        }
    });
    refused(&desk, 1, &["timestamp needs 1 good signature", "of timestamp can't be used", "lattice"]);
    let desk = written(|theirs| theirs.list("docs/../../../escaped", b"x"));
    refused(&desk, 1, &["leads out of it"]);
    let desk = written(|theirs| {
        let id = theirs.keys["targets"].ids[0].clone();
        let role =
            json!({ "name": "team", "keyids": [id], "threshold": 1, "terminating": false, "paths": ["t/*"] });
        let keys = json!({ &id: theirs.keys["targets"].listed });
        theirs.signed("targets").insert("delegations".into(), json!({ "keys": keys, "roles": [role] }));
    });
    refused(&desk, 1, &["team.json in snapshot", "hint: let the role sign first"]);

    let file = |desk: &Desk, name: &str| desk.path("theirs/repository").join(name);
    let desk = written(|_| {});
    fs::remove_file(file(&desk, "targets.json")).unwrap();
    refused(&desk, 1, &["expected version 1 of targets, got nothing"]);
    let desk = written(|_| {});
    let text = fs::read_to_string(file(&desk, "snapshot.json")).unwrap();
    fs::write(file(&desk, "snapshot.json"), text.replace("\"version\": 1\n\t}\n}", "\"version\": 4\n\t}\n}"))
        .unwrap();
    refused(&desk, 1, &["expected version 1 of snapshot, got version 4 in "]);
    let desk = written(|_| {});
    fs::write(file(&desk, "targets.json"), [&*fs::read(file(&desk, "targets.json")).unwrap(), b" "].concat())
        .unwrap();
    refused(&desk, 1, &["clients would refuse it", "targets expected "]);
    let desk = written(|_| {});
    fs::copy(file(&desk, "1.root.json"), file(&desk, "3.root.json")).unwrap();
    refused(&desk, 1, &["the roots have a gap: 3.root.json is there, and 2.root.json is not"]);
    let desk = written(|_| {});
    fs::copy(file(&desk, "1.root.json"), file(&desk, "2.root.json")).unwrap();
    refused(&desk, 1, &["2.root.json is there, and holds another version than 2"]);
    let desk = written(|_| {});
    fs::write(file(&desk, "targets/docs/manual.txt"), "the Manual").unwrap();
    refused(&desk, 1, &["is damaged", "manual.txt"]);
    let desk = written(|_| {});
    fs::copy(desk.path("keys/root.pem"), file(&desk, "targets/docs/notes.txt")).unwrap();
    refused(&desk, 1, &["notes.txt was not imported: it holds a private key in PEM"]);
    let desk = written(|_| {});
    desk.signer(&["init", "--unencrypted-keys"]).ok();
    refused(&desk, 1, &["is there already and is not empty"]);
}

/// Who hands over a folder chooses where its links lead.
#[test]
fn what_a_link_leads_to_is_not_published() {
    let desk = written(|_| {});
    fs::write(desk.path("config.json"), "{\"auth\":\"hush\"}").unwrap();
    for link in ["config.json", "9.targets.json", "targets/docs/config.json"] {
        std::os::unix::fs::symlink(desk.path("config.json"), desk.path("theirs/repository").join(link))
            .unwrap();
    }
    desk.signer(&["import", "theirs", "--root", ROOT]).ok();
    for file in files(&desk.path("trust")) {
        assert!(!fs::read_to_string(&file).unwrap().contains("hush"), "{}", file.display());
    }
    // Nor what is in a folder that is one.
    fs::create_dir(desk.path("home")).unwrap();
    fs::write(desk.path("home/config.json"), "{\"auth\":\"hush\"}").unwrap();
    let theirs = desk.path("theirs/repository");
    std::os::unix::fs::symlink(desk.path("home"), theirs.join("root_history")).unwrap();
    fs::rename(theirs.join("targets"), desk.path("files")).unwrap();
    std::os::unix::fs::symlink(desk.path("home"), theirs.join("targets")).unwrap();
    desk.signer(&["--repo", "other", "import", "theirs", "--root", ROOT]).ok();
    for file in files(&desk.path("other")) {
        assert!(!fs::read_to_string(&file).unwrap().contains("hush"), "{}", file.display());
    }
}

#[test]
fn what_was_never_asked_for_may_be_old_where_names_have_hashes() {
    let desk = imported();
    desk.signer(&["publish"]).ok();
    let served = desk.path("trust/published");
    fs::write(served.join("targets/docs/manual.txt"), "an older manual").unwrap();
    let root = "trust/published/metadata/1.root.json";
    desk.signer(&["--repo", "again", "import", "trust/published", "--root", root]).ok();
    let kept = fs::read(desk.path("again/published/targets/docs/manual.txt")).unwrap();
    assert_eq!(kept, b"an older manual");
}

/// What is no file has no length to begin with.
#[test]
fn a_root_without_an_end_is_not_read_to_its_end() {
    let desk = written(|_| {});
    fs::remove_file(desk.path("theirs/repository/root.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", desk.path("theirs/repository/root.json")).unwrap();
    desk.signer(&["import", "theirs", "--root", ROOT]).ok();
    desk.signer(&["--repo", "other", "import", "theirs", "--root", "/dev/zero"])
        .failed(2, &["expected at most", "got more"]);
}

#[test]
fn trust_starts_at_the_root_that_was_named() {
    let (desk, other) = (written(|_| {}), written(|_| {}));
    fs::copy(other.path(ROOT), desk.path("other.json")).unwrap();
    let mut forged: Value = serde_json::from_slice(&fs::read(desk.path(ROOT)).unwrap()).unwrap();
    forged["signed"]["version"] = 7.into();
    fs::write(desk.path("forged.json"), forged.to_string()).unwrap();
    fs::write(desk.path("empty.json"), "").unwrap();
    fs::create_dir(desk.path("nothing")).unwrap();
    let before = Tree::of(desk.dir.path()).unwrap();
    for (from, root, code, words) in [
        ("theirs", "other.json", 1, "timestamp needs 1 good signature"),
        ("theirs", "forged.json", 1, "forged.json can't be trusted"),
        ("theirs", "empty.json", 1, "empty.json can't be trusted"),
        ("theirs", "nowhere.json", 2, "nowhere.json"),
        ("nowhere", ROOT, 2, "nowhere: "),
        ("nothing", ROOT, 2, "there is no TUF repository in nothing"),
    ] {
        desk.signer(&["import", from, "--root", root]).failed(code, &[words]);
    }
    desk.signer(&["import", "theirs", "--root", ROOT, "--targets", "nowhere"])
        .failed(2, &["nowhere is no folder"]);
    desk.signer(&["import", "theirs"]).failed(2, &["--root"]);
    before.assert_unchanged();
    // The metadata alone, where target files are served from elsewhere.
    fs::rename(desk.path("theirs/repository/targets"), desk.path("files")).unwrap();
    let said = desk.signer(&[
        "--repo",
        "without",
        "import",
        "theirs/repository",
        "--root",
        ROOT,
        "--format",
        "json",
    ]);
    assert_eq!(said.ok().json()["targets_absent"], 1);
    let said = desk
        .signer(&["import", "theirs", "--root", ROOT, "--targets", "files", "--format", "json"])
        .ok()
        .json();
    assert_eq!((&said["targets_present"], &said["targets_absent"]), (&1.into(), &0.into()));
}
