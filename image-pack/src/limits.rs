//! How much of a pack is read. Whoever sends one chooses every number in it.

/// The most parts: 1024 roots, 300 manifests and 1000 pieces of evidence, and the layers of some dozens of platforms,
/// each of which has at most 127 in practice.
pub(crate) const PARTS: usize = 8192;

/// The most bytes of the index: a part takes some 200.
pub(crate) const INDEX_BYTES: u64 = 8 * 1024 * 1024;

/// The most bytes of a policy that is carried along, as `image-policy` reads.
pub(crate) const POLICY_BYTES: u64 = 4 * 1024 * 1024;

/// The most bytes of manifests of evidence that are recorded: 300 of the size that real ones have take 1 MB. What is
/// beyond is not in the pack, and counts as not seen.
pub(crate) const RECORDED_BYTES: usize = 64 * 1024 * 1024;

/// The longest name that the archive's header holds without an extension (POSIX.1-1988, ustar).
pub(crate) const NAME_BYTES: usize = 100;
