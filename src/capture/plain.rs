//! A file that is read in halves, side by side: on full-size packets most of the time is the copy out of the page cache.
//!
//! Only within a pool of threads, and only where there is much to read: another thread takes the second half when it has
//! nothing else to do.

use std::fs::File;
use std::io::{self, Read};

/// Reads below this are not worth to be shared. Unit: bytes.
const WORTH_SHARING: usize = 512 << 10;

/// A file, and how far it was read.
pub(super) struct Plain {
    file: File,
    at: u64,
}

impl Plain {
    /// Reads `file`, a regular one, from its start.
    pub(super) fn new(file: File) -> Self {
        Self { file, at: 0 }
    }

    /// Fills `room` from `at` on as far as the file goes.
    fn fill(&self, room: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read_at(&self.file, rest, at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read counts; who reads on meets the error again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_halves(&self, room: &mut [u8]) -> io::Result<usize> {
        let (first, second) = room.split_at_mut(room.len() / 2);
        let behind = self.at + first.len() as u64;
        let (whole, (first, second)) =
            (first.len(), rayon::join(|| self.fill(first, self.at), || self.fill(second, behind)));
        match first? {
            count if count == whole => Ok(count + second.unwrap_or(0)),
            count => Ok(count),
        }
    }
}

impl Read for Plain {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let shared =
            room.len() >= WORTH_SHARING && rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1;
        let count = if shared { self.read_halves(room)? } else { read_at(&self.file, room, self.at)? };
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &File, room: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, room, at)
}

#[cfg(windows)]
fn read_at(file: &File, room: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, room, at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn halves_are_the_whole() {
        let bytes: Vec<u8> =
            (0..3_000_001_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for room in [1 << 20, 700_001, WORTH_SHARING, 4096 * 7, 4 << 20] {
            let read = || {
                let mut plain = Plain::new(File::open(&path).unwrap());
                let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
                loop {
                    match plain.read(&mut buffer).unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
            };
            assert!(pool.install(read) == bytes && read() == bytes, "{room}");
        }
    }
}
