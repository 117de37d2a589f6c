//! docker/attest 0.6.8, and what is built on it: attestations in envelopes, by keys.
//!
//! It looks at the image of one platform. As its mapping of names says, attestations refer to it (`style: referrers`, which
//! is the default) or are in the manifest of attestations that the index lists beside it (`attached`). It knows three media
//! types; of what refers to the image, one manifest that doesn't hold exactly one envelope of its type ends it. An
//! envelope counts where *every* signature in it names a key that the policy has, by the SHA-256 of the key in DER, and is
//! ECDSA over SHA-256; its subject must have the digest, the name and the platform of the image, as a package URL
//! (`attestation/verify.go`, `referrers.go`, `registry.go`, `policy/policy.go`). Whether a log must know of it, and all
//! else, says a policy in Rego, which Docker publishes by TUF; that isn't looked at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_evidence::Statement;
use image_signatures::{Dsse, DsseSignature, IN_TOTO, pae};
use oci_image::{Descriptor, Digest, Reference};
use tuf_core::key::PublicKey;

use super::cosign::unseen;
use super::look::{Blob, Holder, Listing, Sight};
use super::model::{Row, Weighed, Why, With, Word};
use super::{Key, Question, Trusted, bytes};
use crate::doctor_args::Client;

/// The media types of its envelopes: of builds, of lists of what is inside, of verdicts.
const KINDS: [&str; 3] = [
    "application/vnd.in-toto.provenance+dsse",
    "application/vnd.in-toto.spdx+dsse",
    "application/vnd.in-toto.verification_summary+dsse",
];

/// What BuildKit attests, and nobody signs.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// Where an attestation is.
#[derive(Clone, Copy)]
enum Style {
    Attached,
    Referrers,
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Referrers => "referrers",
        }
    }
}

pub(super) fn rows(question: &Question<'_>, trusted: &Trusted) -> Vec<Row> {
    let row = |with, weighed: Weighed| {
        let way_out = (!weighed.accepts()).then(|| way_out(&weighed).to_owned());
        Row { client: Client::DockerAttest, with, weighed, command: None, way_out }
    };
    if trusted.keys.is_empty() {
        return vec![row(None, by(question, None))];
    }
    let each = trusted.keys.iter();
    each.map(|key| row(Some(With::key(key)), by(question, Some(key)))).collect()
}

fn by(question: &Question<'_>, key: Option<&Key>) -> Weighed {
    let image = question.seen.part.as_ref().unwrap_or(&question.seen.top);
    let docker = &question.seen.docker;
    let referring = found(&docker.referring, "what refers to the image", |listing| {
        KINDS.into_iter().flat_map(|kind| referring(question, key, image, listing, kind)).collect()
    });
    let attached = found(&docker.attached, "the manifest of attestations in the index", |holder| {
        attached(question, key, image, holder)
    });
    let both: Vec<_> = referring.into_iter().chain(attached).collect();
    if !both.is_empty() {
        return Weighed::any(both);
    }
    let unsigned = match &docker.attached {
        Sight::There(holder) => {
            holder.blobs.iter().filter(|blob| blob.descriptor.media_type == STATEMENT).count()
        }
        Sight::Absent | Sight::Unseen(_) => 0,
    };
    if unsigned > 0 {
        let detail =
            format!("expected an attestation in an envelope, got {unsigned} statements that nobody signed");
        return Weighed::refuses(Word::Unsigned, detail);
    }
    question.nothing("an attestation in an envelope of docker/attest")
}

type Each = Vec<Result<Option<String>, Why>>;

fn found<T>(sight: &Sight<T>, what: &str, each: impl FnOnce(&T) -> Each) -> Each {
    match sight {
        Sight::There(there) => each(there),
        Sight::Absent => Vec::new(),
        Sight::Unseen(trouble) => unseen(what, trouble).whys().iter().cloned().map(Err).collect(),
    }
}

fn attached(question: &Question<'_>, key: Option<&Key>, image: &Descriptor, holder: &Holder) -> Each {
    let envelopes = holder.blobs.iter().filter(|blob| KINDS.contains(&blob.descriptor.media_type.as_str()));
    let each = envelopes.map(|blob| envelope(question, key, image, blob, Style::Attached));
    each.chain(super::cosign::left(holder)).collect()
}

/// Those of one type. One that isn't as it should be ends it for the type.
fn referring(
    question: &Question<'_>,
    key: Option<&Key>,
    image: &Descriptor,
    listing: &Listing,
    kind: &str,
) -> Each {
    let entries = listing.entries.iter().filter(|(entry, _)| entry.artifact_type.as_deref() == Some(kind));
    let mut each = Vec::new();
    for (entry, holder) in entries {
        match holder.as_ref().map(|holder| holder.blobs.as_slice()) {
            Ok([blob]) if blob.descriptor.media_type == kind => {
                each.push(envelope(question, key, image, blob, Style::Referrers));
            }
            Ok(blobs) => {
                let got: Vec<_> = blobs.iter().map(|blob| blob.descriptor.media_type.as_str()).collect();
                let got = if got.is_empty() { "none".to_owned() } else { got.join(", ") };
                let detail = format!("expected one blob of type {kind} in {}, got {got}", entry.digest);
                return vec![Err(Why::new(Word::Malformed, detail))];
            }
            Err(trouble) => {
                let word = if trouble.unreachable { Word::Unreachable } else { Word::Malformed };
                return vec![Err(Why::new(word, trouble.why.clone()))];
            }
        }
    }
    if listing.left > 0 {
        let detail = format!("{} more refer to the image, which weren't looked at", listing.left);
        each.push(Err(Why::new(Word::Unchecked, detail)));
    }
    each
}

fn envelope(
    question: &Question<'_>,
    key: Option<&Key>,
    image: &Descriptor,
    blob: &Blob,
    style: Style,
) -> Result<Option<String>, Why> {
    let key =
        key.ok_or_else(|| Why::new(Word::NoTrust, "there are attestations, and nobody said whose count"))?;
    let malformed = |why: String| Why::new(Word::Malformed, why);
    let envelope: Dsse = serde_json::from_slice(bytes(blob)?).map_err(|why| malformed(why.to_string()))?;
    if envelope.payload_type != IN_TOTO {
        return Err(malformed(format!(
            "expected a payload of type {IN_TOTO}, got {:?}",
            envelope.payload_type
        )));
    }
    let payload = STANDARD.decode(&envelope.payload).map_err(|why| malformed(why.to_string()))?;
    let message = pae(&envelope.payload_type, &payload);
    if envelope.signatures.is_empty() {
        return Err(malformed("expected a signature in the envelope, got none".to_owned()));
    }
    let id = key_id(key).ok_or_else(|| malformed(format!("the key {} can't be written in DER", key.name)))?;
    envelope.signatures.iter().try_for_each(|one| signed(key, &id, &message, one))?;
    let statement = Statement::parse(&payload).map_err(|why| malformed(why.to_string()))?;
    expect_about(question, image, &statement)?;
    Ok(Some(format!(
        "where its policy names this key and no log, and its mapping says style: {}",
        style.name()
    )))
}

fn signed(key: &Key, id: &str, message: &[u8], one: &DsseSignature) -> Result<(), Why> {
    if one.keyid != id {
        let detail =
            format!("expected each signature to name the key {id} ({}), got {:?}", key.name, one.keyid);
        return Err(Why::new(Word::OtherKey, detail));
    }
    if !matches!(key.public, PublicKey::EcdsaP256(_) | PublicKey::EcdsaP384(_)) {
        return Err(Why::new(Word::KeyKind, "expected a key for ECDSA, got one of another kind"));
    }
    let signature = STANDARD.decode(&one.sig).map_err(|why| Why::new(Word::Malformed, why.to_string()))?;
    if key.has_signed(message, &signature) {
        return Ok(());
    }
    Err(match key.has_signed_with_sha384(message, &signature) {
        true => Why::new(Word::KeyKind, "expected a signature with SHA-256, got one with SHA-384"),
        false => {
            Why::new(Word::Tampered, format!("expected a signature that {} made, got another", key.name))
        }
    })
}

/// The SHA-256 of the key in DER, in hex.
fn key_id(key: &Key) -> Option<String> {
    let pem = tuf_core::key::Key::from_material(&key.public).ok()?.to_pem().ok()?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Some(Digest::of(&STANDARD.decode(body).ok()?).hex())
}

/// That it is about the image by its digest, its name and its platform.
fn expect_about(question: &Question<'_>, image: &Descriptor, statement: &Statement) -> Result<(), Why> {
    statement.expect_about(image.digest).map_err(|why| Why::from(&why))?;
    let hex = image.digest.hex();
    let about = statement.subjects.iter().filter(|one| one.digest.get("sha256") == Some(&hex));
    let names: Vec<&str> = about.map(|one| one.name.as_str()).collect();
    let platform = question.platform.to_string();
    let is = |name: &&str| {
        purl(name).is_some_and(|(name, got)| got == platform && name.name() == question.reference.name())
    };
    if names.iter().any(is) {
        return Ok(());
    }
    let detail = format!(
        "expected a subject pkg:docker/{} for {platform}, got {}",
        question.reference.name(),
        names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
    );
    Err(Why::new(Word::OtherName, detail))
}

/// The image and the platform of a package URL of type docker.
fn purl(text: &str) -> Option<(Reference, String)> {
    let decoded =
        |text: &str| url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    let (path, qualifiers) = text.strip_prefix("pkg:docker/")?.split_once('?')?;
    let name = decoded(path.rsplit_once('@').map_or(path, |(name, _)| name))?;
    let mut qualifiers = url::form_urlencoded::parse(qualifiers.split('#').next()?.as_bytes());
    let platform = qualifiers.find(|(name, _)| name == "platform")?.1.into_owned();
    Some((name.parse().ok()?, platform))
}

fn way_out(weighed: &Weighed) -> &'static str {
    match weighed.whys().first().map(|why| why.word) {
        Some(Word::Unreachable) => "try again when the registry answers",
        Some(Word::NoTrust) => "say whose attestations count: --key FILE",
        Some(Word::Unchecked) => "ask the client itself",
        Some(Word::OtherImage | Word::OtherName) => {
            "an attestation is of another image, name or platform: have this one signed"
        }
        _ => "have what BuildKit attests signed by docker/attest, with an ECDSA key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_names_an_image_and_its_platform() {
        let digest = "a".repeat(64);
        for (text, expected) in [
            ("pkg:docker/alpine@3?platform=linux%2Famd64", Some(("docker.io/library/alpine", "linux/amd64"))),
            ("pkg:docker/acme/web@1?platform=linux%2Farm%2Fv7", Some(("docker.io/acme/web", "linux/arm/v7"))),
            (
                &format!("pkg:docker/r.io%3A5000/web@1?digest=sha256:{digest}&platform=linux/amd64#x"),
                Some(("r.io:5000/web", "linux/amd64")),
            ),
            ("pkg:docker/alpine@3", None),
            ("pkg:docker/alpine@3?digest=x", None),
            ("pkg:oci/alpine@3?platform=linux%2Famd64", None),
            ("alpine", None),
        ] {
            let got = purl(text).map(|(name, platform)| (name.name().to_string(), platform));
            let got = got.as_ref().map(|(name, platform)| (name.as_str(), platform.as_str()));
            assert_eq!(got, expected, "{text}");
        }
    }
}
