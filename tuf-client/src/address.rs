//! What a target is asked for by: section 4.5 calls a TARGETPATH "a path-relative URL string", and 5.7.3 asks
//! for it as it stands. So `%20` in a path is an escape already, and isn't written as `%2520`.
//!
//! What no address can have is escaped, `?` and `#` among it, which would end the path. What would lead
//! elsewhere than it says has no address: nothing is asked for then.

/// The address of a path below a repository's target files; `None` where a segment of it, also when escapes
/// are read, is empty, `.` or `..`. A backslash parts segments as well, as on servers that hold it for a slash.
pub(crate) fn of(path: &str) -> Option<String> {
    let (mut address, mut meant) = (String::with_capacity(path.len()), Vec::with_capacity(path.len()));
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        let escape = if *byte == b'%' { escaped(after) } else { None };
        meant.push(escape.unwrap_or(*byte));
        match (escape, after) {
            (Some(_), [high, low, tail @ ..]) => {
                address.extend(['%', char::from(*high), char::from(*low)]);
                rest = tail;
                continue;
            }
            _ if stands(*byte) => address.push(char::from(*byte)),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
        rest = after;
    }
    let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    let elsewhere = meant.split(|byte| matches!(byte, b'/' | b'\\')).any(dots)
        || meant.split(|byte| *byte == b'/').any(<[u8]>::is_empty);
    (!elsewhere).then_some(address)
}

/// The byte that an escape stands for, of which this is what follows the `%` (RFC 3986, section 2.1).
fn escaped(after: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low, ..] = after else { return None };
    Some((digit(high)? << 4) | digit(low)?)
}

/// What a path may hold as it stands (RFC 3986, section 3.3): `pchar` and the slash.
fn stands(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_path_is_asked_for_as_it_stands() {
        for (path, address) in [
            ("a/b.txt", "a/b.txt"),
            ("a%20b", "a%20b"),
            ("a+b%20c", "a+b%20c"),
            ("a%2fb", "a%2fb"),
            ("registry.example.com/acme/web:1.4", "registry.example.com/acme/web:1.4"),
            ("web@sha256:00", "web@sha256:00"),
            ("a..b/...", "a..b/..."),
        ] {
            assert_eq!(of(path).as_deref(), Some(address), "{path}");
        }
    }

    #[test]
    fn what_no_address_can_have_is_escaped() {
        for (path, address) in [
            ("a b", "a%20b"),
            ("a?b#c", "a%3Fb%23c"),
            ("100%", "100%25"),
            ("%zz%2", "%25zz%252"),
            ("a\\b", "a%5Cb"),
            ("a\nb\0", "a%0Ab%00"),
            ("\u{e9}", "%C3%A9"),
            ("[\"<>^`{|}]", "%5B%22%3C%3E%5E%60%7B%7C%7D%5D"),
        ] {
            assert_eq!(of(path).as_deref(), Some(address), "{path}");
        }
    }

    #[test]
    fn what_would_lead_elsewhere_has_no_address() {
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "./a",
            "a/../b",
            "../a",
            "%2e%2e/a",
            ".%2E/a",
            "a/%2e",
            "a%2f..%2fb",
            "%2Fa",
            "a%2f",
            "..\\a",
            "a\\..\\b",
            "..%5ca",
            "a%5C%2e%2e",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
