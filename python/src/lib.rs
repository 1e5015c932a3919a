//! The native part of the Python package `tlscov`; what users call is in `tlscov/__init__.py`, which gives it the arguments of
//! the commands `flows` and `grade`.
//!
//! No function holds the interpreter while it works, and Ctrl-C ends each of them.

mod errors;
mod flows;
mod report;
mod table;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _tlscov {
    #[pymodule_export]
    use super::errors::{CaptureWarning, Error, InputError, UsageError};
    #[pymodule_export]
    use super::flows::{Flows, flows};
    #[pymodule_export]
    use super::grade;
    #[pymodule_export]
    use super::report::{Report, merge, scan};
}

/// What `tlscov grade` answers, as text.
#[pyfunction]
fn grade(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> PyResult<String> {
    let answer = py.detach(|| tlscov::cli::embed::graded(arguments)).map_err(errors::raised)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
