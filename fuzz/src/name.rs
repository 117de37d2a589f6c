//! Names of files from names of roles (TUF 4.2, 6.2): any role name stays one plain file in its folder,
//! and comes back from the file's name.

use tuf_core::{consistent_target_name, metadata_file_name};

/// The first byte is the version, the rest the role's name.
pub fn run(bytes: &[u8]) -> bool {
    let (version, role) = bytes.split_first().map_or((0, bytes), |(first, rest)| (u64::from(*first), rest));
    let role = String::from_utf8_lossy(role);
    let plain = metadata_file_name(&role, None);
    let versioned = metadata_file_name(&role, Some(version));
    for name in [&plain, &versioned] {
        assert!(name.ends_with(".json"), "{name:?}");
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        assert!(name.bytes().all(safe), "{name:?} can mean something to a file system or a URL");
    }
    assert_eq!(versioned, format!("{version}.{plain}"));
    assert_eq!(decoded(plain.strip_suffix(".json").expect("checked above")).as_deref(), Some(&*role));

    let target = consistent_target_name(&role, "00");
    assert_eq!(target.matches('/').count(), role.matches('/').count(), "in another folder");
    let file = target.rsplit('/').next().expect("split gives one");
    let last = role.rsplit('/').next().expect("split gives one");
    assert_eq!(file.strip_prefix("00."), Some(last));
    true
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}
