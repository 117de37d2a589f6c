//! One layer, read once: its digest, its diff id and its archive come of the same bytes.
//!
//! Reading, hashing and uncompressing happen on a thread of their own, hashing of what comes out and the walk
//! on the caller's, so that neither waits for the other.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use flate2::bufread::MultiGzDecoder;
use oci_image::{Descriptor, Digest, Hasher, VerifyingReader};

use crate::error::ArchiveError;
use crate::limits;

/// What passes from thread to thread at once: enough that waking the other costs little.
const CHUNK: usize = 256 * 1024;

/// How many chunks may wait.
const CHUNKS: usize = 4;

/// The largest window of Zstandard, as a power of two: 128 MiB, what its own program takes unasked.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a compressed reader ends: having seen all of it, or not.
#[derive(Default)]
struct Counters {
    read: AtomicU64,
    ended: AtomicBool,
}

/// The uncompressed bytes of a layer.
pub(crate) struct Layer<'p> {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// Chunks that were read go back, and are filled again.
    spent: Sender<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
    hasher: Hasher,
    size: u64,
    counters: Arc<Counters>,
    progress: &'p mut dyn FnMut(u64),
}

impl<'p> Layer<'p> {
    /// Begins to read a layer; `progress` is told how many of its compressed bytes are done.
    pub(crate) fn open<'s>(
        scope: &'s Scope<'s, '_>,
        blob: Box<dyn Read + Send>,
        want: &Descriptor,
        progress: &'p mut dyn FnMut(u64),
    ) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS);
        let (spent, spare) = channel();
        let counters = Arc::new(Counters::default());
        let reader = Counted { reader: VerifyingReader::for_blob(blob, want), counters: counters.clone() };
        scope.spawn(move || uncompress(reader, &sender, &spare));
        Self {
            chunks,
            spent,
            chunk: io::Cursor::default(),
            hasher: Hasher::new(),
            size: 0,
            counters,
            progress,
        }
    }

    /// The digest of all uncompressed bytes, and how many there were. To be called at the end of them.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }

    fn next_chunk(&mut self) -> io::Result<bool> {
        // A sender that is gone has sent everything.
        let Ok(chunk) = self.chunks.recv() else { return Ok(false) };
        let chunk = chunk?;
        self.hasher.update(&chunk);
        self.size = self.size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let read = self.counters.read.load(Ordering::Relaxed);
        self.bound(read).map_err(io::Error::other)?;
        (self.progress)(read);
        let spent = std::mem::replace(&mut self.chunk, io::Cursor::new(chunk));
        // Once all are uncompressed, nobody needs it.
        let _ = self.spent.send(spent.into_inner());
        Ok(true)
    }

    fn bound(&self, read: u64) -> Result<(), ArchiveError> {
        if self.size > limits::LAYER_MAX {
            return Err(ArchiveError::TooLarge { limit: limits::LAYER_MAX });
        }
        let allowed = read.saturating_mul(limits::RATIO_MAX).max(limits::RATIO_FREE);
        if self.size > allowed {
            return Err(ArchiveError::Ratio { limit: limits::RATIO_MAX });
        }
        Ok(())
    }
}

impl Read for Layer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill_buf()?;
        self.chunk.read(buffer)
    }
}

/// Bodies that nobody wants are passed over, and not copied.
impl BufRead for Layer<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.fill_buf()?.is_empty() && self.next_chunk()? {}
        self.chunk.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.chunk.consume(count);
    }
}

/// Sends the uncompressed bytes until the end, an error, or nobody listens.
fn uncompress(reader: Counted, sender: &SyncSender<io::Result<Vec<u8>>>, spare: &Receiver<Vec<u8>>) {
    let counters = reader.counters.clone();
    let done = decoder(reader).and_then(|mut decoder| {
        loop {
            let mut chunk = spare.try_recv().unwrap_or_default();
            chunk.clear();
            chunk.reserve_exact(CHUNK);
            (&mut decoder).take(u64::try_from(CHUNK).unwrap_or(u64::MAX)).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            if sender.send(Ok(chunk)).is_err() {
                return Ok(());
            }
        }
        match counters.ended.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(io::Error::other("bytes follow the end of what is compressed")),
        }
    });
    if let Err(error) = done {
        // Nobody listens: nobody is misled.
        let _ = sender.send(Err(error));
    }
}

/// Uncompresses by what the first bytes say, as every runtime does: media types of layers are often wrong.
fn decoder(reader: Counted) -> io::Result<Box<dyn Read>> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    Ok(match reader.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(reader)),
        // A frame, or one that is to be skipped (RFC 8878, 3.1).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        _ => Box::new(reader),
    })
}

/// Counts compressed bytes, and remembers that their end was seen: only then were they verified.
struct Counted {
    reader: VerifyingReader<Box<dyn Read + Send>>,
    counters: Arc<Counters>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.counters.ended.store(true, Ordering::Relaxed);
        }
        self.counters.read.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(count)
    }
}
