//! The one private key that `verify` uses: that of `verify attest`, opened where it lives and given to nothing else.

use std::path::{Path, PathBuf};

use signing_keys::{Around, Ask, KeyUri, Secret, Why};
use tuf_core::crypto::Sign;

use crate::failure::Failure;
use crate::files;

/// The longest line of a passphrase file.
const PASSPHRASE_MAX: u64 = 64 * 1024;

/// What is found around a key. The caller reads the environment.
#[derive(Default)]
pub(crate) struct KeyPlaces {
    pub(crate) passphrase: Option<Secret>,
    pub(crate) pin: Option<Secret>,
    pub(crate) agent_socket: Option<PathBuf>,
    pub(crate) module: Option<PathBuf>,
}

impl KeyPlaces {
    /// With the passphrase from a file's first line, where one is named.
    pub(crate) fn with_passphrase(mut self, file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(file) = file {
            let text = Secret::new(files::text(file, PASSPHRASE_MAX)?);
            let line = text.lines().next().unwrap_or_default();
            self.passphrase = Some(Secret::new(line.to_owned()));
        }
        Ok(self)
    }

    /// Opens a key. Nobody is asked: this runs where nobody is.
    pub(crate) fn open(&self, uri: &KeyUri) -> Result<Box<dyn Sign>, Failure> {
        let around = Around {
            agent_socket: self.agent_socket.clone(),
            module: self.module.clone(),
            ..Around::default()
        };
        let is_token = matches!(uri, KeyUri::Pkcs11(_));
        let mut given = Given { secret: if is_token { &self.pin } else { &self.passphrase } };
        signing_keys::open(uri, &around, &mut given).map_err(|error| match error.why {
            Why::Missing(_) => Failure::unknown(format!("the key can't be reached: {error}")),
            Why::NoSecret(_) if is_token => Failure::usage(error)
                .hint("give the PIN in HALLMARK_PIN, or name its file with pin-source= in the URI"),
            Why::NoSecret(_) => Failure::usage(error)
                .hint("give the passphrase in HALLMARK_PASSPHRASE, or with --passphrase-file FILE"),
            _ => Failure::usage(format!("the key can't be used: {error}")),
        })
    }
}

/// A secret that was given beforehand.
struct Given<'s> {
    secret: &'s Option<Secret>,
}

impl Ask for Given<'_> {
    fn secret(&mut self, what: &str, last_try: bool) -> Result<Secret, String> {
        if last_try {
            return Err(format!("one more wrong PIN locks {what}, so none is tried"));
        }
        self.secret.clone().ok_or_else(|| format!("a secret for {what} is needed, and none was given"))
    }
}
