//! xz with several threads: blocks that tell their sizes, as `xz -T` writes them, are decompressed side by side.
//!
//! Source: the .xz file format 1.1 (section 2: streams one after the other, with padding between them).
//! The threads are those of liblzma, which keeps their memory within a bound and falls back to one thread where blocks tell
//! no sizes or are too large for it. It knows one stream; what stands behind that is seen to here.

use std::io::{self, BufRead, Read};

use liblzma::bufread::XzDecoder;
use liblzma::stream::{Error, MtStreamBuilder};

use super::decompress::{Buffered, Compression, Reader};

/// More threads than that liblzma refuses (`LZMA_THREADS_MAX`).
const MOST_THREADS: u32 = 16_384;

/// Stored length below which a stream was not worth its threads: what follows it is left to one. Unit: bytes.
const WORTH_THREADS: u64 = 1 << 20;

/// Reads streams one after the other.
pub(super) struct Xz {
    state: State,
    threads: u32,
    most_bytes: u64,
}

enum State {
    First(XzDecoder<Buffered>),
    Later(XzDecoder<Buffered>),
    /// All that is left, with one thread.
    Rest(Reader),
    End,
}

impl Xz {
    pub(super) fn new(stored: Buffered, threads: usize, most_bytes: u64) -> io::Result<Self> {
        let threads = u32::try_from(threads).unwrap_or(MOST_THREADS).clamp(1, MOST_THREADS);
        Ok(Self { state: State::First(decoder(stored, threads, most_bytes)?), threads, most_bytes })
    }

    /// Goes on behind the end of a stream.
    fn go_on(&mut self) -> io::Result<()> {
        let (State::First(ended) | State::Later(ended)) = std::mem::replace(&mut self.state, State::End) else {
            return Ok(());
        };
        let worth_threads = ended.total_in() >= WORTH_THREADS;
        let mut stored = ended.into_inner();
        let padding = skip_zeros(&mut stored)?;
        if !padding.is_multiple_of(4) {
            return Err(Error::Data.into());
        }
        if !stored.fill_buf()?.is_empty() {
            self.state = if worth_threads {
                State::Later(decoder(stored, self.threads, self.most_bytes)?)
            } else {
                State::Rest(Compression::Xz.decoder(stored, self.most_bytes)?)
            };
        }
        Ok(())
    }
}

impl Read for Xz {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.state {
                State::First(decoder) => decoder.read(buffer)?,
                State::Later(decoder) => decoder.read(buffer).map_err(later)?,
                State::Rest(reader) => return reader.read(buffer).map_err(later),
                State::End => return Ok(0),
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.go_on()?;
        }
    }
}

fn decoder(stored: Buffered, threads: u32, most_bytes: u64) -> io::Result<XzDecoder<Buffered>> {
    let mut builder = MtStreamBuilder::new();
    let stream = builder.threads(threads).memlimit_threading(most_bytes).memlimit_stop(most_bytes).decoder()?;
    Ok(XzDecoder::new_stream(stored, stream))
}

/// What is no stream is damage when it stands behind one, as liblzma has it.
fn later(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::Format) => Error::Data.into(),
        _ => error,
    }
}

/// Skips zeros; gives their number.
fn skip_zeros(stored: &mut Buffered) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let bytes = stored.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let more = zeros == bytes.len() && zeros > 0;
        stored.consume(zeros);
        skipped += zeros;
        if !more {
            return Ok(skipped);
        }
    }
}
