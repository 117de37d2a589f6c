//! AWS Signature Version 4, as far as one POST to `/` needs it: who asks is shown by an HMAC over the request,
//! and the secret itself is never sent.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::aws::AwsKeys;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A POST to `/` of a service.
pub(crate) struct Post<'a> {
    /// The host, with its port where that isn't the usual one.
    pub(crate) host: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(crate) time: &'a str,
    /// `X-Amz-Target`: what is asked of the service.
    pub(crate) target: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
}

impl Post<'_> {
    /// The `Authorization` header.
    pub(crate) fn authorization(&self, keys: &AwsKeys) -> String {
        let (canonical, signed) = self.canonical(keys);
        let date = self.time.split('T').next().unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", self.time, hex(&Sha256::digest(canonical)));
        let key = signing_key(&keys.secret_access_key, date, self.region, self.service);
        let signature = hex(&*hmac(&*key, text.as_bytes()));
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            keys.access_key_id
        )
    }

    /// The canonical request, and which headers are in it.
    fn canonical(&self, keys: &AwsKeys) -> (String, String) {
        let mut headers =
            vec![("content-type", self.content_type), ("host", self.host), ("x-amz-date", self.time)];
        if let Some(token) = &keys.session_token {
            headers.push(("x-amz-security-token", token));
        }
        headers.push(("x-amz-target", self.target));
        let mut lines = String::new();
        for (name, value) in &headers {
            // Writing into a String can't fail.
            let _ = writeln!(lines, "{name}:{value}");
        }
        let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let digest = hex(&Sha256::digest(self.body));
        (format!("POST\n/\n\n{lines}\n{signed}\n{digest}"), signed)
    }
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Zeroizing<[u8; 32]> {
    let first = Zeroizing::new(format!("AWS4{secret}"));
    let mut key = hmac(first.as_bytes(), date.as_bytes());
    for part in [region, service, "aws4_request"] {
        key = hmac(&*key, part.as_bytes());
    }
    key
}

fn hmac(key: &[u8], text: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // A key of any length is one.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(text);
        out.copy_from_slice(&mac.finalize().into_bytes());
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_of_awss_own_example() {
        // "Create a signed AWS API request": the derived key and the signature of the string to sign.
        let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        assert_eq!(hex(&*key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex(&*hmac(&*key, text.as_bytes())),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}
