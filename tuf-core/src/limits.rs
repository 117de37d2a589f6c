//! What an attacker may send at most. Each limit cites its reason.

/// Nesting of JSON: real metadata reaches 6 (`signed.delegations.roles[].keyids[]`), and `custom` adds a few.
pub const JSON_DEPTH: usize = 24;
/// Signatures on one document. The largest real root (Sigstore's) has 5; a root rotation doubles that.
pub const SIGNATURES: usize = 256;
/// Keys of one document, roles of one delegation: TAP 15 and hash bins reach 16,384 roles.
pub const ROLES: usize = 65_536;
/// Path patterns and prefixes that are tried for one delegated role (16,384 bins carry 4 each).
pub const PATTERNS: usize = 65_536;
/// Bytes of a key in PEM: RSA of 16,384 bits makes 3 KB, and text may stand before it.
pub const PEM_BYTES: usize = 16 * 1024;
/// Roots followed in one update: the specification's own example, 2^10 (5.3.3).
pub const ROOT_STEPS: u32 = 1024;
/// Roles weighed in one search (5.6.7.1): python-tuf's default is 32; a deep organisation needs a few more.
pub const SEARCH_ROLES: usize = 64;
/// Bytes of a root: the specification's "tens of kilobytes" (5.3.3); Sigstore's has 7, so 512 is ample.
pub const ROOT_BYTES: u64 = 512 * 1024;
/// Bytes of a timestamp: it lists one file (5.4.1).
pub const TIMESTAMP_BYTES: u64 = 64 * 1024;
/// Bytes of a snapshot that states no length (5.5.1). 16,384 bins make 0.5 MB.
pub const SNAPSHOT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a targets file that states no length (5.6.1). 100,000 targets make 17 MB.
pub const TARGETS_BYTES: u64 = 64 * 1024 * 1024;
