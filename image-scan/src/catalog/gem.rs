//! Ruby gems: the specification of an installed one, as RubyGems writes it. It is Ruby, and isn't run.

use crate::component::{Found, Kind};

/// The gem that a specification describes.
pub(super) fn specification(bytes: &[u8]) -> Option<Found> {
    let text = String::from_utf8_lossy(bytes);
    let value = |attribute: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            // `s.name`, or whatever the variable is called.
            let (variable, name) = name.trim().split_once('.')?;
            let simple = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            (simple && name == attribute).then(|| quoted(value)).flatten()
        })
    };
    Found::new(Kind::Gem, value("name")?, value("version")?)
}

/// The first text in quotes: `"1.0".freeze`, `Gem::Version.new('1.0')`.
fn quoted(value: &str) -> Option<&str> {
    let at = value.find(['"', '\''])?;
    let (quote, rest) = value.get(at..)?.split_at_checked(1)?;
    rest.split_once(quote).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_version_are_read() {
        let text = b"# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n\
            \x20 s.version = Gem::Version.new('13.0.6')\n  s.required_ruby_version = Gem::Requirement.new(\"1\")\nend\n";
        let found = specification(text).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("rake", "13.0.6"));
        assert!(specification(b"s.name = NAME\ns.version = \"1\"\n").is_none());
    }
}
