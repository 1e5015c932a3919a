//! A thread that reads ahead: it decompresses while others work on what came before, and it waits in their place where an
//! input may have nothing to give for a while.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::decompress::Reader;

/// Buffers on their way at most; with [`BUFFER_BYTES`] the bound on memory.
const BUFFERS: usize = 4;
pub(super) const BUFFER_BYTES: usize = 256 << 10;
/// Size of the first buffer: a small capture needs no more.
const FIRST_BUFFER_BYTES: usize = 64 << 10;

/// What the thread sends.
pub(super) enum Message {
    /// A buffer, and how much of it is filled.
    Data(Vec<u8>, usize),
    End,
    Failed(io::Error),
}

/// Buffers that were used and may be used again. There are never more than were on their way at a time, which is what the
/// bound on memory is about.
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Reads what a thread has read ahead.
pub(super) struct Ahead {
    messages: Receiver<Message>,
    spare: Spare,
    current: Vec<u8>,
    at: usize,
    filled: usize,
    ended: bool,
    patience: Option<Duration>,
}

impl Ahead {
    /// Starts a thread called `name` that does `work`: it sends what it reads, in buffers that are spare. It ends with its
    /// input, or when this reader is dropped and the input gives something once more.
    ///
    /// With `patience` a read for which nothing comes in that time is the error that [`is_nothing_yet`] knows. Without it a
    /// read waits.
    pub(super) fn start(
        name: &str,
        patience: Option<Duration>,
        work: impl FnOnce(&SyncSender<Message>, &Spare) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (send, messages) = sync_channel(BUFFERS);
        let spare = Spare::default();
        let used = spare.clone();
        thread::Builder::new().name(format!("{name} reader")).spawn(move || {
            match work(&send, &used) {
                // The receiver is gone when the capture was dropped; then nobody wants to know.
                Ok(()) => drop(send.send(Message::End)),
                Err(error) => drop(send.send(Message::Failed(error))),
            }
        })?;
        Ok(Self { messages, spare, current: Vec::new(), at: 0, filled: 0, ended: false, patience })
    }

    fn message(&self) -> io::Result<Message> {
        let stopped = || io::Error::other("the reading thread stopped");
        match self.patience {
            None => self.messages.recv().map_err(|_| stopped()),
            Some(patience) => self.messages.recv_timeout(patience).map_err(|error| match error {
                RecvTimeoutError::Timeout => io::Error::other(NothingYet),
                RecvTimeoutError::Disconnected => stopped(),
            }),
        }
    }
}

/// Nothing came for a while; something may still come.
#[derive(Debug, thiserror::Error)]
#[error("nothing has come yet")]
struct NothingYet;

/// Whether a read failed only because nothing has come yet.
pub(super) fn is_nothing_yet(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NothingYet>())
}

/// Sends what is read in buffers, until the input ends or the other side hangs up. Buffers are filled, or, with
/// `as_it_comes`, sent with what one read gives.
pub(super) fn read_on(
    mut reader: Reader,
    as_it_comes: bool,
    send: &SyncSender<Message>,
    spare: &Spare,
) -> io::Result<()> {
    let mut size = FIRST_BUFFER_BYTES;
    loop {
        let mut buffer = spare.take();
        buffer.resize(size, 0);
        let (filled, result) = fill(&mut reader, &mut buffer, as_it_comes);
        if filled > 0 && send.send(Message::Data(buffer, filled)).is_err() {
            return Ok(());
        }
        result?;
        if filled == 0 {
            return Ok(());
        }
        size = (size * 2).min(BUFFER_BYTES);
    }
}

/// Fills `buffer` as far as the input goes, or with what one read gives: what was read counts, whatever came after it.
fn fill(reader: &mut impl Read, buffer: &mut [u8], as_it_comes: bool) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return (filled, Err(error)),
        }
        if as_it_comes {
            break;
        }
    }
    (filled, Ok(()))
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.filled && !self.ended {
            match self.message()? {
                Message::Data(data, filled) => {
                    self.spare.give(std::mem::replace(&mut self.current, data));
                    (self.at, self.filled) = (0, filled);
                }
                Message::End => self.ended = true,
                Message::Failed(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        let ready = self.current.get(self.at..self.filled).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
