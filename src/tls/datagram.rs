//! DTLS records in a datagram, and handshake messages joined from their fragments.
//!
//! Sources: RFC 6347 section 4.1 and 4.2, RFC 9147 section 4 and 5.2 (unified header), RFC 9146 (connection IDs).
//! Memory: at most [`MAX_PENDING`] messages a side, of [`MAX_PIECES`] pieces and what `record::kept` allows each.
//! Not handled: where a record with a connection ID ends (its length is behind the ID); it is taken to fill the datagram.

use super::read::Reader;
use super::record::kept;

/// One record of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// ContentType; [`UNIFIED`] for a record with the unified header of DTLS 1.3.
    pub(super) kind: u8,
    /// Version of the header; 0 for a unified header.
    pub(super) version: u16,
    /// Epoch; its lowest two bits for a unified header.
    pub(super) epoch: u16,
    /// Sequence number; 0 where it is encrypted.
    pub(super) sequence: u64,
    /// Length of the content on the wire.
    pub(super) len: usize,
    /// The content, as far as it was captured.
    pub(super) content: &'a [u8],
}

/// The records of a datagram of `wire_len` bytes, of which `bytes` were captured.
///
/// `None` unless records, and nothing else, fill the datagram. A record that was cut is the last of the answer.
pub(super) fn records(bytes: &[u8], wire_len: usize) -> Option<Vec<Record<'_>>> {
    let mut found = Vec::new();
    let mut reader = Reader(bytes);
    let mut wire_left = wire_len.max(bytes.len());
    while wire_left > 0 {
        let before = reader.0.len();
        if before == 0 && !found.is_empty() {
            break;
        }
        let mut record = one(&mut reader, wire_left)?;
        let head_len = before - reader.0.len();
        wire_left = wire_left.checked_sub(head_len)?.checked_sub(record.len)?;
        record.content = reader.0.get(..record.len).unwrap_or(reader.0);
        reader.take(record.content.len())?;
        // Content may be missing only where the capture ends, and then of the last record.
        let cut = record.content.len() < record.len;
        (!cut || (wire_len > bytes.len() && wire_left == 0)).then_some(())?;
        found.push(record);
    }
    (!found.is_empty()).then_some(found)
}

/// Reads one record header.
fn one<'a>(reader: &mut Reader<'a>, wire_left: usize) -> Option<Record<'a>> {
    let first = reader.u8()?;
    if first & 0xe0 == 0x20 {
        return unified(first, reader, wire_left);
    }
    let version = reader.u16()?;
    let possible = matches!(first, CHANGE_CIPHER_SPEC..=ACK) && matches!(version, 0xfeff | 0xfefd | 0x0100);
    possible.then_some(())?;
    let epoch = reader.u16()?;
    let sequence = u64::from(reader.u16()?) << 32 | u64::from(reader.u16()?) << 16 | u64::from(reader.u16()?);
    let len = if first == WITH_CONNECTION_ID { wire_left.checked_sub(11)? } else { reader.u16()?.into() };
    (len > 0 && len <= MAX_CONTENT).then_some(())?;
    Some(Record { kind: first, version, epoch, sequence, len, content: &[] })
}

/// Reads the rest of a unified header: `001CSLEE`, of which only headers without a connection ID can be walked on.
fn unified<'a>(first: u8, reader: &mut Reader<'a>, wire_left: usize) -> Option<Record<'a>> {
    let (has_id, long_sequence, has_len) = (first & 0x10 != 0, first & 0x08 != 0, first & 0x04 != 0);
    let head = 1 + if long_sequence { 2 } else { 1 } + if has_len { 2 } else { 0 };
    let len = if has_id {
        wire_left.checked_sub(1)?
    } else {
        reader.take(if long_sequence { 2 } else { 1 })?;
        if has_len { reader.u16()?.into() } else { wire_left.checked_sub(head)? }
    };
    (MIN_UNIFIED..=MAX_CONTENT).contains(&len).then_some(())?;
    Some(Record { kind: UNIFIED, version: 0, epoch: (first & 0x03).into(), sequence: 0, len, content: &[] })
}

/// The header of a handshake message fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// HandshakeType.
    pub(super) kind: u8,
    /// Length of the whole message.
    pub(super) len: usize,
    sequence: u16,
    offset: usize,
    /// The bytes of this fragment.
    pub(super) bytes: &'a [u8],
}

impl Fragment<'_> {
    /// Whether this is the whole message.
    pub(super) fn is_whole(&self) -> bool {
        self.offset == 0 && self.bytes.len() == self.len
    }
}

/// The fragments in the content of a handshake record, up to the first that is malformed.
pub(super) fn fragments(content: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut reader = Reader(content);
    std::iter::from_fn(move || {
        let (kind, len, sequence, offset) = (reader.u8()?, reader.u24()?, reader.u16()?, reader.u24()?);
        let piece = reader.u24()?;
        let bytes = reader.take(piece)?;
        (offset.checked_add(piece)? <= len).then_some(Fragment { kind, len, sequence, offset, bytes })
    })
}

/// Joins the handshake messages of one side.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Joiner {
    pending: Vec<Pending>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Pending {
    kind: u8,
    len: usize,
    sequence: u16,
    pieces: Vec<(usize, Vec<u8>)>,
}

impl Joiner {
    /// Takes a fragment; tells `sink` the message if it is whole now. A message may be told again when it is sent again.
    pub(super) fn feed(&mut self, fragment: Fragment<'_>, sink: &mut impl FnMut(u8, &[u8])) {
        if fragment.is_whole() {
            return sink(fragment.kind, fragment.bytes);
        }
        if fragment.len > kept(fragment.kind) {
            return;
        }
        let same = |pending: &Pending| {
            (pending.kind, pending.len, pending.sequence) == (fragment.kind, fragment.len, fragment.sequence)
        };
        let index = self.pending.iter().position(same).unwrap_or_else(|| {
            if self.pending.len() == MAX_PENDING {
                self.pending.remove(0);
            }
            let Fragment { kind, len, sequence, .. } = fragment;
            self.pending.push(Pending { kind, len, sequence, pieces: Vec::new() });
            self.pending.len() - 1
        });
        let pending = &mut self.pending[index];
        let known =
            pending.pieces.iter().any(|(at, have)| *at == fragment.offset && have.len() >= fragment.bytes.len());
        if known || fragment.bytes.is_empty() || pending.pieces.len() == MAX_PIECES {
            return;
        }
        pending.pieces.push((fragment.offset, fragment.bytes.to_vec()));
        if let Some(body) = pending.joined() {
            self.pending.remove(index);
            sink(fragment.kind, &body);
        }
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        let piece = |(_, bytes): &(usize, Vec<u8>)| bytes.capacity() + size_of::<(usize, Vec<u8>)>();
        let pending = |pending: &Pending| size_of::<Pending>() + pending.pieces.iter().map(piece).sum::<usize>();
        self.pending.iter().map(pending).sum()
    }
}

impl Pending {
    /// The whole message, if no byte is missing. Of bytes sent twice, those of the lower offset count.
    fn joined(&mut self) -> Option<Vec<u8>> {
        let held: usize = self.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        (held >= self.len).then_some(())?;
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let mut body = Vec::with_capacity(self.len);
        for (offset, bytes) in &self.pieces {
            let seen = body.len().checked_sub(*offset)?;
            body.extend_from_slice(bytes.get(seen..).unwrap_or(&[]));
        }
        (body.len() == self.len).then_some(body)
    }
}

/// Whether a datagram is STUN (RFC 8489 section 5): type bits, magic cookie, and a length that fits.
pub(super) fn is_stun(bytes: &[u8], wire_len: usize) -> bool {
    let mut reader = Reader(bytes);
    let (Some(kind), Some(len), Some(cookie)) = (reader.u16(), reader.u16(), reader.take(4)) else { return false };
    kind < 0x4000
        && len % 4 == 0
        && usize::from(len) + 20 == wire_len.max(bytes.len())
        && cookie == [0x21, 0x12, 0xa4, 0x42]
}

/// RFC 6347 section 4.1.1: as TLS 1.2.
const MAX_CONTENT: usize = (1 << 14) + 2048;
/// RFC 9147 section 4.2.3: sixteen bytes of ciphertext are needed to encrypt the sequence number.
const MIN_UNIFIED: usize = 16;
/// Messages in the making that one side may have.
const MAX_PENDING: usize = 8;
/// Pieces of one message.
const MAX_PIECES: usize = 128;

/// Stands for the unified header among the content types.
pub(super) const UNIFIED: u8 = 0x20;
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
pub(super) const WITH_CONNECTION_ID: u8 = 25;
const ACK: u8 = 26;

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of DTLS 1.2.
    fn record(kind: u8, epoch: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, content.len() as u8];
        bytes.extend_from_slice(content);
        bytes
    }

    /// A handshake fragment with message sequence 3.
    fn piece(kind: u8, len: u8, offset: u8, bytes: &[u8]) -> Vec<u8> {
        let mut fragment = vec![kind, 0, 0, len, 0, 3, 0, 0, offset, 0, 0, bytes.len() as u8];
        fragment.extend_from_slice(bytes);
        fragment
    }

    #[test]
    fn records_fill_the_datagram() {
        let two = [record(20, 0, &[1]), record(22, 1, &[7; 40])].concat();
        let long = [record(23, 1, &[7; 9]), vec![0]].concat();
        let mut unified = vec![0x2e, 1, 2, 0, 16];
        unified.resize(21, 5);
        let mut wrong_version = record(23, 1, &[7; 9]);
        wrong_version[2] = 0xfe;
        for (name, bytes, wire_len, want) in [
            ("two records", two.clone(), two.len(), Some(vec![(20, 0), (22, 1)])),
            ("cut by the snap length", two[..30].to_vec(), two.len(), Some(vec![(20, 0), (22, 1)])),
            ("a byte short", two[..two.len() - 1].to_vec(), two.len() - 1, None),
            ("a byte too many", long.clone(), long.len(), None),
            ("cut, and the length does not fit", two[..30].to_vec(), two.len() + 1, None),
            ("unified header", unified.clone(), unified.len(), Some(vec![(UNIFIED, 2)])),
            ("unknown version", wrong_version.clone(), wrong_version.len(), None),
            ("empty content", record(23, 1, &[]), 13, None),
            ("nothing", vec![], 0, None),
        ] {
            let found = records(&bytes, wire_len)
                .map(|records| records.iter().map(|record| (record.kind, record.epoch)).collect::<Vec<_>>());
            assert_eq!(found, want, "{name}");
        }
    }

    #[test]
    fn joins_fragments_in_any_order() {
        type Pieces<'a> = &'a [(u8, &'a [u8])];
        let cases: &[(&str, Pieces<'_>, bool)] = &[
            ("whole", &[(0, b"abcdef")], true),
            ("in order", &[(0, b"abc"), (3, b"def")], true),
            ("out of order, overlapping", &[(2, b"cdef"), (0, b"abc")], true),
            ("sent twice", &[(0, b"abc"), (0, b"abc"), (3, b"def")], true),
            ("a hole", &[(0, b"ab"), (3, b"def")], false),
            ("the same part over and over", &[(0, b"abcd"), (1, b"bcd"), (2, b"cd")], false),
        ];
        for (name, pieces, whole) in cases {
            let (mut joiner, mut seen) = (Joiner::default(), Vec::new());
            for (offset, bytes) in *pieces {
                let content = piece(11, 6, *offset, bytes);
                for fragment in fragments(&content) {
                    joiner.feed(fragment, &mut |kind, body| seen.push((kind, body.to_vec())));
                }
            }
            let want = if *whole { vec![(11, b"abcdef".to_vec())] } else { vec![] };
            assert_eq!(seen, want, "{name}");
        }
    }

    #[test]
    fn fragments_beyond_the_message_are_refused() {
        assert_eq!(fragments(&piece(11, 6, 4, b"abc")).count(), 0);
    }

    #[test]
    fn joining_is_bounded() {
        let mut joiner = Joiner::default();
        for sequence in 0..2000_u16 {
            for offset in 0..200 {
                let fragment = Fragment { kind: 11, len: 60_000, sequence, offset: offset * 100, bytes: &[0; 50] };
                joiner.feed(fragment, &mut |_, _| {});
            }
        }
        assert!(joiner.memory() < 1 << 20, "{}", joiner.memory());
    }

    #[test]
    fn stun_needs_cookie_and_length() {
        let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        stun.resize(20, 7);
        assert!(is_stun(&stun, 20));
        assert!(!is_stun(&stun, 24), "length");
        stun[4] = 0;
        assert!(!is_stun(&stun, 20), "cookie");
    }
}
