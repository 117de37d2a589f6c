//! Progress of blobs: on stderr, and only where a person watches.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use oci_image::{Descriptor, Digest};

/// Blobs smaller than this are done before a person could read their line.
const WORTH_SHOWING: u64 = 4 * 1024 * 1024;

/// One bar, for the blob being read.
pub(crate) struct Blobs {
    bar: Option<(Digest, ProgressBar)>,
    terminal: bool,
}

impl Blobs {
    pub(crate) fn new() -> Self {
        Self { bar: None, terminal: std::io::stderr().is_terminal() }
    }

    /// `done` bytes of `blob` are read.
    pub(crate) fn update(&mut self, blob: &Descriptor, done: u64) {
        if !self.terminal || blob.size < WORTH_SHOWING {
            return;
        }
        let same = self.bar.as_ref().is_some_and(|(shown, _)| *shown == blob.digest);
        if !same {
            self.clear();
            let bar = ProgressBar::new(blob.size).with_message(blob.digest.to_string());
            let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg:.dim}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            self.bar = Some((blob.digest, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(done);
        }
    }

    fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        self.clear();
    }
}
