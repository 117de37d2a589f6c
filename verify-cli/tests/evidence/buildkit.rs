//! What BuildKit attests in the image's own index, and what a signature of that is worth.

use super::*;

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
    let index = index.to_string();
    story.top = Descriptor::of(&story.top.media_type, index.as_bytes());
    story.fake.put_manifest(REPO, "1.4", &story.top.media_type, index.as_bytes());
    {
        let mut world = story.surface.world();
        let path = world.path();
        world.repo.role_mut("targets").set_target(&path, &Target::of(index.as_bytes())).unwrap();
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    entry
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
