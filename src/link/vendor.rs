//! Headers of capture hardware and of routers: Juniper, Endace ERF, Hilscher netANALYZER, Ethernet mPackets.
//!
//! Sources: tcpdump.org/linktypes.html and tcpdump's `print-juniper.c` as a description of the format; Endace "Extensible
//! Record Format".
//! Not handled: Juniper link types with a cookie of the service card, unless the packet says it has no link header.

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

/// Link types with a cookie that depends on the card.
pub(super) fn juniper_other(cursor: &mut Cursor<'_>) -> Read {
    juniper(cursor)?.ok_or(Loss::UnsupportedLink)
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
        assert_eq!(juniper_other(&mut Cursor::new(b"MGC\x01", 0)), Err(Loss::UnsupportedLink));
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
        bytes[8] = 0x15;
        assert_eq!(erf(&mut Cursor::new(&bytes, 0)), Err(Loss::UnsupportedLink));
    }
}
