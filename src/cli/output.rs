//! Where output goes: standard output, or a file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstream::AutoStream;
use anstream::adapter::strip_bytes;

use crate::error::{Error, Result};
use crate::report::{Format, Report, format_named};

/// Writes `report` to `path`, or to standard output: in `format`, else as text on a terminal and as JSON elsewhere.
pub(super) fn write_report(report: &Report, path: Option<&Path>, format: Option<&'static Format>) -> Result<()> {
    let default = if path.is_none() && io::stdout().is_terminal() { "text" } else { "json" };
    let format = format.or_else(|| format_named(default));
    let format = format.ok_or_else(|| Error::usage("--format", "no such format"))?;
    let mut text = Vec::new();
    (format.write)(report, &mut text)?;
    match path {
        Some(path) => to_file(path, |out| out.write_all(&strip_bytes(&text).into_vec())),
        None => {
            let mut out = AutoStream::auto(io::stdout());
            out.write_all(&text)?;
            Ok(out.flush()?)
        }
    }
}

/// The format named on the command line.
pub(super) fn parse_format(name: &str) -> std::result::Result<&'static Format, String> {
    format_named(name).ok_or_else(|| format!("expected one of {}", crate::report::names().join(", ")))
}

/// Writes a file: under another name first, so that `path` never holds half of it.
pub(super) fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    let written = write(&mut file.out).map_err(|error| cannot_write(path, &error));
    written.and_then(|()| file.finish())
}

/// A file that takes its name when it is finished; before that, dropping it leaves nothing behind.
pub(super) struct AtomicFile {
    /// Write here.
    pub out: BufWriter<File>,
    path: PathBuf,
    /// The file under its first name; `None` when it is written in place.
    unfinished: Option<PathBuf>,
}

impl AtomicFile {
    /// Starts the file that will be called `path`. What is no plain file (`/dev/stdout`, a named pipe) is written in place.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let cannot = |error| cannot_write(path, &error);
        // A link stays a link: the file that it points to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if fs::metadata(&target).is_ok_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(&target).map_err(cannot)?;
            return Ok(Self { out: BufWriter::new(file), path: path.to_path_buf(), unfinished: None });
        }
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let unfinished = target.with_file_name(name);
        let file = File::create(&unfinished).map_err(cannot)?;
        Ok(Self { out: BufWriter::new(file), path: target, unfinished: Some(unfinished) })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When the rest cannot be written, or the name cannot be given.
    pub fn finish(mut self) -> Result<()> {
        let renamed = self.out.flush().and_then(|()| match &self.unfinished {
            Some(unfinished) => fs::rename(unfinished, &self.path),
            None => Ok(()),
        });
        renamed.map_err(|error| cannot_write(&self.path, &error))?;
        self.unfinished = None;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // It holds half an output and nobody knows its name.
            let _ = fs::remove_file(unfinished);
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::file(path, format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let failed = to_file(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), format!("{}: cannot be written: disk full", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        to_file(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("report.json");
        let error = to_file(&path, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("report.json: cannot be written"), "{error}");
    }
}
