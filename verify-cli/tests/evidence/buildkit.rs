//! What BuildKit attests in the image's own index, and what a signature of that is worth.

use super::*;

use test_repos::registry::{Fault, Place};

use crate::verdicts::{ID, VSA, summary};

/// Statements by BuildKit in the image's own index: in the old form, and in the new one, which says what it refers to.
fn with_attestations(story: &mut Story, new_form: bool, kind: &str) -> Descriptor {
    with_statement(story, new_form, |child| statement(child, kind, &provenance_of("")))
}

fn with_statement(story: &mut Story, new_form: bool, made: impl FnOnce(&Descriptor) -> Value) -> Descriptor {
    let bytes = story.registry.manifest(Selector::Digest(story.top.digest)).unwrap().bytes;
    let mut index: Value = serde_json::from_slice(&bytes).unwrap();
    let is = |entry: &&Value| entry["platform"]["architecture"] == "amd64";
    let child = index["manifests"].as_array().unwrap().iter().find(is).unwrap().clone();
    let child: Descriptor = serde_json::from_value(child).unwrap();
    let said = made(&child);
    let (text, kind) = (said.to_string(), &said["predicateType"]);
    story.fake.put_blob(REPO, text.as_bytes());
    story.fake.put_blob(REPO, b"{}");
    let config = if new_form { media::OCI_EMPTY } else { media::OCI_CONFIG };
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": { "mediaType": config, "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{
            "mediaType": IN_TOTO, "digest": Digest::of(text.as_bytes()), "size": text.len(),
            "annotations": { "in-toto.io/predicate-type": kind },
        }],
    });
    if new_form {
        manifest["artifactType"] = json!("application/vnd.docker.attestation.manifest.v1+json");
        manifest["subject"] =
            json!({ "mediaType": child.media_type, "digest": child.digest, "size": child.size });
    }
    let manifest = manifest.to_string();
    let entry = Descriptor::of(media::OCI_MANIFEST, manifest.as_bytes());
    story.fake.put_manifest(REPO, &entry.digest.to_string(), media::OCI_MANIFEST, manifest.as_bytes());
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
        "platform": { "os": "unknown", "architecture": "unknown" },
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": child.digest,
        },
    }));
    publish(story, &index);
    entry
}

fn publish(story: &mut Story, index: &Value) {
    let index = index.to_string();
    story.top = Descriptor::of(&story.top.media_type, index.as_bytes());
    story.fake.put_manifest(REPO, "1.4", &story.top.media_type, index.as_bytes());
    story.name(&[]);
}

/// The index again, with other entries.
fn edit(story: &mut Story, change: impl FnOnce(&mut Vec<Value>)) {
    let bytes = story.registry.manifest(Selector::Digest(story.top.digest)).unwrap().bytes;
    let mut index: Value = serde_json::from_slice(&bytes).unwrap();
    change(index["manifests"].as_array_mut().unwrap());
    publish(story, &index);
}

fn is_attestation(entry: &Value) -> bool {
    entry["platform"]["os"] == "unknown"
}

#[test]
fn what_buildkit_attests_is_its_publishers_word_until_somebody_signs_it() {
    for new_form in [false, true] {
        let mut story = Story::begin();
        let attestations = with_attestations(&mut story, new_form, PROVENANCE);
        let report = story.evidence(&[]);
        assert_eq!(outcomes(&report), [pair("published", PROVENANCE)], "{report}");
        assert_eq!(
            (&report["pieces"][0]["fresh"], &report["pieces"][0]["place"]),
            (&json!(true), &json!("index"))
        );
        let run = story.verify("provenance", &["--key", "a.pub"]);
        assert!(
            run.stdout.contains("built, as its publisher says: the builder signed nothing"),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("gap  the builder: the provenance names none"), "{}", run.stdout);
        let unverified = story.evidence(&["--unverified"]);
        assert_eq!(outcomes(&unverified), [pair("refused", "unsigned")]);
        assert_eq!(story.demand("1", &["a.pub"], &["--predicate", PROVENANCE]).code, 1);
        // Docker's way: the manifest of the statements is signed.
        let about = bundle("a", &statement(&attestations, COSIGN_SIGN, &json!({})));
        story.attach(&attestations, BUNDLE, &about);
        let report = story.evidence(&[]);
        assert_eq!(outcomes(&report), [pair("signed", COSIGN_SIGN), pair("signed", PROVENANCE)], "{report}");
        assert_eq!(story.demand("1", &["a.pub"], &["--predicate", PROVENANCE]).code, 0);
        assert_eq!(
            story.demand("1", &["a.pub"], &[]).code,
            1,
            "the statements were signed, and not the image"
        );
    }
}

#[test]
fn who_signs_a_list_of_statements_approves_of_no_image_whatever_they_call_themselves() {
    for new_form in [false, true] {
        let mut story = Story::begin();
        let attestations = with_attestations(&mut story, new_form, COSIGN_SIGN);
        let about = bundle("a", &statement(&attestations, COSIGN_SIGN, &json!({})));
        story.attach(&attestations, BUNDLE, &about);
        let run = story.demand("1", &["a.pub"], &[]);
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    }
}

/// BuildKit writes so where the image got no name.
#[test]
fn a_statement_without_a_subject_is_about_what_the_index_says_and_signed_only_where_its_manifest_says_it_too()
{
    for new_form in [false, true] {
        let mut story = Story::begin();
        let about = |subjects: Value| {
            move |child: &Descriptor| {
                let mut said = statement(child, PROVENANCE, &provenance_of(""));
                said["subject"] = subjects;
                said
            }
        };
        let attestations = with_statement(&mut story, new_form, about(json!([])));
        assert_eq!(outcomes(&story.evidence(&[])), [pair("published", PROVENANCE)]);
        assert_eq!(outcomes(&story.evidence(&["--unverified"])), [pair("refused", "unsigned")]);
        let run = story.verify("provenance", &["--key", "a.pub"]);
        assert!(run.stdout.contains("built, as its publisher says"), "{}", run.stdout);

        let word = bundle("a", &statement(&attestations, COSIGN_SIGN, &json!({})));
        story.attach(&attestations, BUNDLE, &word);
        // In the old form the same manifest may lie beside any image, and its signer never said which.
        let (outcome, code) = if new_form { ("signed", 0) } else { ("published", 1) };
        let report = story.evidence(&[]);
        let mut expected = [pair("signed", COSIGN_SIGN), pair(outcome, PROVENANCE)];
        expected.sort();
        assert_eq!(outcomes(&report), expected, "{report}");
        assert_eq!(story.demand("1", &["a.pub"], &["--predicate", PROVENANCE]).code, code);

        // One about something that has no digest names a subject.
        with_statement(&mut story, new_form, about(json!([{ "name": "web" }])));
        let report = story.evidence(&[]);
        assert!(outcomes(&report).contains(&pair("refused", "other-subject")), "{report}");
    }
}

#[test]
fn elsewhere_than_in_the_index_a_statement_without_a_subject_is_about_nothing() {
    let story = Story::begin();
    let mut said = statement(&story.top, PROVENANCE, &provenance_of(""));
    said["subject"] = json!([]);
    story.attach(&story.top, BUNDLE, &bundle("a", &said));
    story.attach(&story.top, IN_TOTO, said.to_string().as_bytes());
    let report = story.evidence(&[]);
    assert_eq!(
        outcomes(&report),
        [pair("refused", "other-subject"), pair("refused", "other-subject")],
        "{report}"
    );
}

/// A call about all platforms, which may refuse `--platform`.
fn of_all(story: &Story, verb: &str, more: &[&str]) -> Run {
    let (image, at) = (format!("{}/{REPO}:1.4", story.fake.host()), story.endpoints.now.to_rfc3339());
    let words =
        [verb, &image, "--as", &story.endpoints.name, "--all-platforms", "--repo", &story.endpoints.repo];
    story.program(&[&words[..], &["--root", "root.json", "--at", &at], more].concat())
}

#[test]
fn of_all_platforms_each_image_is_asked_and_its_attestations_are_hashed() {
    let mut story = Story::begin();
    let attestations = with_attestations(&mut story, false, PROVENANCE);
    let bytes = story.registry.manifest(Selector::Digest(story.top.digest)).unwrap().bytes;
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    let images = index["manifests"].as_array().unwrap().iter().filter(|entry| !is_attestation(entry));
    let images: Vec<Descriptor> =
        images.map(|entry| serde_json::from_value(entry.clone()).unwrap()).collect();
    let signed = ["--require-signers", "1", "--signer-key", "a.pub"];
    for image in &images {
        assert_eq!(of_all(&story, "image", &signed).code, 1);
        story.sign(image, "a", &[Format::Cosign3]);
    }
    let run = of_all(&story, "image", &[&signed[..], &["--format", "json"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let digests: Vec<_> = report["platforms"].as_array().unwrap().iter().map(|one| &one["digest"]).collect();
    let expected: Vec<_> = images.iter().map(|image| json!(image.digest)).collect();
    assert_eq!(digests, expected.iter().collect::<Vec<_>>());
    assert!(report["links"].to_string().contains(&attestations.digest.to_string()));

    let manifest = story.registry.manifest(Selector::Digest(attestations.digest)).unwrap().bytes;
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let statement = manifest["layers"][0]["digest"].as_str().unwrap();
    let scanned = of_all(&story, "image", &["--scan"]);
    assert!(scanned.code == 0 && scanned.stderr.contains("every blob was hashed"), "{}", scanned.stderr);
    assert_eq!(of_all(&story, "pull", &["oci:out:1"]).code, 0);
    assert!(story.path("out/blobs/sha256").join(statement.trim_start_matches("sha256:")).is_file());
    story.fake.set_fault(Place::blob(REPO, statement), Fault::FlipByte);
    for (verb, more) in [("image", "--scan"), ("pull", "oci:other:1")] {
        let run = of_all(&story, verb, &[more]);
        assert!(run.code == 1 && run.stderr.contains(statement), "{} {}", run.code, run.stderr);
    }
}

#[test]
fn a_pack_and_a_proof_of_one_image_with_attestations_are_judged_as_they_were_made() {
    for named in [true, false] {
        let mut story = Story::begin();
        with_attestations(&mut story, true, PROVENANCE);
        edit(&mut story, |entries| {
            entries.retain(|entry| is_attestation(entry) || entry["platform"]["architecture"] == "amd64");
            if !named {
                entries.iter_mut().filter(|entry| !is_attestation(entry)).for_each(|entry| {
                    entry.as_object_mut().unwrap().remove("platform");
                });
            }
        });
        let at = story.endpoints.now.to_rfc3339();
        let report = of_all(&story, "image", &["--with-proof", "--format", "json"]);
        assert_eq!(report.code, 0, "{}", report.stderr);
        fs::write(story.path("proof.json"), &report.stdout).unwrap();
        let run = story.program(&["replay", "proof.json", "--root", "root.json"]);
        assert!(run.code == 0 && run.stderr.contains("as reported"), "{}", run.stderr);
        let run = of_all(&story, "pack", &["-o", "web.hpk"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let run = story.program(&["image", "--pack", "web.hpk", "--root", "root.json", "--at", &at]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}

#[test]
fn an_index_of_nothing_but_attestations_is_no_image() {
    let mut story = Story::begin();
    with_attestations(&mut story, false, PROVENANCE);
    edit(&mut story, |entries| entries.retain(is_attestation));
    let run = of_all(&story, "image", &[]);
    assert!(run.code == 1 && run.stderr.contains("expected at least one image, got none"), "{}", run.stderr);
}

#[test]
fn no_length_of_an_index_hides_what_the_metadata_names() {
    let mut story = Story::begin();
    let attestations = with_statement(&mut story, false, |child| {
        let mut said = statement(child, PROVENANCE, &provenance_of(""));
        said["subject"] = json!([]);
        said
    });
    // What both name is about what the index says.
    story.name(&[attestations.digest]);
    assert_eq!(outcomes(&story.evidence(&[])), [pair("published", PROVENANCE)]);

    let part = |entries: &[Value]| entries.iter().find(|entry| is_attestation(entry)).unwrap().clone();
    let mut many = Vec::new();
    for number in 0..301 {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": [], "annotations": { "number": number.to_string() },
            "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2 },
        })
        .to_string();
        let digest = Digest::of(manifest.as_bytes());
        story.fake.put_manifest(REPO, &digest.to_string(), media::OCI_MANIFEST, manifest.as_bytes());
        many.push((digest, manifest.len()));
    }
    edit(&mut story, |entries| {
        let entry = part(entries);
        entries.extend(many.iter().map(|(digest, size)| {
            let mut entry = entry.clone();
            (entry["digest"], entry["size"]) = (json!(digest), json!(size));
            entry
        }));
    });
    let verifier = ["--verifier", &format!("{ID}=a.pub")];
    let failed = statement(&story.top, VSA, &summary(&story, 1, &json!({ "verificationResult": "FAILED" })));
    let digest = story.attach(&story.top, BUNDLE, &bundle("a", &failed));
    story.name(&[digest]);
    let run = story.verify("image", &verifier);
    assert!(run.code == 1 && run.stderr.contains("refused it at"), "{}", run.stderr);
}
