//! Headers of capture hardware and of routers: Juniper, Endace ERF, Hilscher netANALYZER, Ethernet mPackets.
//!
//! Sources: tcpdump.org/linktypes.html and tcpdump's `print-juniper.c` as a description of the format; Endace "Extensible
//! Record Format".
//! Juniper's service cards put cookies of their own before the packet, which differ by card and release. Behind them an IP
//! packet is looked for that fills the frame exactly; what has none is unsupported.
//! Not handled: ATM cells and InfiniBand in ERF.

use super::{Cursor, Layer, Read, Step, serial};
use crate::model::Loss;

/// Juniper's own header. `Some` when the packet follows without its link header.
fn juniper(cursor: &mut Cursor<'_>) -> Result<Option<Step>, Loss> {
    const MAGIC: [u8; 3] = *b"MGC";
    const NO_LINK_HEADER: u8 = 0x02;
    const EXTENDED: u8 = 0x80;
    let header = cursor.take::<4>()?;
    if header[..3] != MAGIC {
        return Err(Loss::MalformedHeader);
    }
    if header[3] & EXTENDED != 0 {
        let length = cursor.u16()?;
        cursor.skip(usize::from(length))?;
    }
    if header[3] & NO_LINK_HEADER == 0 {
        return Ok(None);
    }
    cursor.skip(4)?; // the address family; the packet says its version itself
    Ok(Some(Step::Next(Layer::Ip)))
}

/// Juniper, then `layer`.
fn juniper_then(cursor: &mut Cursor<'_>, layer: Layer) -> Read {
    Ok(juniper(cursor)?.unwrap_or(Step::Next(layer)))
}

pub(super) fn juniper_ethernet(cursor: &mut Cursor<'_>) -> Read {
    juniper_then(cursor, Layer::Ethernet)
}

pub(super) fn juniper_ppp(cursor: &mut Cursor<'_>) -> Read {
    juniper_then(cursor, Layer::Ppp)
}

pub(super) fn juniper_c_hdlc(cursor: &mut Cursor<'_>) -> Read {
    match juniper(cursor)? {
        Some(step) => Ok(step),
        None => serial::c_hdlc(cursor),
    }
}

pub(super) fn juniper_frame_relay(cursor: &mut Cursor<'_>) -> Read {
    match juniper(cursor)? {
        Some(step) => Ok(step),
        None => serial::frame_relay(cursor),
    }
}

pub(super) fn juniper_ether_type(cursor: &mut Cursor<'_>) -> Read {
    if let Some(step) = juniper(cursor)? {
        return Ok(step);
    }
    let ether_type = cursor.u16()?;
    Ok(Step::Next(Layer::EtherType(ether_type)))
}

/// Link types with a cookie that depends on the card: an IP packet that fills the frame stands behind it.
pub(super) fn juniper_other(cursor: &mut Cursor<'_>) -> Read {
    const LONGEST_COOKIE: usize = 20;
    if let Some(step) = juniper(cursor)? {
        return Ok(step);
    }
    for _ in 0..=LONGEST_COOKIE {
        if fills_with_ip(cursor) {
            return Ok(Step::Next(Layer::Ip));
        }
        if cursor.skip(1).is_err() {
            break;
        }
    }
    Err(Loss::UnsupportedLink)
}

/// Whether an IP header stands here whose length is what is left; that of version 4 with a right checksum (RFC 1071),
/// that of version 6 with TCP, UDP or ICMP next.
fn fills_with_ip(cursor: &Cursor<'_>) -> bool {
    match *cursor.left() {
        [0x45, _, high, low, ..] => {
            let Ok(header) = cursor.peek::<20>() else { return false };
            let (words, _) = header.as_chunks::<2>();
            let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
            usize::from(u16::from_be_bytes([high, low])) == cursor.wire_left() && (sum & 0xffff) + (sum >> 16) == 0xffff
        }
        [0x60..=0x6f, _, _, _, high, low, 6 | 17 | 58, ..] => {
            usize::from(u16::from_be_bytes([high, low])).checked_add(40) == Some(cursor.wire_left())
        }
        _ => false,
    }
}

/// Endace: time, type, flags, lengths; extension headers; two bytes before Ethernet.
pub(super) fn erf(cursor: &mut Cursor<'_>) -> Read {
    const MORE_HEADERS: u8 = 0x80;
    let header = cursor.take::<16>()?;
    let kind = header[8] & 0x7f;
    let mut more = header[8] & MORE_HEADERS != 0;
    while more {
        more = cursor.take::<8>()?[0] & MORE_HEADERS != 0;
    }
    let wire_len = usize::from(u16::from_be_bytes([header[14], header[15]]));
    match kind {
        2 | 11 | 16 | 20 => {
            cursor.skip(2)?;
            cursor.limit(wire_len);
            Ok(Step::Next(Layer::Ethernet))
        }
        1 | 10 | 15 | 19 => serial::ppp_hdlc(cursor),
        5 | 17 => {
            cursor.skip(4)?; // the channel of a line of several
            serial::ppp_hdlc(cursor)
        }
        4 | 12 | 18 => {
            cursor.skip(4)?; // the cell header
            Ok(Step::Next(Layer::Llc))
        }
        27 | 48 => Ok(Step::Control("erf")), // about the capture; padding
        22 | 23 => Ok(Step::Next(Layer::Ip)),
        _ => Err(Loss::UnsupportedLink),
    }
}

/// Four bytes of its own, then Ethernet; a check sequence ends it.
pub(super) fn net_analyzer(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(4)?;
    cursor.trim_end(4);
    Ok(Step::Next(Layer::Ethernet))
}

/// The same with preamble and start delimiter.
pub(super) fn net_analyzer_transparent(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(12)?;
    cursor.trim_end(4);
    Ok(Step::Next(Layer::Ethernet))
}

/// Ethernet from its preamble on; only frames that were not preempted are read (IEEE 802.3br).
pub(super) fn mpacket(cursor: &mut Cursor<'_>) -> Read {
    const EXPRESS: u8 = 0xd5;
    let preamble = cursor.take::<8>()?;
    cursor.trim_end(4);
    Ok(if preamble[7] == EXPRESS { Step::Next(Layer::Ethernet) } else { Step::Opaque("mpacket") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn juniper_headers() {
        let cases: &[(&str, &[u8], Read)] = &[
            ("plain", b"MGC\x01", Ok(Step::Next(Layer::Ethernet))),
            ("extended", b"MGC\x81\x00\x02ab", Ok(Step::Next(Layer::Ethernet))),
            ("without link header", b"MGC\x82\x00\x00\x02\x00\x00\x00", Ok(Step::Next(Layer::Ip))),
            ("extension longer than the frame", b"MGC\x81\xff\xffab", Err(Loss::MalformedHeader)),
            ("other magic", b"MGD\x01", Err(Loss::MalformedHeader)),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(juniper_ethernet(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }

    #[test]
    fn juniper_cookies() {
        let v4 = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0x66, 0xe2, 10, 0, 0, 1, 10, 0, 0, 2];
        let mut v6 = [0; 40];
        v6[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, 17, 64]);
        let mut wrong_sum = v4;
        wrong_sum[8] = 63;
        let cases: &[(&str, Vec<u8>, Read)] = &[
            ("cookie of four bytes", [b"MGC\x01\x12\x34\x56\x78", &v4[..]].concat(), Ok(Step::Next(Layer::Ip))),
            ("cookie of eight bytes", [&b"MGC\x01\x54\0\x45\0\0\0\0\0"[..], &v6].concat(), Ok(Step::Next(Layer::Ip))),
            ("no cookie", [&b"MGC\x01"[..], &v4].concat(), Ok(Step::Next(Layer::Ip))),
            ("checksum wrong", [&b"MGC\x01"[..], &wrong_sum].concat(), Err(Loss::UnsupportedLink)),
            ("a byte behind the packet", [&b"MGC\x01"[..], &v4, &[0]].concat(), Err(Loss::UnsupportedLink)),
            ("no packet", b"MGC\x01".to_vec(), Err(Loss::UnsupportedLink)),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(juniper_other(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }

    #[test]
    fn erf_records() {
        let mut bytes = vec![0; 16];
        bytes[8] = 0x82;
        bytes[15] = 60;
        bytes.extend([0x80, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0; 8]);
        bytes.extend([0; 2]);
        assert_eq!(erf(&mut Cursor::new(&bytes, 0)), Ok(Step::Next(Layer::Ethernet)));
        bytes[8] = 0x02;
        bytes[15] = 0;
        let mut cursor = Cursor::new(&bytes, 0);
        assert_eq!(erf(&mut cursor), Ok(Step::Next(Layer::Ethernet)));
        assert_eq!(cursor.wire_left(), 0);
        let of_kind = |kind: u8, rest: &[u8]| [&[0, 0, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0][..], rest].concat();
        let cases: &[(&str, Vec<u8>, Read)] = &[
            ("channel of HDLC", of_kind(5, &[1, 2, 3, 4, 0x0f, 0, 8, 0]), Ok(Step::Next(Layer::EtherType(0x0800)))),
            ("AAL5", of_kind(4, &[0, 0, 0, 0, 0xaa, 0xaa, 3]), Ok(Step::Next(Layer::Llc))),
            ("AAL5, cut", of_kind(4, &[0, 0]), Err(Loss::MalformedHeader)),
            ("IPv4", of_kind(22, &[]), Ok(Step::Next(Layer::Ip))),
            ("about the capture", of_kind(27, &[]), Ok(Step::Control("erf"))),
            ("InfiniBand", of_kind(0x15, &[]), Err(Loss::UnsupportedLink)),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(erf(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }
}
