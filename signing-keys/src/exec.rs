//! Keys behind a program: whatever can answer two questions on its standard input can sign.
//!
//! It is started once for each question, without a shell, and gets one JSON object:
//!
//! ```json
//! {"version": 1, "request": "public-key"}
//! {"version": 1, "request": "sign", "message": "BASE64"}
//! ```
//!
//! It answers on its standard output with one of these, and ends with 0:
//!
//! ```json
//! {"public_key": "-----BEGIN PUBLIC KEY-----…"}
//! {"signature": "BASE64"}
//! ```
//!
//! A signature is as metadata has it: 64 bytes for Ed25519, DER for ECDSA (over SHA-256 with P-256, SHA-384
//! with P-384), PSS with a salt of 32 bytes and SHA-256 for RSA. Signatures by RSA for other tools are of other
//! schemes: then `"scheme"` beside `"message"` is `rsassa-pkcs1-sha256`, `rsassa-pss-sha384` or
//! `rsassa-pss-sha512`, each with a salt as long as the hash, if any. What it writes to standard error is shown to
//! the person as it is.

use std::io::{Read as _, Write as _};
use std::process::{self, Child, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tuf_core::crypto::{RsaScheme, Sign, SignError};
use tuf_core::key::{self, Key};

use crate::uri::Command;
use crate::{Around, Why};

/// A public key or a signature, in JSON.
const ANSWER_MAX: u64 = 64 * 1024;
/// A person may have to touch a device.
const PATIENCE: Duration = Duration::from_secs(120);
/// For the rest of the output, when it has ended.
const AFTERWARDS: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Serialize)]
struct Question<'q> {
    version: u32,
    request: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'q str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
}

#[derive(Deserialize)]
struct PublicKey {
    public_key: String,
}

#[derive(Deserialize)]
struct Signature {
    signature: String,
}

/// A key behind a program.
pub(crate) struct ExecKey {
    command: Command,
    patience: Duration,
    key: Key,
}

pub(crate) fn open(command: &Command, around: &Around) -> Result<ExecKey, Why> {
    let patience = around.patience.unwrap_or(PATIENCE);
    let question = Question { version: 1, request: "public-key", message: None, scheme: None };
    let answer = ask(command, &question, patience).map_err(Why::Answer)?;
    let PublicKey { public_key } = serde_json::from_slice(&answer)
        .map_err(|why| Why::Answer(format!("expected {{\"public_key\": PEM}} of the program, got {why}")))?;
    let key = Key::from_pem(&public_key).map_err(|why| Why::Answer(why.to_string()))?;
    Ok(ExecKey { command: command.clone(), patience, key })
}

impl Sign for ExecKey {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.ask_for(None, message)
    }

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self.key.material() {
            Ok(key::PublicKey::RsaPss(own, _)) => {
                self.ask_for(Some(scheme).filter(|scheme| *scheme != RsaScheme::Pss(own)), message)
            }
            _ => Err(SignError { what: format!("expected an RSA key, got one by {}", self.key.scheme) }),
        }
    }
}

impl ExecKey {
    /// Asks for a signature, by the key's own scheme or another.
    fn ask_for(&self, scheme: Option<RsaScheme>, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |what: String| SignError { what };
        let (message, scheme) = (STANDARD.encode(message), scheme.map(|scheme| scheme.to_string()));
        let question = Question { version: 1, request: "sign", message: Some(&message), scheme };
        let answer = ask(&self.command, &question, self.patience).map_err(failed)?;
        let Signature { signature } = serde_json::from_slice(&answer)
            .map_err(|why| failed(format!("expected {{\"signature\": BASE64}} of the program, got {why}")))?;
        STANDARD
            .decode(signature)
            .map_err(|why| failed(format!("the program's signature is no base64: {why}")))
    }
}

/// Behind a program are often one card and one person: they are asked one thing at a time.
static TURN: Mutex<()> = Mutex::new(());

/// One question and its answer.
fn ask(command: &Command, question: &Question<'_>, patience: Duration) -> Result<Vec<u8>, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = command.program.display().to_string();
    let failed = |why: std::io::Error| format!("{name}: {why}");
    let mut child = process::Command::new(&command.program)
        .args(&command.arguments)
        // What opens our own keys is none of its business.
        .env_remove("HALLMARK_PASSPHRASE")
        .env_remove("HALLMARK_PIN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let mut question = serde_json::to_vec(question).map_err(|why| why.to_string())?;
    question.push(b'\n');
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // Apart from each other, so that neither side waits for the other one for ever.
    thread::spawn(move || {
        // Who doesn't read the question will not know the answer: that is seen there.
        stdin.map(|mut stdin| stdin.write_all(&question))
    });
    let (send, answers) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.map(|stdout| stdout.take(ANSWER_MAX.saturating_add(1)).read_to_end(&mut answer));
        // Nobody listens any more where it took too long.
        send.send(read.transpose().map(|_| answer))
    });
    let status = wait(&mut child, patience).map_err(|why| format!("{name}: {why}"));
    let _ = child.kill();
    let _ = child.wait();
    let status = status?;
    // What it started itself may hold its output open: it has answered all the same, or never will.
    let answer = answers.recv_timeout(AFTERWARDS).map_err(|_| format!("{name}: its output never ended"))?;
    let answer = answer.map_err(failed)?;
    if u64::try_from(answer.len()).unwrap_or(u64::MAX) > ANSWER_MAX {
        return Err(format!("{name}: expected at most {ANSWER_MAX} bytes, got more"));
    }
    match status.success() {
        true => Ok(answer),
        false => Err(format!("{name} ended with {status}")),
    }
}

fn wait(child: &mut Child, patience: Duration) -> Result<process::ExitStatus, String> {
    let began = Instant::now();
    loop {
        match child.try_wait().map_err(|why| why.to_string())? {
            Some(status) => return Ok(status),
            None if began.elapsed() > patience => {
                return Err(format!("no answer within {} seconds", patience.as_secs()));
            }
            None => thread::sleep(PAUSE),
        }
    }
}
