//! `flows`: a table that is read while it is asked for, batch by batch, through the Arrow PyCapsule interface.
//!
//! A thread reads the captures and waits when two batches are not taken yet, so a table of any length needs the memory of a
//! few batches beside that of the reader. Each stream reads anew; one that is dropped stops its thread.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use tlscov::cli::embed::Request;
use tlscov::error::Error;
use tlscov::report::flow_columns::{Column, columns};

use crate::errors::{CaptureWarning, raised};
use crate::table::{Rows, schema};
use crate::work::{broken, receive};

/// The flows of captures as a table, for whatever takes the Arrow PyCapsule interface: `pyarrow.table(flows)`,
/// `polars.DataFrame(flows)`, `duckdb.sql("SELECT ... FROM flows")`, `pandas.DataFrame.from_arrow(flows)`.
///
/// Nothing is read before a table is asked for. Each time it is asked for the captures are read anew, in record batches.
#[pyclass(frozen, module = "tlscov")]
pub(crate) struct Flows {
    request: Arc<Request>,
    columns: Arc<[Column]>,
    schema: SchemaRef,
}

/// The flows that `tlscov flows` writes.
#[pyfunction]
pub(crate) fn flows(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<Flows> {
    let request = py.detach(|| Request::new(arguments)).map_err(raised)?;
    let policies: Vec<String> = request.policies().iter().map(|policy| policy.label()).collect();
    let columns: Arc<[Column]> = columns(&policies).into();
    Ok(Flows { request: Arc::new(request), schema: schema(&columns), columns })
}

#[pymethods]
impl Flows {
    /// The table as a stream of record batches (Arrow C stream interface). Another schema cannot be asked for.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface leaves it to the producer whether it can; consumers look at the schema of the stream.
        drop(requested_schema);
        py.detach(|| self.request.check()).map_err(raised)?;
        let rows = Rows::new(Arc::clone(&self.schema), Arc::clone(&self.columns));
        let start = Some((Arc::clone(&self.request), rows));
        let stream = Stream { schema: Arc::clone(&self.schema), stop: Arc::default(), start, batches: None };
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(stream)), c"arrow_array_stream")
    }

    /// The columns and their types (Arrow C schema interface).
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema =
            FFI_ArrowSchema::try_from(&*self.schema).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Names of the columns, in order.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.to_string()).collect()
    }

    fn __repr__(&self) -> String {
        format!("<tlscov.Flows: {} columns>", self.columns.len())
    }
}

/// What the reading thread sends.
enum Message {
    Batch(RecordBatch),
    Failed(Error),
    /// The last one, with warnings.
    Done(Vec<String>),
}

/// A stream of batches that Arrow asks for.
struct Stream {
    schema: SchemaRef,
    stop: Arc<AtomicBool>,
    /// What to begin with; taken when the first batch is asked for.
    start: Option<(Arc<Request>, Rows)>,
    /// `None` before the first batch, and after the last.
    batches: Option<Receiver<Message>>,
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((request, rows)) = self.start.take() {
            let (sender, receiver) = sync_channel(1);
            let stop = Arc::clone(&self.stop);
            thread::spawn(move || send_all(&request, rows, stop, &sender));
            self.batches = Some(receiver);
        }
        // Who asks may hold the interpreter or not, on any thread: here it is taken, to be released while waiting.
        let next = Python::try_attach(|py| self.next_message(py));
        let next = next.unwrap_or_else(|| Some(Err(failed("Python is shutting down"))));
        if !matches!(next, Some(Ok(_))) {
            self.end();
        }
        next
    }
}

impl Stream {
    fn next_message(&mut self, py: Python<'_>) -> Option<Result<RecordBatch, ArrowError>> {
        match receive(py, self.batches.as_mut()?) {
            Ok(Some(Message::Batch(batch))) => Some(Ok(batch)),
            Ok(Some(Message::Failed(error))) => Some(Err(failed(&error.to_string()))),
            Ok(Some(Message::Done(warnings))) => {
                let warned = warnings.iter().try_for_each(|text| warn(py, text));
                warned.err().map(|error| Err(failed(&error.to_string())))
            }
            Ok(None) => Some(Err(failed(&broken().to_string()))),
            Err(error) => Some(Err(interrupted(py, &error))),
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.batches = None;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads everything and sends it; ends early when nobody listens any more.
fn send_all(request: &Request, mut rows: Rows, stop: Arc<AtomicBool>, sender: &SyncSender<Message>) {
    let send = |batch| sender.send(Message::Batch(batch)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe));
    let mut each_flow = |flow: &tlscov::report::FlowRecord<'_>| {
        if let Some(batch) = rows.push(flow).map_err(io::Error::other)? {
            send(batch)?;
        }
        Ok(())
    };
    let last = match request.run(stop, Some(&mut each_flow)) {
        Ok((_, warnings)) => match rows.take_rest().map(|batch| batch.map(send).transpose()) {
            Ok(_) => Message::Done(warnings),
            Err(error) => Message::Failed(Error::Io(io::Error::other(error))),
        },
        Err(error) => Message::Failed(error),
    };
    // Whoever does not listen any more needs no last word.
    let _ = sender.send(last);
}

fn warn(py: Python<'_>, text: &str) -> PyResult<()> {
    let text = std::ffi::CString::new(text.replace('\0', "?"))?;
    PyErr::warn(py, &py.get_type::<CaptureWarning>(), &text, 1)
}

/// What a signal handler raised, as an error of Arrow, which has no place for a Python exception.
fn interrupted(py: Python<'_>, error: &PyErr) -> ArrowError {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        // Ctrl-C comes again as soon as the interpreter goes on; without that it would be an error like any other.
        let _ = py.import("_thread").and_then(|threads| threads.call_method0("interrupt_main"));
    }
    failed(&format!("interrupted: {error}"))
}

fn failed(what: &str) -> ArrowError {
    ArrowError::IoError(what.to_owned(), io::Error::other("tlscov"))
}
