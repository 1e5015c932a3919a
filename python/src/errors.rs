//! Errors of the program as Python exceptions, with the program's messages.

use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyUserWarning};

create_exception!(tlscov, Error, PyException, "What can be put right by who called: a file, a policy, an option.");
create_exception!(tlscov, InputError, Error, "A file cannot be read, or is not what it should be.");
create_exception!(tlscov, UsageError, Error, "An option or argument has a value that cannot be used.");
create_exception!(tlscov, CaptureWarning, PyUserWarning, "A capture was cut short, left out, or the like.");

/// `error` as the exception that Python code sees.
pub(crate) fn raised(error: tlscov::error::Error) -> PyErr {
    use tlscov::error::Error as Ours;
    match error {
        error @ (Ours::File { .. } | Ours::Content { .. }) => InputError::new_err(error.to_string()),
        error @ Ours::Usage { .. } => UsageError::new_err(error.to_string()),
        Ours::Io(error) => error.into(),
    }
}
