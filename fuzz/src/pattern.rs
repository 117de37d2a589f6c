//! Path patterns (TUF 4.5): a pattern and a path, apart by the first zero byte, beside a matcher by
//! dynamic programming.

use tuf_core::PathPattern;

use crate::reference::glob;

/// The reference takes the product of both lengths; longer ones teach nothing more.
const LONGEST: usize = 512;

/// Matches both ways round.
pub fn run(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes));
    let (pattern, path) = text.split_once('\0').unwrap_or((&text, ""));
    for (pattern, path) in [(pattern, path), (path, pattern)] {
        let ours = PathPattern::new(pattern);
        assert_eq!(ours.as_str(), pattern);
        assert_eq!(ours.matches(path), glob(pattern, path), "{pattern:?} on {path:?}");
    }
    if !pattern.contains(['*', '?']) {
        assert!(PathPattern::new(pattern).matches(pattern), "a plain pattern covers itself");
    }
    PathPattern::new(pattern).matches(path)
}
