//! What a person writes for a key that lives elsewhere. No secret is ever part of it.

mod kms;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// RFC 7512, section 2.3: what may stand as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub use kms::Kms;

const SCHEMES: [&str; 5] = ["file", "pkcs11", "ssh-agent", "exec", "awskms"];

/// A key that lives elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyUri {
    /// `file:/PATH`: a file that stays where it is, such as on a stick.
    File(PathBuf),
    /// `pkcs11:token=NAME;object=NAME?module-path=FILE` (RFC 7512).
    Pkcs11(Token),
    /// `ssh-agent:SHA256:…` or `ssh-agent:COMMENT`.
    SshAgent(String),
    /// `exec:PROGRAM?arg=…&arg=…`.
    Exec(Command),
    /// `awskms:///KEY?region=…`.
    AwsKms(Kms),
}

/// A key in a token (RFC 7512).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Token {
    /// The token's label.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The number of the slot that it is in.
    pub slot: Option<u64>,
    /// The key's label.
    pub object: Option<String>,
    /// The key's id.
    pub id: Option<Vec<u8>>,
    /// The library that speaks to the token.
    pub module: Option<PathBuf>,
    /// A file with the PIN.
    pub pin_source: Option<PathBuf>,
}

/// A program that signs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why a text names no key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("that names no key: {0}")]
pub struct BadUri(String);

impl KeyUri {
    /// Whether a text is meant to be one, rather than a file: what stands before its first colon.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
    }

    /// Whether another question may get another PIN: it doesn't come from a file.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        matches!(self, Self::Pkcs11(token) if token.pin_source.is_none())
    }
}

impl FromStr for KeyUri {
    type Err = BadUri;

    fn from_str(text: &str) -> Result<Self, BadUri> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let empty = |what: &str| BadUri(format!("expected {what}, got nothing"));
        match scheme {
            "file" => file(rest).map(Self::File).map_err(BadUri),
            "pkcs11" => token(rest).map(Self::Pkcs11).map_err(BadUri),
            "ssh-agent" if rest.is_empty() => Err(empty("a fingerprint or a comment behind ssh-agent:")),
            "ssh-agent" => Ok(Self::SshAgent(rest.to_owned())),
            "exec" => command(rest).map(Self::Exec).map_err(BadUri),
            "awskms" => rest.parse().map(Self::AwsKms).map_err(BadUri),
            _ => Err(BadUri("expected file:, pkcs11:, ssh-agent:, exec: or awskms: in front".to_owned())),
        }
    }
}

/// RFC 8089: a path from the root, since nobody knows where a relative one begins.
fn file(text: &str) -> Result<PathBuf, String> {
    let path = if text.starts_with("///") { text.strip_prefix("//").unwrap_or(text) } else { text };
    let path = percent_decode_str(path).decode_utf8().map_err(|_| "it is not UTF-8".to_owned())?;
    match path.starts_with('/') && !path.starts_with("//") {
        true => Ok(path.into_owned().into()),
        false => Err("expected a path from the root behind file:, as in file:/media/stick/key.pem".into()),
    }
}

fn token(text: &str) -> Result<Token, String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut token = Token::default();
    let attributes = path.split(';').chain(query.split('&')).filter(|attribute| !attribute.is_empty());
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').ok_or("expected NAME=VALUE in a pkcs11: URI")?;
        let bytes: Vec<u8> = percent_decode_str(value).collect();
        let text = || String::from_utf8(bytes.clone()).map_err(|_| format!("{name} is not UTF-8"));
        match name {
            "token" => token.token = Some(text()?),
            "serial" => token.serial = Some(text()?),
            "slot-id" => {
                let number = text()?.parse().map_err(|_| "expected a number behind slot-id=")?;
                token.slot = Some(number);
            }
            "object" => token.object = Some(text()?),
            "id" => token.id = Some(bytes),
            "module-path" => token.module = Some(text()?.into()),
            "pin-source" => {
                token.pin_source = {
                    let text = text()?;
                    Some(text.strip_prefix("file:").unwrap_or(&text).into())
                }
            }
            "type" if value == "private" => {}
            // What is in a URI is on disk and in the list of processes.
            "pin-value" => {
                return Err(
                    "a PIN doesn't belong in a URI: it is asked for, or pin-source names a file".into()
                );
            }
            // RFC 7512, section 2.3: what isn't understood might have chosen another key.
            _ => {
                return Err(format!(
                    "expected token, serial, slot-id, object, id, module-path or pin-source, got {name}"
                ));
            }
        }
    }
    match (&token.object, &token.id) {
        (None, None) => Err("expected object= or id= to say which key".into()),
        _ => Ok(token),
    }
}

fn command(text: &str) -> Result<Command, String> {
    let (program, query) = text.split_once('?').unwrap_or((text, ""));
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| "it is not UTF-8".to_owned())
    };
    let program = decoded(program)?;
    if program.is_empty() {
        return Err("expected a program behind exec:, got nothing".into());
    }
    let mut arguments = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let value = part.strip_prefix("arg=").ok_or("expected arg= behind the question mark")?;
        arguments.push(decoded(value)?);
    }
    Ok(Command { program: program.into(), arguments })
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        match self {
            Self::File(path) => write!(f, "file:{}", encoded(&path.display().to_string())),
            Self::AwsKms(kms) => write!(f, "awskms:{kms}"),
            Self::SshAgent(wanted) => write!(f, "ssh-agent:{wanted}"),
            Self::Exec(Command { program, arguments }) => {
                write!(f, "exec:{}", encoded(&program.display().to_string()))?;
                for (at, argument) in arguments.iter().enumerate() {
                    write!(f, "{}arg={}", if at == 0 { '?' } else { '&' }, encoded(argument))?;
                }
                Ok(())
            }
            Self::Pkcs11(token) => {
                let mut path = Vec::new();
                let mut add = |name: &str, value: &Option<String>| {
                    path.extend(value.as_ref().map(|value| format!("{name}={}", encoded(value))));
                };
                add("token", &token.token);
                add("serial", &token.serial);
                add("slot-id", &token.slot.map(|slot| slot.to_string()));
                add("object", &token.object);
                if let Some(id) = &token.id {
                    let id: String = id.iter().map(|byte| format!("%{byte:02X}")).collect();
                    path.push(format!("id={id}"));
                }
                let file = |name: &str, path: &Option<PathBuf>| {
                    path.as_ref().map(|path| format!("{name}={}", encoded(&path.display().to_string())))
                };
                let query: Vec<String> = file("module-path", &token.module)
                    .into_iter()
                    .chain(file("pin-source", &token.pin_source))
                    .collect();
                let mark = if query.is_empty() { "" } else { "?" };
                write!(f, "pkcs11:{}{mark}{}", path.join(";"), query.join("&"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        for text in [
            "pkcs11:token=tuf;object=root%20key?module-path=/usr/lib/softhsm/libsofthsm2.so",
            "file:/media/stick/my%20key.pem",
            "pkcs11:serial=12;slot-id=7;id=%01%FF?pin-source=/run/pin",
            "ssh-agent:SHA256:abc/def+x",
            "exec:/usr/bin/sign?arg=--key&arg=a%20b",
            "awskms:///alias/release?region=eu-west-1",
        ] {
            assert_eq!(text.parse::<KeyUri>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_file_has_one_spelling() {
        let three: KeyUri = "file:///media/key.pem".parse().unwrap();
        assert_eq!(three.to_string(), "file:/media/key.pem");
    }

    #[test]
    fn what_names_no_key_says_why_and_repeats_no_secret() {
        for (text, why) in [
            ("file.pem", "expected file:, pkcs11:, ssh-agent:, exec: or awskms:"),
            ("pkcs11:token=tuf", "expected object= or id="),
            ("pkcs11:object=a?pin-value=1234", "a PIN doesn't belong in a URI"),
            ("pkcs11:object=a;colour=red", "got colour"),
            ("pkcs11:object", "expected NAME=VALUE"),
            ("pkcs11:object=a;slot-id=x", "expected a number"),
            ("file:key.pem", "expected a path from the root"),
            ("file://host/key.pem", "expected a path from the root"),
            ("ssh-agent:", "expected a fingerprint"),
            ("exec:", "expected a program"),
            ("exec:/bin/x?key=1", "expected arg="),
            ("awskms:alias/x", "expected awskms:///KEY"),
            ("awskms://alias", "expected a key's id"),
            ("awskms:///", "expected a key's id"),
            ("awskms://u:1234@h/x", "expected a host"),
            ("awskms:///x?secret=1234", "expected region="),
        ] {
            let said = text.parse::<KeyUri>().unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("1234"), "{said}");
        }
    }
}
