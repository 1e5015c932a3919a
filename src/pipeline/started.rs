//! Inputs that are open, up to their first batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::capture::{self, Batch, Input, Source};
use crate::error::{Error, Result};

/// A source, and its first batch.
pub(super) struct Started {
    pub(super) source: Box<dyn Source>,
    pub(super) first: Batch,
    /// Whether there may be more than the first batch.
    pub(super) more: bool,
}

impl Started {
    pub(super) fn with(mut source: Box<dyn Source>) -> Result<Self> {
        let mut first = Batch::default();
        let more = source.next_batch(&mut first)?;
        Ok(Self { source, first, more })
    }
}

/// Opens an input; `None` when the user stopped before it said anything. A pipe may keep a reader waiting for as long as it
/// likes, so that a thread of its own waits there.
pub(super) fn start(input: &Input, reading: capture::Options, stop: &AtomicBool) -> Result<Option<Started>> {
    if !input.is_live() {
        return capture::open(input, reading).and_then(Started::with).map(Some);
    }
    let (send, started) = mpsc::sync_channel(1);
    let input = input.clone();
    std::thread::spawn(move || send.send(capture::open(&input, reading).and_then(Started::with)));
    loop {
        match started.recv_timeout(Duration::from_millis(100)) {
            Ok(started) => return started.map(Some),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(error @ RecvTimeoutError::Disconnected) => return Err(Error::Io(std::io::Error::other(error))),
        }
    }
}

/// Time of the first frame of a file. The file is opened again when its turn comes, since many files open at once would
/// each hold buffers; what can be read only once stays open.
pub(super) fn first_time(
    input: &Input,
    reading: capture::Options,
    stop: &AtomicBool,
) -> Result<Option<(Option<i64>, Option<Started>)>> {
    let once = input.stored_len().is_none();
    // Of what is opened again no more is read, and decompressed, than it takes.
    let reading = if once { reading } else { capture::Options { batch_bytes: 1, decoders: 1, ..reading } };
    let Some(mut started) = start(input, reading, stop)? else { return Ok(None) };
    while once && started.first.frames.is_empty() && started.more && !stop.load(Ordering::Relaxed) {
        started.more = started.source.next_batch(&mut started.first)?;
    }
    let time_ns = started.first.frames.first().map(|frame| frame.time_ns);
    Ok(Some((time_ns, once.then_some(started))))
}
