//! `scan` and `merge`, and the report that they give.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use tlscov::cli::embed::Request;
use tlscov::error::Error;
use tlscov::report::{self, format_named, names};
use tlscov::tally::Tally;

use crate::errors::raised;
use crate::work::interruptible;

/// A report: what `tlscov scan` writes.
///
/// Parts of it are read like those of a dictionary: `report["coverage"]["encrypted_share"]["value"]`.
#[pyclass(frozen, module = "tlscov")]
pub(crate) struct Report {
    report: report::Report,
    dict: PyOnceLock<Py<PyDict>>,
}

impl Report {
    fn new(tally: &Tally) -> Self {
        Self::from(report::Report::new(tally))
    }

    fn written(&self, format: &str) -> PyResult<String> {
        let format = format_named(format).ok_or_else(|| {
            PyValueError::new_err(format!("{format:?} is no format; expected one of {}", names().join(", ")))
        })?;
        let mut text = Vec::new();
        (format.write)(&self.report, &mut text)?;
        // The summary has terminal colours, which are for terminals.
        Ok(String::from_utf8_lossy(&anstream::adapter::strip_bytes(&text).into_vec()).into_owned())
    }

    fn dict<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let dict = self.dict.get_or_try_init(py, || {
            let loads = py.import("json")?.getattr("loads")?;
            Ok::<_, PyErr>(loads.call1((self.written("json")?,))?.cast_into::<PyDict>()?.unbind())
        })?;
        Ok(dict.bind(py))
    }
}

impl From<report::Report> for Report {
    fn from(report: report::Report) -> Self {
        Self { report, dict: PyOnceLock::new() }
    }
}

#[pymethods]
impl Report {
    /// The report that was written as this JSON.
    #[classmethod]
    fn from_json(_: &Bound<'_, PyType>, py: Python<'_>, json: &str) -> PyResult<Self> {
        py.detach(|| report::Report::read(Path::new("JSON"), json.as_bytes())).map(Self::from).map_err(raised)
    }

    /// The report as JSON, byte for byte what `tlscov scan --format json` writes.
    fn to_json(&self) -> PyResult<String> {
        self.written("json")
    }

    /// The report as a dictionary of its own.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("copy")?.getattr("deepcopy")?.call1((self.dict(py)?,))
    }

    /// The report in another format: text, markdown, html, csv, prometheus, cbom, benchmark, bmf or json.
    fn render(&self, format: &str) -> PyResult<String> {
        self.written(format)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.as_any().get_item(key)
    }

    /// Names of its parts, in order.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.call_method0("keys")
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        Ok(self.written("json")? == other.get().written("json")?)
    }

    fn __repr__(&self) -> String {
        let captures = self.report.captures.len();
        match self.report.coverage.encrypted_share.value {
            Some(value) => format!("<tlscov.Report: {:.1}% encrypted, captures: {captures}>", 100.0 * value),
            None => format!("<tlscov.Report: no traffic that counts, captures: {captures}>"),
        }
    }

    /// How notebooks show it.
    fn _repr_markdown_(&self) -> PyResult<String> {
        self.written("markdown")
    }

    /// Reports go to other processes as their JSON.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let json = slf.get().written("json")?;
        (slf.getattr("from_json")?, (json,)).into_pyobject(slf.py())
    }
}

/// What `tlscov scan` reports, and its warnings.
#[pyfunction]
pub(crate) fn scan(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<(Report, Vec<String>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let read = move || {
        let (tally, warnings) = Request::new(arguments)?.run(stopped, None)?;
        Ok((Report::new(&tally), warnings))
    };
    interruptible(py, &stop, read)?.map_err(raised)
}

/// The report of all `reports` together; each is a report, or a path to one.
#[pyfunction]
pub(crate) fn merge(py: Python<'_>, reports: &Bound<'_, PyAny>) -> PyResult<Report> {
    let mut sums = Tally::default();
    for given in reports.try_iter()? {
        let given = given?;
        if let Ok(report) = given.cast::<Report>() {
            let report = &report.get().report;
            py.detach(|| report.tally().map(|tally| sums.merge(tally))).map_err(PyValueError::new_err)?;
        } else {
            let path: PathBuf = given.extract()?;
            py.detach(|| read(&path).map(|tally| sums.merge(tally))).map_err(raised)?;
        }
        py.check_signals()?;
    }
    Ok(py.detach(|| Report::new(&sums)))
}

fn read(path: &Path) -> tlscov::error::Result<Tally> {
    let json = std::fs::read(path).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    report::Report::read(path, &json)?.tally().map_err(|what| Error::file(path, what))
}
