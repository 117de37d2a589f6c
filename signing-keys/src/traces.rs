//! What private keys look like, for whoever looks for some where none should be. Nothing is opened, and no
//! part of what is found is repeated.

use pkcs8::der::Decode as _;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};

/// RFC 7468: what stands between the dashes is short.
const LABEL_MAX: usize = 64;
/// An Ed25519 seed in hex has 64 digits; what is shorter is no key.
const SECRET_MIN: usize = 32;

/// What kind of private key these bytes hold, sealed or plain: PEM of any label, PKCS#8 in DER, the files of
/// securesystemslib, go-tuf, cosign, OpenSSH, PuTTY and minisign, and JWK. `None` where none was seen.
#[must_use]
pub fn private_key_in(bytes: &[u8]) -> Option<&'static str> {
    if let Some(kind) = in_der(bytes) {
        return Some(kind);
    }
    let text = String::from_utf8_lossy(bytes);
    in_pem(&text).or_else(|| in_json(&text)).or_else(|| in_lines(&text))
}

fn in_der(bytes: &[u8]) -> Option<&'static str> {
    if PrivateKeyInfoRef::from_der(bytes).is_ok() {
        return Some("a private key as PKCS#8");
    }
    EncryptedPrivateKeyInfoRef::from_der(bytes).is_ok().then_some("an encrypted private key as PKCS#8")
}

fn in_pem(text: &str) -> Option<&'static str> {
    text.split("-----BEGIN ").skip(1).find_map(|rest| {
        let (label, body) = rest.split_once("-----")?;
        match label.len() <= LABEL_MAX && label.contains("PRIVATE KEY") {
            // RFC 1421's own header, as openssl's older files have it.
            true if label.contains("ENCRYPTED")
                || body.trim_start().starts_with("Proc-Type: 4,ENCRYPTED") =>
            {
                Some("an encrypted private key in PEM")
            }
            true => Some("a private key in PEM"),
            false => None,
        }
    })
}

fn in_json(text: &str) -> Option<&'static str> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let secret = |name: &str| {
        strings_of(text, name).any(|value| value.len() >= SECRET_MIN || value.starts_with("-----BEGIN"))
    };
    if secret("private") {
        return Some("a private key of securesystemslib or go-tuf");
    }
    if text.contains("\"kdf\"") && text.contains("\"ciphertext\"") {
        return Some("an encrypted private key of go-tuf or cosign");
    }
    (text.contains("\"kty\"") && secret("d")).then_some("a private key as JWK")
}

/// The texts that members of this name have, at any depth.
fn strings_of<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let key = format!("\"{name}\"");
    let after: Vec<&str> =
        text.match_indices(&key).filter_map(|(at, key)| text.get(at..)?.get(key.len()..)).collect();
    after.into_iter().filter_map(|rest| {
        let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        value.split('"').next()
    })
}

fn in_lines(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.starts_with("PuTTY-User-Key-File-") {
        return Some("a private key of PuTTY");
    }
    if text.starts_with("untrusted comment:") && text.lines().next()?.contains("secret key") {
        return Some("a private key of minisign or signify");
    }
    // securesystemslib: salt, rounds, HMAC, IV and text, in hex.
    let parts: Vec<&str> = text.split("@@@@").collect();
    let hex = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (parts.len() == 5 && parts.iter().all(hex)).then_some("an encrypted private key of securesystemslib")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{NewKind, PrivateKey};

    #[test]
    fn private_keys_are_known_by_what_is_in_them() {
        let key = PrivateKey::generate(NewKind::default()).unwrap();
        let hex = "0f".repeat(32);
        let der = pkcs8::SecretDocument::from_pem(&key.to_pem(None).unwrap()).unwrap().1;
        let sealed = pkcs8::SecretDocument::from_pem(&key.to_pem(Some(b"hush")).unwrap()).unwrap().1;
        for (bytes, kind) in [
            (key.to_pem(None).unwrap().as_bytes(), "a private key in PEM"),
            (key.to_pem(Some(b"hush")).unwrap().as_bytes(), "an encrypted private key in PEM"),
            (key.to_cosign(b"hush").unwrap().as_bytes(), "an encrypted private key in PEM"),
            (der.as_bytes(), "a private key as PKCS#8"),
            (sealed.as_bytes(), "an encrypted private key as PKCS#8"),
            (b"some text\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "a private key in PEM"),
            (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "an encrypted private key in PEM"),
            (
                format!("{{\"keyval\": {{\"public\": \"00\", \"private\" : \"{hex}\"}}}}").as_bytes(),
                "a private key of securesystemslib or go-tuf",
            ),
            (
                br#"{"encrypted":true,"data":{"kdf":{"name":"scrypt"},"ciphertext":"AA=="}}"#,
                "an encrypted private key of go-tuf or cosign",
            ),
            (format!("{{\"kty\":\"OKP\",\"d\":\"{hex}\"}}").as_bytes(), "a private key as JWK"),
            (
                format!("{hex}@@@@100000@@@@{hex}@@@@{hex}@@@@{hex}").as_bytes(),
                "an encrypted private key of securesystemslib",
            ),
            (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "a private key of PuTTY"),
            (b"untrusted comment: minisign encrypted secret key\n", "a private key of minisign or signify"),
        ] {
            assert_eq!(private_key_in(bytes), Some(kind), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_public_is_left_alone() {
        let key = PrivateKey::generate(NewKind::default()).unwrap();
        use tuf_core::crypto::Sign as _;
        for bytes in [
            key.key().to_pem().unwrap().as_bytes(),
            br#"{"keyval":{"public":"00","private":""},"keytype":"ed25519"}"#,
            br#"{"annotations":{"private":"yes"}}"#,
            b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            b"the words PRIVATE KEY in a manual",
            b"a@@@@b",
            b"",
            &[0x30, 0x82],
        ] {
            assert_eq!(private_key_in(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
