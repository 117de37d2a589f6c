//! The catalogue bites: a client as small as can be over `tuf-core` comes to every verdict in it, and a
//! client that checks nothing comes to none of the refusals. The real client is put to it elsewhere.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; clippy knows helper functions of tests by #[cfg(test)] only"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use test_repos::attacks::{Attack, Expected, Failure, Outcome, catalogue, run};
use test_repos::sha256_digest;
use test_repos::surface::{Endpoints, SurfaceKind};
use test_repos::world::{APPROVAL, Demand, STATEMENT};
use tuf_core::key::Key;
use tuf_core::schema::{MetaFile, Target};
use tuf_core::{CurrentRoot, FreshSnapshot, FreshTimestamp, Refusal, Step, TrustedRoot, crypto, limits};

/// Where the chain broke, and why.
type Broken = (String, String);

fn refused(refusal: Refusal) -> Broken {
    let link = match refusal.role {
        tuf_core::Role::Delegated(_) => "targets".to_owned(),
        ref top => top.name().to_owned(),
    };
    (link, refusal.to_string())
}

/// A client of folders: what section 5 of the specification asks for, and not a line more.
struct Client<'a> {
    metadata: PathBuf,
    state: &'a Path,
    endpoints: &'a Endpoints,
}

impl Client<'_> {
    fn verify(&self) -> Result<String, Broken> {
        let root = self.root()?;
        let snapshot = self.snapshot(&self.timestamp(&root)?)?;
        let target = self.target(&snapshot)?;
        let layout = Layout::of(&self.endpoints.image);
        let digest = layout.verify(&target, self.endpoints.platform)?;
        match &self.endpoints.demand {
            Some(demand) => layout.expect_signed(&digest, self.endpoints.platform, demand).map(|()| digest),
            None => Ok(digest),
        }
    }

    fn served(&self, role: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Broken> {
        let Ok(file) = File::open(self.metadata.join(name)) else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).unwrap();
        if u64::try_from(bytes.len()).unwrap() > limit {
            return Err((role.into(), format!("{name}: expected at most {limit} bytes, got more")));
        }
        Ok(Some(bytes))
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.state.join(name)).ok()
    }

    fn keep(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.state).unwrap();
        fs::write(self.state.join(name), bytes).unwrap();
    }

    fn root(&self) -> Result<CurrentRoot, Broken> {
        let bytes = self.kept("root.json").unwrap_or_else(|| self.endpoints.root.clone());
        let mut root =
            TrustedRoot::bootstrap(&bytes, self.endpoints.now, crypto::default()).map_err(refused)?;
        loop {
            let next = format!("{}.root.json", root.version().saturating_add(1));
            let Some(bytes) = self.served("root", &next, limits::ROOT_BYTES)? else { break };
            root = root.next(&bytes).map_err(refused)?;
            self.keep("root.json", &bytes);
        }
        root.current().map_err(refused)
    }

    fn timestamp(&self, root: &CurrentRoot) -> Result<FreshTimestamp, Broken> {
        let seen = self.kept("timestamp.json").map(|bytes| root.remembered(&bytes).unwrap());
        let bytes = self.served("timestamp", "timestamp.json", limits::TIMESTAMP_BYTES)?.unwrap();
        let timestamp = root.timestamp(seen.as_ref(), &bytes).map_err(refused)?;
        if timestamp.is_new() {
            self.keep("timestamp.json", &bytes);
        }
        Ok(timestamp)
    }

    fn snapshot(&self, timestamp: &FreshTimestamp) -> Result<FreshSnapshot, Broken> {
        let seen = self.kept("snapshot.json").map(|bytes| timestamp.remembered(&bytes).unwrap());
        let bytes = self.stated("snapshot", timestamp.snapshot_file())?;
        let snapshot = timestamp.snapshot(seen.as_ref(), &bytes).map_err(refused)?;
        self.keep("snapshot.json", &bytes);
        Ok(snapshot)
    }

    fn stated(&self, role: &str, file: &MetaFile) -> Result<Vec<u8>, Broken> {
        let name = format!("{}.{role}.json", file.version);
        Ok(self.served(role, &name, file.length.unwrap())?.unwrap())
    }

    fn target(&self, snapshot: &FreshSnapshot) -> Result<Target, Broken> {
        let file = snapshot.targets_file(&tuf_core::Role::Targets).map_err(refused)?;
        let bytes = self.stated("targets", &file)?;
        let targets = snapshot.targets(&bytes).map_err(refused)?;
        self.keep("targets.json", &bytes);
        let mut search = snapshot.search(targets, &self.endpoints.name);
        loop {
            match search.step().map_err(refused)? {
                Step::Found { target, .. } => return Ok(target),
                Step::NotFound(_) => {
                    let path = &self.endpoints.name;
                    return Err(("target".into(), format!("no role that may speak for {path} lists it")));
                }
                Step::Need(wanted) => {
                    let bytes = self.stated(wanted.role.name(), &wanted.file)?;
                    search.supply(&bytes).map_err(refused)?;
                }
            }
        }
    }
}

struct Layout(PathBuf, String);

impl Layout {
    fn of(image: &str) -> Self {
        let (dir, tag) = image.strip_prefix("oci:").unwrap().rsplit_once(':').unwrap();
        Self(dir.into(), tag.into())
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.join(name)).unwrap()).unwrap()
    }

    fn top(&self) -> String {
        let tagged = |entry: &&Value| {
            entry["annotations"]["org.opencontainers.image.ref.name"].as_str() == Some(&self.1)
        };
        let index = self.json("index.json");
        let entry = index["manifests"].as_array().unwrap().iter().find(tagged).unwrap().clone();
        entry["digest"].as_str().unwrap().to_owned()
    }

    fn verify(&self, target: &Target, platform: &str) -> Result<String, Broken> {
        let digest = format!("sha256:{}", target.hashes["sha256"]);
        let index = self.blob("manifest", &self.top(), &digest, target.length, limits::ROOT_BYTES)?;
        let child = child_for(&index, platform);
        let manifest = self.named("child", child)?;
        self.named("config", &manifest["config"])?;
        for layer in manifest["layers"].as_array().unwrap() {
            self.named("layer", layer)?;
        }
        Ok(digest)
    }

    /// As many distinct keys as are demanded have signed the index, or the image of it that will run.
    fn expect_signed(&self, index: &str, platform: &str, demand: &Demand) -> Result<(), Broken> {
        let broken = |text: String| ("evidence".to_owned(), text);
        let document = self.json(&format!("blobs/sha256/{}", index.trim_start_matches("sha256:")));
        let child = child_for(&document, platform)["digest"].as_str().unwrap();
        let listed = self.json("index.json")["manifests"].as_array().unwrap().clone();
        if listed.len() > 1000 {
            let text = format!("signed by {}, got none: expected at most 1000 manifests", demand.count);
            return Err(broken(text));
        }
        let (mut signers, mut whys) = (BTreeSet::new(), String::new());
        for entry in &listed {
            let manifest = self.named("evidence", entry)?;
            let subject = manifest["subject"]["digest"].as_str().unwrap_or_default();
            if ![index, child].contains(&subject) {
                continue;
            }
            match self.signer(&manifest["layers"][0], subject, demand) {
                Ok(key) => drop(signers.insert(key)),
                Err(why) => whys.push_str(&format!("; {why}")),
            }
        }
        if signers.len() >= usize::try_from(demand.count).unwrap() {
            return Ok(());
        }
        let got = if signers.is_empty() { "none".to_owned() } else { signers.len().to_string() };
        Err(broken(format!("expected {APPROVAL} signed by {}, got {got}{whys}", demand.count)))
    }

    /// Which of the keys signed that the manifest is approved of.
    fn signer(&self, blob: &Value, subject: &str, demand: &Demand) -> Result<usize, String> {
        if blob["size"].as_u64().unwrap() > 1 << 20 {
            return Err(format!(
                "expected a piece of evidence in bytes of at most 1048576, got {}",
                blob["size"]
            ));
        }
        let document = self.named("evidence", blob).map_err(|(_, why)| why)?;
        if document.get("_type").is_some() {
            return Err("got one without a signature".into());
        }
        let envelope = &document["dsseEnvelope"];
        let [signature] = envelope["signatures"].as_array().unwrap().as_slice() else {
            let got = envelope["signatures"].as_array().unwrap().len();
            return Err(format!("expected 1 signature in the envelope, got {got}"));
        };
        let decoded = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
        let payload = decoded(&envelope["payload"]);
        let mut message = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), payload.len()).into_bytes();
        message.extend(&payload);
        let verifies = |pem: &String| {
            let key = Key::from_pem(pem).unwrap().material().unwrap();
            crypto::default().verify(&key, &message, &decoded(&signature["sig"]))
        };
        let key = demand.keys.iter().position(verifies).ok_or("by none of them")?;
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        let about = format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap());
        if about != subject {
            return Err(format!("expected a statement about {subject}, got one about {about}"));
        }
        match statement["predicateType"] == APPROVAL {
            true => Ok(key),
            false => Err("it approves of nothing".into()),
        }
    }

    fn named(&self, link: &str, descriptor: &Value) -> Result<Value, Broken> {
        let (digest, size) = (descriptor["digest"].as_str().unwrap(), descriptor["size"].as_u64().unwrap());
        self.blob(link, digest, digest, size, size)
    }

    /// The content of the file `at`, which must have a digest and a size; `null` where it is no JSON.
    fn blob(&self, link: &str, at: &str, digest: &str, size: u64, limit: u64) -> Result<Value, Broken> {
        let broken = |text: String| Err((link.to_owned(), text));
        let path = self.0.join("blobs/sha256").join(at.trim_start_matches("sha256:"));
        let Ok(file) = File::open(path) else { return broken(format!("{at} is missing")) };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).unwrap();
        let got = u64::try_from(bytes.len()).unwrap();
        if got > limit {
            return broken(format!(
                "expected at most {limit} bytes, got more; expected {size} bytes, got more"
            ));
        }
        let hash = sha256_digest(&bytes);
        if hash != digest && got == size {
            return broken(format!("expected {digest}, got {hash}"));
        }
        if got != size {
            return broken(format!("expected {size} bytes, got {got}"));
        }
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

/// The entry of an index for a platform.
fn child_for<'a>(index: &'a Value, platform: &str) -> &'a Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let wanted =
        |child: &&Value| child["platform"]["os"] == os && child["platform"]["architecture"] == architecture;
    index["manifests"].as_array().unwrap().iter().find(wanted).unwrap()
}

fn careful(endpoints: &Endpoints, state: &Path) -> Outcome {
    let metadata = Path::new(&endpoints.repo).join("metadata");
    match (Client { metadata, state, endpoints }).verify() {
        Ok(digest) => Outcome::Trusted { digest },
        Err((link, text)) => Outcome::Refused { link, text },
    }
}

fn play(attack: &'static Attack, verify: fn(&Endpoints, &Path) -> Outcome) -> Result<Outcome, Failure> {
    let scratch = tempfile::tempdir().unwrap();
    let report = run(attack, SurfaceKind::Directory, scratch.path(), &mut |endpoints, state| {
        verify(endpoints, state)
    })?;
    Ok(report.outcome)
}

fn in_folders() -> impl Iterator<Item = &'static Attack> {
    catalogue().iter().filter(|attack| attack.surfaces.contains(&SurfaceKind::Directory))
}

#[test]
fn a_client_that_follows_the_specification_refuses_every_attack_where_it_is_said() {
    let failures: Vec<_> = in_folders()
        .filter_map(|attack| Some(format!("{}: {}", attack.name, play(attack, careful).err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(in_folders().count() > 40);
}

/// Trusts what it finds, as a pull by tag does.
fn gullible(endpoints: &Endpoints, _: &Path) -> Outcome {
    Outcome::Trusted { digest: Layout::of(&endpoints.image).top() }
}

#[test]
fn a_client_that_checks_nothing_falls_for_every_attack() {
    for attack in in_folders() {
        let Err(Failure::Wrong { got: Outcome::Trusted { .. }, .. }) = play(attack, gullible) else {
            panic!("{}: expected it to fall for that", attack.name)
        };
    }
}

/// Refuses as it should, but keeps the file that it refuses.
fn forgetful(endpoints: &Endpoints, state: &Path) -> Outcome {
    let outcome = careful(endpoints, state);
    fs::copy(Path::new(&endpoints.repo).join("metadata/timestamp.json"), state.join("timestamp.json"))
        .unwrap();
    outcome
}

#[test]
fn a_refusal_that_changes_the_state_is_found_out() {
    let attack = catalogue().iter().find(|attack| attack.name == "timestamp-replayed").unwrap();
    let Err(Failure::Changed { diff }) = play(attack, forgetful) else { panic!("expected it to be seen") };
    assert!(diff.starts_with("~ timestamp.json: file "), "{diff}");
}

#[test]
fn every_attack_has_a_name_of_its_own_and_a_story_and_a_step() {
    let names: BTreeSet<_> = catalogue().iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), catalogue().len());
    for attack in catalogue() {
        assert!(!attack.story.is_empty() && !attack.story.ends_with('.'), "{}", attack.name);
        assert!(
            ["TUF ", "OCI ", "DSSE ", "in-toto "].iter().any(|one| attack.step.starts_with(one)),
            "{}",
            attack.name
        );
        assert!(!attack.surfaces.is_empty(), "{}", attack.name);
        if let Expected::Refused { says, .. } = attack.expected {
            assert!(says.iter().all(|words| !words.is_empty()), "{}", attack.name);
        }
    }
}

mod credentials {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// The header fields and status of an answer.
    fn asked(host: &str, path: &str, authorization: &str) -> Vec<String> {
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n")
            .unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).collect()
    }

    /// Asks for a blob and takes its credentials along wherever it is sent.
    fn talkative(endpoints: &Endpoints, digest: &str) -> bool {
        let host = endpoints.image.split('/').next().unwrap();
        // "reader:correct horse battery staple" in Base64.
        let login = "Authorization: Basic cmVhZGVyOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n";
        let answer = asked(host, &format!("/v2/acme/web/blobs/{digest}"), login);
        let Some(to) = answer.iter().find_map(|line| line.strip_prefix("Location: http://")) else {
            return false;
        };
        let (host, path) = to.split_once('/').unwrap();
        asked(host, &format!("/{path}"), login)[0].contains("200")
    }

    #[test]
    fn a_client_that_takes_its_credentials_to_another_host_is_found_out() {
        let attack = catalogue().iter().find(|attack| attack.name == "redirect-with-credentials").unwrap();
        let scratch = tempfile::tempdir().unwrap();
        // The same bytes at every run and under every name.
        let world = test_repos::world::World::new("registry.example.com/acme/web").unwrap();
        let (index, config) = (world.index(), world.config());
        let result = run(attack, SurfaceKind::Registry, scratch.path(), &mut |endpoints, _| {
            talkative(endpoints, &config);
            Outcome::Trusted { digest: index.clone() }
        });
        let Err(Failure::Leaked { requests }) = result else { panic!("expected the leak to be seen") };
        assert_eq!(requests, [format!("GET /v2/acme/web/blobs/{config}")]);
    }
}
