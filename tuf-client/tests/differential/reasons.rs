//! Why two clients may come to different verdicts, or keep different files. Each stands in
//! `docs/src/differential.md` under the same name, with what is behind it.

/// What is different.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Ours refuses, and the peer doesn't, or only a later document.
    Ours,
    /// The other way round.
    Peer,
    /// Neither does, or both, and they keep other files.
    Kept,
}

/// A reason, and what it is recognised by.
pub(crate) struct Reason {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    /// The mutations, or traits of the repository, that it is about; any, where none is named.
    pub(crate) mutations: &'static [&'static str],
    /// What the error of the one that refuses says; of files, what the words about each one say.
    pub(crate) says: &'static [&'static str],
    /// Whether it holds only where a key of timestamp or snapshot was taken away.
    pub(crate) rotated: bool,
}

type Words = &'static [&'static str];

const fn ours(name: &'static str, mutations: Words, says: Words) -> Reason {
    Reason { name, side: Side::Ours, mutations, says, rotated: false }
}

const fn peer(name: &'static str, mutations: Words, says: Words) -> Reason {
    Reason { name, side: Side::Peer, mutations, says, rotated: false }
}

const fn kept(name: &'static str, mutations: Words, says: Words) -> Reason {
    Reason { name, side: Side::Kept, mutations, says, rotated: false }
}

const fn after_rotation(reason: Reason) -> Reason {
    Reason { rotated: true, ..reason }
}

/// All of them. The first one that fits is named.
pub(crate) const REASONS: &[Reason] = &[
    ours("a member twice", &[], &["duplicate key"]),
    ours("fractions", &[], &["is a fraction or too large", "number out of range"]),
    ours("more than 256 signatures", &[], &["expected at most 256 signatures"]),
    ours("nesting deeper than 24", &[], &["nested deeper than"]),
    ours("types as the specification has them", &[], &["invalid type: ", "as name of a role, got"]),
    ours("hashes other than SHA-256 and SHA-512", &[], &["expected a sha256 or sha512 hash"]),
    ours(
        "hex with white space in it",
        &["signature's hex in other form", "key's spelling"],
        &["good signature(s) of distinct keys"],
    ),
    ours("RSA-PSS with a salt that isn't as long as the hash", &["key's form"], &["good signature(s) of"]),
    ours("one key under two ids", &["one key under two ids"], &["good signature(s) of"]),
    ours("thresholds of more than 32 bits", &["threshold"], &["expected a nonzero u32"]),
    ours("digits of other scripts", &["spec_version"], &["expected specification version 1.x"]),
    ours("half of a surrogate pair", &["odd string"], &["hex escape", "surrogate"]),
    ours("paths that no address can have", &["odd target path"], &["a segment that no address can have"]),
    ours("a kept snapshot with another hash", &["version behind"], &["error: snapshot "]),
    peer("the 33rd to 64th role of a search", &["long chain of delegations"], &["is not listed"]),
    peer("roles after succinct ones", &["has succinct roles"], &["is not listed"]),
    peer("members that python-tuf drops before it verifies", &["more in meta"], &["was signed by 0/"]),
    peer("hashes in capital letters", &[], &["does not match expected hash"]),
    peer("top-level roles beside the four", &[], &["Role names must be the top-level metadata roles"]),
    peer("an elliptic point in hex", &["key's spelling"], &["was signed by"]),
    peer("times with a fraction or an offset", &["expires"], &["does not match format"]),
    peer("a timestamp of more than 16 KiB", &["padded"], &["exceeding the maximum allowed length"]),
    peer("an unknown hash beside a known one", &[], &["Unsupported algorithm"]),
    peer("a key without a value", &["key's form"], &["public key string required"]),
    peer(
        "a key of a kind that it doesn't know",
        &["key's form"],
        &["Unsupported public key", "string indices must be"],
    ),
    peer("a target's path with `#` in it", &["odd target path"], &["HTTP error occurred with status 404"]),
    peer("a specification version of one number", &["spec_version"], &["Failed to parse spec_version"]),
    after_rotation(peer(
        "what was seen before a key was taken away",
        &[],
        &["BadVersionNumberError", "DownloadHTTPError", "UnsignedMetadataError"],
    )),
    kept("the 33rd to 64th role of a search", &["long chain of delegations"], &["theirs nothing"]),
    kept("roles after succinct ones", &["has succinct roles"], &["theirs nothing"]),
    kept(
        "a kept snapshot with another hash or length",
        &["version behind"],
        &["snapshot.json: ours version", "targets.json: ours version"],
    ),
    kept(
        "a snapshot that doesn't list the targets",
        &["role forgotten by snapshot"],
        &["snapshot.json: ours nothing"],
    ),
    after_rotation(kept(
        "what was kept before a key was taken away",
        &[],
        &["timestamp.json: ours", "snapshot.json: ours", "targets.json: ours version"],
    )),
];
