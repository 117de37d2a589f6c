//! Private keys: in files ([`mod@file`]), and elsewhere: in a token (PKCS#11), in an ssh-agent, or behind a program
//! of yours.
//!
//! A key is named by a [`KeyUri`], which holds no secret, and opened into something that signs
//! ([`tuf_core::crypto::Sign`]). A PIN is asked for through [`Ask`], used once, and wiped. Where a signature
//! is made, [`tuf_core::authoring::Document::sign`] checks it before anything is written.
//!
//! Nothing here reads the environment or a clock, or prints.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod asn1;
mod aws;
mod cosign;
mod exec;
pub mod file;
mod openssh;
mod pkcs11;
mod sigv4;
mod ssh_agent;
mod stick;
mod traces;
mod uri;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tuf_core::crypto::Sign;
use tuf_core::key::Key;
use zeroize::Zeroizing;

pub use aws::{ANSWER_MAX, AwsKeys, Cloud};
pub use traces::private_key_in;
pub use uri::{BadUri, KeyUri, Kms};

/// A PIN or a passphrase, wiped when dropped.
pub type Secret = Zeroizing<String>;

/// What the caller found around it.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The socket of the ssh-agent: `SSH_AUTH_SOCK`.
    pub agent_socket: Option<PathBuf>,
    /// The PKCS#11 module, where a URI names none: `PKCS11_MODULE_PATH`.
    pub module: Option<PathBuf>,
    /// How long a program may take to answer; else two minutes, for a person who has to touch a device.
    pub patience: Option<Duration>,
    /// What shows AWS's key service who asks.
    pub aws: Option<AwsKeys>,
    /// The way into the network.
    pub cloud: Option<Arc<dyn Cloud>>,
}

/// Where a secret comes from.
pub trait Ask {
    /// The secret for `what`. `last_try` where the token says that a wrong one locks it.
    ///
    /// # Errors
    /// Says why there is none, for a person.
    fn secret(&mut self, what: &str, last_try: bool) -> Result<Secret, String>;
}

/// Opens a key.
///
/// # Errors
/// Says which key can't be used, and why; never with a secret in it.
pub fn open(uri: &KeyUri, around: &Around, ask: &mut dyn Ask) -> Result<Box<dyn Sign>, KeyError> {
    let failed = |why: Why| KeyError { uri: uri.to_string(), why };
    match uri {
        KeyUri::File(path) => {
            stick::open(path, ask).map(|key| Box::new(key) as Box<dyn Sign>).map_err(failed)
        }
        KeyUri::Pkcs11(token) => {
            pkcs11::open(token, around, ask).map(|key| Box::new(key) as Box<dyn Sign>).map_err(failed)
        }
        KeyUri::SshAgent(wanted) => {
            ssh_agent::open(wanted, around).map(|key| Box::new(key) as Box<dyn Sign>).map_err(failed)
        }
        KeyUri::Exec(command) => {
            exec::open(command, around).map(|key| Box::new(key) as Box<dyn Sign>).map_err(failed)
        }
        KeyUri::AwsKms(wanted) => {
            aws::open(wanted, around).map(|key| Box::new(key) as Box<dyn Sign>).map_err(failed)
        }
    }
}

/// The public half of a key, as far as it shows without a secret: `None` where one is needed.
///
/// # Errors
/// As [`open`].
pub fn public(uri: &KeyUri, around: &Around) -> Result<Option<Key>, KeyError> {
    let shown = match uri {
        KeyUri::File(path) => stick::shown(path),
        KeyUri::Pkcs11(token) => pkcs11::shown(token, around),
        // These ask for nothing.
        _ => return open(uri, around, &mut Nobody).map(|key| Some(key.key().clone())),
    };
    shown.map_err(|why| KeyError { uri: uri.to_string(), why })
}

/// Nobody is there to be asked.
struct Nobody;

impl Ask for Nobody {
    fn secret(&mut self, what: &str, _: bool) -> Result<Secret, String> {
        Err(format!("a secret for {what} is needed"))
    }
}

/// A key can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{uri}: {why}")]
pub struct KeyError {
    /// The key.
    pub uri: String,
    /// Why.
    pub why: Why,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// What holds the key isn't there.
    #[error("{0}")]
    Missing(String),
    /// The PIN is wrong.
    #[error("the PIN is wrong{}", if *.last_try { ": one try is left, then the token is locked" } else { "" })]
    WrongSecret {
        /// Whether the next wrong one locks it.
        last_try: bool,
    },
    /// The passphrase is wrong.
    #[error("the passphrase doesn't open it")]
    WrongPassphrase,
    /// The token is locked.
    #[error("the token is locked after too many wrong PINs")]
    Locked,
    /// There was nobody to ask.
    #[error("{0}")]
    NoSecret(String),
    /// Who asks may not.
    #[error("{0}")]
    Denied(String),
    /// Several keys are called so.
    #[error("expected one key that is called so, got {0}")]
    Ambiguous(usize),
    /// A key of a kind that metadata has no scheme for.
    #[error("expected a key of Ed25519, ECDSA over P-256 or P-384, or RSA, got {0}")]
    Kind(String),
    /// What holds the key gave an answer that is none.
    #[error("{0}")]
    Answer(String),
}
