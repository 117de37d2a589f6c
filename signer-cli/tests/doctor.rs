//! `signer doctor`: a sound repository gives nothing to mend; one in which one thing is broken gives that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use signer_cli::reports::doctor::{Doctor, Severity};
use support::{Desk, NAME, copy};
use test_repos::http::{Server, folder};
use test_repos::tree::Tree;

/// A repository in which nobody finds fault: two of three keys sign the root, and targets may lose one.
fn sound() -> Desk {
    let desk = Desk::published();
    for (role, name) in [("root", "bob"), ("root", "carol"), ("targets", "dave")] {
        let public = desk.public_key(name);
        desk.signer(&["role", "add-key", role, &public]).ok();
        let kept = format!("trust/keys/{role}-{name}");
        fs::copy(desk.path(&format!("{name}.pem")), desk.path(&format!("{kept}.pem"))).unwrap();
        fs::copy(desk.path(&public), desk.path(&format!("{kept}.pub"))).unwrap();
    }
    desk.signer(&["role", "threshold", "root", "2"]).ok();
    desk.signer(&["publish"]).ok();
    desk
}

/// The same, to be broken.
fn copied(from: &Desk) -> Desk {
    let desk = Desk::new();
    copy(&from.path("trust"), &desk.path("trust"));
    mode(&desk.path("trust/keys"), 0o700);
    desk
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn doctor(desk: &Desk, arguments: &[&str]) -> Doctor {
    let before = Tree::of(desk.path("trust")).unwrap();
    let said = desk
        .command(&[&["doctor", "--format", "json"], arguments].concat())
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("PKCS11_MODULE_PATH")
        .output()
        .unwrap();
    let said = support::Said::of(&said);
    assert_eq!(said.stderr, "");
    before.assert_unchanged();
    let doctor: Doctor = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(said.code, i32::from(doctor.problems > 0 || (doctor.strict && doctor.warnings > 0)));
    doctor
}

/// All that was found is this, in this order: `severity area`, words of what, words of where.
#[track_caller]
fn finds(desk: &Desk, arguments: &[&str], expected: &[(&str, &str, &str)]) {
    let doctor = doctor(desk, arguments);
    let bad: Vec<_> = doctor.findings.iter().filter(|one| one.severity != Severity::Ok).collect();
    let shown = serde_json::to_string_pretty(&bad).unwrap();
    assert_eq!(bad.len(), expected.len(), "{shown}");
    for (finding, (kind, what, place)) in bad.iter().zip(expected) {
        let words = serde_json::to_value(finding).unwrap();
        let word = |name: &str| words[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(format!("{} {}", word("severity"), word("area")), *kind, "{shown}");
        assert!(word("what").contains(what) && word("where").contains(place), "{what:?}, {place:?}: {shown}");
        assert!(!word("hint").is_empty(), "{shown}");
    }
}

#[test]
fn a_sound_repository_gives_nothing_to_mend() {
    let desk = sound();
    let doctor = doctor(&desk, &["--strict"]);
    assert_eq!((doctor.problems, doctor.warnings), (0, 0), "{doctor:?}");
    let areas: Vec<String> =
        doctor.findings.iter().map(|one| serde_json::to_string(&one.area).unwrap()).collect();
    let all = ["clock", "roles", "keys", "modes", "served", "published", "targets", "expiry", "client"];
    assert_eq!(areas, all.map(|area| format!("{area:?}")), "each area says that it was looked at");
    // The same over HTTP, where a target is fetched too, and of a folder that was named.
    let server = Server::start(folder(desk.path("trust/published"))).unwrap();
    finds(&desk, &["--strict", "--url", &server.url()], &[]);
    assert!(server.log().iter().any(|one| one.path.starts_with("/targets/")), "{:?}", server.log());
    finds(&desk, &["--url", "trust/published"], &[]);
}

#[test]
fn what_a_new_repository_has_is_said_and_is_no_problem() {
    let desk = Desk::published();
    let expected = [
        ("warning roles", "one stolen key of root", "root, 1 of 1"),
        ("warning roles", "the loss of one key of root is for ever", "root, 1 of 1"),
        ("warning roles", "the loss of one key stops targets", "targets, 1 of 1"),
    ];
    finds(&desk, &[], &expected);
    finds(&desk, &["--strict"], &expected);
}

#[test]
fn a_key_in_two_roles_is_found() {
    let desk = Desk::new();
    desk.public_key("one");
    desk.signer(&[
        "init",
        "--unencrypted-keys",
        "--key",
        "root=one.pem",
        "--key",
        "timestamp=one.pem",
        "--key",
        "snapshot=one.pem",
    ])
    .ok();
    let said = doctor(&desk, &[]);
    let shared: Vec<_> = said.findings.iter().filter(|one| one.what.contains("one key signs for")).collect();
    let words: Vec<&str> = shared.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(
        words,
        [
            "one key signs for root and for snapshot: who steals it has both",
            "one key signs for root and for timestamp: who steals it has both"
        ]
    );
    assert!(shared[1].hint.as_deref().unwrap().contains("signer role rotate timestamp"));
}

#[test]
fn a_clock_in_the_past_is_found() {
    let desk = sound();
    let written = SystemTime::now().checked_add(Duration::from_secs(3600)).unwrap();
    File::open(desk.path("trust/timestamp.json")).unwrap().set_modified(written).unwrap();
    finds(&desk, &[], &[("problem clock", "this clock is behind", "timestamp.json")]);
    let desk = sound();
    let config = fs::read_to_string(desk.path("trust/signer.toml")).unwrap();
    fs::write(desk.path("trust/signer.toml"), config + "\n[expiry]\ntimestamp = \"1h\"\n").unwrap();
    finds(&desk, &[], &[("warning clock", "longer than what is signed now would", "timestamp")]);
}

#[test]
fn keys_that_cannot_be_reached_are_found() {
    let sound = sound();
    let uri = |name: &str, uri: &str| {
        let desk = copied(&sound);
        fs::write(desk.path(&format!("trust/keys/{name}.uri")), uri).unwrap();
        desk
    };
    for (address, what) in [
        ("file:/nowhere/stick/root.pem", "/nowhere/stick/root.pem"),
        ("exec:/nowhere/signs", "/nowhere/signs"),
        ("ssh-agent:SHA256:abc", "agent"),
        ("pkcs11:token=root;object=root?module-path=/nowhere/module.so", "/nowhere/module.so"),
    ] {
        finds(&uri("away", address), &[], &[("warning keys", what, "away.uri")]);
    }
    finds(&uri("away", "root.pem"), &[], &[("problem keys", "names no key", "away.uri")]);

    let desk = copied(&sound);
    fs::write(desk.path("trust/keys/root.pem"), "no key\n").unwrap();
    finds(&desk, &[], &[("problem keys", "expected a private key", "root.pem")]);
    // Another one took its place, in the folder and on a stick.
    let desk = copied(&sound);
    fs::copy(desk.path("trust/keys/snapshot.pem"), desk.path("trust/keys/timestamp.pem")).unwrap();
    finds(&desk, &[], &[("problem keys", "another key than the one in the .pub file", "timestamp.pem")]);
    let desk = copied(&sound);
    let stick = desk.path("stick.pem");
    fs::copy(desk.path("trust/keys/snapshot.pem"), &stick).unwrap();
    fs::rename(desk.path("trust/keys/timestamp.pem"), desk.path("gone.pem")).unwrap();
    fs::write(desk.path("trust/keys/timestamp.uri"), format!("file:{}", stick.display())).unwrap();
    finds(&desk, &[], &[("problem keys", "another key than the one in the .pub file", "timestamp.uri")]);

    let desk = copied(&sound);
    desk.signer(&["key", "new", "spare", "--unencrypted"]).ok();
    finds(&desk, &[], &[("warning keys", "this key signs for no role", "spare.pem")]);
}

#[test]
fn encrypted_keys_are_looked_at_without_a_passphrase() {
    let desk = Desk::new();
    desk.signer_with("correct horse", &["init"]).ok();
    let said = doctor(&desk, &[]);
    assert_eq!((said.problems, said.warnings), (0, 3), "{said:?}");
}

#[test]
fn weak_modes_are_found() {
    let sound = sound();
    for (path, bits, expected) in [
        ("keys/root.pem", 0o640, ("problem modes", "others can reach a private key: mode 0640", "root.pem")),
        ("keys/root.pub", 0o664, ("problem modes", "others can say where a key is", "root.pub")),
        ("keys", 0o750, ("warning modes", "others can look into the folder of keys", "keys")),
        ("signer.toml", 0o646, ("warning modes", "change what is signed", "signer.toml")),
        ("root.json", 0o666, ("warning modes", "another first root", "root.json")),
        ("published/metadata", 0o777, ("warning modes", "damage what is served", "metadata")),
        ("", 0o777, ("warning modes", "other keys and another signer.toml", "trust")),
    ] {
        let desk = copied(&sound);
        mode(&desk.path("trust").join(path), bits);
        finds(&desk, &[], &[expected]);
    }
}

#[test]
fn private_keys_in_what_is_served_are_found_by_what_is_in_them() {
    let sound = sound();
    let desk = copied(&sound);
    desk.signer_with("hush", &["--repo", "other", "init"]).ok();
    let served = |path: &str| desk.path("trust/published").join(path);
    fs::create_dir_all(served("targets/docs")).unwrap();
    fs::copy(desk.path("trust/keys/root.pem"), served("targets/docs/readme.txt")).unwrap();
    fs::copy(desk.path("other/keys/root.pem"), served("style.css")).unwrap();
    let key = r#"{"encrypted":true,"data":{"kdf":{"name":"scrypt"},"ciphertext":"AA=="}}"#;
    fs::write(served("targets/root.bin"), key).unwrap();
    finds(
        &desk,
        &[],
        &[
            ("problem served", "served an encrypted private key in PEM", "style.css"),
            ("problem served", "served a private key in PEM", "readme.txt"),
            ("problem served", "served an encrypted private key of go-tuf or cosign", "root.bin"),
        ],
    );
    // By a link, as a web server follows it.
    let desk = copied(&sound);
    fs::remove_file(desk.path("trust/keys/root-bob.pem")).unwrap();
    symlink(desk.path("trust/keys"), desk.path("trust/published/k")).unwrap();
    symlink(desk.path("trust/published"), desk.path("trust/published/round")).unwrap();
    let said = doctor(&desk, &[]);
    let keys = said.findings.iter().filter(|one| one.what.contains("everyone is served a private key"));
    assert_eq!((keys.count(), said.problems), (6, 6), "{said:?}");
    // The whole of the repository is served.
    let desk = copied(&sound);
    copy(&desk.path("trust/published"), &desk.path("trust"));
    let said = doctor(&desk, &["--to", "trust"]);
    assert!(said.findings.iter().any(|one| one.what.contains("the folder of keys is within")), "{said:?}");
    assert!(said.problems >= 8, "{said:?}");

    let desk = copied(&sound);
    fs::write(desk.path("trust/published/metadata/.signer-unfinished-abc"), "{").unwrap();
    symlink("nowhere", desk.path("trust/published/link")).unwrap();
    finds(
        &desk,
        &[],
        &[
            ("warning served", "a link to nothing", "link"),
            ("warning served", "an interrupted publish left this", ".signer-unfinished-abc"),
        ],
    );
}

/// A repository with three roots and a delegated role.
fn grown() -> Desk {
    let desk = sound();
    desk.signer(&["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"])
        .ok();
    desk.signer(&["role", "add-key", "team", &desk.public_key("erin")]).ok();
    desk.signer(&["publish"]).ok();
    desk.signer(&["role", "renew", "root"]).ok();
    desk.signer(&["publish"]).ok();
    finds(&desk, &["--strict"], &[]);
    desk
}

#[test]
fn what_is_missing_or_changed_in_the_published_state_is_found_by_its_name() {
    let grown = grown();
    let [_, snapshot, targets] = grown.versions();
    let refused = ("problem client", "", "published");
    let skipped = |area: &'static str| (area, "not looked at: what is published doesn't verify", "");
    let unread = |found: (&'static str, &'static str, &'static str)| {
        let (roles, targets, expiry) = ("warning roles", "warning targets", "warning expiry");
        vec![skipped(roles), found, skipped(targets), skipped(expiry), refused]
    };
    let partly = |found| vec![found, skipped("warning targets"), skipped("warning expiry")];
    let targets: &str = format!("{targets}.targets.json").leak();
    let snapshot: &str = format!("{snapshot}.snapshot.json").leak();
    for (file, damage, expected) in [
        ("timestamp.json", "", unread(("problem published", "a file is missing", "timestamp.json"))),
        (snapshot, "", unread(("problem published", "a file is missing", snapshot))),
        (targets, "", unread(("problem published", "a file is missing", targets))),
        (targets, "\n", unread(("problem published", "a file is damaged: expected ", targets))),
        // A client that asks for no name of that role sees nothing.
        ("1.team.json", "", partly(("problem published", "a file is missing", "1.team.json"))),
        ("1.team.json", " ", partly(("problem published", "a file is damaged", "1.team.json"))),
        ("1.root.json", "", vec![("problem published", "a file is missing", "1.root.json")]),
        (
            "1.root.json",
            " ",
            vec![("problem published", "the first root that is served is another", "1.root.json")],
        ),
    ] {
        let desk = copied(&grown);
        let path = desk.path("trust/published/metadata").join(file);
        match damage {
            "" => fs::remove_file(&path).unwrap(),
            damage => fs::write(&path, [&*fs::read(&path).unwrap(), damage.as_bytes()].concat()).unwrap(),
        }
        finds(&desk, &[], &expected);
    }
    // Clients stop before the gap, at a root whose successor changed keys.
    let desk = copied(&grown);
    fs::remove_file(desk.path("trust/published/metadata/2.root.json")).unwrap();
    finds(
        &desk,
        &[],
        &[
            ("warning roles", "one stolen key of root", ""),
            ("warning roles", "loss of one key of root", ""),
            ("warning roles", "loss of one key stops targets", ""),
            ("warning keys", "signs for no role", "root-bob"),
            ("warning keys", "signs for no role", "root-carol"),
            ("warning keys", "signs for no role", "targets-dave"),
            (
                "problem published",
                "the roots have a gap: 3.root.json is there, and clients stop at 1",
                "2.root.json",
            ),
        ],
    );
    // Everything is there, and somebody else signed it.
    let desk = copied(&grown);
    let path = desk.path("trust/published/metadata/timestamp.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"sig\":\"").unwrap() + 7;
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    fs::write(&path, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    finds(
        &desk,
        &[],
        &[
            skipped("warning roles"),
            ("problem published", "doesn't verify: timestamp needs 1 good signature", "published"),
            skipped("warning targets"),
            skipped("warning expiry"),
            ("problem client", "refuses this now: timestamp needs 1 good signature", "published"),
        ],
    );
}

#[test]
fn what_interrupted_runs_left_is_found() {
    let sound = sound();
    for (path, expected) in [
        ("published/metadata/99.snapshot.json", ("an interrupted publish left this", "99.snapshot.json")),
        ("published/metadata/1.stranger.json", ("nothing lists this file", "1.stranger.json")),
        ("published/metadata/notes.txt", ("nothing lists this file", "notes.txt")),
        ("staged/.signer-unfinished-x", ("an interrupted run left this", ".signer-unfinished-x")),
        ("../.signer-init-x", ("an interrupted run left this", ".signer-init-x")),
    ] {
        let desk = copied(&sound);
        let path = desk.path("trust").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
        finds(&desk, &[], &[("warning published", expected.0, expected.1)]);
    }
    let desk = sound;
    desk.add("two");
    copy(&desk.path("trust/staged"), &desk.path("kept"));
    finds(&desk, &[], &[]);
    desk.signer(&["publish"]).ok();
    copy(&desk.path("kept"), &desk.path("trust/staged"));
    finds(&desk, &[], &[("warning published", "what is staged is published already", "staged")]);
    fs::write(desk.path("trust/staged/changes.json"), "{").unwrap();
    finds(&desk, &[], &[("problem published", "changes.json can't be used", "staged")]);
}

#[test]
fn target_files_that_are_missing_or_damaged_are_found() {
    let desk = sound();
    let files: Vec<_> = support::files(&desk.path("trust/published/targets"));
    let [by_tag, by_digest] = &files[..] else { panic!("{files:?}") };
    let bytes = fs::read(by_tag).unwrap();
    for damage in [[&*bytes, b" "].concat(), bytes[1..].to_vec(), [b" ", &bytes[1..]].concat()] {
        fs::write(by_tag, damage).unwrap();
        finds(&desk, &[], &[("problem targets", "a target's file is damaged", "acme/")]);
    }
    fs::remove_file(by_tag).unwrap();
    finds(&desk, &[], &[("warning targets", "a target's file isn't there", "acme/")]);
    fs::remove_file(by_digest).unwrap();
    // Then they are in registries, as those of `signer add --list` are.
    finds(&desk, &["--strict"], &[]);
}

#[test]
fn what_expires_is_found_and_what_a_client_says_of_it() {
    let desk = sound();
    finds(
        &desk,
        &["--within", "30d"],
        &[
            ("warning expiry", "timestamp must be signed before", "timestamp"),
            ("warning expiry", "snapshot must be signed before", "snapshot"),
        ],
    );
    let config = fs::read_to_string(desk.path("trust/signer.toml")).unwrap();
    fs::write(desk.path("trust/signer.toml"), format!("{config}\n[expiry]\ntimestamp = \"1s\"\n")).unwrap();
    desk.signer(&["publish"]).ok();
    fs::write(desk.path("trust/signer.toml"), format!("{config}\n[expiry]\ntimestmap = \"1d\"\n")).unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    finds(
        &desk,
        &[],
        &[
            ("problem expiry", "timestamp has expired", "timestamp"),
            ("warning expiry", "is for timestmap, and there is no such role", "signer.toml"),
            ("problem client", "a client refuses this now: timestamp expired", "published"),
        ],
    );
    fs::write(desk.path("trust/signer.toml"), config).unwrap();
    desk.signer(&["refresh"]).ok();
    finds(&desk, &["--strict"], &[]);
}

#[test]
fn what_is_served_elsewhere_is_asked_as_a_client_asks() {
    let desk = sound();
    copy(&desk.path("trust/published"), &desk.path("mirror"));
    let server = Server::start(folder(desk.path("mirror"))).unwrap();
    let url = format!("{}/metadata", server.url());
    finds(&desk, &["--url", &url], &[]);
    desk.add("two");
    desk.signer(&["publish"]).ok();
    finds(
        &desk,
        &["--url", &url],
        &[
            ("problem client", "clients are served an older state: timestamp", &url),
            ("problem client", "a target's file is published, and clients don't get it", &url),
        ],
    );
    fs::remove_dir_all(desk.path("mirror/targets")).unwrap();
    copy(&desk.path("trust/published/metadata"), &desk.path("mirror/metadata"));
    finds(&desk, &["--url", &url], &[("problem client", "clients don't get it", &url)]);
    drop(server);
    finds(&desk, &["--url", &url], &[("problem client", "a client gets no answer", &url)]);
    desk.signer(&["doctor", "--url", "https://me:hush@example.com"])
        .failed(2, &["must not hold credentials"]);
    desk.signer(&["--repo", "nowhere", "doctor"]).failed(2, &["is not a trust repository"]);
    assert!(desk.trusted(NAME).is_some());
}
