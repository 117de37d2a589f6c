//! Keys in an ssh-agent (draft-ietf-sshm-ssh-agent): Ed25519, and ECDSA over P-256 and P-384. RSA keys sign
//! there only in ways that metadata has no scheme for.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use tuf_core::crypto::{Sign, SignError};
use tuf_core::key::{Key, KeyVal};

use crate::wire::Reader;
use crate::{Around, Why, asn1};

/// Numbers of messages (section 6.1).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// OpenSSH's agent answers with no more.
const ANSWER_MAX: u32 = 256 * 1024;
/// A person may have to touch a key or type a passphrase.
const PATIENCE: Duration = Duration::from_secs(120);

/// A key in an agent.
pub(crate) struct AgentKey {
    socket: PathBuf,
    blob: Vec<u8>,
    kind: Kind,
    key: Key,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Ed25519,
    P256,
    P384,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
        }
    }
}

pub(crate) fn open(wanted: &str, around: &Around) -> Result<AgentKey, Why> {
    let socket = around.agent_socket.clone().ok_or_else(|| {
        Why::Missing("no ssh-agent: SSH_AUTH_SOCK names none. `eval $(ssh-agent)` starts one".into())
    })?;
    let answer = ask(&socket, &[REQUEST_IDENTITIES]).map_err(Why::Missing)?;
    let malformed = || Why::Answer("the ssh-agent's list of keys is malformed".into());
    let mut reader = Reader(&answer);
    if reader.byte() != Some(IDENTITIES_ANSWER) {
        return Err(Why::Answer("the ssh-agent didn't list its keys".into()));
    }
    let count = reader.number().ok_or_else(malformed)?;
    let (mut fitting, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let blob = reader.string().ok_or_else(malformed)?;
        // Whoever added the key wrote it: it is shown, and may hold anything.
        let comment =
            String::from_utf8_lossy(reader.string().ok_or_else(malformed)?).replace(char::is_control, "?");
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)));
        if wanted == fingerprint || wanted == comment {
            fitting.push(blob.to_vec());
        }
        seen.push(format!("{fingerprint} ({comment})"));
    }
    match fitting.as_slice() {
        [blob] => {
            let (kind, key) = public(blob)?;
            Ok(AgentKey { socket, blob: blob.clone(), kind, key })
        }
        [] => {
            let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
            Err(Why::Missing(format!("the ssh-agent has no such key, but {seen}: `ssh-add` adds one")))
        }
        several => Err(Why::Ambiguous(several.len())),
    }
}

/// The public key of a key blob (RFC 8709, RFC 5656).
fn public(blob: &[u8]) -> Result<(Kind, Key), Why> {
    let mut reader = Reader(blob);
    let malformed = || Why::Answer("the ssh-agent's key is malformed".into());
    let name = reader.string().ok_or_else(malformed)?;
    let kinds = [Kind::Ed25519, Kind::P256, Kind::P384];
    let Some(kind) = kinds.into_iter().find(|kind| kind.name().as_bytes() == name) else {
        return Err(Why::Kind(String::from_utf8_lossy(name).into_owned()));
    };
    if kind != Kind::Ed25519 {
        reader.string().ok_or_else(malformed)?;
    }
    let point = reader.string().ok_or_else(malformed)?;
    let public = point.iter().map(|byte| format!("{byte:02x}")).collect();
    let (keytype, scheme) = match kind {
        Kind::Ed25519 => ("ed25519", "ed25519"),
        other => ("ecdsa", other.name()),
    };
    let key = Key { keytype: keytype.into(), scheme: scheme.into(), keyval: KeyVal { public } };
    let pem = key.to_pem().map_err(|why| Why::Answer(why.to_string()))?;
    Ok((kind, Key::from_pem(&pem).map_err(|why| Why::Answer(why.to_string()))?))
}

impl Sign for AgentKey {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |what: String| SignError { what };
        let mut request = vec![SIGN_REQUEST];
        for part in [&self.blob, message] {
            let length = u32::try_from(part.len()).map_err(|_| failed("too long for an ssh-agent".into()))?;
            request.extend(length.to_be_bytes());
            request.extend(part);
        }
        request.extend(0_u32.to_be_bytes());
        let answer = ask(&self.socket, &request).map_err(failed)?;
        let mut reader = Reader(&answer);
        match reader.byte() {
            Some(SIGN_RESPONSE) => {}
            Some(FAILURE) => return Err(failed("the ssh-agent refused to sign".into())),
            _ => return Err(failed("the ssh-agent gave no usable answer".into())),
        }
        self.signature(&mut reader).ok_or_else(|| failed("the ssh-agent's signature is malformed".into()))
    }
}

impl AgentKey {
    /// The signature in the form that metadata has it.
    fn signature(&self, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
        let mut reader = Reader(reader.string()?);
        if reader.string()? != self.kind.name().as_bytes() {
            return None;
        }
        let signature = reader.string()?;
        if self.kind == Kind::Ed25519 {
            return Some(signature.to_vec());
        }
        let mut numbers = Reader(signature);
        asn1::integers(&[numbers.string()?, numbers.string()?])
    }
}

/// One question and its answer.
fn ask(socket: &Path, request: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |why: std::io::Error| format!("the ssh-agent at {}: {why}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let length = u32::try_from(request.len()).map_err(|_| "too long for an ssh-agent".to_owned())?;
    stream.write_all(&length.to_be_bytes()).and_then(|()| stream.write_all(request)).map_err(failed)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(failed)?;
    let length = u32::from_be_bytes(length);
    if length > ANSWER_MAX {
        return Err(format!("expected at most {ANSWER_MAX} bytes of an ssh-agent, got {length}"));
    }
    let mut answer = vec![0; usize::try_from(length).unwrap_or_default()];
    stream.read_exact(&mut answer).map_err(failed)?;
    Ok(answer)
}
