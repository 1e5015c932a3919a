//! Members of BGZF by libdeflate, which takes a whole member at a time, in half the time of a decoder that takes what comes.
//!
//! Sources: the SAM/BAM specification section 4.1 (members tell their size, and hold at most 64 KiB), RFC 1952 section 2.3.1
//! (what stands behind the data of a member: its checksum and its length).
//!
//! What a member says of its size may be wrong, and libdeflate does not tell how much of it was read: data could hide behind
//! its end. But it holds the data against the eight bytes that follow them. So a member is taken when its last eight bytes are
//! those of the data as well, and stand in it once: then all of it was read. Any other goes, with all behind it, to the
//! decoder for all of gzip, whose bytes and errors are thus the ones that count.

use std::io::{self, Cursor, Read};

use libdeflater::{Crc, Decompressor};
use memchr::memmem;

use super::decompress::{Compression, Reader};
use super::members::bgzf_len;

/// Most that a member may hold. Unit: bytes.
const MOST_BYTES: usize = 64 << 10;

/// Reads what members one after the other hold.
pub(super) struct Bgzf<S> {
    stored: S,
    /// Where the next member begins.
    at: usize,
    decoder: Decompressor,
    /// What one member held, and how much of that was read.
    block: Vec<u8>,
    read: usize,
    /// Takes all from a member on that is not as it should be.
    careful: Option<Reader>,
}

impl<S: AsRef<[u8]> + Clone + Send + 'static> Bgzf<S> {
    /// The members in `stored`.
    pub(super) fn new(stored: S) -> Self {
        Self { stored, at: 0, decoder: Decompressor::new(), block: Vec::new(), read: 0, careful: None }
    }

    /// Decompresses the next member, into `buffer` when there is room, else into the block; gives what went into `buffer`.
    /// `None` when it is not as it should be.
    fn next(&mut self, buffer: &mut [u8]) -> Option<usize> {
        const TRAILER: usize = 8;
        let rest = self.stored.as_ref().get(self.at..)?;
        let member = rest.get(..bgzf_len(rest)?)?;
        let trailer = member.last_chunk::<TRAILER>()?;
        let ([checksum, len], []) = trailer.as_chunks() else { return None };
        let len = usize::try_from(u32::from_le_bytes(*len)).ok().filter(|len| *len <= MOST_BYTES)?;
        if memmem::find(member, trailer)? != member.len() - TRAILER {
            return None;
        }
        let direct = buffer.get_mut(..len);
        let into_buffer = if direct.is_some() { len } else { 0 };
        let room = direct.unwrap_or_else(|| {
            self.block.resize(len, 0);
            self.read = 0;
            &mut self.block
        });
        let decompressed = self.decoder.gzip_decompress(member, room) == Ok(len);
        if !decompressed || crc(room) != u32::from_le_bytes(*checksum) {
            self.block.clear();
            return None;
        }
        self.at += member.len();
        Some(into_buffer)
    }

    /// Reads what of the block was not read yet.
    fn read_block(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.block.get(self.read..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl<S: AsRef<[u8]> + Clone + Send + 'static> Read for Bgzf<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(careful) = &mut self.careful {
                return careful.read(buffer);
            }
            let count = self.read_block(buffer)?;
            if count > 0 || buffer.is_empty() || self.at == self.stored.as_ref().len() {
                return Ok(count);
            }
            match self.next(buffer) {
                // It went into the block, or held nothing.
                Some(0) => {}
                Some(count) => return Ok(count),
                None => {
                    let mut rest = Cursor::new(self.stored.clone());
                    rest.set_position(self.at as u64);
                    self.careful = Some(Compression::Gzip.decoder(Box::new(rest), 0)?);
                }
            }
        }
    }
}

/// The checksum of RFC 1952.
fn crc(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    /// A member whose data deflate keeps as they are.
    fn member(content: &[u8]) -> Vec<u8> {
        let extra = [b'B', b'C', 2, 0, 0, 0];
        let mut encoder = flate2::GzBuilder::new().extra(extra).write(Vec::new(), flate2::Compression::none());
        encoder.write_all(content).unwrap();
        let bytes = encoder.finish().unwrap();
        let len = bytes.len();
        of_size(bytes, len)
    }

    /// The same member, said to be of `len` bytes.
    fn of_size(mut member: Vec<u8>, len: usize) -> Vec<u8> {
        member[16..18].copy_from_slice(&(len as u16 - 1).to_le_bytes());
        member
    }

    /// What is read in pieces of `size`, the error that ends it, and whether the careful decoder was needed.
    fn read(stored: &[u8], size: usize) -> (Vec<u8>, Option<io::ErrorKind>, bool) {
        let mut reader = Bgzf::new(Arc::<[u8]>::from(stored));
        let (mut data, mut piece) = (Vec::new(), vec![0; size]);
        let error = loop {
            match reader.read(&mut piece) {
                Ok(0) => break None,
                Ok(count) => data.extend_from_slice(&piece[..count]),
                Err(error) => break Some(error.kind()),
            }
        };
        (data, error, reader.careful.is_some())
    }

    #[test]
    fn a_member_is_read_whole_or_with_care() {
        const BGZIP_END: &[u8] = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";
        let (one, two) = (member(&[1, 2, 3].repeat(700)), member(b"two"));
        let said = |bytes: Vec<u8>| {
            let len = bytes.len();
            of_size(bytes, len)
        };
        let trailer = |member: &[u8]| member[member.len() - 8..].to_vec();
        let mut wrong = two.clone();
        wrong[30] ^= 1;
        let longest = member(&vec![7; 65_200]);
        let cases: &[(&str, Vec<u8>, bool)] = &[
            ("members", [&one[..], &two, &one].concat(), false),
            ("the longest", [&longest[..], &two].concat(), false),
            ("an empty one between", [&two[..], &member(b""), &one].concat(), false),
            ("the empty one of bgzip: more than eight zeros", [&two[..], BGZIP_END, &one].concat(), true),
            ("another behind its end", [&one[..], &said([&two[..], &one].concat())].concat(), true),
            ("itself behind its end", [&one[..], &said([&two[..], &two].concat()), &one].concat(), true),
            ("bytes behind its end", said([&two[..], b"more than that"].concat()), true),
            ("bytes and its trailer", said([&two[..], b"more", &trailer(&two)].concat()), true),
            ("too short", [&of_size(one.clone(), one.len() - 9)[..], &two].concat(), true),
            ("beyond the end", [&one[..], &of_size(two.clone(), two.len() + 1)].concat(), true),
            ("no room for a trailer", [&of_size(two.clone(), 20)[..], &two].concat(), true),
            ("broken", [&one[..], &wrong, &two].concat(), true),
            (
                "plain gzip",
                [&one[..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
                true,
            ),
            ("no gzip", [&one[..], b"text"].concat(), true),
        ];
        for (name, stored, careful) in cases {
            let mut want = Vec::new();
            let mut exact = Compression::Gzip.decoder(Box::new(Cursor::new(stored.clone())), 0).unwrap();
            let error = exact.read_to_end(&mut want).err().map(|error| error.kind());
            for size in [1, 100, 65_536, 1 << 20] {
                let found = read(stored, size);
                assert_eq!((found.0.len(), found.1, found.2), (want.len(), error, *careful), "{name}, {size}");
                assert!(found.0 == want, "{name}, {size}");
            }
        }
    }
}
