//! `awskms:///KEY?region=…`, or with an endpoint of one's own: `awskms://HOST[:PORT]/KEY?region=…`.

use std::fmt;
use std::str::FromStr;

/// Longest ARN that AWS takes for a KeyId.
const KEY_MAX: usize = 2048;

/// A key in AWS KMS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kms {
    /// Where the service is, where it isn't AWS's own: `HOST` or `HOST:PORT`.
    pub(crate) endpoint: Option<String>,
    /// A key's id or ARN, or `alias/NAME`.
    pub(crate) key: String,
    region: Option<String>,
}

impl Kms {
    /// The region that the address names: by itself, or within an ARN.
    pub(crate) fn region(&self) -> Option<&str> {
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
        let of_arn = || self.key.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty());
        self.region.as_deref().or_else(of_arn)
    }

    /// The URL to post to, and the host in it. Only on this machine may it be spoken to in the clear.
    pub(crate) fn endpoint_in(&self, region: &str) -> (String, String) {
        let Some(host) = self.endpoint.clone() else {
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            let host = format!("kms.{region}.{domain}");
            return (format!("https://{host}/"), host);
        };
        let scheme = if is_this_machine(&host) { "http" } else { "https" };
        (format!("{scheme}://{host}/"), host)
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

impl FromStr for Kms {
    type Err = String;

    /// What stands behind `awskms:`.
    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("//").ok_or("expected awskms:///KEY or awskms://HOST/KEY")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, key) = path.split_once('/').ok_or("expected a key's id, ARN or alias behind awskms://")?;
        let of = |text: &str, more: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.bytes().any(|one| one == byte))
        };
        if key.is_empty() || key.len() > KEY_MAX || !of(key, "-_/:") {
            return Err("expected a key's id, ARN, or alias/NAME".into());
        }
        if !of(host, ".-:[]") {
            return Err("expected a host, perhaps with a port, behind awskms://".into());
        }
        let mut region = None;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("region", value)) if !value.is_empty() && of(value, "-") => {
                    region = Some(value.to_owned());
                }
                _ => return Err("expected region=… behind the question mark".into()),
            }
        }
        let endpoint = (!host.is_empty()).then(|| host.to_owned());
        Ok(Self { endpoint, key: key.to_owned(), region })
    }
}

impl fmt::Display for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}/{}", self.endpoint.as_deref().unwrap_or_default(), self.key)?;
        match &self.region {
            Some(region) => write!(f, "?region={region}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_key_is_asked_for() {
        for (text, url, region) in [
            ("///1234-ab?region=eu-west-1", "https://kms.eu-west-1.amazonaws.com/", Some("eu-west-1")),
            (
                "///arn:aws:kms:us-east-2:123456789012:key/1234",
                "https://kms.us-east-2.amazonaws.com/",
                Some("us-east-2"),
            ),
            ("///alias/release", "https://kms.cn-north-1.amazonaws.com.cn/", None),
            ("//127.0.0.1:5000/alias/x?region=eu-west-1", "http://127.0.0.1:5000/", Some("eu-west-1")),
            ("//[::1]/alias/x", "http://[::1]/", None),
            ("//kms.example.com/alias/x", "https://kms.example.com/", None),
            ("//127.0.0.1.example.com/alias/x", "https://127.0.0.1.example.com/", None),
            ("//localhost.example.com:80/x", "https://localhost.example.com:80/", None),
        ] {
            let kms: Kms = text.parse().unwrap();
            assert_eq!(kms.to_string(), text);
            assert_eq!(kms.region(), region, "{text}");
            assert_eq!(kms.endpoint_in(region.unwrap_or("cn-north-1")).0, url, "{text}");
        }
    }
}
