//! Which clients would take an image, with which key, and why not.
//!
//! Each client is a model of where it looks, what it reads there, which keys it knows and what it demands, in a file
//! of its own. The models were read in the sources of these clients; those that can be run are run beside them
//! (`tests/clients`). Signatures are verified by the libraries that verify them elsewhere. Nothing here makes an image
//! trusted: that is for `verify image`.

pub(crate) mod attested;
pub(crate) mod containers_policy;
mod cosign;
mod docker;
mod key;
pub(crate) mod look;
pub(crate) mod model;
mod notation;
mod podman;
mod simple;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use image_evidence::{Context, Identity, Refusal, Trust};
use oci_image::{Descriptor, Platform, Reference};

use self::containers_policy::ContainersPolicy;
pub(crate) use self::key::Key;
use self::look::{Blob, Seen};
use self::model::{Row, Weighed, Why, With, Word};
use crate::doctor_args::Client;

/// What a client could be told to trust.
pub(crate) struct Trusted {
    pub(crate) keys: Vec<Key>,
    /// Each with the root under which its certificates are; one apart for each, so that each is told apart.
    pub(crate) identities: Vec<(Identity, Trust)>,
    pub(crate) trusted_root: Option<PathBuf>,
    /// notation's policy, and what it says of the repository that has no place in a verification.
    pub(crate) notation: Option<(PathBuf, Trust, notation::Level)>,
    pub(crate) containers: Option<(PathBuf, ContainersPolicy)>,
}

/// The image that is asked about.
pub(crate) struct Question<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) seen: &'a Seen,
    /// Of an index, the platform whose image is asked about.
    pub(crate) platform: &'a Platform,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) use self::notation::Level;

/// What every client but this one makes of the image, by all that it could be told to trust.
pub(crate) fn rows(clients: &[Client], question: &Question<'_>, trusted: &Trusted) -> Vec<Row> {
    let mut rows = Vec::new();
    for client in clients.iter().copied() {
        rows.extend(match client {
            Client::Hallmark => Vec::new(),
            Client::Cosign2 | Client::Cosign3 | Client::PolicyController | Client::Kyverno => {
                cosign::rows(client, question, trusted)
            }
            Client::Podman => podman::rows(question, trusted),
            Client::Notation => notation::rows(question, trusted),
            Client::DockerAttest => docker::rows(question, trusted),
        });
    }
    rows
}

impl Question<'_> {
    /// The context in which a signature of this image is verified.
    fn context<'a>(&self, image: &'a Descriptor, repository: &'a str) -> Context<'a> {
        Context { image, repository, now: self.now }
    }

    /// As most clients want it.
    fn repository(&self) -> String {
        self.reference.name().to_string()
    }

    /// In which forms the image is signed, for people: none of them where it isn't.
    fn forms(&self) -> Vec<&'static str> {
        use image_evidence::Form;
        let has = |is: &dyn Fn(Form) -> bool| self.seen.count(is) > 0;
        let mut forms = Vec::new();
        if has(&|form| form == Form::SimpleSigning) {
            forms.push("as simple signing, under the tag for signatures");
        }
        if has(&|form| form == Form::Bundle) {
            forms.push("by a sigstore bundle");
        }
        if has(&|form| matches!(form, Form::NotationJws | Form::NotationCose)) {
            forms.push("by notation");
        }
        forms
    }

    /// That there is nothing of the form in question where a client looks.
    fn nothing(&self, wanted: &str) -> Weighed {
        match self.forms().as_slice() {
            [] => Weighed::refuses(Word::Unsigned, format!("expected {wanted}, got no signature at all")),
            forms => {
                let got = forms.join(", and ");
                Weighed::refuses(Word::OtherForm, format!("expected {wanted}; it is signed {got}"))
            }
        }
    }
}

impl With {
    fn key(key: &Key) -> Self {
        Self { kind: "key", name: key.name.clone() }
    }
}

/// Bytes of a blob that could be read.
fn bytes(blob: &Blob) -> Result<&[u8], Why> {
    match &blob.bytes {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Why::new(
            Word::Malformed,
            format!("expected a signature, got a blob of type {:?}", blob.descriptor.media_type),
        )),
        Err(trouble) => {
            let word = if trouble.unreachable { Word::Unreachable } else { Word::Malformed };
            Err(Why::new(word, trouble.why.clone()))
        }
    }
}

impl From<&Refusal> for Why {
    fn from(refusal: &Refusal) -> Self {
        let word = match refusal {
            Refusal::Subject { .. } => Word::OtherImage,
            Refusal::Signature { .. } => Word::Tampered,
            Refusal::Key { .. } => Word::OtherKey,
            Refusal::Signer { .. } => Word::OtherSigner,
            Refusal::Certificate { .. } | Refusal::Expired { .. } => Word::Certificate,
            Refusal::Log { .. } => Word::Log,
            Refusal::Unsigned => Word::Unsigned,
            Refusal::NoTrust { .. } | Refusal::Predicate { .. } => Word::NoTrust,
            Refusal::Unchecked { .. } => Word::Unchecked,
            _ => Word::Malformed,
        };
        Self::new(word, refusal.to_string())
    }
}
