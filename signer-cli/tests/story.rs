//! What a publisher does, command by command, and what the program says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;

use serde_json::json;
use signer_cli::report;
use support::{Desk, NAME, Said, files};
use test_repos::images::{ImageBuilder, IndexBuilder};
use test_repos::tree::Tree;

#[test]
fn from_nothing_to_a_name_that_clients_trust() {
    let desk = Desk::with_trust();
    assert_eq!(desk.trusted(NAME), None);
    let digest = desk.add("one");
    assert_eq!(desk.trusted(NAME), None, "staged is not published");
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.starts_with(&format!("published\n  + {NAME}  {digest}\n")), "{}", said.stdout);
    assert_eq!(said.stderr, "");
    assert_eq!(desk.trusted(NAME), Some(digest.clone()));
    assert_eq!(desk.trusted(&format!("registry.example.com/acme/web@{digest}")), Some(digest));
    assert_eq!(desk.versions(), [2, 2, 2]);
}

#[test]
fn what_is_signed_of_an_image() {
    let desk = Desk::published();
    let first = desk.trusted(NAME).unwrap();
    let second = desk.add("two");
    desk.signer(&["publish"]).ok();
    let targets = desk.metadata("3.targets.json")["signed"]["targets"].clone();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(
        targets[NAME]["custom"],
        json!({ "hallmark": { "version": 1, "media_type": media_type, "previous": first } })
    );
    assert_eq!(
        targets[format!("registry.example.com/acme/web@{second}")]["custom"],
        json!({ "hallmark": { "version": 1, "media_type": media_type } })
    );
    assert_eq!(targets.as_object().unwrap().len(), 3, "what was trusted by digest stays so");
}

#[test]
fn an_index_names_its_platforms() {
    let desk = Desk::with_trust();
    let image = |platform: &str| ImageBuilder::new().platform(platform).file("a", b"b").build().unwrap();
    let index = IndexBuilder::new()
        .image(image("linux/amd64"))
        .image(image("linux/arm/v7"))
        .image(image("unknown/unknown"))
        .build()
        .unwrap();
    index.write_layout(desk.path("index"), "1.4").unwrap();
    let said = desk.signer(&["add", "oci:index", "--as", NAME, "--format", "json"]).ok();
    let report: report::Add = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report.names.len(), 2);
    for added in report.names {
        assert_eq!(added.image.digest, index.digest());
        assert_eq!(added.image.platforms.unwrap(), ["linux/amd64", "linux/arm/v7"]);
    }
}

#[test]
fn the_same_again_is_no_error_and_changes_nothing() {
    let desk = Desk::with_trust();
    let digest = desk.add("one");
    let again = |desk: &Desk| desk.signer(&["add", "oci:one:1.4", "--as", NAME]).ok().stdout;
    assert!(again(&desk).starts_with(&format!("already staged {NAME}\n  now    {digest}\n")));
    desk.signer(&["publish"]).ok();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    assert!(again(&desk).starts_with(&format!("already published {NAME}\n")));
    before.assert_unchanged();
    assert_eq!(desk.signer(&["status", "--format", "json"]).ok().json()["staged"], json!([]));
}

#[test]
fn going_back_to_what_is_published_unstages() {
    let desk = Desk::published();
    desk.add("two");
    desk.add("one");
    let said = desk.signer(&["status"]).ok();
    assert!(!said.stdout.contains(&format!("~ {NAME}")), "{}", said.stdout);
}

#[test]
fn a_removed_tag_is_trusted_no_more() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME).unwrap();
    let by_digest = format!("registry.example.com/acme/web@{digest}");
    let said = desk.signer(&["remove", NAME]).ok();
    assert_eq!(said.stdout, format!("staged the removal of {NAME}\n"));
    assert_eq!(
        said.stderr,
        format!("note: {by_digest} stays trusted; if nobody should run it, remove that too\n")
    );
    desk.signer(&["remove", &by_digest]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.trusted(NAME), None);
    assert_eq!(desk.trusted(&by_digest), None);
    desk.signer(&["remove", NAME])
        .failed(1, &["error: registry.example.com/acme/web:1.4 is neither published nor staged", "hint: "]);
}

#[test]
fn what_was_only_staged_can_be_taken_back() {
    let desk = Desk::with_trust();
    desk.add("one");
    assert_eq!(desk.signer(&["remove", NAME]).ok().stdout, format!("{NAME} is no longer staged\n"));
}

#[test]
fn with_nothing_staged_publish_renews() {
    let desk = Desk::published();
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.starts_with("nothing staged: renewed what was published\n"), "{}", said.stdout);
    let [timestamp, _, targets] = desk.versions();
    assert_eq!((timestamp, targets), (3, 2));
}

#[test]
fn init_overwrites_nothing() {
    let desk = Desk::published();
    let before = Tree::of(desk.dir.path()).unwrap();
    desk.signer(&["init", "--unencrypted-keys"]).failed(
        1,
        &[
            "error: ./trust is there already and is not empty",
            "  nothing was changed",
            "hint: name another folder",
        ],
    );
    before.assert_unchanged();
    fs::create_dir(desk.path("other")).unwrap();
    fs::write(desk.path("other/file"), "precious").unwrap();
    desk.signer(&["init", "--unencrypted-keys", "--repo", "other"]).failed(1, &["other is there already"]);
    assert_eq!(fs::read(desk.path("other/file")).unwrap(), b"precious");
}

#[test]
fn init_leaves_nothing_behind_when_it_fails() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "").unwrap();
    let before = Tree::of(desk.dir.path()).unwrap();
    desk.signer(&["init"])
        .failed(2, &["there is no terminal to ask on", "hint: give it with --passphrase-file"]);
    desk.signer_with("secret", &["init", "--key", "root=file"])
        .failed(2, &["expected a private key as PKCS#8"]);
    desk.signer(&["init", "--unencrypted-keys", "--repo", "file/trust"]).failed(2, &["file/trust"]);
    before.assert_unchanged();
}

#[test]
fn members_that_nobody_here_knows_survive() {
    let desk = Desk::with_trust();
    // Put into what is published, with the repository's own keys: what another tool would do.
    support_unknown::add_member(&desk);
    desk.add("one");
    desk.signer(&["publish"]).ok();
    for file in ["3.targets.json", "3.snapshot.json", "timestamp.json"] {
        assert_eq!(desk.metadata(file)["signed"]["x-other-tool"], json!({ "kept": [1, "ä"] }), "{file}");
    }
    assert!(desk.trusted(NAME).is_some());
}

/// Another tool, which signs members of its own.
mod support_unknown {
    use super::{Desk, fs, json};
    use tuf_core::authoring::{Document, meta_of};
    use tuf_core::crypto::{self, Ed25519Signer};

    pub(super) fn add_member(desk: &Desk) {
        let dir = desk.path("trust/published/metadata");
        let edit = |file: &str, role: &str, listed: Option<(&str, &[u8])>| {
            let mut document = Document::parse(&fs::read(dir.join(file)).unwrap()).unwrap();
            document.signed_mut().insert("x-other-tool".into(), json!({ "kept": [1, "ä"] }));
            document.set_version(2);
            if let Some((name, bytes)) = listed {
                document.set_meta(name, &meta_of(2, bytes));
            }
            document.sign(&signer(desk, role), crypto::default()).unwrap();
            document.to_bytes()
        };
        let targets = edit("1.targets.json", "targets", None);
        let snapshot = edit("1.snapshot.json", "snapshot", Some(("targets.json", &targets)));
        let timestamp = edit("timestamp.json", "timestamp", Some(("snapshot.json", &snapshot)));
        fs::write(dir.join("2.targets.json"), targets).unwrap();
        fs::write(dir.join("2.snapshot.json"), snapshot).unwrap();
        fs::write(dir.join("timestamp.json"), timestamp).unwrap();
    }

    fn signer(desk: &Desk, role: &str) -> Ed25519Signer {
        use pkcs8::der::Decode as _;
        let pem = fs::read_to_string(desk.path(&format!("trust/keys/{role}.pem"))).unwrap();
        let (_, document) = pkcs8::der::SecretDocument::from_pem(&pem).unwrap();
        let info = pkcs8::PrivateKeyInfoRef::from_der(document.as_bytes()).unwrap();
        Ed25519Signer::from_seed(info.private_key.as_bytes()[2..].try_into().unwrap())
    }
}

#[test]
fn reports_are_what_the_schemas_say() {
    let desk = Desk::new();
    let json =
        |arguments: &[&str]| -> Said { desk.signer(&[arguments, &["--format", "json"]].concat()).ok() };
    let init: report::Init = serde_json::from_str(&json(&["init", "--unencrypted-keys"]).stdout).unwrap();
    assert_eq!((init.version, init.encrypted_keys, init.roles.len()), (1, false, 4));
    desk.image("one");
    let add = json(&["add", "oci:one", "--as", NAME]).stdout;
    let add: report::Add = serde_json::from_str(&add).unwrap();
    assert_eq!((add.version, add.names[0].outcome), (1, report::Outcome::Staged));
    let status: report::Status = serde_json::from_str(&json(&["status"]).stdout).unwrap();
    assert_eq!((status.version, status.images.len(), status.staged.len()), (1, 0, 2));
    let publish: report::Publish = serde_json::from_str(&json(&["publish"]).stdout).unwrap();
    let roles: Vec<&str> = publish.signed.iter().map(|signed| signed.role.as_str()).collect();
    assert_eq!((publish.version, roles), (1, vec!["targets", "snapshot", "timestamp"]));
    let status: report::Status = serde_json::from_str(&json(&["list"]).stdout).unwrap();
    assert_eq!((status.images.len(), status.staged.len()), (2, 0));
    let remove: report::Remove = serde_json::from_str(&json(&["remove", NAME]).stdout).unwrap();
    assert_eq!((remove.version, remove.outcome), (1, report::Removal::Staged));
}

#[test]
fn the_served_folder_never_holds_a_key() {
    let desk = Desk::published();
    desk.add("two");
    desk.signer(&["publish"]).ok();
    let secrets: Vec<Vec<u8>> = files(&desk.path("trust/keys"))
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .map(|path| fs::read_to_string(path).unwrap().lines().nth(1).unwrap().as_bytes().to_vec())
        .collect();
    assert_eq!(secrets.len(), 4);
    for path in files(&desk.path("trust/published")) {
        let bytes = fs::read(&path).unwrap();
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(b"PRIVATE KEY"), "{}", path.display());
        assert!(!secrets.iter().any(|secret| holds(secret)), "{}", path.display());
        assert!(path.extension().is_none_or(|extension| extension != "pem"), "{}", path.display());
    }
}

#[test]
fn what_is_no_image_is_not_signed() {
    let desk = Desk::with_trust();
    let digest = desk.image("one");
    let blob = desk.path("one/blobs/sha256").join(&digest["sha256:".len()..]);
    let honest = fs::read(&blob).unwrap();
    let before = Tree::of(desk.path("trust")).unwrap();
    let cases: [(&[u8], &str); 2] =
        [(b"{}", "sent other bytes: expected sha256:"), (&honest[1..], "sent other bytes")];
    for (bytes, why) in cases {
        fs::write(&blob, bytes).unwrap();
        desk.signer(&["add", "oci:one", "--as", NAME]).failed(1, &["error: refused oci:one\n", why]);
    }
    fs::write(&blob, honest).unwrap();
    desk.signer(&["add", "oci:one:9.9", "--as", NAME]).failed(1, &["has no image 9.9"]);
    let other = NAME.replace(":1.4", &format!("@sha256:{}", "0".repeat(64)));
    desk.signer(&["add", "oci:one", "--as", &other]).failed(1, &[&format!("got {digest}")]);
    before.assert_unchanged();
    desk.signer(&["add", "oci:one"])
        .failed(2, &["has no name that could be signed", "hint: say which with --as"]);
    desk.signer(&["add", "oci:nowhere", "--as", NAME]).failed(1, &["OCI layout nowhere"]);
}

#[test]
fn which_of_several_images_is_meant_must_be_said() {
    let desk = Desk::with_trust();
    for tag in ["1.4", "1.5"] {
        let image = ImageBuilder::new().file("tag", tag.as_bytes()).build().unwrap();
        image.write_layout(desk.path("both"), tag).unwrap();
    }
    desk.signer(&["add", "oci:both", "--as", NAME]).failed(
        2,
        &[
            "error: oci:both could be several images",
            "name one of: 1.4, 1.5",
            "hint: name one of them: oci:DIR:TAG",
        ],
    );
    desk.signer(&["add", "oci:both:1.5", "--as", NAME]).ok();
}

#[test]
fn a_name_outside_the_scope_is_not_signed() {
    let desk = Desk::with_trust();
    let path = desk.path("trust/signer.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("scope = []", "scope = [\"registry.example.com/other/*\"]")).unwrap();
    desk.image("one");
    desk.signer(&["add", "oci:one", "--as", NAME]).failed(
        1,
        &["  expected a name in registry.example.com/other/*, got registry.example.com/acme/web:1.4"],
    );
    fs::write(&path, config.replace("targets = 90", "targets = -1")).unwrap();
    desk.signer(&["status"]).failed(2, &["trust/signer.toml can't be used", "targets = -1"]);
}

#[test]
fn a_wrong_call_says_what_is_right() {
    let desk = Desk::new();
    desk.signer(&["status"]).failed(
        2,
        &["error: ./trust is not a trust repository: it has no signer.toml", "hint: `signer init` makes one"],
    );
    assert_eq!(desk.signer(&["sign"]).code, 2);
    assert_eq!(desk.signer(&["add", "UPPER", "--as", NAME]).code, 2);
    let help = desk.signer(&["--help"]).ok();
    assert!(help.stdout.contains("  signer init\n  signer add"), "{}", help.stdout);
    assert_eq!(help.stderr, "");
}

#[test]
fn a_file_is_signed_as_it_is_and_served_beside_the_metadata() {
    let desk = Desk::with_trust();
    fs::write(desk.path("a.db"), b"advisories").unwrap();
    for path in ["../a.db", "a/../b", ".hidden", "a b", "registry.example.com/a:1", ""] {
        desk.signer(&["add", "--file", "a.db", "--path", path]).failed(2, &["expected a path of letters"]);
    }
    desk.signer(&["add", "--file", "no.db", "--path", "advisories/osv.db"]).failed(3, &["no.db"]);
    desk.signer(&["add", "--file", "a.db", "--path", "advisories/osv.db"]).ok();
    desk.signer(&["publish"]).ok();
    let targets = desk.metadata("2.targets.json");
    let target = &targets["signed"]["targets"]["advisories/osv.db"];
    assert_eq!(target["length"], 10);
    let sha256 = target["hashes"]["sha256"].as_str().unwrap();
    let served = desk.path(&format!("trust/published/targets/advisories/{sha256}.osv.db"));
    assert_eq!(fs::read(served).unwrap(), b"advisories");
    desk.signer(&["add", "--file", "a.db", "--path", "advisories/osv.db"]).ok();
    desk.signer(&["remove", "advisories/osv.db"]).ok();
    desk.signer(&["publish"]).ok();
    assert!(desk.metadata("3.targets.json")["signed"]["targets"].get("advisories/osv.db").is_none());
}
