//! Seeds of signatures and attestations.

use serde_json::{Value, json};

use super::{Named, named, pretty};
use crate::evidence::{
    COSE, IMAGE, JWS, OTHER, PLAIN_JWS, SPDX, bundled, envelope, payload, policy, statement, token,
};

const APPROVAL: &str = "https://sigstore.dev/cosign/sign/v1";

fn changed(mut value: Value, change: impl FnOnce(&mut Value)) -> String {
    change(&mut value);
    value.to_string()
}

pub(super) fn bundles() -> Named {
    let approval = || bundled(statement(IMAGE, APPROVAL).as_bytes());
    named(&[
        ("good-approval", approval().to_string()),
        ("good-list", bundled(statement(IMAGE, SPDX).as_bytes()).to_string()),
        ("good-spaced", pretty(approval().to_string().as_bytes())),
        ("bad-other", bundled(statement(OTHER, APPROVAL).as_bytes()).to_string()),
        (
            "bad-doubled",
            changed(approval(), |one| {
                let signature = one["dsseEnvelope"]["signatures"][0].clone();
                one["dsseEnvelope"]["signatures"] = json!([signature, signature]);
            }),
        ),
        (
            "bad-certificate-too",
            changed(approval(), |one| {
                one["verificationMaterial"]["certificate"] = json!({ "rawBytes": "" });
            }),
        ),
        ("bad-message", changed(approval(), |one| one["messageSignature"] = json!({}))),
        ("bad-unsigned", changed(approval(), |one| one["dsseEnvelope"]["signatures"] = json!([]))),
    ])
}

pub(super) fn attestations() -> Named {
    let with = |whose: u8, text: &str| [&[whose], text.as_bytes()].concat();
    let about = |kind: &str, predicate: Value| {
        let mut value: Value = serde_json::from_str(&statement(IMAGE, kind)).expect("JSON");
        value["predicate"] = predicate;
        with(0, &value.to_string())
    };
    let material = json!([{ "uri": "pkg:docker/alpine@3.19", "digest": { "sha256": OTHER } }]);
    let slsa1 = json!({ "buildDefinition": { "buildType": "https://actions.github.io/buildtypes/workflow/v1",
        "externalParameters": { "workflow": { "ref": "refs/heads/main", "repository": "https://github.com/acme/web", "path": "a.yml" } },
        "resolvedDependencies": material }, "runDetails": { "builder": { "id": "https://ci.example.com" } } });
    let slsa02 = json!({ "builder": { "id": "https://ci.example.com" }, "buildType": "https://ci.example.com/kind",
        "invocation": { "configSource": { "uri": "git+https://github.com/acme/web", "entryPoint": "Dockerfile" } },
        "materials": material });
    let vsa = json!({ "verifier": { "id": "https://v.example.com" }, "timeVerified": "2026-01-01T00:00:00Z",
        "resourceUri": "r.io/acme/web", "policy": { "uri": "https://p.example.com" },
        "verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_3"] });
    let vex = json!({ "@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "Acme", "version": 1,
        "timestamp": "2026-01-01T00:00:00Z", "statements": [{ "vulnerability": { "name": "CVE-2026-7" },
        "status": "not_affected", "products": [{ "@id": "pkg:oci/web", "subcomponents": [{ "@id": "pkg:deb/a" }] }] }] });
    let cyclonedx =
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{ "name": "a" }] });
    let vulnerabilities = json!({ "scanner": { "uri": "pkg:x", "version": "1", "result": {} },
        "metadata": { "scanFinishedOn": "2026-01-01T00:00:00Z" } });
    named(&[
        ("good-approval", with(0, &statement(IMAGE, APPROVAL))),
        ("good-spdx", about(SPDX, json!({ "spdxVersion": "SPDX-2.3", "packages": [{}] }))),
        ("good-spdx-text", about(SPDX, json!("{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[]}"))),
        ("good-cyclonedx", about("https://cyclonedx.org/bom", cyclonedx)),
        ("good-provenance-1", about("https://slsa.dev/provenance/v1", slsa1)),
        ("good-provenance-0-2", about("https://slsa.dev/provenance/v0.2", slsa02)),
        ("good-vsa", about("https://slsa.dev/verification_summary/v1", vsa)),
        ("good-vex", about("https://openvex.dev/ns/v0.2.0", vex)),
        ("good-scan", about("https://cosign.sigstore.dev/attestation/vuln/v1", vulnerabilities)),
        ("good-envelope", with(1, &envelope(statement(IMAGE, SPDX).as_bytes()).to_string())),
        ("bad-other", with(0, &statement(OTHER, SPDX))),
        ("bad-type", with(0, &statement(IMAGE, SPDX).replace("Statement/v1", "Statement/v2"))),
        ("bad-twice", with(0, &statement(IMAGE, SPDX).replacen('{', "{\"_type\":\"x\",", 1))),
        (
            "bad-envelope",
            with(1, &envelope(statement(IMAGE, SPDX).as_bytes()).to_string().replace("in-toto", "x")),
        ),
    ])
}

pub(super) fn simple() -> Named {
    let with = |whose: u8, text: &str| [&[whose], text.as_bytes()].concat();
    let tagged = format!(
        "{{\"optional\":{{\"creator\":\"x\"}},{}",
        &payload(IMAGE).replace(",\"optional\":null", "")[1..]
    );
    named(&[
        ("good-cosign", with(0, &payload(IMAGE))),
        ("good-optional", with(0, &tagged)),
        ("bad-other", with(0, &payload(OTHER))),
        ("bad-kind", with(0, &payload(IMAGE).replace("cosign container", "atomic container"))),
        ("bad-twice", with(0, &payload(IMAGE).replacen('{', "{\"critical\":{},", 1))),
        ("bad-signature", with(1, &format!("AAAA\n{}", payload(IMAGE)))),
    ])
}

pub(super) fn jws() -> Named {
    let value: Value = serde_json::from_slice(PLAIN_JWS).expect("JSON");
    named(&[
        ("good-stamped", JWS.to_vec()),
        ("good-plain", PLAIN_JWS.to_vec()),
        ("bad-no-chain", changed(value.clone(), |one| one["header"]["x5c"] = json!([])).into_bytes()),
        ("bad-payload", changed(value.clone(), |one| one["payload"] = json!("e30")).into_bytes()),
        ("bad-signature", changed(value, |one| one["signature"] = json!("AAAA")).into_bytes()),
    ])
}

pub(super) fn cose() -> Named {
    let mut flipped = COSE.to_vec();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let plain = [&[0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x41, b'{', 0x40], [].as_slice()].concat();
    named(&[("good-stamped", COSE.to_vec()), ("bad-signature", flipped), ("bad-small", plain)])
}

pub(super) fn time_stamps() -> Named {
    let good = token();
    let at = |part: &[u8]| good.windows(part.len()).position(|one| one == part).expect("it is there");
    let mut later = good.clone();
    later[at(b"20261127") + 3] = b'7';
    let mut cut = good.clone();
    cut.pop();
    let longer = [good.as_slice(), b"\0"].concat();
    named(&[("good-token", good.clone()), ("bad-later", later), ("bad-cut", cut), ("bad-longer", longer)])
}

pub(super) fn trust_policies() -> Named {
    let with = |from: &str, to: &str| policy("always", &["ca:acme", "tsa:acme"]).replace(from, to);
    named(&[
        ("good-strict", with("", "")),
        ("good-after-expiry", policy("afterCertExpiry", &["ca:acme", "tsa:acme"])),
        ("good-permissive", with("strict", "permissive")),
        ("good-audit", with("strict", "audit")),
        ("good-scope", with("\"*\"", "\"r.io/acme/web\"")),
        (
            "good-override",
            with("\"level\":\"strict\"", "\"level\":\"strict\",\"override\":{\"revocation\":\"skip\"}"),
        ),
        ("bad-level", with("strict", "lax")),
        ("bad-version", with("1.0", "2.0")),
        ("bad-store", with("ca:acme", "ca:other")),
        ("bad-scope", with("[\"*\"]", "[\"*\",\"r.io/a\"]")),
        ("bad-when", with("always", "never")),
        ("bad-identity", with("x509.subject: C=US, ST=WA, O=Acme", "x509.subject: C=US")),
    ])
}
