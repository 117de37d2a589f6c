//! How much is read: each bound beside its reason.

/// The largest attestation. BuildKit reads 40 MiB; a list of what is in a large image has some 20.
pub const ATTESTATION_MAX: u64 = 40 * 1024 * 1024;

/// The largest signature or bundle around a short statement: ten certificates and log entries have some 100 KiB.
pub const SIGNATURE_MAX: u64 = 1024 * 1024;

/// The deepest nesting of a document. Provenance by BuildKit has some twenty levels.
pub const DEPTH_MAX: usize = 64;

/// The most subjects of a statement. A release of all platforms and packages has some hundred.
pub const SUBJECTS_MAX: usize = 4096;

/// The most signatures of one envelope: each is tried by each key. cosign's have one.
pub const ENVELOPE_SIGNATURES_MAX: usize = image_signatures::SIGNATURES_MAX;

/// The most bytes that are hashed for one envelope, all keys and signatures together: some three seconds. Twenty
/// keys and the largest attestation with one signature stay below.
pub const HASHED_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The most entries of a list within a predicate that are kept. Builds have some thousand materials.
pub const ENTRIES_MAX: usize = 20_000;

/// The most bytes that all statements of one CSAF document may take: each has its products in full, and a document
/// names them once. The whole of what a large vendor says of one weakness takes some megabytes.
pub const STATED_MAX: usize = 64 * 1024 * 1024;

/// The most bytes of what a build was told from outside. BuildKit's have some kilobytes.
pub const PARAMETERS_MAX: usize = 1024 * 1024;

/// The most certificates within a time stamp. Real ones have two to four.
pub const TOKEN_CERTIFICATES_MAX: u64 = 20;

/// The most parts of one value within a time stamp: attributes and certificates number some ten.
pub const TOKEN_PARTS_MAX: u64 = 100;

/// The largest trust policy or trusted root. sigstore's own has 10 KiB.
pub const TRUST_MAX: u64 = 1024 * 1024;
