//! Attestations as cosign 2 and 3 read them (`cosign verify-attestation`).
//!
//! cosign 2 reads envelopes under the tag `sha256-HEX.att`; cosign 3 first the bundles that refer to the image, and where
//! there is one, good or bad, it looks under no tag. Of what a signer signed about the image, one statement of the
//! predicate type that is asked for is enough (`cmd/cosign/cli/verify/verify_attestation.go`, `pkg/policy/attestation.go`).

use std::collections::BTreeSet;

use image_evidence::{COSIGN_SIGN, Claim, Form, Piece};

use super::cosign::{self, Signer};
use super::look::{Blob, Holder, Sight};
use super::model::{Row, Weighed, Why, Word};
use super::{Question, Trusted, simple};
use crate::doctor_args::Client;

/// The most predicate types that are told apart: an image has a handful.
const KINDS_MAX: usize = 20;

/// What a client makes of the attestations of one type, by one signer.
#[derive(Debug)]
pub(crate) struct Attested {
    /// The predicate type.
    pub(crate) kind: String,
    pub(crate) row: Row,
}

/// Every type that is said of the image, whoever says it, by each signer.
pub(crate) fn rows(clients: &[Client], question: &Question<'_>, trusted: &Trusted) -> Vec<Attested> {
    let signers = cosign::signers(trusted);
    let mut rows = Vec::new();
    for kind in kinds(question) {
        for client in clients.iter().copied().filter(|one| matches!(one, Client::Cosign2 | Client::Cosign3)) {
            rows.extend(signers.iter().map(|signer| {
                let row = row(client, question, signer, &kind, trusted);
                Attested { kind: kind.clone(), row }
            }));
        }
    }
    rows
}

fn kinds(question: &Question<'_>) -> BTreeSet<String> {
    let under_tag = match &question.seen.attestations {
        Sight::There(holder) => holder.blobs.as_slice(),
        Sight::Absent | Sight::Unseen(_) => &[],
    };
    let listed = match &question.seen.listing {
        Sight::There(listing) => cosign::bundles(listing).0,
        Sight::Absent | Sight::Unseen(_) => Vec::new(),
    };
    let kind = |form: Form, blob: &Blob| {
        let bytes = blob.bytes.as_ref().ok()?.as_ref()?;
        let piece = Piece { form, bytes, annotations: &blob.descriptor.annotations };
        piece.unverified().map(|statement| statement.predicate_type)
    };
    let all = under_tag.iter().filter_map(|blob| kind(Form::Envelope, blob));
    let all = all.chain(listed.into_iter().filter_map(|blob| kind(Form::Bundle, blob)));
    all.filter(|kind| kind != COSIGN_SIGN).collect::<BTreeSet<_>>().into_iter().take(KINDS_MAX).collect()
}

fn row(client: Client, question: &Question<'_>, signer: &Signer<'_>, kind: &str, trusted: &Trusted) -> Row {
    let weighed = match client {
        Client::Cosign3 => cosign3(question, signer, kind),
        _ => under_tag(question, signer, kind),
    };
    let mut command = cosign::command(client, question, signer, trusted);
    if let Some(words) = &mut command {
        words.splice(1..2, ["verify-attestation", "--type", kind].map(str::to_owned));
    }
    let way_out = (!weighed.accepts()).then(|| way_out(client, &weighed, signer));
    Row { client, with: cosign::with(signer), weighed, command, way_out }
}

fn under_tag(question: &Question<'_>, signer: &Signer<'_>, kind: &str) -> Weighed {
    const WHERE: &str = "the tag sha256-….att";
    let holder = match &question.seen.attestations {
        Sight::There(holder) => holder,
        Sight::Absent => {
            let detail = format!("expected an attestation under {WHERE}, got none there");
            return Weighed::refuses(Word::OtherForm, detail);
        }
        Sight::Unseen(trouble) => return cosign::unseen(WHERE, trouble),
    };
    Weighed::any(envelopes(question, signer, kind, holder))
}

fn envelopes(
    question: &Question<'_>,
    signer: &Signer<'_>,
    kind: &str,
    holder: &Holder,
) -> Vec<Result<Option<String>, Why>> {
    let one = |blob: &Blob| {
        if matches!(signer, Signer::Key(_)) && simple::has_certificate(blob) {
            let detail = "a certificate lies beside the attestation, which is weighed too";
            return Err(Why::new(Word::Unchecked, detail));
        }
        expect_kind(kind, cosign::claim(question, signer, Form::Envelope, blob)?)
    };
    holder.blobs.iter().map(one).chain(cosign::left(holder)).collect()
}

fn expect_kind(kind: &str, claim: Claim) -> Result<Option<String>, Why> {
    match claim.predicate_type() {
        got if got == kind => Ok(None),
        got => Err(Why::new(
            Word::OtherType,
            format!("expected a statement of type {kind}, got one of type {got}"),
        )),
    }
}

fn cosign3(question: &Question<'_>, signer: &Signer<'_>, kind: &str) -> Weighed {
    let listing = match &question.seen.listing {
        Sight::There(listing) => listing,
        Sight::Absent => return under_tag(question, signer, kind),
        Sight::Unseen(trouble) => return cosign::unseen("what refers to the image", trouble),
    };
    let (bundles, unread) = cosign::bundles(listing);
    let more = (listing.left > 0).then(|| {
        let detail = format!("{} more refer to the image, which weren't looked at", listing.left);
        Why::new(Word::Unchecked, detail)
    });
    let unsure: Vec<_> = unread.into_iter().chain(more).collect();
    if bundles.is_empty() && unsure.is_empty() {
        return under_tag(question, signer, kind);
    }
    let each = bundles.into_iter().map(|blob| {
        cosign::claim(question, signer, Form::Bundle, blob).and_then(|claim| expect_kind(kind, claim))
    });
    match Weighed::any(each.chain(unsure.into_iter().map(Err))) {
        Weighed::Refuses(mut whys) if under_tag(question, signer, kind).accepts() => {
            let detail = "a sigstore bundle refers to the image, so cosign 3 doesn't look under the tag, where it \
                          would find one";
            whys.insert(0, Why::new(Word::Shadowed, detail));
            Weighed::Refuses(whys)
        }
        other => other,
    }
}

fn way_out(client: Client, weighed: &Weighed, signer: &Signer<'_>) -> String {
    let form = if client == Client::Cosign3 { "a bundle" } else { "an envelope under the tag" };
    match (weighed.whys().first().map(|why| why.word), signer) {
        (Some(Word::Unreachable), _) => "try again when the registry answers".to_owned(),
        (Some(Word::NoTrust), Signer::Nobody) => {
            "say whose attestations count: --key FILE, or --identity, --issuer and --trusted-root".to_owned()
        }
        (Some(Word::Unchecked), _) => "ask the client itself".to_owned(),
        (Some(Word::OtherImage), _) => {
            "an attestation was moved here from another image: find out who did".to_owned()
        }
        (Some(Word::OtherForm), _) if client == Client::Cosign2 => {
            "give `--new-bundle-format` to cosign 2, where a bundle says it".to_owned()
        }
        _ => format!("have it said by that signer, as {form}"),
    }
}
