//! The frames of an opened Initial packet, and the handshake bytes that its CRYPTO frames carry.
//!
//! Sources: RFC 9000 section 19; QUICHE `quic_framer.cc` for Google's frames in Q050, T050 and T051.
//! Other frames do not belong into an Initial packet (RFC 9000 section 12.4); reading ends at the first of them.

use super::packet::varint;

/// What of a frame is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Handshake bytes and their offset.
    Crypto(u64, &'a [u8]),
    /// The connection is closed: the handshake failed.
    Close,
}

/// Reads the frames of an opened packet in order; `google` says which framing it has.
pub fn frames(plain: &[u8], google: bool) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = plain;
    std::iter::from_fn(move || {
        loop {
            let (&kind, after) = std::mem::take(&mut rest).split_first()?;
            match kind {
                PADDING => rest = skip_padding(after),
                PING if !google => rest = after,
                GOOGLE_PING if google => rest = after,
                ACK | ACK_ECN if !google => rest = skip_ack(after, kind == ACK_ECN)?,
                0x40..=0x7f if google => rest = skip_google_ack(after, kind)?,
                CRYPTO | GOOGLE_CRYPTO if (kind == GOOGLE_CRYPTO) == google => {
                    let (offset, after) = varint(after)?;
                    let (len, after) = varint(after)?;
                    let (data, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
                    rest = after;
                    return Some(Frame::Crypto(offset, data));
                }
                CLOSE | CLOSE_APPLICATION if !google => return Some(Frame::Close),
                GOOGLE_CLOSE if google => return Some(Frame::Close),
                _ => return None,
            }
        }
    })
}

/// What follows padding. A client pads its first datagram to 1200 bytes (RFC 9000 section 14.1), so there is much of it.
fn skip_padding(mut bytes: &[u8]) -> &[u8] {
    while let Some((zeros, after)) = bytes.split_first_chunk::<32>()
        && *zeros == [PADDING; 32]
    {
        bytes = after;
    }
    bytes
}

/// What follows an ACK frame (RFC 9000 section 19.3).
fn skip_ack(bytes: &[u8], ecn: bool) -> Option<&[u8]> {
    let (_, bytes) = varint(bytes)?;
    let (_, bytes) = varint(bytes)?;
    let (ranges, bytes) = varint(bytes)?;
    let (_, mut bytes) = varint(bytes)?;
    let numbers = ranges.checked_mul(2)?.checked_add(if ecn { 3 } else { 0 })?;
    // Each number is at least one byte, so a hostile count ends with the packet.
    for _ in 0..numbers {
        (_, bytes) = varint(bytes)?;
    }
    Some(bytes)
}

/// What follows an ACK frame of Google's framing: `01nullmm`, number and block lengths coded in the type.
fn skip_google_ack(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    const LENGTHS: [usize; 4] = [1, 2, 4, 6];
    let number_len = LENGTHS[usize::from(kind >> 2 & 3)];
    let block_len = LENGTHS[usize::from(kind & 3)];
    let mut bytes = bytes.get(number_len + 2..)?;
    let mut blocks = 0;
    if kind & 0x20 != 0 {
        let (&count, after) = bytes.split_first()?;
        (blocks, bytes) = (usize::from(count), after);
    }
    let bytes = bytes.get(block_len + blocks * (block_len + 1)..)?;
    let (&times, bytes) = bytes.split_first()?;
    match usize::from(times) {
        0 => Some(bytes),
        more => bytes.get(5 + (more - 1) * 3..),
    }
}

/// Handshake bytes of one side, put in order. Holds at most [`MAX_HELD`] bytes.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct CryptoStream {
    /// Bytes in order that belong to no whole message yet.
    #[serde(with = "crate::model::kept::room")]
    ready: Vec<u8>,
    /// Where `ready` begins.
    start: usize,
    ahead: Vec<(usize, Box<[u8]>)>,
    /// Bytes taken in so far, but for those that were given up.
    held: usize,
}

impl CryptoStream {
    /// Takes the bytes of one CRYPTO frame; drops what lies too far ahead or is too much.
    pub fn insert(&mut self, offset: u64, data: &[u8]) {
        let Some(offset) = usize::try_from(offset).ok().filter(|&offset| offset < MAX_HELD) else { return };
        if self.held.saturating_add(data.len()) > MAX_HELD {
            return;
        }
        if offset > self.in_order() {
            // Chrome scatters its hello over a dozen frames in any order; repeats are common, hundreds are not.
            let repeated = self.ahead.iter().any(|(at, piece)| *at == offset && piece.len() >= data.len());
            if self.ahead.len() < MAX_PIECES && !repeated && !data.is_empty() {
                self.held += data.len();
                self.ahead.push((offset, data.into()));
            }
            return;
        }
        self.append(offset, data);
        while let Some(next) = self.ahead.iter().position(|(at, _)| *at <= self.in_order()) {
            let (at, piece) = self.ahead.swap_remove(next);
            self.held = self.held.saturating_sub(piece.len());
            self.append(at, &piece);
        }
    }

    /// Takes the bytes of one CRYPTO frame as [`insert`](Self::insert) does, and hands each handshake message that is
    /// whole to `sink`: its type and its body without the four bytes of header.
    pub fn read(&mut self, offset: u64, data: &[u8], mut sink: impl FnMut(u8, &[u8])) {
        let in_turn = offset == self.in_order() as u64 && self.ready.is_empty() && self.ahead.is_empty();
        if in_turn && self.held.saturating_add(data.len()) <= MAX_HELD {
            // Most hellos come in one piece: no need to keep a copy.
            let read = messages(data, &mut sink);
            self.start += read;
            self.held += read;
            return self.insert(self.start as u64, data.get(read..).unwrap_or_default());
        }
        self.insert(offset, data);
        let read = messages(&self.ready, &mut sink);
        if read > 0 && read == self.ready.len() {
            (self.start, self.ready) = (self.start + read, Vec::new());
        } else {
            self.start += read;
            self.ready.drain(..read.min(self.ready.len()));
        }
    }

    /// Bytes that came in order, from offset 0 on.
    #[must_use]
    pub fn in_order(&self) -> usize {
        self.start + self.ready.len()
    }

    /// Heap bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let ahead: usize = self.ahead.iter().map(|(_, piece)| piece.len()).sum();
        self.ready.capacity() + ahead + self.ahead.len() * 32
    }

    /// Adds what is new of a piece that starts at or before the end of what is ready.
    fn append(&mut self, offset: usize, data: &[u8]) {
        let known = self.in_order().saturating_sub(offset);
        if let Some(new) = data.get(known..) {
            self.held += new.len();
            self.ready.extend_from_slice(new);
        }
    }
}

/// Hands each whole message at the front of `bytes` to `sink`; gives the number of bytes that they take.
fn messages(bytes: &[u8], sink: &mut impl FnMut(u8, &[u8])) -> usize {
    let mut rest = bytes;
    while let Some((&[kind, a, b, c], after)) = rest.split_first_chunk()
        && let Some((body, after)) = after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)
    {
        sink(kind, body);
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Most handshake bytes held for one side; a ClientHello is below 2 KiB, with post-quantum shares 3 KiB.
pub const MAX_HELD: usize = 64 * 1024;
const MAX_PIECES: usize = 128;

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x06;
const CLOSE: u8 = 0x1c;
const CLOSE_APPLICATION: u8 = 0x1d;
const GOOGLE_CLOSE: u8 = 0x02;
const GOOGLE_PING: u8 = 0x07;
const GOOGLE_CRYPTO: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_packet() {
        let cases: &[(&str, &[u8], bool, &[Frame<'_>])] = &[
            ("padding only", &[0, 0, 0], false, &[]),
            ("behind padding and ping", &[0, 1, 6, 5, 2, 9, 8], false, &[Frame::Crypto(5, &[9, 8])]),
            ("behind an ACK", &[2, 9, 0, 1, 0, 7, 7, 6, 0, 1, 4], false, &[Frame::Crypto(0, &[4])]),
            ("behind an ACK with ECN", &[3, 9, 0, 0, 0, 1, 2, 3, 6, 0, 1, 4], false, &[Frame::Crypto(0, &[4])]),
            ("ACK that promises too much", &[2, 9, 0, 0xbf, 0xff, 0xff, 0xff, 0, 6, 0, 1, 4], false, &[]),
            ("data longer than the packet", &[6, 0, 9, 1], false, &[]),
            ("close", &[0x1c, 1, 0, 0], false, &[Frame::Close]),
            ("a stream frame has no place here", &[8, 0, 1, 4], false, &[]),
            ("Google's CRYPTO", &[8, 0, 1, 4], true, &[Frame::Crypto(0, &[4])]),
            ("Google's ACK before it", &[0x40, 1, 0, 0, 1, 0, 8, 0, 1, 4], true, &[Frame::Crypto(0, &[4])]),
        ];
        for (name, bytes, google, want) in cases {
            let found: Vec<_> = frames(bytes, *google).take(4).collect();
            assert_eq!(found.get(..want.len()), Some(*want), "{name}");
            assert!(found.len() == want.len() || want.last() == Some(&Frame::Close), "{name}");
        }
    }

    #[test]
    fn pieces_in_any_order() {
        let hello: Vec<u8> = [1, 0, 0, 6].into_iter().chain(10..16).collect();
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let (mut stream, mut found) = (CryptoStream::default(), Vec::new());
            for part in order {
                let at = part * 3;
                // Pieces overlap by a byte.
                let piece = hello.get(at..(at + 4).min(10)).unwrap_or_default();
                stream.read(at as u64, piece, |kind, body| found.push((kind, body.to_vec())));
            }
            assert_eq!(found, [(1, (10..16).collect::<Vec<u8>>())], "{order:?}");
        }
    }

    #[test]
    fn bounded() {
        let mut stream = CryptoStream::default();
        stream.insert(u64::MAX, &[1]);
        stream.insert(MAX_HELD as u64, &[1]);
        assert_eq!(stream.memory(), 0, "far offsets are refused");
        for offset in 1..10_000 {
            stream.insert(offset, &[0; 1000]);
        }
        assert!(stream.memory() <= MAX_HELD + MAX_PIECES * 32);
    }
}
