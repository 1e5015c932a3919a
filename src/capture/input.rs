//! From what the user names to the captures to read: files, folders, globs, standard input.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decompress::{Compression, Reader, buffered};
use super::plain::Plain;
use super::reader::{self, Capture};
use super::{Options, Source};
use crate::error::{Error, Result};

/// One capture to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// Standard input, named `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// The name as the user gave it, or `-`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Size as stored, for progress; `None` when it is not known before reading (standard input, a pipe).
    ///
    /// Unit: bytes.
    #[must_use]
    pub fn stored_len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| meta.len()),
        }
    }
}

impl Input {
    /// Whether it may have nothing to give for a while: a pipe, a terminal, a socket.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let path = match self {
            Self::Stdin => Path::new("/dev/stdin"),
            Self::File(path) => path,
        };
        fs::metadata(path).is_ok_and(|meta| !meta.is_file())
    }

    /// How much there is to read: the size of a capture that is stored as it is, the decompressed size of a small one that
    /// is compressed; `None` when that is more than `most_bytes`, or is not known without reading it (no plain file, a
    /// large compressed one).
    ///
    /// Unit: bytes.
    #[must_use]
    pub fn expanded_len(&self, most_bytes: u64) -> Option<u64> {
        // What `xz` takes at its usual level; no more of it is touched than there is content.
        const DECODER_BYTES: u64 = 16 << 20;
        let Self::File(path) = self else { return None };
        let len = self.stored_len()?;
        let mut file = File::open(path).ok()?;
        let mut head = Vec::new();
        file.by_ref().take(16).read_to_end(&mut head).ok()?;
        let Some(compression) = Compression::recognise(&head) else {
            return Some(len).filter(|len| *len <= most_bytes);
        };
        if len >= reader::INLINE_BYTES {
            return None;
        }
        let decoder = compression.decoder(buffered(io::Cursor::new(head).chain(file)), DECODER_BYTES).ok()?;
        let mut content = decoder.take(most_bytes.saturating_add(1));
        let mut buffer = vec![0; 16 << 10];
        let mut expanded = 0;
        // What is damaged ends there when it is read as well.
        while let Ok(count @ 1..) = content.read(&mut buffer) {
            expanded += count as u64;
        }
        Some(expanded).filter(|expanded| *expanded <= most_bytes)
    }
}

/// What the arguments of a command amount to.
#[derive(Debug, Default)]
pub struct Expanded {
    /// Captures, in the order of the arguments; those of a folder sorted by path.
    pub inputs: Vec<Input>,
    /// Files found in folders that are no captures, sorted by path within each folder.
    pub skipped: Vec<PathBuf>,
    /// Arguments that name nothing readable.
    pub errors: Vec<Error>,
}

/// Finds the captures that `paths` name: files, folders (with all below them), globs, `-`.
///
/// A file named directly, or by a glob, is taken as it is: that it is no capture shows when it is opened. In a folder
/// only captures are taken, known by name or by their first bytes. Links to files are followed, links to folders are
/// not, so that no loop is walked.
#[must_use]
pub fn expand(paths: &[String]) -> Expanded {
    let mut found = Expanded::default();
    for given in paths {
        let path = Path::new(given);
        match fs::metadata(path) {
            _ if given == "-" => found.inputs.push(Input::Stdin),
            Err(error) if error.kind() == io::ErrorKind::NotFound && given.contains(['*', '?', '[']) => {
                expand_glob(given, &mut found);
            }
            result => take(path, result, &mut found),
        }
    }
    found
}

/// Takes a file as it is, a folder with all below it.
fn take(path: &Path, metadata: io::Result<fs::Metadata>, found: &mut Expanded) {
    match metadata {
        Ok(metadata) if metadata.is_dir() => expand_folder(path, found),
        Ok(_) => found.inputs.push(Input::File(path.to_path_buf())),
        Err(error) => found.errors.push(unreadable(path, &error)),
    }
}

fn expand_glob(pattern: &str, found: &mut Expanded) {
    let matches = match glob::glob(pattern) {
        Ok(matches) => matches,
        Err(error) => {
            let what = format!("no such file, and no pattern: {} (at character {})", error.msg, error.pos);
            found.errors.push(Error::file(Path::new(pattern), what));
            return;
        }
    };
    let mut none = true;
    for entry in matches {
        none = false;
        match entry {
            Ok(path) => take(&path, fs::metadata(&path), found),
            Err(error) => found.errors.push(unreadable(error.path(), error.error())),
        }
    }
    if none {
        found.errors.push(Error::file(Path::new(pattern), "no file matches this pattern"));
    }
}

fn expand_folder(folder: &Path, found: &mut Expanded) {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                found.errors.push(unreadable(&folder, &error));
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok((path, kind)) if kind.is_dir() => folders.push(path),
                // Anything but a file could block for ever when it is opened (a pipe, a device).
                Ok((path, kind)) if kind.is_file() || path.is_file() => files.push(path),
                Ok(_) => {}
                Err(error) => found.errors.push(unreadable(&folder, &error)),
            }
        }
    }
    files.sort();
    // To look into thousands of files one after the other is what many cores would wait for.
    const MANY: usize = 256;
    let are_captures: Vec<bool> = if files.len() < MANY {
        files.iter().map(|path| is_capture(path)).collect()
    } else {
        files.par_iter().map(|path| is_capture(path)).collect()
    };
    for (path, is_capture) in files.into_iter().zip(are_captures) {
        if is_capture {
            found.inputs.push(Input::File(path));
        } else {
            found.skipped.push(path);
        }
    }
}

/// Whether a file of a folder is a capture: by its name, which costs no look inside, or by its first bytes.
fn is_capture(path: &Path) -> bool {
    const EXTENSIONS: [&str; 3] = ["pcap", "pcapng", "ntar"];
    let named = path.extension().is_some_and(|found| EXTENSIONS.iter().any(|known| found.eq_ignore_ascii_case(known)));
    named || File::open(path).is_ok_and(|file| reader::is_capture(Box::new(file)))
}

/// Opens a capture and recognises its container.
///
/// # Errors
/// When it cannot be read, or is no capture: with the name, the offset, and what was expected.
pub fn open(input: &Input, options: Options) -> Result<Box<dyn Source>> {
    match input {
        Input::Stdin => {
            let options = Options { live: input.is_live(), ..options };
            Ok(Box::new(Capture::open("-", Box::new(io::stdin()), None, options)?))
        }
        Input::File(path) => {
            let unreadable = |error| unreadable(path, &error);
            let file = File::open(path).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            let size = metadata.is_file().then_some(metadata.len());
            let options = Options { live: size.is_none(), ..options };
            let reader: Reader = if size.is_some() { Box::new(Plain::new(file)) } else { Box::new(file) };
            Ok(Box::new(Capture::open(&input.name(), reader, size, options)?))
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::file(path, format!("cannot be read: {error}"))
}
