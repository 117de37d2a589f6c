//! Rules of which images may run, as `verify` keeps to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use test_repos::simulator::Keyholder;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_core::authoring::Delegation;
use tuf_core::crypto::{Ed25519Signer, Sign as _};

struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn is(&self, code: i32, words: &[&str]) -> &Self {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for words in words {
            assert!(all.contains(words), "expected {words:?} in\n{all}");
        }
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

struct Story {
    folder: tempfile::TempDir,
    endpoints: Endpoints,
    surface: Surface,
}

impl Story {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::create_dir(folder.path().join("rules")).unwrap();
        fs::write(folder.path().join("rules/root.json"), &endpoints.root).unwrap();
        Self { folder, endpoints, surface }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command.args(words).env_clear().env("HOME", self.path("home")).current_dir(self.folder.path());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The scope that trusts our repository, and more of it.
    fn scope(&self, more: &str) -> String {
        format!(
            "version = 1\n\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/**\"]\n\
             trust = {{ repo = {:?}, root = \"root.json\" }}\n{more}\n",
            self.endpoints.repo
        )
    }

    fn rules(&self, text: &str) {
        fs::write(self.path("rules/policy.toml"), text).unwrap();
    }

    /// `verify image` of ours under a name, by rules.
    fn image(&self, name: &str, rules: &str, more: &[&str]) -> Run {
        self.rules(rules);
        let at = self.endpoints.now.to_rfc3339();
        let mut words = vec!["image", &self.endpoints.image, "--as", name, "--at", &at];
        words.extend(["--platform", self.endpoints.platform, "--policy", "rules/policy.toml"]);
        words.extend(more);
        self.run(&words)
    }
}

#[test]
fn the_first_scope_that_fits_decides_and_the_verdict_names_it() {
    let story = Story::begin();
    let name = story.endpoints.name.as_str();
    let report = story.image(name, &story.scope(""), &["--format", "json"]).is(0, &[]).json();
    let link = report["links"].as_array().unwrap().iter().find(|link| link["stage"] == "policy").unwrap();
    assert_eq!(link["status"], "passed");
    assert_eq!(link["detail"], "as rules/policy.toml:4, scope acme demands");

    // Nothing fits, or what fits first says no: nothing is fetched, and no digest is printed.
    let other = story.scope("").replace("acme/**", "other/**");
    let denied = format!(
        "version = 1\n[[scope]]\nname = \"no\"\nmatch = [\"**\"]\ndeny = \"ask us\"\n{}",
        &story.scope("")[12..]
    );
    for (rules, words) in [
        (other, "where no scope fits: no scope fits registry.example.com/acme/web"),
        (denied, "policy.toml:3, scope no: ask us"),
        (
            story.scope("tags = { deny = [\"1.*\"] }"),
            "the tag of registry.example.com/acme/web:1.4 may not be used",
        ),
        (story.scope("tags = { allow = [\"2.*\"] }"), "may not be used"),
        ("version = 1".to_owned(), "where no scope fits"),
    ] {
        let run = story.image(name, &rules, &[]);
        run.is(
            1,
            &["error: refused registry.example.com/acme/web:1.4", words, "hint: `verify policy explain`"],
        );
        assert_eq!(run.out, "");
        let report = story.image(name, &rules, &["--format", "json"]).json();
        assert_eq!((&report["verdict"], &report["broken"]["stage"]), (&"refused".into(), &"policy".into()));
    }
    story.image(name, &story.scope("tags = { allow = [\"1.*\"], deny = [\"*-rc\"] }"), &[]).is(0, &[]);
    story.image(name, &story.scope("roles = [\"targets\"]"), &[]).is(0, &[]);
    let run = story.image(name, &story.scope("roles = [\"releases\", \"hotfixes\"]"), &[]);
    run.is(1, &["a role may not speak for it", "expected releases or hotfixes, got targets"]);
}

/// Whoever may delegate gives any name to a key of their own: so a name alone says nothing, and the way to it counts.
#[test]
fn a_role_that_was_named_by_somebody_who_may_not_speak_may_not_speak() {
    let mut story = Story::begin();
    {
        let mut world = story.surface.world();
        let (pattern, digest) = (world.sibling_names(), world.index());
        world.repo.delegate("dev", &Keyholder::named("dev"), &[&pattern]);
        let mallory = Keyholder::named("mallory");
        world.repo.role_mut("dev").delegate(&Delegation {
            name: "releases".to_owned(),
            keys: vec![tuf_core::crypto::Sign::key(&mallory).clone()],
            threshold: 1,
            terminating: false,
            paths: vec![pattern],
        });
        world.repo.signers.insert("releases".to_owned(), vec![mallory]);
        world.announce_as("releases", "2.0", &digest).unwrap();
        world.images.tags.insert("2.0".to_owned(), digest);
        world.tag = "2.0".to_owned();
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    let name = story.endpoints.name.as_str();
    story.image(name, &story.scope(""), &[]).is(0, &["role releases says so"]);
    let rules = |roles: &str| story.scope(&format!("roles = [{roles}]"));
    story
        .image(name, &rules("\"releases\""), &["--record", "seen.jsonl"])
        .is(1, &["a role may not speak for it", "expected releases, got dev"]);
    story.image(name, &rules("\"targets\", \"releases\""), &[]).is(1, &["got dev"]);
    story.image(name, &rules("\"dev\""), &[]).is(1, &["expected dev, got releases"]);
    story.image(name, &rules("\"dev\", \"releases\""), &[]).is(0, &[]);
    for (role, code) in [("releases", 1), ("dev/releases", 0)] {
        let condition = story.scope(&format!("condition = \"role == '{role}'\""));
        story.image(name, &condition, &[]).is(code, &[]);
    }
    // So it is rehearsed and learnt, too.
    story.image(name, &rules("\"dev\", \"releases\""), &["--record", "seen.jsonl"]).is(0, &[]);
    let simulate = |roles: &str| {
        story.rules(&rules(roles));
        story.run(&["policy", "simulate", "--inventory", "seen.jsonl", "--policy", "rules/policy.toml"])
    };
    simulate("\"releases\"").is(1, &["got dev", "roles = [\n", "\"dev\","]);
    simulate("\"dev\", \"releases\"").is(0, &["1 admitted"]);
    let learn = ["policy", "learn", "--inventory", "seen.jsonl"];
    story.run(&learn).is(0, &["\"dev\",\n    \"releases\","]);
}

#[test]
fn who_is_trusted_comes_from_the_rules_and_from_nowhere_else() {
    let story = Story::begin();
    let name = story.endpoints.name.as_str();
    let hex = oci_image::Digest::of(&story.endpoints.root).to_string();
    let by_hex =
        |hex: &str| story.scope("").replace("root = \"root.json\"", &format!("root-sha256 = \"{hex}\""));
    story.image(name, &by_hex(&hex[7..]), &[]).is(0, &[]);
    story.image(name, &by_hex(&"0".repeat(64)), &[]).is(1, &["expected sha256 0000"]);
    // Options would weaken what the rules say: they can't be given beside them.
    for more in [&["--repo", "elsewhere"][..], &["--require-signers", "1"], &["--signer-key", "a.pub"]] {
        story.image(name, &story.scope(""), more).is(2, &["cannot be used with"]);
    }
    // Without trust in the scope, the root that is pinned counts; here is none.
    let pinned = "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/**\"]\n";
    story.image(name, pinned, &[]).is(1, &["no root is pinned that speaks for"]);
    // Signers are demanded as by --require-signers: there is none.
    let key =
        tuf_core::crypto::Sign::key(&tuf_core::crypto::Ed25519Signer::from_seed(&[7; 32])).to_pem().unwrap();
    fs::write(story.path("rules/a.pub"), key).unwrap();
    let signed = story.scope("signers = { keys = [\"a.pub\"] }");
    let report = story.image(name, &signed, &["--format", "json"]).is(1, &[]).json();
    assert_eq!(report["broken"]["stage"], "evidence");
    // A file that the rules name and that isn't there is no pass.
    story.image(name, &story.scope("signers = { keys = [\"gone.pub\"] }"), &[]).is(2, &["gone.pub"]);
    // A scan that the rules demand isn't left out because there are no advisories.
    let scanned = story.scope("scan = { fail-on = \"high\" }");
    let run = story.image(name, &scanned, &[]);
    run.is(3, &["a scan is demanded, and there are no advisories", "verify db update"]);
    assert_eq!(run.out, "");
    // Nor by pulling instead.
    let at = story.endpoints.now.to_rfc3339();
    let mut words = vec!["pull", &story.endpoints.image, "oci:out:1", "--as", name, "--at", &at];
    words.extend(["--platform", story.endpoints.platform, "--policy", "rules/policy.toml"]);
    story.run(&words).is(3, &["a scan is demanded"]);
    assert!(!story.path("out").exists());
    story.rules(&story.scope("tags = { deny = [\"1.4\"] }"));
    story.run(&words).is(1, &["may not be used"]);
    assert!(!story.path("out").exists());
    story.rules(&story.scope(""));
    story.run(&words).is(0, &[]);
}

#[test]
fn a_mirror_stands_for_what_it_mirrors_and_weakens_nothing() {
    let story = Story::begin();
    let mirrors = "[[mirror]]\nfrom = \"mirror.example.com/hub\"\nto = \"registry.example.com\"\n\
                   [[mirror]]\nfrom = \"mirror.example.com/hub/lax\"\nto = \"lax.example.com/all\"\n\
                   [[scope]]\nname = \"lax\"\nmatch = [\"mirror.example.com/**\", \"lax.example.com/**\"]\n";
    let rules = format!("{}{mirrors}", story.scope(""));
    story.image("mirror.example.com/hub/acme/web:1.4", &rules, &["--explain"]).is(0, &["scope acme"]);
    let explain = |name: &str| {
        let report =
            story.run(&["policy", "explain", name, "--policy", "rules/policy.toml", "--format", "json"]);
        if report.out.is_empty() {
            return (report.code, String::new(), report.err);
        }
        let report = report.json();
        let text = |member: &str| report[member].as_str().unwrap_or_default().to_owned();
        (i32::from(report["admitted"] != true), text("meant"), text("scope"))
    };
    let is = |name: &str, meant: &str, scope: &str| {
        assert_eq!(explain(name), (i32::from(scope.is_empty()), meant.into(), scope.into()), "{name}");
    };
    is("mirror.example.com/hub/acme/web:1.4", "registry.example.com/acme/web:1.4", "acme");
    is("mirror.example.com/hub/acme/web", "registry.example.com/acme/web:latest", "acme");
    is("mirror.example.com/hub/lax/tool:1", "lax.example.com/all/tool:1", "lax");
    // The host in capitals, or with the port that it has anyway, is the same mirror.
    is("MIRROR.example.com:443/hub/acme/web:1.4", "registry.example.com/acme/web:1.4", "acme");
    // Neighbours of a mirror aren't the mirror, and what comes out isn't rewritten again.
    is("mirror.example.com/hub2/acme/web:1", "mirror.example.com/hub2/acme/web:1", "lax");
    is("mirror.example.com:5000/hub/acme/web:1", "mirror.example.com:5000/hub/acme/web:1", "");
    is("registry.example.com/acme/web:1.4", "registry.example.com/acme/web:1.4", "acme");
    // What could climb out of its place is no name.
    for name in [
        "mirror.example.com/hub/../lax/web:1",
        "mirror.example.com/hub//acme/web:1",
        "mirror.example.com/HUB/acme/web:1",
    ] {
        assert_eq!(explain(name).0, 2, "{name}");
    }
    // Docker Hub has many spellings of one name, and one rule meets them all.
    story.rules("version = 1\n[[scope]]\nname = \"official\"\nmatch = [\"docker.io/library/*\"]\n");
    for name in
        ["alpine:3", "docker.io/alpine:3", "docker.io/library/alpine:3", "index.docker.io/library/alpine:3"]
    {
        is(name, "docker.io/library/alpine:3", "official");
    }
    for name in [
        "Docker.io/library/alpine:3",
        "docker.io:443/library/alpine:3",
        "docker.io:0443/library/alpine:3",
        "registry-1.docker.io/library/alpine:3",
        "REGISTRY.hub.docker.com:443/library/alpine:3",
    ] {
        assert_eq!(explain(name), (0, name.to_owned(), "official".to_owned()));
    }
    assert_eq!(explain("docker.io:444/library/alpine:3").0, 1, "another server");
}

#[test]
fn everything_that_is_wrong_is_said_with_its_place() {
    let story = Story::begin();
    let check = |text: &str, more: &[&str]| {
        story.rules(text);
        story.run(&[&["policy", "check", "rules/policy.toml"], more].concat())
    };
    check(&story.scope(""), &["--strict"]).is(0, &["1 scopes, 0 mirrors, 0 warnings"]);
    let scope = |more: &str| format!("version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/a\"]\n{more}");
    let verdict = |more: &str| scope(&format!("[[scope.evidence]]\npredicate = \"vsa\"\n{more}"));
    for (text, place, words) in [
        ("version = 2", "1:11", "expected version 1, got 2"),
        ("version = 1\nscop = 1", "2:1", "unknown field `scop`"),
        (
            "version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/a:1\"]",
            "4:10",
            "tags have rules of their own",
        ),
        ("version = 1\n[[scope]]\nname = \"a\"\nmatch = []", "4:9", "at least one pattern"),
        ("version = 1\n[[scope]]\nname = \"a\"", "2:1", "missing field `match`"),
        (&scope("deny = \"\""), "5:8", "expected the reason"),
        (&scope("deny = \"x\"\ntags = {}"), "5:8", "to say nothing else"),
        (&scope("trust = { repo = \"x\" }"), "5:9", "root or root-sha256, as its owner gave it, got neither"),
        (&scope("trust = { repo = \"x\", root-sha256 = \"ab\" }"), "5:37", "expected 64 digits of hex"),
        (&scope("signers = { at-least = 2 }"), "5:11", "expected keys, identities or notation-policy"),
        (&scope("signers = { at-least = 0, keys = [\"a\"] }"), "5:24", "nonzero"),
        (
            &scope("signers = { at-least = 2, keys = [\"a\", \"a\"] }"),
            "5:11",
            "at-least of at most 1, as many are named, got 2",
        ),
        (
            &scope("[[scope.evidence]]\npredicate = \"sbom\"\nkeys = [\"a\"]\nat-least = 2"),
            "5:1",
            "at-least of at most 1, as many are named, got 2",
        ),
        (&scope("scan = { fail-on = \"hihg\" }"), "5:20", "unknown variant `hihg`"),
        (&scope("scan = { fixable-only = true }"), "5:8", "expected fail-on"),
        (&scope("scan = { max-db-age = \"7\" }"), "5:23", "expected hours or days"),
        (
            &scope("[scope.build]\nbuilders = []"),
            "5:1",
            "expected builders, each with who signs for it, got none",
        ),
        (
            &scope("build = { builders = [{ id = \"x\", level = 2, identity = \"y\" }] }"),
            "5:23",
            "key or identity with issuer, got identity",
        ),
        (
            &scope("build = { builders = [{ id = \"x\", level = 2, key = \"y\" }], min-level = 3 }"),
            "5:72",
            "expected a level that a builder here has, at most 2, got 3",
        ),
        (
            &scope("build = { builders = [{ id = \"x\", key = \"y\" }], sources = [\"git+https://h/a\"] }"),
            "5:60",
            "without git+",
        ),
        (
            &scope("[[scope.evidence]]\npredicate = \"bom\"\nfresh = true"),
            "6:13",
            "a predicate type, or sbom, ",
        ),
        (&scope("[[scope.evidence]]\npredicate = \"sbom\""), "5:1", "keys, identities or fresh = true"),
        (
            &scope("[[scope.evidence]]\npredicate = \"vsa\"\nkeys = [\"a.pub\"]"),
            "6:13",
            "expected verifiers where verdicts are demanded",
        ),
        (
            &scope("[[scope.evidence]]\npredicate = \"sbom\"\nverifiers = [{ id = \"a:b\", key = \"a\" }]"),
            "6:13",
            "expected predicate = \"vsa\" where verifiers are, got \"sbom\"",
        ),
        (
            &verdict("verifiers = [{ id = \"ci\", key = \"a\" }]"),
            "7:14",
            "a verifier's id that is a URI, got \"ci\"",
        ),
        (&verdict("verifiers = [{ id = \"a:b\" }]"), "7:14", "key or identity with issuer, got none of them"),
        (
            &verdict("verifiers = [{ id = \"a:b\", identity = \"x\", issuer = \"y\" }]"),
            "5:1",
            "identities and trusted-root",
        ),
        (
            &verdict("verifiers = [{ id = \"a:b\", key = \"a\" }]\nkeys = [\"b\"]"),
            "5:1",
            "expected verifiers alone",
        ),
        (
            &verdict("verifiers = [{ id = \"a:b\", key = \"a\" }]\nat-least = 2"),
            "5:1",
            "at-least of at most 1",
        ),
        (
            &verdict("verifiers = [{ id = \"a:b\", key = \"a\" }]\nlevels = [\"FAILED\"]"),
            "8:11",
            "expected a level that passes",
        ),
        (
            &scope("[[scope.evidence]]\npredicate = \"sbom\"\nfresh = true\nlevels = [\"X\"]"),
            "8:11",
            "expected verifiers where levels are, got none",
        ),
        (
            &verdict("verifiers = [{ id = \"a:b\", key = \"a\" }]\nmax-age = \"7\""),
            "8:11",
            "expected hours or days",
        ),
        (&scope("condition = \"roel == 'x'\""), "5:14", "expected one of image, role"),
        (&scope("condition = \"image.tag == 'a' && scan.high == 0\""), "3:8", "expected a scan in the scope"),
        (&scope("condition = \"image.tag == 1\""), "5:24", "expected text, got a number"),
        (&scope("roles = []"), "5:9", "expected roles, or no list where any will do"),
        (&scope("tags = { allow = [] }"), "5:18", "expected tags, or no list where any will do"),
        (&scope("tags = { deny = [\"[0-9]*\"] }"), "5:18", "expected a pattern of tags"),
        (
            &scope("build = { builders = [{ id = \"x\", key = \"y\" }], sources = [] }"),
            "5:59",
            "expected sources, or no list",
        ),
        (
            "version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/[ab]\"]",
            "4:10",
            "nothing else is a wildcard",
        ),
        (&scope("[[mirror]]\nfrom = \"hub\"\nto = \"docker.io\""), "6:8", "beginning of names"),
    ] {
        let run = check(text, &[]);
        run.is(2, &[words, &format!("rules/policy.toml:{place}: ")]);
        // The same text is refused where it would decide.
        story.image(&story.endpoints.name, text, &[]).is(2, &["can't be used"]);
    }
    // Several at once.
    let two = "version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"x\"]\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/a\"]";
    check(two, &[]).is(2, &["policy.toml:4:10", "policy.toml:6:8", "2 wrong"]);
    // What is odd.
    let hidden = "version = 1\n[[scope]]\nname = \"all\"\nmatch = [\"r.io/**\"]\n[[scope]]\nname = \"b\"\nmatch = [\"r.io/b/*\"]\n\
                  scan = { fail-on = \"any\", ignore = [{ id = \"CVE-1\", reason = \"x\", expires = 2020-01-01 }] }";
    let words =
        ["scope \"b\" never decides: scope \"all\" comes first", "CVE-1 is no longer ignored", "2 warnings"];
    check(hidden, &[]).is(0, &words);
    check(hidden, &["--strict"]).is(1, &words);
    // One part of a name isn't any number of them.
    let wider = "version = 1\n[[scope]]\nname = \"one\"\nmatch = [\"r.io/a/*\"]\n[[scope]]\nname = \"any\"\nmatch = [\"r.io/a/**\"]";
    check(wider, &["--strict"]).is(0, &["2 scopes, 0 mirrors, 0 warnings"]);
}

#[test]
fn a_file_that_rules_name_and_that_can_not_be_used_is_odd() {
    let story = Story::begin();
    let check = |text: &str, code: i32, words: &[&str]| {
        story.rules(text);
        story.run(&["policy", "check", "rules/policy.toml"]).is(0, words);
        story.run(&["policy", "check", "rules/policy.toml", "--strict"]).is(code, words);
    };
    let more = "signers = { keys = [\"a.pub\", \"b.pub\"] }\n\
                build = { builders = [{ id = \"x\", key = \"a.pub\" }] }\n\
                scan = { db = \"advisories.db\", vex-keys = [\"vex.pub\"] }\n\
                [[scope.evidence]]\npredicate = \"vsa\"\ntrusted-root = \"sigstore.json\"\n\
                verifiers = [{ id = \"a:b\", key = \"v.pub\" }, { id = \"a:c\", identity = \"x\", issuer = \"y\" }]";
    let missing =
        |file: &str| format!("policy.toml:4:1: scope \"acme\": rules/{file} can't be used: No such file");
    let all = ["a.pub", "b.pub", "v.pub", "vex.pub", "advisories.db"].map(missing);
    let mut words: Vec<&str> = all.iter().map(String::as_str).collect();
    words.extend(["rules/sigstore.json: No such file", "6 warnings"]);
    check(&story.scope(more), 1, &words);
    fs::write(story.path("rules/a.pub"), "no key").unwrap();
    check(&story.scope("signers = { keys = [\"a.pub\"] }"), 1, &["rules/a.pub: ", "1 warnings"]);
    let notation = "signers = { notation-policy = \"trustpolicy.json\" }";
    check(&story.scope(notation), 1, &["rules/trustpolicy.json: No such file", "1 warnings"]);
    fs::write(story.path("rules/root.json"), "{}").unwrap();
    check(&story.scope(""), 1, &["rules/root.json can't be used: refused the root", "1 warnings"]);
    let odd = "version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/a\"]\n\
               trust = { repo = \"ftp://x\", root-sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" }";
    check(odd, 1, &["the repository \"ftp://x\" can't be used", "1 warnings"]);
}

#[test]
fn cases_tell_whether_rules_say_what_they_should() {
    let story = Story::begin();
    story.rules(&format!(
        "{}\n[[scope]]\nname = \"rest\"\nmatch = [\"**\"]\ndeny = \"ask us\"\n",
        story.scope("roles = [\"targets\"]")
    ));
    let test = |cases: &str| {
        fs::write(story.path("cases.toml"), cases).unwrap();
        story.run(&["policy", "test", "cases.toml", "--policy", "rules/policy.toml"])
    };
    let right = "[[case]]\nimage = \"registry.example.com/acme/web:1.4\"\nexpect = \"admit\"\nscope = \"acme\"\n\
                 [[case]]\nimage = \"registry.example.com/acme/web:1.4\"\nrole = \"other\"\nexpect = \"deny\"\n\
                 [[case]]\nimage = \"alpine:3\"\nexpect = \"deny\"\nscope = \"rest\"\n";
    test(right).is(0, &["3 cases as they should be, 0 not"]);
    let wrong = right.replace("\"admit\"", "\"deny\"").replace("\"rest\"", "\"acme\"");
    let words = [
        "registry.example.com/acme/web:1.4: expected deny by acme, got admit by acme",
        "alpine:3: expected deny by acme, got deny by rest",
    ];
    test(&wrong).is(1, &words);
    test("").is(2, &["expected cases in"]);
    test("[[case]]\nimage = \"NO\"\nexpect = \"deny\"").is(2, &["expected the name of an image"]);
}

/// The text of the first block of TOML after a heading of the manual.
fn example(manual: &str, from: &str) -> String {
    let rest = manual.split_once(from).unwrap().1;
    rest.split_once("```toml\n").unwrap().1.split_once("\n```").unwrap().0.to_owned()
}

#[test]
fn the_examples_of_the_manual_are_rules_and_say_what_it_says() {
    let story = Story::begin();
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/policy.md");
    let manual = fs::read_to_string(manual).unwrap();
    story.rules(&example(&manual, "# Rules"));
    fs::write(story.path("cases.toml"), example(&manual, "## Before you rely on them")).unwrap();
    let pem = Ed25519Signer::from_seed(&[7; 32]).key().to_pem().unwrap();
    for key in ["alice", "bob", "ci", "verifier"] {
        fs::write(story.path(&format!("rules/{key}.pub")), &pem).unwrap();
    }
    fs::copy(story.path("rules/root.json"), story.path("rules/acme-root.json")).unwrap();
    story.run(&["policy", "check", "rules/policy.toml"]).is(0, &["4 scopes, 1 mirrors, 0 warnings"]);
    let policy = ["--policy", "rules/policy.toml"];
    story
        .run(&[&["policy", "test", "cases.toml"][..], &policy].concat())
        .is(0, &["2 cases as they should be"]);
    let words =
        ["stands for docker.io/library/debian:12", "scope bases", "oci://registry.example.com/trust/bases"];
    let name = ["policy", "explain", "mirror.example.com/hub/library/debian:12"];
    story.run(&[&name[..], &policy].concat()).is(0, &words);
    let words = [
        "scope our own",
        "2 of these signed the image itself",
        "no tags: latest",
        "a scan: nothing high or worse",
    ];
    story
        .run(&[&["policy", "explain", "registry.example.com/acme/web:1.4"][..], &policy].concat())
        .is(0, &words);
    story
        .run(&[&["policy", "explain", "evil.example.com/web:1"][..], &policy].concat())
        .is(1, &["ask the platform team"]);
}
