//! A report in the forms that others read. All of it is made here, of the report alone; what a stranger's image says
//! is put into none of them unescaped.

mod cyclonedx;
mod html;
mod html_diff;
mod sarif;
mod spdx;
mod spdx3;

pub use cyclonedx::cyclonedx;
pub use html::html;
pub use html_diff::html_diff;
pub use sarif::{relative_reference, sarif};
pub use spdx::spdx;
pub use spdx3::spdx3;

use oci_image::Digest;

use crate::report::{DatabaseInfo, Report};

/// The name and version of what made a document.
const TOOL: &str = "hallmark";
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A UUID that is the same for the same image and the same findings (RFC 9562, version 8).
fn uuid(report: &Report, made_at: &str) -> String {
    let findings = serde_json::to_string(&report.findings).unwrap_or_default();
    let hex = Digest::of(format!("{}\n{made_at}\n{findings}", report.image.manifest).as_bytes()).hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// The digits of a digest.
fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// Which advisories the components were looked up in, for documents that have no place of their own for it.
fn database(report: &Report) -> String {
    let words = report.database.as_ref().map(DatabaseInfo::words);
    words.map_or_else(|| "looked up in no advisories".to_owned(), |words| format!("looked up in {words}"))
}

/// Whether a reference is the address of a page, in the characters that one has (RFC 3986): a document of others has no
/// place for anything else, which could be a script, too.
fn is_page(url: &str) -> bool {
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_character))
}

#[cfg(test)]
mod tests;
