//! What the user can fix: a file, a policy, an option. Bad traffic is never an error; it is a [`crate::model::Loss`].

use std::path::{Path, PathBuf};

/// An error of use or input. Its text is one line that names the file or option and says what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or read.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong, and what to do.
        what: String,
    },
    /// A file was read, and at `offset` it is not what it should be.
    #[error("{}: byte {offset}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Offset within the (decompressed) file. Unit: bytes.
        offset: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// An option or argument has a value that cannot be used.
    #[error("{option}: {what}")]
    Usage {
        /// The option as the user typed it.
        option: String,
        /// What was found and what was expected.
        what: String,
    },
    /// Reading or writing failed apart from any input file (standard output, a report).
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// An error about a file as a whole.
    pub fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), what: what.into() }
    }

    /// An error at an offset of a file.
    pub fn content(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), offset, what: what.into() }
    }

    /// An error about an option.
    pub fn usage(option: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Usage { option: option.into(), what: what.into() }
    }
}

/// The result of everything that a user's mistake can stop.
pub type Result<T> = std::result::Result<T, Error>;
