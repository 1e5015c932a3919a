//! IEEE 802.11, and the radio headers put before it: radiotap, Prism, AVS, PPI.
//!
//! Sources: IEEE 802.11-2020 section 9.2 and 9.3.2 (data frames, A-MSDU); radiotap.org; tcpdump.org/linktypes.html.
//! A data frame with the Protected bit is sealed, whatever the cipher (WEP included: that is for grading, and the cipher
//! does not show in the frame). Management and control frames carry no application payload.
//! Not handled: the second and later packets of an A-MSDU.

use super::{Cursor, Layer, Read, Step};
use crate::model::Loss;

/// A frame without radio header.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Read {
    frame(cursor, false)
}

/// A frame, of which the two bytes of frame control may be swapped.
pub(super) fn frame(cursor: &mut Cursor<'_>, swapped: bool) -> Read {
    padded_frame(cursor, swapped, false)
}

fn padded_frame(cursor: &mut Cursor<'_>, swapped: bool, padded: bool) -> Read {
    let &[a, b] = cursor.peek::<2>()?;
    let (kind, flags) = if swapped { (b, a) } else { (a, b) };
    if kind & 0x03 != 0 {
        return Err(Loss::MalformedHeader); // protocol version 0 is the only one
    }
    match (kind >> 2) & 0x03 {
        2 => {
            // Who swaps the control field swaps the sequence number too.
            let sequence = cursor.left().get(if swapped { 23 } else { 22 });
            let is_later_part = sequence.is_some_and(|byte| byte & 0x0f != 0);
            data(cursor, kind >> 4, flags, padded, is_later_part)
        }
        3 => Ok(Step::Opaque("wlan")),
        _ => Ok(Step::Control("wlan")),
    }
}

/// A data frame: addresses by direction, quality of service, then LLC.
fn data(cursor: &mut Cursor<'_>, subtype: u8, flags: u8, padded: bool, is_later_part: bool) -> Read {
    const NO_DATA: u8 = 0x04;
    const QOS: u8 = 0x08;
    const BOTH_DIRECTIONS: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    const SEVERAL: u8 = 0x80;
    if subtype & NO_DATA != 0 {
        return Ok(Step::Control("wlan"));
    }
    if flags & PROTECTED != 0 {
        return Ok(Step::Sealed("wlan"));
    }
    let mut length = if flags & BOTH_DIRECTIONS == BOTH_DIRECTIONS { 30 } else { 24 };
    let mut several = false;
    if subtype & QOS != 0 {
        several = cursor.left().get(length).is_some_and(|byte| byte & SEVERAL != 0);
        length += if flags & ORDER != 0 { 6 } else { 2 };
    }
    cursor.skip(if padded { usize::next_multiple_of(length, 4) } else { length })?;
    if is_later_part || flags & MORE_FRAGMENTS != 0 {
        return Ok(Step::Opaque("wlan-fragment"));
    }
    if several && cursor.left().get(..6) != Some(&[0xaa, 0xaa, 0x03, 0, 0, 0]) {
        let header = cursor.take::<14>()?;
        cursor.limit(usize::from(u16::from_be_bytes([header[12], header[13]])));
    }
    Ok(Step::Next(Layer::Llc))
}

/// radiotap: version, length, a map of fields. Only the flags matter: a check sequence at the end, padding inside.
pub(super) fn radiotap(cursor: &mut Cursor<'_>) -> Read {
    const FRAME_CHECK: u8 = 0x10;
    const PADDED: u8 = 0x20;
    let head = cursor.peek::<8>()?;
    let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
    if head[0] != 0 || length < 8 {
        return Err(Loss::MalformedHeader);
    }
    let flags = radiotap_flags(cursor.left(), length);
    cursor.skip(length)?;
    if flags & FRAME_CHECK != 0 {
        cursor.trim_end(4);
    }
    padded_frame(cursor, false, flags & PADDED != 0)
}

/// The flags field of a radiotap header of `length` bytes; 0 when there is none.
fn radiotap_flags(bytes: &[u8], length: usize) -> u8 {
    const TIMER: u32 = 1;
    const FLAGS: u32 = 2;
    const MORE_MAPS: u32 = 1 << 31;
    let header = bytes.get(..length).unwrap_or_default();
    let map = |at: usize| header.get(at..).and_then(|rest| rest.first_chunk()).map(|word| u32::from_le_bytes(*word));
    let mut at = 4;
    let Some(fields) = map(at) else { return 0 };
    let mut last = fields;
    while last & MORE_MAPS != 0 {
        at += 4;
        let Some(next) = map(at) else { return 0 };
        last = next;
    }
    at += 4;
    if fields & FLAGS == 0 {
        return 0;
    }
    if fields & TIMER != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied().unwrap_or(0)
}

/// Prism or AVS: both may stand under either link type; each says its length in its own byte order.
pub(super) fn prism(cursor: &mut Cursor<'_>) -> Read {
    const AVS_MAGIC: [u8; 3] = [0x80, 0x21, 0x10];
    let head = cursor.peek::<8>()?;
    let word = [head[4], head[5], head[6], head[7]];
    let length = if head[..3] == AVS_MAGIC {
        u32::from_be_bytes(word)
    } else if head[..2] == [0x44, 0] || head[..2] == [0x41, 0] {
        u32::from_le_bytes(word)
    } else {
        return read(cursor); // some drivers leave the header out
    };
    if !(8..=4096).contains(&length) {
        return Err(Loss::MalformedHeader);
    }
    cursor.skip(length as usize)?;
    read(cursor)
}

/// Per-packet information: version, flags, length, then the link type of what follows.
pub(super) fn ppi(cursor: &mut Cursor<'_>) -> Read {
    let &[version, _, a, b, c, d, e, f] = cursor.peek::<8>()?;
    let length = usize::from(u16::from_le_bytes([a, b]));
    let link_type = u32::from_le_bytes([c, d, e, f]);
    if version != 0 || length < 8 {
        return Err(Loss::MalformedHeader);
    }
    cursor.skip(length)?;
    u16::try_from(link_type).map_or(Err(Loss::UnsupportedLink), |number| Ok(Step::Next(Layer::Link(number))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data frame of `kind` and `flags` with `header_len` bytes of header, then LLC.
    fn data_frame(kind: u8, flags: u8, header_len: usize) -> Vec<u8> {
        let mut bytes = vec![0; header_len];
        bytes[0] = kind;
        bytes[1] = flags;
        bytes.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        bytes
    }

    #[test]
    fn frames() {
        let llc = Ok(Step::Next(Layer::Llc));
        let cases: &[(&str, Vec<u8>, Read)] = &[
            ("data to the network", data_frame(0x08, 0x01, 24), llc),
            ("data between access points", data_frame(0x08, 0x03, 30), llc),
            ("quality of service", data_frame(0x88, 0x02, 26), llc),
            ("with control field", data_frame(0x88, 0x82, 30), llc),
            ("protected", data_frame(0x88, 0x42, 26), Ok(Step::Sealed("wlan"))),
            ("null data, protected bit", data_frame(0x48, 0x41, 24), Ok(Step::Control("wlan"))),
            ("beacon", data_frame(0x80, 0x00, 24), Ok(Step::Control("wlan"))),
            ("acknowledgement", vec![0xd4, 0, 0, 0], Ok(Step::Control("wlan"))),
            ("more fragments", data_frame(0x08, 0x05, 24), Ok(Step::Opaque("wlan-fragment"))),
            ("bad version", data_frame(0x09, 0, 24), Err(Loss::MalformedHeader)),
        ];
        for (name, bytes, want) in cases {
            let mut cursor = Cursor::new(bytes, 0);
            assert_eq!(read(&mut cursor), *want, "{name}");
            if *want == llc {
                assert_eq!(cursor.left().first(), Some(&0xaa), "{name}");
            }
        }
    }

    #[test]
    fn radiotap_trims_the_check_sequence() {
        let mut bytes = vec![0, 0, 17, 0, 3, 0, 0, 0]; // timer and flags
        bytes.extend([0; 8]);
        bytes.push(0x10);
        bytes.extend(data_frame(0x08, 0x01, 24));
        bytes.extend([9; 4]);
        let mut cursor = Cursor::new(&bytes, 0);
        assert_eq!(radiotap(&mut cursor), Ok(Step::Next(Layer::Llc)));
        assert_eq!(cursor.left().len(), 8);
        bytes[2] = 7;
        assert_eq!(radiotap(&mut Cursor::new(&bytes, 0)), Err(Loss::MalformedHeader));
    }

    #[test]
    fn other_radio_headers() {
        let llc = Ok(Step::Next(Layer::Llc));
        let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &data_frame(0x08, 1, 24)].concat();
        assert_eq!(prism(&mut Cursor::new(&avs, 0)), llc);
        let prism_header = [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136], &data_frame(0x08, 1, 24)].concat();
        assert_eq!(prism(&mut Cursor::new(&prism_header, 0)), llc);
        assert_eq!(prism(&mut Cursor::new(&data_frame(0x08, 1, 24), 0)), llc);
        assert_eq!(ppi(&mut Cursor::new(&[0, 0, 8, 0, 1, 0, 0, 0], 0)), Ok(Step::Next(Layer::Link(1))));
        assert_eq!(ppi(&mut Cursor::new(&[0, 0, 7, 0, 1, 0, 0, 0], 0)), Err(Loss::MalformedHeader));
    }
}
