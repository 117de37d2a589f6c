//! The clients themselves, beside what the doctor says of them: cosign 2 and 3, notation, skopeo and podman are run by
//! the commands that it prints, on images that are signed well, badly and not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image_signatures::{BUNDLE, Format, NOTATION};
use serde_json::{Value, json};

use crate::keyless;
use crate::stage::{COSIGN_SIGN, Kind, Stage, reader};

pub(crate) const IDENTITY: &str = "x509.subject: C=DE, ST=Here, O=Acme, CN=Acme releases";
pub(crate) const SPDX: &str = "https://spdx.dev/Document";

/// The programs of others.
pub(crate) struct Programs {
    cosign2: PathBuf,
    cosign3: PathBuf,
    notation: PathBuf,
    skopeo: PathBuf,
    podman: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        Some(Self {
            cosign2: reader("cosign2")?,
            cosign3: reader("cosign3")?,
            notation: reader("notation")?,
            skopeo: reader("skopeo")?,
            podman: reader("podman")?,
        })
    }
}

/// What is asked of one image.
pub(crate) struct Case {
    story: &'static str,
    /// The words after `verify doctor`, the reference first.
    words: Vec<String>,
    /// Clients of which it can't be told.
    pub(crate) unsure: &'static [&'static str],
    /// Whether podman itself is asked too: it reads what skopeo reads, and takes its time.
    podman: bool,
}

pub(crate) struct Matrix<'a> {
    pub(crate) stage: &'a Stage,
    cases: Vec<Case>,
}

impl Matrix<'_> {
    pub(crate) fn ask(&mut self, story: &'static str, tag: &str, words: &[&str]) -> &mut Case {
        let words =
            std::iter::once(self.stage.reference(tag)).chain(words.iter().map(|word| (*word).to_owned()));
        self.cases.push(Case { story, words: words.collect(), unsure: &[], podman: false });
        self.cases.last_mut().unwrap()
    }
}

/// What the client did, in a home where it finds and asks nobody.
fn run(stage: &Stage, programs: &Programs, row: &Value) -> Option<Output> {
    let words: Vec<_> = row["command"].as_array()?.iter().map(|word| word.as_str().unwrap()).collect();
    let home = tempfile::tempdir().unwrap();
    let quiet = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(stage.dir.path()).env("HOME", home.path()).stdin(Stdio::null());
        command
    };
    Some(match row["client"].as_str().unwrap() {
        client @ ("cosign2" | "cosign3") => {
            let two = client == "cosign2";
            let mut command = quiet(if two { &programs.cosign2 } else { &programs.cosign3 });
            command.envs(if two { keyless::private(stage, row) } else { Vec::new() });
            command.args(&words[1..]).arg("--allow-http-registry=true").output().unwrap()
        }
        "notation" => {
            let config = Path::new(row["with"]["name"].as_str().unwrap()).parent().unwrap().parent().unwrap();
            let mut command = quiet(&programs.notation);
            command
                .env("XDG_CONFIG_HOME", config)
                .args(&words[1..])
                .arg("--insecure-registry")
                .output()
                .unwrap()
        }
        "podman" => {
            containers_home(stage, home.path(), row);
            let policy = home.path().join(".config/containers/policy.json");
            let copied = format!("dir:{}", home.path().join("copied").display());
            quiet(&programs.skopeo)
                .args(["--override-os=linux", "--override-arch=amd64", "--policy"])
                .arg(policy)
                .args([
                    "copy",
                    "--quiet",
                    "--src-tls-verify=false",
                    &format!("docker://{}", words[2]),
                    &copied,
                ])
                .output()
                .unwrap()
        }
        _ => return None,
    })
}

/// podman's own pull, into a store that goes with the home.
fn pull(stage: &Stage, programs: &Programs, row: &Value) -> Output {
    let home = tempfile::tempdir().unwrap();
    containers_home(stage, home.path(), row);
    let storage = format!(
        "[storage]\ndriver=\"vfs\"\ngraphroot=\"{0}/graph\"\nrunroot=\"{0}/run\"\n",
        home.path().display()
    );
    fs::write(home.path().join("storage.conf"), storage).unwrap();
    // It looks for the program of its networks before any verb, and runs none for this one.
    let helper = home.path().join("netavark");
    fs::write(&helper, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let engine = format!("[engine]\nhelper_binaries_dir=[\"{}\"]\n", home.path().display());
    fs::write(home.path().join("engine.conf"), engine).unwrap();
    Command::new(&programs.podman)
        .env("HOME", home.path())
        .env("CONTAINERS_STORAGE_CONF", home.path().join("storage.conf"))
        .env("CONTAINERS_CONF_OVERRIDE", home.path().join("engine.conf"))
        .args(["pull", "--quiet", "--tls-verify=false", "--signature-policy"])
        .arg(home.path().join(".config/containers/policy.json"))
        .arg(row["command"][2].as_str().unwrap())
        .output()
        .unwrap()
}

/// The policy that the row is about, and where signatures are, as `verify config podman` writes them.
fn containers_home(stage: &Stage, home: &Path, row: &Value) {
    let (config, name) = (home.join(".config/containers"), row["with"]["name"].as_str().unwrap());
    let key = if row["with"]["kind"] == "key" { name } else { "a.pub" };
    let out = config.to_str().unwrap();
    let written =
        stage.verify(&["config", "podman", &format!("{}/acme", stage.host), "--key", key, "--out", out]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    if row["with"]["kind"] == "policy" {
        fs::copy(stage.path(name), config.join("policy.json")).unwrap();
    }
}

/// Runs every client on every case; returns where they and the doctor differ, and how often each took and refused.
fn differences(
    stage: &Stage,
    programs: &Programs,
    cases: &[Case],
) -> (Vec<String>, BTreeMap<String, [usize; 2]>) {
    let (mut differ, mut counts) = (Vec::new(), BTreeMap::<String, [usize; 2]>::new());
    for case in cases {
        let words: Vec<_> = case.words.iter().map(String::as_str).collect();
        let report = stage.doctor(&[&words[..], &["--platform", "linux/amd64"]].concat());
        let attested = report["attestations"].as_array().unwrap();
        for row in [&report].into_iter().chain(attested).flat_map(|one| one["clients"].as_array().unwrap()) {
            let client = row["client"].as_str().unwrap();
            let Some(output) = run(stage, programs, row) else { continue };
            let does = output.status.success();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let mut compare = |who: &str, does: bool, said: &str| {
                let says = row["answer"].as_str().unwrap();
                let same = match says {
                    "accepts" => does,
                    "refuses" => !does,
                    _ => case.unsure.contains(&client),
                };
                if !same {
                    let reasons = &row["reasons"];
                    differ.push(format!(
                        "{}: doctor says {who} {} {says} {reasons}, and its success is {does}: {said}",
                        case.story, row["with"]["name"]
                    ));
                }
                let count = &mut counts.entry(who.to_owned()).or_default()[usize::from(does)];
                *count = count.saturating_add(1);
            };
            let end = if row["command"][1] == "verify-attestation" { " attested" } else { "" };
            compare(&format!("{client}{end}"), does, &said);
            if client == "podman" && case.podman {
                let output = pull(stage, programs, row);
                compare("podman itself", output.status.success(), &String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    (differ, counts)
}

pub(crate) fn expect_same(kind: Kind, fill: impl Fn(&mut Matrix<'_>), expected: &[(&str, usize, usize)]) {
    let (Some(programs), Some(stage)) = (Programs::find(), Stage::new(kind)) else { return };
    let mut matrix = Matrix { stage: &stage, cases: Vec::new() };
    fill(&mut matrix);
    let (differ, counts) = differences(&stage, &programs, &matrix.cases);
    assert!(differ.is_empty(), "{kind:?}: {} differences\n{}", differ.len(), differ.join("\n"));
    // So that it can't be that everything was refused, or nothing was asked.
    for (client, took, refused) in expected {
        let got = counts.get(*client).copied().unwrap_or_default();
        assert!(got[1] >= *took && got[0] >= *refused, "{client}: refused and took {got:?}");
    }
}

/// Who signs, in every kind of registry: nobody, the key, another key, both, in each form.
fn usual(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let chain = stage.chain("a", "36500");
    let policy = stage.notation_policy("trusting", "a", "*", "strict", IDENTITY);
    let policy = policy.to_str().unwrap().to_owned();
    let words = ["--key", "a.pub", "--notation-policy", &policy];
    stage.push("unsigned");
    matrix.ask("nobody signed", "unsigned", &words).podman = true;
    for (story, tag, format) in [
        ("signed for cosign 2", "cosign2", Format::Cosign2),
        ("signed for podman", "podman", Format::Podman),
        ("signed for cosign 3", "cosign3", Format::Cosign3),
        ("signed for notation", "notation", Format::Notation),
    ] {
        let image = stage.push(tag);
        let name = stage.reference(tag);
        let name = name.rsplit_once(':').unwrap().0;
        stage.sign_as(name, &image, &[], &*a, &[format], Some(&chain));
        matrix.ask(story, tag, &words).podman = format == Format::Podman;
    }
    let all = stage.push("all");
    let name = stage.reference("all");
    let formats = [Format::Cosign2, Format::Cosign3, Format::Podman, Format::Notation];
    stage.sign_as(name.rsplit_once(':').unwrap().0, &all, &[], &*a, &formats, Some(&chain));
    matrix.ask("signed for all", "all", &words);
    matrix.ask("signed for all, by two keys of which one did", "all", &["--key", "a.pub", "--key", "b.pub"]);

    let other = stage.push("other");
    stage.sign(&other, &*b, &[Format::Cosign2, Format::Cosign3]);
    matrix.ask("signed by another key", "other", &words).podman = true;
    let shadowed = stage.push("shadowed");
    stage.sign(&shadowed, &*a, &[Format::Cosign2]);
    stage.sign(&shadowed, &*b, &[Format::Cosign3]);
    matrix.ask("the tag by the key, a bundle by another", "shadowed", &["--key", "a.pub", "--key", "b.pub"]);

    // The old signature stays with the tag that now means another image.
    let moved = stage.push("moved");
    stage.move_signatures(all.digest, moved.digest);
    let stolen = stage.bundle(all.digest, COSIGN_SIGN, &|message| a.sign(message).unwrap());
    stage.attach(&moved, BUNDLE, &[(BUNDLE, stolen.to_string().as_bytes())]);
    stage.attach(&moved, NOTATION, &[("application/jose+json", &stage.envelope(all.digest))]);
    matrix.ask("signatures of another image", "moved", &words);

    let (top, _) = stage.push_index("index");
    let name = name.rsplit_once(':').unwrap().0;
    let formats = [Format::Cosign2, Format::Cosign3, Format::Notation];
    stage.sign_as(name, &top, &[], &*a, &formats, Some(&chain));
    matrix.ask("of an index, itself is signed", "index", &words);
    let (_, lower) = stage.push_index("part");
    stage.sign(&lower, &*a, &[Format::Cosign2, Format::Cosign3]);
    matrix.ask("of an index, one part is signed", "part", &words);
    let (top, part) = stage.push_index("whole");
    stage.sign_as(name, &top, &[part], &*a, &[Format::Podman], None);
    matrix.ask("of an index, both are signed", "whole", &words);
}

#[test]
fn in_a_registry_that_lists_what_refers_to_an_image() {
    let expected =
        [("cosign2", 4, 4), ("cosign3", 6, 4), ("podman", 4, 4), ("notation", 2, 4), ("podman itself", 1, 2)];
    expect_same(Kind::Api, usual, &expected);
}

#[test]
fn in_the_registry_that_everybody_runs() {
    let expected =
        [("cosign2", 4, 4), ("cosign3", 6, 4), ("podman", 4, 4), ("notation", 2, 4), ("podman itself", 1, 2)];
    expect_same(Kind::Docker, usual, &expected);
}

/// Kinds of keys, and ways to sign with them.
fn keys(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    for (tag, kind) in [("ed", "ed25519"), ("rsa", "rsa:2048"), ("rsa4096", "rsa:4096")] {
        let (key, image) = (stage.key(tag, kind), stage.push(tag));
        stage.sign(&image, &*key, &[Format::Cosign2, Format::Cosign3]);
        matrix.ask("a kind of key", tag, &["--key", &format!("{tag}.pub")]);
        let tagged = format!("{tag}-tag");
        stage.sign(&stage.push(&tagged), &*key, &[Format::Cosign2]);
        matrix.ask("a kind of key, under the tag", &tagged, &["--key", &format!("{tag}.pub")]);
    }
    let p384 = stage.key("p384", "ec:P-384");
    for hash in ["-sha256", "-sha384"] {
        let tag = format!("p384{hash}");
        let image = stage.push(&tag);
        let payload = stage.payload(image.digest).to_string();
        let signature = stage.openssl_signature("p384", hash, payload.as_bytes());
        stage.put_simple(image.digest, payload.as_bytes(), &signature);
        matrix.ask("P-384 under the tag", &tag, &["--key", "p384.pub"]);
        let tag = format!("p384{hash}-bundle");
        let image = stage.push(&tag);
        let bundle = stage
            .bundle(image.digest, COSIGN_SIGN, &|message| stage.openssl_signature("p384", hash, message));
        stage.attach(&image, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
        matrix.ask("P-384 in a bundle", &tag, &["--key", "p384.pub"]);
    }
    for (tag, kind) in [("n-p384", "ec:P-384"), ("n-rsa", "rsa:3072")] {
        let key = if kind == "ec:P-384" { &p384 } else { &stage.key(tag, kind) };
        let name = if kind == "ec:P-384" { "p384" } else { tag };
        let (chain, image) = (stage.chain(name, "36500"), stage.push(tag));
        let repository = stage.reference("x");
        stage.sign_as(
            repository.rsplit_once(':').unwrap().0,
            &image,
            &[],
            &**key,
            &[Format::Notation],
            Some(&chain),
        );
        let policy = stage.notation_policy(tag, name, "*", "strict", IDENTITY);
        matrix.ask("a kind of key for notation", tag, &["--notation-policy", policy.to_str().unwrap()]);
    }
}

#[test]
fn each_kind_of_key() {
    let expected = [("cosign2", 6, 1), ("cosign3", 6, 1), ("podman", 6, 1), ("notation", 2, 0)];
    expect_same(Kind::Api, keys, &expected);
}

/// A story, a tag, and what is changed for it.
type Edit<'a> = (&'static str, &'a str, &'a dyn Fn(&mut Value));

/// What is almost as it should be.
fn odd(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let by_a = |message: &[u8]| a.sign(message).unwrap();
    let key = ["--key", "a.pub"];
    // Payloads that cosign takes and containers/image doesn't, or neither does.
    let edits: [Edit<'_>; 7] = [
        ("as it should be", "plain", &|_| {}),
        ("without optional", "no-optional", &|payload| {
            drop(payload.as_object_mut().unwrap().remove("optional"))
        }),
        ("with one member more", "more", &|payload| payload["critical"]["more"] = json!(1)),
        ("of another kind", "kind", &|payload| {
            payload["critical"]["type"] = json!("atomic container signature")
        }),
        ("for another name", "name", &|payload| {
            payload["critical"]["identity"]["docker-reference"] = json!("registry.example.com/acme/web");
        }),
        ("with a digest that is none", "digest", &|payload| {
            payload["critical"]["image"]["docker-manifest-digest"] = json!("sha256:12");
        }),
        ("with a member of optional", "annotated", &|payload| {
            payload["optional"] = json!({ "creator": "x", "b": 1 })
        }),
    ];
    for (story, tag, edit) in edits {
        let image = stage.push(tag);
        let mut payload = stage.payload(image.digest);
        edit(&mut payload);
        let payload = payload.to_string();
        stage.put_simple(image.digest, payload.as_bytes(), &by_a(payload.as_bytes()));
        matrix.ask(story, tag, &key);
    }
    let changed = stage.push("changed");
    let payload = stage.payload(changed.digest).to_string();
    stage.put_simple(changed.digest, payload.as_bytes(), &by_a(b"something else"));
    matrix.ask("a signature over other bytes", "changed", &key);

    // Bundles that cosign 3 finds, and what looks like one.
    let bundles: [Edit<'_>; 9] = [
        ("a bundle as it should be", "b-plain", &|_| {}),
        ("a bundle 0.2", "b-old", &|bundle| {
            bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2");
        }),
        ("a bundle 0.3 by its other name", "b-other", &|bundle| {
            bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.3");
        }),
        ("a bundle with a member more", "b-more", &|bundle| bundle["more"] = json!(1)),
        ("a bundle that was changed", "b-changed", &|bundle| {
            let signature =
                bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap().replace('A', "B");
            bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(signature);
        }),
        ("a bundle that names its key", "b-keyid", &|bundle| {
            bundle["dsseEnvelope"]["signatures"][0]["keyid"] = json!("a");
        }),
        ("a bundle that hints at its key", "b-hint", &|bundle| {
            bundle["verificationMaterial"]["publicKey"]["hint"] = json!("a");
        }),
        ("a bundle with two signatures", "b-twice", &|bundle| {
            let one = bundle["dsseEnvelope"]["signatures"][0].clone();
            bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(one);
        }),
        ("a bundle of nothing", "b-empty", &|bundle| {
            bundle.as_object_mut().unwrap().remove("dsseEnvelope");
        }),
    ];
    for (story, tag, edit) in bundles {
        let image = stage.push(tag);
        let mut bundle = stage.bundle(image.digest, COSIGN_SIGN, &by_a);
        edit(&mut bundle);
        stage.attach(&image, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
        matrix.ask(story, tag, &key);
        // The same, where the tag holds a good one: what is a bundle hides it, and what is none doesn't.
        let tagged = format!("{tag}-tag");
        let image = stage.push(&tagged);
        let mut bundle = stage.bundle(image.digest, COSIGN_SIGN, &by_a);
        edit(&mut bundle);
        stage.attach(&image, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
        stage.sign(&image, &*a, &[Format::Cosign2]);
        matrix.ask(story, &tagged, &key);
    }
    let list = stage.push("list");
    let bundle = stage.bundle(list.digest, SPDX, &by_a).to_string();
    stage.attach(&list, BUNDLE, &[(BUNDLE, bundle.as_bytes())]);
    matrix.ask("a signed list of what is inside", "list", &key);
    let two = stage.push("two");
    let bundle = stage.bundle(two.digest, COSIGN_SIGN, &by_a).to_string();
    stage.attach(&two, BUNDLE, &[(BUNDLE, bundle.as_bytes()), (BUNDLE, bundle.as_bytes())]);
    matrix.ask("two bundles in one manifest", "two", &key);
    let unnamed = stage.push("unnamed");
    let bundle = stage.bundle(unnamed.digest, COSIGN_SIGN, &by_a).to_string();
    stage.attach(&unnamed, "application/vnd.example", &[(BUNDLE, bundle.as_bytes())]);
    matrix.ask("a bundle in a manifest of another type", "unnamed", &key);
    let both = stage.push("both");
    for by in [&b, &a] {
        let bundle = stage.bundle(both.digest, COSIGN_SIGN, &|message| by.sign(message).unwrap());
        stage.attach(&both, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
    }
    matrix.ask("bundles by two keys", "both", &key);
}

#[test]
fn what_is_almost_as_it_should_be() {
    let expected = [("cosign2", 5, 5), ("cosign3", 8, 5), ("podman", 3, 5)];
    expect_same(Kind::Api, odd, &expected);
}

/// Lists that hide what is in them: of writers that left the type of artifact out.
fn hidden(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let a = stage.key("a", "ec:P-256");
    let chain = stage.chain("a", "36500");
    let policy = stage.notation_policy("trusting", "a", "*", "strict", IDENTITY);
    let image = stage.push("stripped");
    let name = stage.reference("x");
    let name = name.rsplit_once(':').unwrap().0.to_owned();
    stage.sign_as(&name, &image, &[], &*a, &[Format::Cosign3, Format::Notation], Some(&chain));
    stage.strip_listing(image.digest);
    let words = ["--key", "a.pub", "--notation-policy", policy.to_str().unwrap()];
    matrix.ask("a list without types", "stripped", &words);
}

#[test]
fn a_list_without_types_hides_from_some() {
    expect_same(Kind::Tag, hidden, &[("cosign3", 1, 0), ("notation", 0, 1)]);
}

/// notation's policies, and envelopes that don't fit them.
fn policies(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let (chain, other) = (stage.chain("a", "36500"), stage.chain("b", "36500"));
    let name = stage.reference("x");
    let name = name.rsplit_once(':').unwrap().0.to_owned();
    let signed = stage.push("signed");
    stage.sign_as(&name, &signed, &[], &*a, &[Format::Notation], Some(&chain));
    let stranger = stage.push("stranger");
    stage.sign_as(&name, &stranger, &[], &*b, &[Format::Notation], Some(&other));
    let both = stage.push("both");
    stage.sign_as(&name, &both, &[], &*b, &[Format::Notation], Some(&other));
    stage.sign_as(&name, &both, &[], &*a, &[Format::Notation], Some(&chain));
    let garbage = stage.push("garbage");
    stage.attach(&garbage, NOTATION, &[("application/jose+json", b"{}")]);
    let odd = stage.push("odd");
    stage.attach(&odd, NOTATION, &[("text/plain", b"{}")]);
    let several = stage.push("several");
    let envelope = stage.envelope(signed.digest);
    stage.attach(
        &several,
        NOTATION,
        &[("application/jose+json", &envelope), ("application/jose+json", &envelope)],
    );
    stage.push("unsigned");
    let somebody = "x509.subject: C=DE, ST=Here, O=Acme, CN=Somebody";
    for (folder, scope, level, identity) in [
        ("strict", "*", "strict", IDENTITY),
        ("permissive", "*", "permissive", IDENTITY),
        ("audit", "*", "audit", IDENTITY),
        ("skip", "*", "skip", IDENTITY),
        ("anybody", "*", "strict", "*"),
        ("somebody", "*", "strict", somebody),
        ("elsewhere", "registry.example.com/acme/web", "strict", IDENTITY),
        ("here", &name, "strict", IDENTITY),
    ] {
        let policy = stage.notation_policy(folder, "a", scope, level, identity);
        for (story, tag) in [
            ("signed", "signed"),
            ("signed by a stranger", "stranger"),
            ("signed by both", "both"),
            ("an envelope that is none", "garbage"),
            ("an envelope of no known type", "odd"),
            ("two envelopes in one manifest", "several"),
            ("nobody signed", "unsigned"),
        ] {
            let words = ["--notation-policy", policy.to_str().unwrap(), "--client", "notation"];
            matrix.ask(story, tag, &words);
        }
    }
}

#[test]
fn each_policy_of_notation() {
    expect_same(Kind::Api, policies, &[("notation", 15, 25)]);
}

/// Policies of containers/image.
fn containers(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let name = stage.reference("x");
    let name = name.rsplit_once(':').unwrap().0.to_owned();
    stage.sign(&stage.push("a"), &*a, &[Format::Podman]);
    let both = stage.push("ab");
    stage.sign(&both, &*a, &[Format::Podman]);
    stage.sign(&both, &*b, &[Format::Podman]);
    let mirrored = stage.push("mirrored");
    stage.sign_as("registry.example.com/acme/web", &mirrored, &[], &*a, &[Format::Podman], None);
    stage.push("none");
    let path = |key: &str| stage.path(&format!("{key}.pub"));
    let signed = |key: &str, identity: Value| json!({ "type": "sigstoreSigned", "keyPath": path(key), "signedIdentity": identity });
    let repository = json!({ "type": "matchRepository" });
    let by = |key: &str| signed(key, repository.clone());
    let data = fs::read_to_string(path("a")).unwrap();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data);
    let reject = json!({ "type": "reject" });
    let open = json!({ "type": "insecureAcceptAnything" });
    let remap =
        json!({ "type": "remapIdentity", "prefix": stage.host, "signedPrefix": "registry.example.com" });
    let exact = json!({ "type": "exactRepository", "dockerRepository": "registry.example.com/acme/web" });
    for (file, default, scopes) in [
        ("open.json", &open, json!({})),
        ("closed.json", &reject, json!({})),
        ("one.json", &reject, json!({ (name.as_str()): [by("a")] })),
        ("both.json", &reject, json!({ (name.as_str()): [by("a"), by("b")] })),
        (
            "either.json",
            &reject,
            json!({ (name.as_str()): [{
            "type": "sigstoreSigned", "keyPaths": [path("b"), path("a")], "signedIdentity": repository,
        }] }),
        ),
        (
            "data.json",
            &reject,
            json!({ (stage.host.as_str()): [{
            "type": "sigstoreSigned", "keyData": data, "signedIdentity": repository,
        }] }),
        ),
        (
            "default-identity.json",
            &reject,
            json!({ (stage.host.as_str()): [{ "type": "sigstoreSigned", "keyPath": path("a") }] }),
        ),
        (
            "remap.json",
            &reject,
            json!({ (stage.host.as_str()): [signed("a", json!({ "type": "matchRepository" })), signed("a", remap.clone())] }),
        ),
        ("exact.json", &reject, json!({ (stage.host.as_str()): [signed("a", exact)] })),
        ("all.json", &reject, json!({ "": [by("a")] })),
        (
            "narrow.json",
            &open,
            json!({ (format!("{name}:none")): [reject.clone()], (stage.host.as_str()): [by("a")] }),
        ),
        ("missing.json", &reject, json!({ (stage.host.as_str()): [by("absent")] })),
        (
            "log.json",
            &reject,
            json!({ (stage.host.as_str()): [{
            "type": "sigstoreSigned", "keyPath": path("a"), "signedIdentity": repository, "rekorPublicKeyPath": path("b"),
        }] }),
        ),
    ] {
        let policy = json!({ "default": [default], "transports": { "docker": scopes } });
        fs::write(stage.path(file), policy.to_string()).unwrap();
        for tag in ["a", "ab", "mirrored", "none"] {
            let story = "a policy of containers/image";
            matrix.ask(story, tag, &["--containers-policy", file, "--client", "podman"]);
        }
    }
}

#[test]
fn each_policy_of_containers_image() {
    expect_same(Kind::Api, containers, &[("podman", 15, 15)]);
}
