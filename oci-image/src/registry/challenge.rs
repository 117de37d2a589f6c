//! `WWW-Authenticate`: what a registry wants before it answers (RFC 9110, section 11.6.1).

use std::iter::Peekable;
use std::str::Chars;

/// One way to authenticate that a registry offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Challenge {
    /// A user's name and password with each request.
    Basic,
    /// A token that another server gives out.
    Bearer {
        /// Where.
        realm: String,
        /// For which service.
        service: Option<String>,
        /// To do what.
        scope: Option<String>,
    },
}

/// The best of the ways offered: Bearer, which shows the password to the registry less often.
pub(crate) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let offered: Vec<_> = headers.flat_map(parse).collect();
    let bearer = offered.iter().find_map(|(scheme, parameters)| bearer(scheme, parameters));
    let basic = || offered.iter().any(|(scheme, _)| scheme == "basic").then_some(Challenge::Basic);
    bearer.or_else(basic)
}

type Parameters = Vec<(String, String)>;

fn bearer(scheme: &str, parameters: &Parameters) -> Option<Challenge> {
    let parameter =
        |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let realm = parameter("realm").filter(|_| scheme == "bearer")?;
    Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") })
}

/// Schemes and parameters, both parted by commas: a word with `=` after it is a parameter.
fn parse(header: &str) -> Vec<(String, Parameters)> {
    let mut offered: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.chars().peekable();
    loop {
        while rest.next_if(|c| matches!(c, ' ' | '\t' | ',')).is_some() {}
        let word = take_while(&mut rest, |c| !matches!(c, ' ' | '\t' | ',' | '=' | '"')).to_lowercase();
        while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if rest.next_if_eq(&'=').is_some() {
            let value = value(&mut rest);
            if let Some((_, parameters)) = offered.last_mut() {
                parameters.push((word, value));
            }
        } else if !word.is_empty() {
            offered.push((word, Vec::new()));
        } else if rest.next().is_none() {
            return offered;
        }
    }
}

fn value(rest: &mut Peekable<Chars<'_>>) -> String {
    while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    if rest.next_if_eq(&'"').is_none() {
        return take_while(rest, |c| !matches!(c, ' ' | '\t' | ','));
    }
    let mut text = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => break,
            '\\' => text.extend(rest.next()),
            other => text.push(other),
        }
    }
    text
}

fn take_while(rest: &mut Peekable<Chars<'_>>, wanted: impl Fn(char) -> bool) -> String {
    std::iter::from_fn(|| rest.next_if(|c| wanted(*c))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn what_registries_send_is_understood() {
        for (header, expected) in [
            ("Basic realm=\"r\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("Bearer realm=\"https://a.io/t\"", bearer("https://a.io/t", None, None)),
            (
                "Bearer realm=\"https://a.io/t\",service=\"r.io\",scope=\"repository:x:pull,push\"",
                bearer("https://a.io/t", Some("r.io"), Some("repository:x:pull,push")),
            ),
            ("bearer REALM = https://a.io , service=s", bearer("https://a.io", Some("s"), None)),
            ("Basic realm=\"x\", Bearer realm=\"https://a.io\"", bearer("https://a.io", None, None)),
            ("Bearer realm=\"a\\\"b\"", bearer("a\"b", None, None)),
            ("Bearer service=\"s\"", None),
            ("Negotiate", None),
            ("", None),
            ("=,\"=,\"\"", None),
            ("Bearer realm=\"unfinished", bearer("unfinished", None, None)),
        ] {
            assert_eq!(best([header].into_iter()), expected, "{header}");
        }
    }

    #[test]
    fn several_headers_are_one_offer() {
        let offer = best(["Basic realm=\"x\"", "Bearer realm=\"https://a.io\""].into_iter());
        assert_eq!(offer, bearer("https://a.io", None, None));
    }
}
