//! Policies for what admits images into Kubernetes. They are JSON, which kubectl takes as it takes YAML.

use serde_json::{Value, json};

use super::{Files, expect_name, pretty, public_key};
use crate::config_args::SignedArgs;
use crate::failure::Failure;

/// The most keys. Each is fetched for and tried on its own.
const KEYS_MAX: usize = 20;

/// A ClusterImagePolicy for each key: an image must meet every policy that fits its name, and of one policy any
/// authority (policy.sigstore.dev/v1beta1). Without `ctlog` no log is asked about a key's signature.
pub(super) fn policy_controller(signed: &SignedArgs) -> Result<Files, Failure> {
    let name = expect_name(&signed.name, true)?;
    // It knows Docker Hub by the name of its index.
    let globbed = match name.strip_prefix("docker.io") {
        Some(rest) => format!("index.docker.io{rest}"),
        None => name.clone(),
    };
    // * stops at a slash, and ** doesn't.
    let images: Vec<_> =
        [":**", "@**", "/**"].iter().map(|end| json!({ "glob": format!("{globbed}{end}") })).collect();
    let mut written = Files::new();
    for (number, key) in keys(signed)?.into_iter().enumerate() {
        let called = called(&name, number);
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": { "name": called },
            "spec": {
                "mode": "enforce",
                "images": images,
                "authorities": [{ "name": "key", "key": { "data": key, "hashAlgorithm": "sha256" } }],
            },
        });
        written.push((format!("policy-controller-{called}.json").into(), pretty(&policy)));
    }
    Ok(written)
}

/// A ClusterPolicy (kyverno.io/v1) by which every key must have signed: each of `attestors` is demanded.
pub(super) fn kyverno(signed: &SignedArgs) -> Result<Files, Failure> {
    let name = expect_name(&signed.name, true)?;
    let references: Vec<_> = [":*", "@*", "/*"].iter().map(|end| format!("{name}{end}")).collect();
    let attestors: Vec<Value> = keys(signed)?
        .into_iter()
        .map(|key| {
            let keys = json!({
                "publicKeys": key,
                "signatureAlgorithm": "sha256",
                "rekor": { "url": "https://rekor.sigstore.dev", "ignoreTlog": true },
                "ctlog": { "ignoreSCT": true },
            });
            json!({ "count": 1, "entries": [{ "keys": keys }] })
        })
        .collect();
    let called = called(&name, 0);
    let policy = json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": { "name": called },
        "spec": {
            "validationFailureAction": "Enforce",
            "background": false,
            "failurePolicy": "Fail",
            "webhookTimeoutSeconds": 30,
            "rules": [{
                "name": "signed",
                "match": { "any": [{ "resources": { "kinds": ["Pod"] } }] },
                "verifyImages": [{
                    "type": "Cosign",
                    "imageReferences": references,
                    "required": true,
                    "mutateDigest": true,
                    "verifyDigest": true,
                    "attestors": attestors,
                }],
            }],
        },
    });
    Ok(vec![(format!("kyverno-{called}.json").into(), pretty(&policy))])
}

fn keys(signed: &SignedArgs) -> Result<Vec<String>, Failure> {
    if signed.keys.len() > KEYS_MAX {
        let what = format!("expected at most {KEYS_MAX} keys, got {}", signed.keys.len());
        return Err(Failure::usage(what));
    }
    signed.keys.iter().map(|key| public_key(key)).collect()
}

/// A name as Kubernetes has them (RFC 1123, label): lower case, and of at most 63 letters.
fn called(name: &str, number: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let readable: String = name.chars().map(plain).take(40).collect();
    let hash = oci_image::Digest::of(name.as_bytes()).hex();
    let hash = hash.get(..8).unwrap_or_default();
    format!("signed-{}-{hash}-{number}", readable.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    fn signed(dir: &tempfile::TempDir, name: &str, keys: usize) -> SignedArgs {
        let keys = (0..keys).map(|number| {
            let file = dir.path().join(format!("{number}.pub"));
            std::fs::write(&file, KEY).unwrap();
            file
        });
        SignedArgs { name: name.into(), keys: keys.collect() }
    }

    fn parsed(files: &Files) -> Vec<Value> {
        files.iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
    }

    #[test]
    fn policy_controller_gets_a_policy_for_each_key() {
        let dir = tempfile::tempdir().unwrap();
        let files = policy_controller(&signed(&dir, "docker.io/acme", 2)).unwrap();
        let [one, two] = &parsed(&files)[..] else { panic!("{files:?}") };
        assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
        let globs: Vec<_> =
            one["spec"]["images"].as_array().unwrap().iter().map(|image| &image["glob"]).collect();
        assert_eq!(globs, ["index.docker.io/acme:**", "index.docker.io/acme@**", "index.docker.io/acme/**"]);
        // The letters that its globs may have.
        let plain = |glob: &&Value| {
            glob.as_str().unwrap().chars().all(|c| c.is_ascii_alphanumeric() || "-_:/*.@".contains(c))
        };
        assert!(globs.iter().all(plain));
        let authorities = one["spec"]["authorities"].as_array().unwrap();
        assert_eq!(authorities.len(), 1);
        assert_eq!(authorities[0]["key"]["data"], KEY);
        assert!(authorities[0].get("ctlog").is_none(), "no log is asked");
    }

    #[test]
    fn kyverno_demands_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let files = kyverno(&signed(&dir, "registry.example.com/acme/web", 2)).unwrap();
        let [policy] = &parsed(&files)[..] else { panic!("{files:?}") };
        let rule = &policy["spec"]["rules"][0]["verifyImages"][0];
        assert_eq!(rule["attestors"].as_array().unwrap().len(), 2);
        assert_eq!(rule["attestors"][1]["entries"][0]["keys"]["publicKeys"], KEY);
        assert_eq!(rule["imageReferences"][0], "registry.example.com/acme/web:*");
    }

    #[test]
    fn names_are_such_as_kubernetes_takes() {
        for name in ["registry.example.com:5000/acme/web", "R.example.com", &"a.".repeat(100)] {
            let called = called(name, 19);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(called.len() <= 63 && called.chars().all(plain) && !called.ends_with('-'), "{called}");
        }
    }
}
