//! Which addresses may be asked, and where a redirect may lead.

use std::net::IpAddr;

use url::{Host, Url};

use crate::source::SourceError;

/// Whether this host is the machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// The address for a message: without user, password, query and fragment, where secrets stand.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Why this address must not be asked, if so.
pub(crate) fn refusal(url: &Url, allow_http: bool) -> Option<&'static str> {
    match url.scheme() {
        _ if url.host().is_none() => Some("it has no host"),
        _ if !url.username().is_empty() || url.password().is_some() => Some("it has a user in it"),
        "https" => None,
        "http" if allow_http || is_loopback(url) => None,
        "http" => Some("plain http is for this machine only"),
        _ => Some("it is neither https nor http"),
    }
}

/// Where a redirect leads, if it may be followed.
pub(crate) fn next(from: &Url, location: &str, allow_http: bool) -> Result<Url, SourceError> {
    let refused = |to: String, why| SourceError::Redirect { from: shown(from), to, why };
    let to = from.join(location).map_err(|_| refused("somewhere".into(), "the address can't be read"))?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(refused(shown(&to), "https must not become http"));
    }
    if !is_loopback(from) && is_loopback(&to) {
        return Err(refused(shown(&to), "others have no say about this machine"));
    }
    match refusal(&to, allow_http) {
        Some(why) => Err(refused(shown(&to), why)),
        None => Ok(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn which_addresses_are_asked() {
        for (address, why) in [
            ("https://r.io/x", None),
            ("http://127.0.0.1:5000/", None),
            ("http://127.9.9.9/", None),
            ("http://[::1]/", None),
            ("http://localhost:80/", None),
            ("http://2130706433/", None),
            ("http://r.io/", Some("plain http is for this machine only")),
            ("http://127.0.0.1.r.io/", Some("plain http is for this machine only")),
            ("http://localhost.r.io/", Some("plain http is for this machine only")),
            ("http://0.0.0.0/", Some("plain http is for this machine only")),
            ("ftp://r.io/", Some("it is neither https nor http")),
            ("file:///etc/passwd", Some("it has no host")),
            ("https://alice:pw@r.io/", Some("it has a user in it")),
        ] {
            assert_eq!(refusal(&url(address), false), why, "{address}");
        }
        assert_eq!(refusal(&url("http://r.io/"), true), None);
    }

    #[test]
    fn where_redirects_lead() {
        for (from, location, why) in [
            ("https://r.io/a", "/b", None),
            ("https://r.io/a", "https://cdn.io/b?sig=secret", None),
            ("http://127.0.0.1:1/a", "http://127.0.0.1:2/b", None),
            ("https://r.io/a", "http://r.io/b", Some("https must not become http")),
            ("https://r.io/a", "http://127.0.0.1/b", Some("https must not become http")),
            ("https://r.io/a", "https://localhost/b", Some("others have no say about this machine")),
            ("http://127.0.0.1/a", "http://r.io/b", Some("plain http is for this machine only")),
            ("https://r.io/a", "ftp://r.io/b", Some("it is neither https nor http")),
            ("https://r.io/a", "https://u:p@r.io/b", Some("it has a user in it")),
            ("https://r.io/a", "https://", Some("the address can't be read")),
        ] {
            let got = next(&url(from), location, false).err().map(|error| error.to_string());
            let ends_well = match (why, &got) {
                (None, None) => true,
                (Some(why), Some(got)) => got.ends_with(why),
                _ => false,
            };
            assert!(ends_well, "{from} {location}: {got:?}");
        }
    }

    #[test]
    fn messages_show_no_secrets() {
        let address = url("https://alice:pw@r.io:8443/v2/x?X-Amz-Signature=abc#frag");
        assert_eq!(shown(&address), "https://r.io:8443/v2/x");
    }
}
