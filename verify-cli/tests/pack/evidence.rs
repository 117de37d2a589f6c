//! What others signed, carried along.

use std::collections::BTreeSet;
use std::fs;

use image_signatures::{Envelope, Format, Signing};
use oci_image::{Descriptor, Digest, ImageSource as _, Registry, RegistryOptions, Selector};
use test_repos::registry::Registry as Fake;
use test_repos::surface::SurfaceKind;
use tuf_core::crypto::{Ed25519Signer, Sign as _};

use super::{Run, Story};

const REPO: &str = "acme/web";

/// A story whose image is in a registry, where somebody signed it.
struct Signed {
    story: Story,
    fake: Fake,
}

fn key(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(Digest::of(name.as_bytes()).bytes())
}

fn sign(registry: &Registry, image: &Descriptor, name: &str) {
    let formats = BTreeSet::from([Format::Cosign2, Format::Cosign3]);
    let reference = "registry.example.com/acme/web".parse().unwrap();
    let key = key(name);
    let signing = Signing {
        name: &reference,
        image,
        parts: &[],
        formats: &formats,
        key: &key,
        chain: None,
        envelope: Envelope::default(),
        now: chrono::Utc::now(),
    };
    signing.make().unwrap().push(registry).into_iter().for_each(|pushed| drop(pushed.unwrap()));
}

impl Signed {
    fn begin() -> Self {
        let story = Story::begin(SurfaceKind::Directory);
        let fake = Fake::start().unwrap();
        let layout = story.endpoints.image.strip_prefix("oci:").unwrap().rsplit_once(':').unwrap();
        fake.push_layout(layout.0, layout.1, REPO).unwrap();
        let name = format!("{}/{REPO}", fake.host()).parse().unwrap();
        let registry = Registry::new(&name, RegistryOptions::default()).unwrap();
        let top = registry.manifest(Selector::Tag("1.4")).unwrap().descriptor();
        sign(&registry, &top, "a");
        // Of another image, by somebody else too.
        let older = {
            let world = story.surface.world();
            let part = world.images.part(&world.older()).unwrap();
            fake.put_manifest(REPO, &world.older(), &part.media_type, &part.bytes);
            Descriptor::of(&part.media_type, &part.bytes)
        };
        sign(&registry, &older, "b");
        for name in ["a", "b"] {
            fs::write(story.path(&format!("{name}.pub")), key(name).key().to_pem().unwrap()).unwrap();
        }
        Self { story, fake }
    }

    fn pack(&self, more: &[&str]) -> Run {
        let image = format!("{}/{REPO}:1.4", self.fake.host());
        let at = self.story.at();
        let mut words = self.story.call("pack", &at, more);
        words[1] = &image;
        words.extend(["-o", "web.hpk"]);
        self.story.verify("home", &words)
    }
}

const BY_A: &[&str] = &["--require-signers", "1", "--signer-key", "a.pub"];
const BY_B: &[&str] = &["--require-signers", "1", "--signer-key", "b.pub"];

#[test]
fn signatures_are_carried_and_weighed_anew() {
    let signed = Signed::begin();
    // Whether or not they are demanded as the pack is made.
    signed.pack(&[]).is(0, &[]);
    drop(signed.fake);
    let story = &signed.story;
    story.judge("web.hpk", BY_A).is(0, &[]);
    story.judge("web.hpk", &[BY_A, &["--explain"]].concat()).is(0, &["a.pub", "ok      evidence"]);
    story.judge("web.hpk", BY_B).is(1, &["signed by 1, got none"]);
    // Each piece removed: what is left may still do, and without any nobody signed.
    let archive = story.read("web.hpk");
    let plain = Story::begin(SurfaceKind::Directory);
    plain.pack("plain.hpk", &[]).is(0, &[]);
    let plain = plain.read("plain.hpk").names();
    let extra: Vec<_> = archive.names().into_iter().filter(|name| !plain.contains(name)).collect();
    assert!(extra.len() >= 4, "{extra:?}");
    let mut bare = archive.clone();
    extra.iter().for_each(|name| bare.remove(name));
    story.write("bare.hpk", &bare.honest());
    let run = story.judge("bare.hpk", BY_A);
    assert!([1, 3].contains(&run.code) && run.out.is_empty(), "{}", run.err);
    story.judge("bare.hpk", &[]).is(0, &[]);
    // An index that says that there never was any.
    let mut none = archive.index();
    for (_, listing) in none["referrers"].as_object_mut().unwrap() {
        listing["manifests"] = serde_json::json!([]);
    }
    for (tag, digest) in none["tags"].as_object_mut().unwrap() {
        if tag.starts_with("sha256-") {
            *digest = serde_json::Value::Null;
        }
    }
    let mut silent = archive.clone();
    silent.set_index(&none);
    story.write("silent.hpk", &silent.honest());
    story.judge("silent.hpk", BY_A).is(1, &["signed by 1, got none"]);
}

#[test]
fn a_demand_that_is_not_met_makes_no_pack() {
    let signed = Signed::begin();
    signed.pack(BY_B).is(1, &["refused "]);
    assert!(!signed.story.path("web.hpk").exists());
    signed.pack(BY_A).is(0, &[]);
}

/// b signed another image. Its signature stands where that of this one was looked for.
#[test]
fn evidence_of_another_image_counts_for_nothing() {
    let signed = Signed::begin();
    signed.pack(&[]).is(0, &[]);
    let story = &signed.story;
    let name = format!("{}/{REPO}", signed.fake.host()).parse().unwrap();
    let registry = Registry::new(&name, RegistryOptions::default()).unwrap();
    let older: Digest = story.surface.world().older().parse().unwrap();
    let mut archive = story.read("web.hpk");
    let mut index = archive.index();
    let top = index["digest"].as_str().unwrap().to_owned();
    let mut put = |bytes: &[u8]| {
        let digest = test_repos::sha256_digest(bytes);
        archive.set(&format!("blobs/sha256/{}", digest.replace("sha256:", "")), bytes.to_vec());
        digest
    };
    let mut carry = |digest: &str| {
        let (_, manifest) = signed.fake.manifest(REPO, digest).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        for layer in json["layers"].as_array().unwrap() {
            put(&signed.fake.blob(REPO, layer["digest"].as_str().unwrap()).unwrap());
        }
        put(&manifest)
    };
    let tag = carry(&format!("sha256-{}.sig", older.hex()));
    let listed = registry.referrers(older, None).unwrap().manifests;
    assert!(!listed.is_empty());
    let listed: Vec<_> = listed
        .iter()
        .map(|one| {
            let digest = carry(&one.digest.to_string());
            serde_json::json!({"media_type": one.media_type, "digest": digest, "size": one.size})
        })
        .collect();
    index["tags"][format!("{}.sig", top.replace(':', "-"))] = tag.into();
    index["referrers"][&top]["manifests"] = listed.into();
    archive.set_index(&index);
    story.write("bad.hpk", &archive.honest());
    let run = story.judge("bad.hpk", BY_B);
    assert!([1, 3].contains(&run.code) && run.out.is_empty(), "{} {}", run.code, run.err);
    // It was looked at.
    assert!(run.err.contains("is about another image") || run.err.contains("expected"), "{}", run.err);
    story.judge("bad.hpk", BY_A).is(1, &[]);
    story.judge("bad.hpk", &[]).is(0, &[]);
}

/// The link of what others signed is worked out anew too, by who is named then.
#[test]
fn a_replay_weighs_what_others_signed() {
    let signed = Signed::begin();
    let story = &signed.story;
    let image = format!("{}/{REPO}:1.4", signed.fake.host());
    let at = story.at();
    let mut words = story.call("image", &at, &["--format", "json", "--with-proof"]);
    words[1] = &image;
    words.extend(BY_A);
    let report = story.verify("home", &words).is(0, &[]).out;
    fs::write(story.path("proof.json"), &report).unwrap();
    drop(signed.fake);
    let replay = |more: &[&str]| {
        story.verify("other", &[&["replay", "proof.json", "--root", "root.json"], more].concat())
    };
    replay(BY_A).is(0, &["worked out anew", "evidence"]);
    replay(&[]).is(3, &["a link evidence, which was not worked out anew", "--skip evidence"]);
    replay(&["--skip", "evidence"]).is(0, &["not worked out anew: the link evidence"]);
    replay(BY_B).is(1, &["signed by 1, got none"]);
    let forged = report.replace("a.pub", "b.pub");
    assert_ne!(forged, report);
    fs::write(story.path("proof.json"), forged).unwrap();
    replay(BY_A).is(1, &["/detail: the report says "]);
    let mut bad: serde_json::Value = serde_json::from_str(&report).unwrap();
    let links = bad["links"].as_array_mut().unwrap();
    let link = links.iter_mut().find(|link| link["stage"] == "evidence").unwrap();
    link["threshold"] = 2.into();
    fs::write(story.path("proof.json"), bad.to_string()).unwrap();
    replay(BY_A).is(1, &["/threshold: the report says 2, it is 1"]);
}
