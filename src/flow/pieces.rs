//! What the first bytes of a flow consist of: a line for each piece, in few bytes.
//!
//! Many flows wait for an answer that never comes, and most pieces are small: their numbers stand here in groups of seven
//! bits, lowest first, the high bit of a byte saying that more follow.

use crate::model::{Counts, Side};

/// One piece of the heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) from: Side,
    pub(super) len: u32,
    /// Payload bytes on the wire (datagrams); `len` for streams.
    pub(super) wire_len: u32,
    /// Totals of the flow up to and with the packet that brought it.
    pub(super) total: Counts,
}

/// The pieces in the order in which they came.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Pieces {
    #[serde(with = "crate::model::kept::room")]
    written: Vec<u8>,
}

/// Room for the first lines: less is not given out. Unit: bytes.
const LEAST: usize = 24;

impl Pieces {
    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        self.written.capacity()
    }

    /// Adds one at the end.
    pub(super) fn push(&mut self, piece: Piece) {
        let Piece { from, len, wire_len, total } = piece;
        // A side and a length in one number, and what was cut off of it in the next.
        let numbers = [
            u64::from(len) << 1 | from as u64,
            u64::from(wire_len.wrapping_sub(len)),
            total.packets,
            total.wire_bytes,
            total.payload_bytes,
        ];
        let mut line = [0; 5 * 10];
        let mut end = 0;
        for mut number in numbers {
            while number > 0x7f {
                line[end] = number as u8 | 0x80;
                (number, end) = (number >> 7, end + 1);
            }
            line[end] = number as u8;
            end += 1;
        }
        if self.written.capacity() == 0 {
            self.written.reserve_exact(LEAST);
        }
        self.written.extend_from_slice(&line[..end]);
    }

    /// One after another.
    pub(super) fn iter(&self) -> impl Iterator<Item = Piece> {
        let mut rest = self.written.as_slice();
        std::iter::from_fn(move || {
            let first = number(&mut rest)?;
            let from = if first & 1 == 0 { Side::Low } else { Side::High };
            let len = (first >> 1) as u32;
            let wire_len = (number(&mut rest)? as u32).wrapping_add(len);
            let [packets, wire_bytes, payload_bytes] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
            Some(Piece { from, len, wire_len, total: Counts { packets, wire_bytes, payload_bytes } })
        })
    }
}

/// The next number; `None` at the end.
#[inline]
fn number(rest: &mut &[u8]) -> Option<u64> {
    match rest {
        [byte @ 0..0x80, after @ ..] => {
            *rest = after;
            Some(u64::from(*byte))
        }
        _ => long_number(rest),
    }
}

fn long_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = |packets, wire_bytes, payload_bytes| Counts { packets, wire_bytes, payload_bytes };
        let piece = |from, len, wire_len, total| Piece { from, len, wire_len, total };
        let pieces = [
            piece(Side::Low, 0, 0, counts(0, 0, 0)),
            piece(Side::High, 126, 126, counts(1, 168, 126)),
            piece(Side::Low, 2048, 65_507, counts(127, 128, 16_384)),
            piece(Side::High, 5, 3, counts(2, 1 << 35, 1 << 63)),
            piece(Side::High, u32::MAX, 0, counts(u64::MAX, u64::MAX, u64::MAX)),
            piece(Side::Low, 1, u32::MAX, counts(9, 8, 7)),
        ];
        let mut kept = Pieces::default();
        pieces.iter().for_each(|piece| kept.push(*piece));
        assert_eq!(kept.iter().collect::<Vec<_>>(), pieces);
    }

    #[test]
    fn a_small_piece_takes_few_bytes() {
        let mut kept = Pieces::default();
        let total = Counts { packets: 3, wire_bytes: 420, payload_bytes: 252 };
        kept.push(Piece { from: Side::High, len: 126, wire_len: 126, total });
        assert!(kept.written.len() <= 8, "{}", kept.written.len());
    }

    /// A state file may hold anything.
    #[test]
    fn what_nobody_wrote_ends() {
        for written in [&[0xff; 64][..], &[0x80; 9], &[1, 2, 3], &[]] {
            let kept = Pieces { written: written.to_vec() };
            assert!(kept.iter().count() <= written.len());
        }
    }
}
