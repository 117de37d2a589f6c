//! One layer, read once: its digest, its diff id and its archive come of the same bytes.
//!
//! The blob is read and hashed on one thread, uncompressed on another, and what comes out is hashed and walked through on
//! the caller's. Uncompressing is most of it: it waits for neither.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use flate2::bufread::MultiGzDecoder;
use oci_image::{Descriptor, Digest, Hasher, VerifyingReader};

use crate::archive::read_full;
use crate::error::ArchiveError;
use crate::limits;

/// What passes from thread to thread at once, in bytes: enough that waking the other costs little.
const CHUNK: usize = 512 * 1024;

/// The same of compressed bytes.
const COMPRESSED_CHUNK: usize = 128 * 1024;

/// How many chunks may wait.
const CHUNKS: usize = 4;

/// The largest window of Zstandard, as a power of two: 128 MiB, what its own program takes unasked.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a decoder ends: having seen all that is compressed, or not.
#[derive(Default)]
struct Counters {
    read: AtomicU64,
    ended: AtomicBool,
}

/// The uncompressed bytes of a layer.
pub(crate) struct Layer<'p> {
    bytes: Ahead,
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
        let counters = Arc::new(Counters::default());
        let blob = VerifyingReader::for_blob(blob, want);
        let bytes = Ahead::of(scope, COMPRESSED_CHUNK, || Ok(blob));
        let compressed = Compressed { bytes, counters: Arc::clone(&counters) };
        let bytes = Ahead::of(scope, CHUNK, || Uncompressed::of(compressed));
        Self { bytes, hasher: Hasher::new(), size: 0, counters, progress }
    }

    /// The digest of all uncompressed bytes, and how many there were. To be called at the end of them.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }

    fn next_chunk(&mut self) -> io::Result<bool> {
        let Some(chunk) = self.bytes.next_chunk()? else { return Ok(false) };
        self.hasher.update(chunk);
        self.size = self.size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let read = self.counters.read.load(Ordering::Relaxed);
        self.bound(read).map_err(io::Error::other)?;
        (self.progress)(read);
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
        self.bytes.chunk.read(buffer)
    }
}

/// Bodies that nobody wants are passed over, and not copied.
impl BufRead for Layer<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.bytes.chunk.fill_buf()?.is_empty() && self.next_chunk()? {}
        self.bytes.chunk.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.chunk.consume(count);
    }
}

/// What a reader has, read ahead on a thread of its own.
struct Ahead {
    /// The last one is empty, unless an error came before.
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// Chunks that were read go back, and are filled again.
    spent: Sender<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Ahead {
    /// Opens a reader on the thread, since that may have to wait for bytes, and reads it in chunks of `size` bytes.
    fn of<'s, R: Read>(
        scope: &'s Scope<'s, '_>,
        size: usize,
        open: impl FnOnce() -> io::Result<R> + Send + 's,
    ) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS);
        let (spent, spare) = channel();
        scope.spawn(move || {
            if let Err(error) = open().and_then(|reader| send(reader, size, &sender, &spare)) {
                // Nobody listens: nobody is misled.
                let _ = sender.send(Err(error));
            }
        });
        Self { chunks, spent, chunk: io::Cursor::default(), ended: false }
    }

    /// The next chunk in place of the last, or `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        if self.ended {
            return Ok(None);
        }
        // Whoever reads on after an error must not take that for a good end.
        let chunk = self.chunks.recv().unwrap_or_else(|_| Err(io::Error::other("it could not be read")))?;
        self.ended = chunk.is_empty();
        let spent = std::mem::replace(&mut self.chunk, io::Cursor::new(chunk));
        // Once all is read, nobody needs it.
        let _ = self.spent.send(spent.into_inner());
        Ok((!self.ended).then_some(self.chunk.get_ref()))
    }
}

/// Sends what a reader has, and an empty chunk at its end, until an error, or nobody listens.
fn send(
    mut reader: impl Read,
    size: usize,
    sender: &SyncSender<io::Result<Vec<u8>>>,
    spare: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut chunk = spare.try_recv().unwrap_or_default();
        // One that was full is as large already.
        chunk.resize(size, 0);
        let count = read_full(&mut reader, &mut chunk)?;
        chunk.truncate(count);
        if sender.send(Ok(chunk)).is_err() || count == 0 {
            return Ok(());
        }
    }
}

/// The compressed bytes: counts them, and remembers that their end was seen. Only then were they verified.
struct Compressed {
    bytes: Ahead,
    counters: Arc<Counters>,
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.bytes.chunk.fill_buf()?.is_empty() {
            if self.bytes.next_chunk()?.is_none() {
                self.counters.ended.store(true, Ordering::Relaxed);
                break;
            }
        }
        self.bytes.chunk.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.chunk.consume(count);
        self.counters.read.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// What comes out of a decoder, which must have seen all that is compressed when it ends.
struct Uncompressed {
    decoder: Box<dyn Read>,
    counters: Arc<Counters>,
}

impl Uncompressed {
    /// Uncompresses by what the first bytes say, as every runtime does: media types of layers are often wrong.
    fn of(mut compressed: Compressed) -> io::Result<Self> {
        let counters = Arc::clone(&compressed.counters);
        let decoder: Box<dyn Read> = match compressed.fill_buf()? {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(compressed)),
            // A frame, or one that is to be skipped (RFC 8878, 3.1).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            _ => Box::new(compressed),
        };
        Ok(Self { decoder, counters })
    }
}

impl Read for Uncompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        match count > 0 || buffer.is_empty() || self.counters.ended.load(Ordering::Relaxed) {
            true => Ok(count),
            false => Err(io::Error::other("bytes follow the end of what is compressed")),
        }
    }
}
