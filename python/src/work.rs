//! Work on a thread of its own, with the interpreter free for others and Ctrl-C heard.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How long Ctrl-C may wait to be heard.
const TICK: Duration = Duration::from_millis(50);

/// What `work` returns. Ctrl-C sets `stop` and is raised at once; the thread ends when it sees `stop`, or when a pipe that it
/// waits for gives more.
pub(crate) fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    stop: &AtomicBool,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, mut receiver) = sync_channel(1);
    thread::spawn(move || sender.send(work()));
    let result = receive(py, &mut receiver);
    stop.store(true, Ordering::Relaxed);
    result?.ok_or_else(broken)
}

/// The next message, `None` when there will be none.
///
/// # Errors
/// What a signal handler raises meanwhile.
pub(crate) fn receive<T: Send>(py: Python<'_>, receiver: &mut Receiver<T>) -> PyResult<Option<T>> {
    loop {
        let receiver: &mut Receiver<T> = receiver;
        match py.detach(move || receiver.recv_timeout(TICK)) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// For a thread that ended without a word, which a panic alone does.
pub(crate) fn broken() -> PyErr {
    PyRuntimeError::new_err("the thread that reads has failed, which is a bug of tlscov; stderr says where")
}
