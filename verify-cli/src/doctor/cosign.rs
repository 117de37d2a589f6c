//! cosign 2 and 3, and the two admission controllers that are built on it.
//!
//! cosign 2 reads simple signing under the tag, and nothing else unless it is told to. cosign 3 first reads every bundle
//! 0.3 that refers to the image, of whatever artifact type and predicate type; where there is one, good or bad, it
//! looks under no tag (`cmd/cosign/cli/verify/verify.go`, `pkg/cosign/verify.go`). Both fix SHA-256 unless told
//! otherwise, look at what the name leads to and not at the parts of an index, and take one good signature.
//!
//! policy-controller 0.13 and Kyverno read the tag with keys, and bundles of keyless signers only.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use image_evidence::{Claim, Form, Piece, Refusal, Trust};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::look::{Blob, Holder, Listing, Sight};
use super::model::{Row, Weighed, Why, With, Word};
use super::{Key, Question, Trusted, bytes, simple};
use crate::commands::config::{cosign_by_identity, cosign_by_key};
use crate::doctor_args::Client;

/// Whose signature is wanted.
pub(super) enum Signer<'a> {
    Key(&'a Key),
    /// A keyless one, by this identity.
    Identity(&'a image_evidence::Identity, &'a Trust),
    Nobody,
}

pub(super) fn rows(client: Client, question: &Question<'_>, trusted: &Trusted) -> Vec<Row> {
    signers(trusted).iter().map(|signer| row(client, question, signer, trusted)).collect()
}

/// Each whom the client could be told to trust, or nobody.
pub(super) fn signers(trusted: &Trusted) -> Vec<Signer<'_>> {
    let keys = trusted.keys.iter().map(Signer::Key);
    let identities = trusted.identities.iter().map(|(identity, trust)| Signer::Identity(identity, trust));
    let mut signers: Vec<_> = keys.chain(identities).collect();
    if signers.is_empty() {
        signers.push(Signer::Nobody);
    }
    signers
}

fn row(client: Client, question: &Question<'_>, signer: &Signer<'_>, trusted: &Trusted) -> Row {
    let weighed = match client {
        Client::Cosign3 => cosign3(question, signer),
        Client::PolicyController | Client::Kyverno => controller(client, question, signer),
        _ => under_tag(question, signer),
    };
    let way_out = (!weighed.accepts()).then(|| way_out(client, &weighed, signer));
    let command = match client {
        Client::Cosign2 | Client::Cosign3 => command(client, question, signer, trusted),
        _ => None,
    };
    Row { client, with: with(signer), weighed, command, way_out }
}

pub(super) fn with(signer: &Signer<'_>) -> Option<With> {
    match signer {
        Signer::Key(key) => Some(With::key(key)),
        Signer::Identity(identity, _) => Some(With { kind: "identity", name: identity.subject.clone() }),
        Signer::Nobody => None,
    }
}

/// The words by which cosign is asked.
pub(super) fn command(
    client: Client,
    question: &Question<'_>,
    signer: &Signer<'_>,
    trusted: &Trusted,
) -> Option<Vec<String>> {
    match signer {
        Signer::Key(key) => Some(cosign_by_key(&key.name, question.reference)),
        Signer::Identity(identity, _) => {
            let mut words = cosign_by_identity(&identity.subject, &identity.issuer, question.reference);
            if let (Client::Cosign3, Some(root)) = (client, &trusted.trusted_root) {
                words.splice(2..2, ["--trusted-root".to_owned(), root.display().to_string()]);
            }
            Some(words)
        }
        Signer::Nobody => None,
    }
}

/// cosign 2, and 3 where there is no bundle: one good signature under the tag.
fn under_tag(question: &Question<'_>, signer: &Signer<'_>) -> Weighed {
    let holder = match question.seen.tag(question.seen.top.digest) {
        Sight::There(holder) => holder,
        Sight::Absent => return question.nothing("a signature under the tag sha256-….sig"),
        Sight::Unseen(trouble) => return unseen("the tag sha256-….sig", trouble),
    };
    if holder.blobs.is_empty() {
        return question.nothing("a signature under the tag sha256-….sig");
    }
    let each = holder.blobs.iter().map(|blob| simple_signature(question, signer, blob));
    Weighed::any(each.chain(left(holder)))
}

/// What is too much to be looked at may hold a good one.
pub(super) fn left(holder: &Holder) -> Option<Result<Option<String>, Why>> {
    let detail = format!("{} more signatures are there, which weren't looked at", holder.left);
    (holder.left > 0).then(|| Err(Why::new(Word::Unchecked, detail)))
}

pub(super) fn unseen(what: &str, trouble: &super::look::Trouble) -> Weighed {
    let detail = format!("{what}: {}", trouble.why);
    match trouble.unreachable {
        true => Weighed::unknown(Word::Unreachable, detail),
        false => Weighed::refuses(Word::Malformed, detail),
    }
}

fn simple_signature(
    question: &Question<'_>,
    signer: &Signer<'_>,
    blob: &Blob,
) -> Result<Option<String>, Why> {
    let image = &question.seen.top;
    match signer {
        Signer::Nobody => Err(nobody()),
        Signer::Key(key) => {
            let payload = simple::Payload::by(key, blob)?;
            if payload.image() != image.digest.to_string() {
                let got = payload.image();
                return Err(Why::new(
                    Word::OtherImage,
                    format!("expected a signature of {}, got one of {got}", image.digest),
                ));
            }
            if simple::has_certificate(blob) {
                let detail =
                    format!("{} signed it, and a certificate lies beside it, which is weighed too", key.name);
                return Err(Why::new(Word::Unchecked, detail));
            }
            Ok(Some(match simple::has_log_entry(blob) {
                true => "a log's entry lies beside it, which isn't looked at here".to_owned(),
                false => "no log knows of it, so that it must be told to ask none".to_owned(),
            }))
        }
        Signer::Identity(_, trust) => {
            if !simple::has_certificate(blob) {
                return Err(Why::new(
                    Word::OtherSigner,
                    "expected a certificate beside the signature, got none",
                ));
            }
            let bytes = bytes(blob)?;
            let piece = Piece { form: Form::SimpleSigning, bytes, annotations: &blob.descriptor.annotations };
            let repository = question.repository();
            piece
                .verify(&question.context(image, &repository), trust)
                .map_err(|why| refused(signer, &why))?;
            Ok(None)
        }
    }
}

pub(super) fn nobody() -> Why {
    Why::new(Word::NoTrust, "there are signatures, and nobody said whose count")
}

/// What cosign 3 makes of it: bundles first.
fn cosign3(question: &Question<'_>, signer: &Signer<'_>) -> Weighed {
    let listing = match &question.seen.listing {
        Sight::There(listing) => listing,
        Sight::Absent => return under_tag(question, signer),
        // It would look under the tag; but another time the list may have a bundle that hides it.
        Sight::Unseen(trouble) => return unseen("what refers to the image", trouble),
    };
    let (bundles, unread) = bundles(listing);
    let each: Vec<_> = bundles.iter().map(|bundle| bundle_signature(question, signer, bundle)).collect();
    if each.iter().any(Result::is_ok) {
        return Weighed::any(each);
    }
    if !unread.is_empty() || listing.left > 0 {
        let more = (listing.left > 0).then(|| {
            Why::new(
                Word::Unchecked,
                format!("{} more refer to the image, which weren't looked at", listing.left),
            )
        });
        return Weighed::any(each.into_iter().chain(unread.into_iter().chain(more).map(Err)));
    }
    if bundles.is_empty() {
        let mut tag = under_tag(question, signer);
        if let (Weighed::Refuses(whys), true) = (&mut tag, has_older(listing)) {
            let detail = "a sigstore bundle before 0.3 refers to the image, and cosign 3 reads none of them";
            whys.insert(0, Why::new(Word::OtherForm, detail));
        }
        return tag;
    }
    match (Weighed::any(each), under_tag(question, signer)) {
        (Weighed::Refuses(mut whys), Weighed::Accepts(_)) => {
            let detail = "a sigstore bundle refers to the image, so cosign 3 doesn't look under the tag, where it would find one";
            whys.insert(0, Why::new(Word::Shadowed, detail));
            Weighed::Refuses(whys)
        }
        (refused, _) => refused,
    }
}

/// The bundles that cosign 3 would find, and what may have been one.
pub(super) fn bundles(listing: &Listing) -> (Vec<&Blob>, Vec<Why>) {
    let (mut bundles, mut unread) = (Vec::new(), Vec::new());
    for (_, holder) in &listing.entries {
        let blob = match holder {
            Ok(Holder { blobs, left: 0, .. }) => match blobs.as_slice() {
                [blob] if blob.descriptor.media_type.starts_with("application/vnd.dev.sigstore.bundle") => {
                    blob
                }
                _ => continue,
            },
            Ok(_) => continue,
            Err(trouble) => {
                if trouble.unreachable {
                    unread.push(Why::new(Word::Unreachable, trouble.why.clone()));
                }
                continue;
            }
        };
        match &blob.bytes {
            Ok(Some(bytes)) if is_bundle(bytes) => bundles.push(blob),
            Ok(_) => {}
            Err(trouble) if trouble.unreachable => {
                unread.push(Why::new(Word::Unreachable, trouble.why.clone()))
            }
            Err(_) => {}
        }
    }
    (bundles, unread)
}

/// What of a bundle sigstore-go wants before it looks at any signature; members that it doesn't know end it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(default)]
    dsse_envelope: Option<IgnoredAny>,
    #[serde(default)]
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    #[serde(default)]
    public_key: Option<IgnoredAny>,
    #[serde(default)]
    certificate: Option<IgnoredAny>,
    #[serde(default)]
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default, rename = "tlogEntries")]
    _tlog_entries: Option<IgnoredAny>,
    #[serde(default, rename = "timestampVerificationData")]
    _timestamps: Option<IgnoredAny>,
}

/// Whether cosign 3 takes it for a bundle, good or bad: one below 0.3 is passed over.
fn is_bundle(bytes: &[u8]) -> bool {
    let Ok(bundle) = serde_json::from_slice::<Bundle>(bytes) else { return false };
    let kinds = [
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    ];
    let material = &bundle.verification_material;
    let has_material = material.public_key.is_some()
        || material.certificate.is_some()
        || material.x509_certificate_chain.is_some();
    let has_content = bundle.dsse_envelope.is_some() || bundle.message_signature.is_some();
    kinds.contains(&bundle.media_type.as_str()) && has_material && has_content
}

/// Whether a bundle is there of a version that it passes over.
fn has_older(listing: &Listing) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        media_type: String,
    }
    let blobs =
        listing.entries.iter().filter_map(|(_, holder)| holder.as_ref().ok()).flat_map(|one| &one.blobs);
    let kinds =
        blobs.filter_map(|blob| serde_json::from_slice::<Named>(blob.bytes.as_ref().ok()?.as_ref()?).ok());
    let older =
        ["0.1", "0.2"].map(|version| format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
    kinds.into_iter().any(|named| older.contains(&named.media_type))
}

fn bundle_signature(
    question: &Question<'_>,
    signer: &Signer<'_>,
    blob: &Blob,
) -> Result<Option<String>, Why> {
    Ok(match claim(question, signer, Form::Bundle, blob)? {
        Claim::Approval => None,
        Claim::Statement(statement) => Some(format!(
            "it is a statement of type {} and no signature of the image, which is all the same to cosign",
            statement.predicate_type
        )),
    })
}

/// What this signer claims of the image in a bundle or an envelope.
pub(super) fn claim(
    question: &Question<'_>,
    signer: &Signer<'_>,
    form: Form,
    blob: &Blob,
) -> Result<Claim, Why> {
    let trust = match signer {
        Signer::Nobody => return Err(nobody()),
        Signer::Key(key) => &key.trust,
        Signer::Identity(_, trust) => trust,
    };
    let bytes = bytes(blob)?;
    let piece = Piece { form, bytes, annotations: &blob.descriptor.annotations };
    let (image, repository) = (&question.seen.top, question.repository());
    let context = question.context(image, &repository);
    let verified = piece.verify(&context, trust).or_else(|why| match with_one_hint(bytes, &why) {
        Some(bytes) => Piece { bytes: &bytes, ..piece }.verify(&context, trust),
        None => Err(why),
    });
    let verified = verified.map_err(|why| refused(signer, &why))?;
    if let Signer::Key(key) = signer {
        expect_readable(key, form, bytes)?;
    }
    Ok(verified.claim)
}

/// The same bundle without its hint at the key, where that was refused for not being its envelope's: cosign doesn't
/// compare them.
fn with_one_hint(bytes: &[u8], refusal: &Refusal) -> Option<Vec<u8>> {
    let Refusal::Kind { expected, got, .. } = refusal else { return None };
    let mut bundle: Value = serde_json::from_slice(bytes).ok()?;
    let keyid = bundle.pointer("/dsseEnvelope/signatures/0/keyid")? == got.as_str();
    let hint = bundle.pointer_mut("/verificationMaterial/publicKey/hint")?;
    let is_it = keyid && *hint == expected.as_str();
    *hint = Value::from("");
    is_it.then(|| serde_json::to_vec(&bundle).ok()).flatten()
}

/// Who needs other trust than was given is another signer than the one that is asked for.
fn refused(signer: &Signer<'_>, refusal: &Refusal) -> Why {
    match (refusal, signer) {
        (Refusal::NoTrust { .. }, Signer::Key(key)) => Why::new(
            Word::OtherKey,
            format!("expected a signature by {}, got one by a certificate", key.name),
        ),
        (Refusal::NoTrust { .. }, Signer::Identity(identity, _)) => Why::new(
            Word::OtherSigner,
            format!("expected a certificate of {}, got a signature by a key", identity.subject),
        ),
        _ => Why::from(refusal),
    }
}

/// That a bundle which this key signed is signed as cosign reads it: with SHA-256, of which a signature over P-384 may
/// have another; and without a `keyid`, or with the one name that it gives any key.
fn expect_readable(key: &Key, form: Form, bytes: &[u8]) -> Result<(), Why> {
    let envelope = match form {
        Form::Envelope => serde_json::from_slice::<image_signatures::Dsse>(bytes),
        _ => serde_json::from_slice::<image_signatures::Bundle>(bytes).map(|bundle| bundle.dsse_envelope),
    };
    let envelope = envelope.map_err(|why| Why::new(Word::Malformed, why.to_string()))?;
    let decoded = |text: &str| STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).unwrap_or_default();
    let message = image_signatures::pae(&envelope.payload_type, &decoded(&envelope.payload));
    if !envelope.signatures.iter().any(|one| key.has_signed(&message, &decoded(&one.sig))) {
        return Err(Why::new(Word::KeyKind, "expected a signature with SHA-256, got one with SHA-384"));
    }
    let own = image_signatures::key_fingerprint(&key.public).unwrap_or_default();
    let named = envelope.signatures.iter().find(|one| !one.keyid.is_empty() && one.keyid != own);
    match named.filter(|_| form == Form::Bundle) {
        None => Ok(()),
        Some(named) => {
            let detail = format!(
                "expected a signature without keyid, or with that of the key, {own}; cosign takes any other for \
                 another key's, got {:?}",
                named.keyid
            );
            Err(Why::new(Word::Malformed, detail))
        }
    }
}

/// policy-controller and Kyverno: keys under the tag, keyless signers in either form.
fn controller(client: Client, question: &Question<'_>, signer: &Signer<'_>) -> Weighed {
    let tag = under_tag(question, signer);
    let Sight::There(listing) = &question.seen.listing else { return tag };
    let (found, _) = bundles(listing);
    match (tag, signer) {
        (Weighed::Refuses(mut whys), Signer::Key(_)) if !found.is_empty() => {
            let detail = format!(
                "a sigstore bundle refers to the image; {} reads those of keyless signers only",
                client.name()
            );
            whys.insert(0, Why::new(Word::OtherForm, detail));
            Weighed::Refuses(whys)
        }
        (Weighed::Refuses(_), Signer::Identity(..)) if !found.is_empty() => {
            let format = match client {
                Client::Kyverno => "type: SigstoreBundle",
                _ => "signatureFormat: bundle",
            };
            match Weighed::any(found.into_iter().map(|blob| bundle_signature(question, signer, blob))) {
                Weighed::Accepts(_) => Weighed::Accepts(Some(format!("where its policy says {format}"))),
                other => other,
            }
        }
        (other, _) => other,
    }
}

/// What to do.
fn way_out(client: Client, weighed: &Weighed, signer: &Signer<'_>) -> String {
    let format = if client == Client::Cosign3 { "cosign3" } else { "cosign2" };
    let publish = format!("`signer publish --for {format} --for-key NAME`");
    match (weighed.whys().first().map(|why| why.word), signer) {
        (Some(Word::Unreachable), _) => "try again when the registry answers".to_owned(),
        (Some(Word::NoTrust), Signer::Nobody) => {
            "say whose signatures count: --key FILE, or --identity, --issuer and --trusted-root".to_owned()
        }
        (Some(Word::Unchecked), _) => "ask the client itself".to_owned(),
        (Some(Word::KeyKind), _) => {
            "sign with a key over P-256, which every client reads; or add --signature-digest-algorithm sha384 to cosign".to_owned()
        }
        (Some(Word::OtherImage), _) => {
            "a signature was moved here from another image: find out who did, then have this one signed".to_owned()
        }
        (Some(Word::Shadowed), _) => format!("have the same key sign a bundle too: {publish}"),
        (Some(Word::OtherKey), _) => format!("give the key of who signed it; or have this one sign: {publish}"),
        (_, Signer::Identity(..)) => "have that identity sign: `cosign sign`".to_owned(),
        _ => format!("have it signed in this form: {publish}"),
    }
}
