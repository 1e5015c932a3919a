//! Where output goes: standard output, or a file that appears whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstream::AutoStream;
use anstream::adapter::strip_bytes;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command};

use crate::error::{Error, Result};
use crate::report::publish::{fold, publish};
use crate::report::{FORMATS, Format, Report, format_named};

/// Where a report goes and in which format: the options of every command that writes one.
#[derive(Args)]
pub(super) struct ReportOptions {
    /// Write the report to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to write it [default: text on a terminal, json elsewhere]
    #[arg(short, long, value_name = "FORMAT", value_parser = FormatParser)]
    format: Option<&'static Format>,
    /// Fold rows of breakdowns that fewer clients than this are behind into `other` [default: 10 with --publish, else none]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..=64))]
    min_cell: Option<u64>,
    /// Make the report fit for publication: fold small cells, round figures, leave out names; the definition says so. Such a
    /// report does not merge
    #[arg(long)]
    publish: bool,
}

/// Where a report will go.
pub(super) struct ReportOutput {
    format: &'static Format,
    /// `None` for standard output.
    path: Option<PathBuf>,
    /// The file for the next report, when it is open already.
    file: Option<AtomicFile>,
    /// Several reports go to standard output, one after the other.
    series: bool,
    min_cell: Option<u64>,
    publish: bool,
}

impl ReportOptions {
    /// Opens the output, so that a mistake in its name shows before hours of reading and not after.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn open(&self) -> Result<ReportOutput> {
        let default = if self.output.is_none() && io::stdout().is_terminal() { "text" } else { "json" };
        let format = self.format.or_else(|| format_named(default));
        let format = format.ok_or_else(|| Error::usage("--format", "no such format"))?;
        let file = self.output.as_deref().map(AtomicFile::create).transpose()?;
        let path = self.output.clone();
        Ok(ReportOutput { format, path, file, series: false, min_cell: self.min_cell, publish: self.publish })
    }

    /// The same for several reports: each takes the place of the one before in a file, or follows it on standard output,
    /// JSON on one line each.
    ///
    /// # Errors
    /// When the file cannot be created, or reports of the format cannot follow one another.
    pub fn open_series(&self) -> Result<ReportOutput> {
        let output = self.open()?;
        if output.path.is_none() && !["json", "text"].contains(&output.format.name) {
            let what =
                format!("{} reports do not follow one another; give each a place with -o FILE", output.format.name);
            return Err(Error::usage("--every", what));
        }
        Ok(ReportOutput { series: true, ..output })
    }
}

impl ReportOutput {
    /// Writes `report`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, report: &Report) -> Result<()> {
        let mut text = Vec::new();
        let changed = match (self.publish, self.min_cell) {
            (true, least) => Some(publish(report.clone(), least.unwrap_or(10)).map_err(io::Error::from)?),
            (false, Some(least)) => Some(fold(report.clone(), least)),
            (false, None) => None,
        };
        let report = changed.as_ref().unwrap_or(report);
        let follows = self.series && self.path.is_none();
        if follows && self.format.name == "json" {
            serde_json::to_writer(&mut text, report).map_err(io::Error::from)?;
            text.push(b'\n');
        } else {
            (self.format.write)(report, &mut text)?;
        }
        match &self.path {
            Some(path) => {
                let mut file = self.file.take().map_or_else(|| AtomicFile::create(path), Ok)?;
                // Colours are for terminals.
                let styled = memchr::memchr(b'\x1b', &text).is_some();
                let text = if styled { strip_bytes(&text).into_vec() } else { text };
                file.write_all(&text)?;
                file.finish()
            }
            None => {
                let mut out = AutoStream::auto(io::stdout());
                out.write_all(&text)?;
                Ok(out.flush()?)
            }
        }
    }

    /// Writes a report that another one will follow: when its file cannot be written, that is told, and the next may
    /// succeed.
    ///
    /// # Errors
    /// When nobody reads standard output any more.
    pub fn write_soon(&mut self, report: &Report) -> Result<()> {
        match self.write(report) {
            Err(error) if self.path.is_some() => {
                super::complain(&error);
                Ok(())
            }
            result => result,
        }
    }
}

/// Reads the name of a format; help, manual and completions list them all.
#[derive(Clone)]
struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = &'static Format;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> std::result::Result<&'static Format, clap::Error> {
        let parse = |name: &str| {
            format_named(name).ok_or_else(|| format!("expected one of {}", crate::report::names().join(", ")))
        };
        TypedValueParser::parse_ref(&parse, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.about))))
    }
}

/// A file that takes its name when it is finished; before that, dropping it leaves nothing behind.
pub(super) struct AtomicFile {
    out: BufWriter<File>,
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

    /// The same for a file that only its owner may read.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn private(path: &Path) -> Result<Self> {
        let file = Self::create(path)?;
        #[cfg(unix)]
        if let Some(unfinished) = &file.unfinished {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(unfinished, fs::Permissions::from_mode(0o600))
                .map_err(|error| cannot_write(path, &error))?;
        }
        Ok(file)
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

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(|error| named(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(|error| named(&self.path, &error))
    }
}

/// The same error with the file in its text.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), cannot_write(path, error).to_string())
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
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("report.json");
        let error = AtomicFile::create(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("report.json: cannot be written"), "{error}");
    }
}
