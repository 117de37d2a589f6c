//! Registries that misbehave while evidence is looked for: each by its verdict, not by what is read of it.

use image_signatures::{BUNDLE, COSIGN_SIGN, Format, signature_tag};
use oci_image::{Descriptor, Digest, media};
use serde_json::{Value, json};
use test_repos::registry::{Fault, Listing, Place, Registry as Fake};

use crate::{REPO, Run, SPDX, Story, bundle, statement};

impl Story {
    fn approval(&self, key: &str) -> Vec<u8> {
        bundle(key, &statement(&self.top, COSIGN_SIGN, &json!({})))
    }

    /// Whether one signer, a, is found to have signed; with a fault in the lists of referrers.
    fn with_list(&self, listing: Listing) -> Run {
        self.fake.clear_faults();
        self.fake.set_fault(Place::referrers(REPO), Fault::List(listing));
        self.demand("1", &["a.pub"], &[])
    }

    /// The requests of the log, those for the image itself left out.
    fn requests(&self) -> Vec<String> {
        let log = self.fake.log();
        log.iter().map(|one| format!("{} {}", one.method, one.path.replace("/v2/acme/web/", ""))).collect()
    }

    fn flood(&self, count: usize) {
        for number in 0..count {
            self.attach(&self.top, BUNDLE, format!("junk {number}").as_bytes());
        }
    }
}

#[track_caller]
fn ends(run: &Run, code: i32, says: &str) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(says), "expected {says:?}, got {}", run.stderr);
}

#[test]
fn a_list_that_moved_on_its_own_host_is_followed_and_one_that_left_it_is_not() {
    let (story, elsewhere) = (Story::begin(), Fake::start().unwrap());
    story.sign(&story.top, "a", &[Format::Cosign3]);
    let moved = |to: String| {
        story.fake.clear_faults();
        story.fake.clear_log();
        story.fake.set_fault(Place::referrers(REPO), Fault::SeeOther { to });
        story.demand("1", &["a.pub"], &[])
    };
    ends(&moved(String::new()), 0, "");
    assert!(story.requests().iter().any(|one| one.ends_with("?seen=1")), "{:?}", story.requests());
    // The other host has what would be believed.
    elsewhere.put_manifest(REPO, "1", media::OCI_MANIFEST, b"{}");
    ends(&moved(elsewhere.url()), 1, "signed by 1, got none");
    assert_eq!(elsewhere.log(), []);
}

#[test]
fn who_says_to_wait_is_asked_again_and_whoever_says_it_for_an_hour_has_said_nothing() {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign3]);
    let busy = |retry_after| Fault::TooManyRequests { retry_after };
    story.fake.set_fault_times(Place::referrers(REPO), busy(1), 1);
    story.fake.set_fault_times(Place::blobs(REPO), busy(1), 1);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
    story.fake.clear_faults();
    story.fake.set_fault(Place::referrers(REPO), busy(3600));
    ends(&story.demand("1", &["a.pub"], &[]), 3, "429");
    story.fake.clear_faults();
    story.fake.set_fault(Place::referrers(REPO), Fault::Unavailable);
    ends(&story.demand("1", &["a.pub"], &[]), 3, "could not reach");
    // What is enough without it, is enough.
    story.sign(&story.top, "a", &[Format::Cosign2]);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
}

#[test]
fn what_a_registry_says_of_filters_and_types_decides_nothing() {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign3]);
    story.fake.clear_log();
    ends(&story.with_list(Listing::Unfiltered), 0, "");
    assert!(story.requests().iter().all(|one| !one.contains("artifactType")), "no filter is asked for");
    ends(&story.with_list(Listing::Bare), 0, "");
    // It hides what it likes: that is refused, and not taken for an answer.
    let other = Listing::Only { artifact_type: "application/vnd.example".into() };
    ends(&story.with_list(other), 1, "signed by 1, got none");
    ends(&story.with_list(Listing::Only { artifact_type: BUNDLE.into() }), 0, "");
    ends(&story.with_list(Listing::Nonsense), 1, "sent an answer that can't be used");
}

#[test]
fn pages_are_followed_to_their_end_and_those_without_one_are_given_up() {
    let (story, elsewhere) = (Story::begin(), Fake::start().unwrap());
    for key in ["a", "b", "stranger"] {
        story.sign(&story.top, key, &[Format::Cosign3]);
    }
    story.fake.set_fault(Place::referrers(REPO), Fault::List(Listing::Paged { size: 1 }));
    ends(&story.demand("2", &["a.pub", "b.pub"], &[]), 0, "");
    story.fake.clear_log();
    ends(&story.with_list(Listing::Loop), 1, "one that leads back");
    ends(&story.with_list(Listing::EmptyForEver), 1, "got none");
    assert!(story.requests().len() < 40, "{:?}", story.requests());
    ends(&story.with_list(Listing::NextElsewhere { to: elsewhere.url() }), 1, "is on another host");
    assert_eq!(elsewhere.log(), []);
}

#[test]
fn what_is_listed_and_refers_to_another_image_counts_for_nothing() {
    let story = Story::begin();
    // A good signature of this image, beside another; and of another image, beside this one.
    let elsewhere = story.attach(&story.older, BUNDLE, &story.approval("a"));
    let about_other = bundle("a", &statement(&story.older, COSIGN_SIGN, &json!({})));
    story.attach(&story.top, BUNDLE, &about_other);
    let run = story.with_list(Listing::Also(vec![elsewhere.to_string(), Digest::of(b"nowhere").to_string()]));
    ends(&run, 1, "expected a statement about ");
    assert!(run.stderr.contains("it is listed, and refers to something else"), "{}", run.stderr);
    story.sign(&story.top, "a", &[Format::Cosign3]);
    ends(&story.with_list(Listing::Also(vec![elsewhere.to_string()])), 0, "");
}

#[test]
fn manifests_without_end_hinder_nobody() {
    let story = Story::begin();
    let subject =
        json!({ "mediaType": story.top.media_type, "digest": story.top.digest, "size": story.top.size });
    let large = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "subject": subject,
        "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{ "mediaType": BUNDLE, "digest": Digest::of(b"{}"), "size": 2,
            "annotations": { "long": "x".repeat(5 << 20) } }] });
    let large = large.to_string();
    story.fake.put_manifest(REPO, "large", media::OCI_MANIFEST, large.as_bytes());
    let endless = story.attach(&story.top, BUNDLE, b"another");
    story.fake.set_fault(Place::manifest(REPO, &endless.to_string()), Fault::Endless);
    let refused = story.demand("1", &["a.pub"], &[]);
    ends(&refused, 1, "sent too much: expected at most 4194304 bytes");
    story.sign(&story.top, "a", &[Format::Cosign3]);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
    let gaps = story.evidence(&[])["gaps"].to_string();
    assert_eq!(gaps.matches("sent too much").count(), 2, "{gaps}");
}

#[test]
fn a_list_under_the_tag_that_lost_an_entry_is_told_and_the_metadata_makes_up_for_it() {
    let mut story = Story::begin();
    story.fake.set_referrers(false);
    story.sign(&story.top, "a", &[Format::Cosign3]);
    let tag = story.top.digest.to_string().replace(':', "-");
    let (kind, only_a) = story.fake.manifest(REPO, &tag).unwrap();
    // Somebody who had read the list before writes it a moment later: our own writer sees that, and mends it.
    story.fake.overwrite_after_next(REPO, &tag, &kind, &only_a);
    story.sign(&story.top, "b", &[Format::Cosign3]);
    ends(&story.demand("2", &["a.pub", "b.pub"], &[]), 0, "");
    // Another writer takes it back for good.
    let by_b = story.attach(&story.top, BUNDLE, &story.approval("b"));
    story.fake.put_manifest(REPO, &tag, &kind, &only_a);
    ends(&story.demand("2", &["a.pub", "b.pub"], &[]), 1, "signed by 2, got 1");
    story.name(&[by_b]);
    ends(&story.demand("2", &["a.pub", "b.pub"], &[]), 0, "");
}

#[test]
fn a_blob_that_the_metadata_names_is_found_whatever_lies_beside_it() {
    let mut story = Story::begin();
    let good = story.approval("a");
    let by_a = story.attach(&story.top, BUNDLE, &good);
    story.flood(1100);
    ends(&story.demand("1", &["a.pub"], &[]), 1, "expected at most 1000 referrers");
    story.name(&[Digest::of(&good)]);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
    let report = story.evidence(&[]);
    let fresh: Vec<_> =
        report["pieces"].as_array().unwrap().iter().filter(|one| one["fresh"] == true).collect();
    assert_eq!(fresh.len(), 1);
    assert_eq!((&fresh[0]["outcome"], &fresh[0]["place"]), (&json!("signed"), &json!("named")));
    // Its manifest is gone; and one that calls the blob something else lies there instead.
    story.fake.remove(REPO, &by_a.to_string());
    let lying = story.attach(&story.top, "application/vnd.in-toto+json", &good);
    story.name(&[Digest::of(&good)]);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
    // The blob is changed on its way, or gone: then it is a gap.
    story.fake.set_fault(Place::blob(REPO, &Digest::of(&good).to_string()), Fault::FlipByte);
    ends(&story.demand("1", &["a.pub"], &[]), 1, "expected bytes with that digest");
    story.fake.clear_faults();
    story.fake.remove(REPO, &lying.to_string());
    story.fake.remove(REPO, &Digest::of(&good).to_string());
    ends(&story.demand("1", &["a.pub"], &[]), 1, "it is nowhere");
}

#[test]
fn a_blob_that_the_metadata_names_is_counted_once_and_for_what_it_is_about() {
    let mut story = Story::begin();
    let good = story.approval("a");
    story.attach(&story.top, BUNDLE, &good);
    let list = bundle("a", &statement(&story.older, SPDX, &json!({})));
    story.attach(&story.top, BUNDLE, &list);
    story.name(&[Digest::of(&good), Digest::of(&list)]);
    let report = story.evidence(&[]);
    let fresh = report["pieces"].as_array().unwrap().iter().filter(|one| one["fresh"] == true);
    let outcomes: Vec<_> = fresh.map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.len(), 2, "{report}");
    assert!(outcomes.contains(&"signed") && outcomes.contains(&"refused"), "{outcomes:?}");
    ends(&story.demand("2", &["a.pub", "b.pub"], &[]), 1, "signed by 2, got 1");
}

#[test]
fn a_layer_that_the_metadata_names_comes_before_a_thousand_others_of_its_manifest() {
    let mut story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign2]);
    let tag = signature_tag(story.top.digest).unwrap();
    let (kind, bytes) = story.fake.manifest(REPO, tag.as_str()).unwrap();
    let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let layer = manifest["layers"][0].clone();
    let named: Digest = layer["digest"].as_str().unwrap().parse().unwrap();
    let junk = |number: usize| {
        let blob = format!("junk {number}");
        let Descriptor { digest, size, .. } = Descriptor::of("x/y", blob.as_bytes());
        story.fake.put_blob(REPO, blob.as_bytes());
        json!({ "mediaType": layer["mediaType"], "digest": digest, "size": size })
    };
    let layers: Vec<_> = (0..1000).map(junk).chain([layer.clone()]).collect();
    manifest["layers"] = layers.into();
    story.fake.put_manifest(REPO, tag.as_str(), &kind, manifest.to_string().as_bytes());
    ends(&story.demand("1", &["a.pub"], &[]), 1, "at most 1000 pieces are looked at, and 1 are left");
    story.name(&[named]);
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
}

/// What lies under a tag refers to nothing: named by its digest, it says by itself which image of an index it is about.
#[test]
fn a_signature_under_a_tag_that_the_metadata_names_counts_for_the_image_that_it_is_about() {
    let mut story = Story::begin();
    let index: Value =
        serde_json::from_slice(&story.fake.manifest(REPO, &story.top.digest.to_string()).unwrap().1).unwrap();
    let is = |entry: &&Value| entry["platform"]["architecture"] == "amd64";
    let child = index["manifests"].as_array().unwrap().iter().find(is).unwrap().clone();
    let child: Descriptor = serde_json::from_value(child).unwrap();
    story.sign(&child, "a", &[Format::Cosign2]);
    let fresh = |story: &Story| story.demand("1", &["a.pub"], &["--fresh"]);
    ends(&fresh(&story), 1, "only signed");
    let tag = signature_tag(child.digest).unwrap();
    story.name(&[Digest::of(&story.fake.manifest(REPO, tag.as_str()).unwrap().1)]);
    ends(&fresh(&story), 0, "");
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
}

#[test]
fn what_is_asked_for_is_asked_once_and_nothing_else() {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign2, Format::Cosign3]);
    story.fake.clear_log();
    ends(&story.demand("1", &["a.pub"], &[]), 0, "");
    let index: Value =
        serde_json::from_slice(&story.fake.manifest(REPO, &story.top.digest.to_string()).unwrap().1).unwrap();
    let child = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "-");
    let top = story.top.digest.to_string().replace(':', "-");
    let (of_child, of_top) = (child.replace('-', ":"), top.replace('-', ":"));
    let others = ["blobs/sha256:", "manifests/sha256:"];
    let short = |request: &String| {
        let known = [(&top, "TOP"), (&child, "CHILD"), (&of_top, "TOP"), (&of_child, "CHILD")];
        let mut text = known.iter().fold(request.clone(), |text, (from, to)| text.replace(*from, to));
        if let Some(end) = others.iter().find_map(|start| Some(text.find(start)? + start.len())) {
            text.truncate(end);
        }
        text
    };
    let requests: Vec<_> = story.requests().iter().map(short).collect();
    let expected = [
        // the image itself
        "GET manifests/1.4",
        "GET manifests/CHILD",
        "GET blobs/sha256:",
        // cosign's tags, with one signature
        "GET manifests/TOP.sig",
        "GET blobs/sha256:",
        "GET manifests/TOP.att",
        "GET manifests/CHILD.sig",
        "GET manifests/CHILD.att",
        // what refers to it, with one bundle
        "GET referrers/TOP",
        "GET manifests/sha256:",
        "GET blobs/sha256:",
        "GET referrers/CHILD",
    ];
    assert_eq!(requests, expected);
}

/// What the metadata names was counted as it came. However often manifests name it besides, all of it together stays
/// below the bound, which is 120 MiB.
#[test]
fn a_blob_that_many_manifests_name_is_kept_within_the_bound_of_all() {
    let mut story = Story::begin();
    let blob = vec![b' '; 30 << 20];
    let digest = Digest::of(&blob);
    story.fake.put_blob(REPO, &blob);
    for number in 1..=3 {
        let layers = vec![json!({ "mediaType": BUNDLE, "digest": digest, "size": blob.len() }); number];
        story.refer(&story.top, &json!(layers));
    }
    let refused = |story: &Story| {
        let report = story.evidence(&[]);
        let pieces = report["pieces"].as_array().unwrap();
        assert_eq!(pieces.len(), 6, "{report}");
        let detail = |piece: &Value| piece["detail"].as_str().unwrap().to_owned();
        pieces.iter().map(detail).filter(|detail| detail.contains("all together")).count()
    };
    assert_eq!(refused(&story), 2);
    story.name(&[digest]);
    story.fake.clear_log();
    assert_eq!(refused(&story), 2);
    let asked = story.requests().iter().filter(|one| one.contains(&format!("GET blobs/{digest}"))).count();
    assert_eq!(asked, 1);
}

/// Of ten signatures by five keys and three attestations: each list, manifest and blob once, and nothing besides. Five
/// signatures of the older form share what they signed.
#[test]
fn the_requests_for_many_signatures_are_one_for_each_thing_that_there_is() {
    let story = Story::begin();
    for key in ["a", "b", "c", "d", "e"] {
        story.sign(&story.top, key, &[Format::Cosign2, Format::Cosign3]);
        std::fs::write(story.path(&format!("{key}.pub")), crate::public_key(key)).unwrap();
    }
    for kind in [SPDX, crate::PROVENANCE, "https://openvex.dev/ns/v0.2.0"] {
        story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, kind, &json!({}))));
    }
    story.fake.clear_log();
    let keys = ["a.pub", "b.pub", "c.pub", "d.pub", "e.pub"];
    ends(&story.demand("5", &keys, &[]), 0, "");
    let mut requests = story.requests();
    let all = requests.len();
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), all, "nothing is asked twice: {requests:?}");
    let count = |words: &str| requests.iter().filter(|one| one.contains(words)).count();
    let (index, child, config) = (1, 1, 1);
    let (signed_under_tags, shared_payload, referring) = (4, 1, 5 + 3);
    assert_eq!(count("manifests/sha256-"), signed_under_tags);
    assert_eq!(count("referrers/"), 2);
    assert_eq!(count("blobs/"), config + shared_payload + referring);
    assert_eq!(all, index + child + config + signed_under_tags + shared_payload + 2 + 2 * referring);
}
