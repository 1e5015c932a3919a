//! Control of mobile core networks: GTP-C versions 0 to 2, GTP', PFCP.
//!
//! Sources: 3GPP TS 29.060 section 6 (GTPv1), TS 29.274 section 5 (GTPv2), TS 32.295 section 6 (GTP'), TS 29.244 section
//! 7.2 (PFCP), GSM 09.60 section 6 (GTPv0).
//! Evidence: an exact length and, for version 2 and PFCP, a chain of elements that ends with it. User packets inside GTP-U
//! are opened before detection; those that are not, and carry nothing known, are not claimed here.

use super::shape::{Check, Reader, Shape, Stop};

/// GTP control.
pub(super) static GTP: Shape = Shape::new(&"gtp", gtp).opens(&[0x1e..=0x1f, 0x30..=0x37, 0x40..=0x5f]);
/// Charging records.
pub(super) static GTP_PRIME: Shape = Shape::new(&"gtp-prime", prime).opens(&[0x0e..=0x5f]);
/// Packet forwarding control.
pub(super) static PFCP: Shape = Shape::new(&"pfcp", pfcp).opens(&[0x20..=0x27]);

fn gtp(reader: &mut Reader<'_>) -> Check {
    let flags = reader.u8()?;
    let kind = reader.u8()?;
    let length = usize::from(reader.u16()?);
    const PACKET: u8 = 255;
    reader.holds(kind != 0 && kind != PACKET, 1)?;
    match flags {
        // Version 0, GTP and not GTP': sixteen more header bytes outside the length.
        0x1e | 0x1f => {
            reader.holds(length + 16 == reader.left(), 8 + 14)?;
            reader.skip(4)?;
            let spare = reader.take(4)?;
            reader.holds(spare.starts_with(&[0xff, 0xff, 0xff]) || spare.starts_with(&[0xff]), 8)
        }
        0x30..=0x37 => {
            reader.holds(length + 4 == reader.left(), 4 + 14)?;
            reader.holds(matches!(kind, 1..=7 | 16..=37 | 48..=62 | 70 | 96..=105 | 112..=121 | 128..=131), 2)?;
            reader.skip(4)?;
            if flags & 7 == 0 {
                return Ok(());
            }
            reader.skip(3)?;
            let next = reader.u8()?;
            reader.favours(next == 0, 6);
            if reader.left() == 0 {
                return Ok(());
            }
            // The first element: recovery, cause, IMSI, TEID ... come first and are short.
            let element = reader.u8()?;
            reader.favours(matches!(element, 1..=29 | 127..=149), 2);
            Ok(())
        }
        _ if flags >> 5 == 2 => version_2(reader, flags, length),
        _ => Err(Stop::Against),
    }
}

fn version_2(reader: &mut Reader<'_>, flags: u8, length: usize) -> Check {
    const PIGGYBACKED: u8 = 0x10;
    const HAS_TUNNEL: u8 = 0x08;
    let exact = if flags & PIGGYBACKED == 0 { length == reader.left() } else { length < reader.left() };
    reader.holds(exact && flags & 3 == 0, 3 + 14)?;
    let header = if flags & HAS_TUNNEL == 0 { 4 } else { 8 };
    let behind = reader.left().saturating_sub(length);
    reader.skip(header)?;
    while reader.left() > behind {
        let kind = reader.u8()?;
        let length = usize::from(reader.u16()?);
        let _instance = reader.u8()?;
        reader.holds(kind != 0 && length <= reader.left(), 5)?;
        reader.skip(length)?;
    }
    reader.holds(reader.left() == behind, 6)
}

fn prime(reader: &mut Reader<'_>) -> Check {
    let flags = reader.u8()?;
    // Protocol type 0 and three bits set; versions 0 to 2.
    reader.holds(flags & 0x1e == 0x0e && flags >> 5 <= 2, 6)?;
    let kind = reader.u8()?;
    reader.holds(matches!(kind, 1..=7 | 240 | 241), 5)?;
    let length = usize::from(reader.u16()?);
    let long_header = flags >> 5 == 0 && flags & 1 == 0;
    let header = if long_header { 16 } else { 2 };
    reader.holds(length + header == reader.left(), 14)?;
    if long_header {
        reader.skip(16)?;
    } else {
        reader.skip(2)?;
    }
    let first = reader.u8()?;
    reader.favours(matches!(first, 1 | 14 | 126 | 127 | 249 | 251..=254), 5);
    Ok(())
}

fn pfcp(reader: &mut Reader<'_>) -> Check {
    let flags = reader.u8()?;
    reader.holds(flags >> 5 == 1 && flags & 0x18 == 0, 5)?;
    let kind = reader.u8()?;
    reader.holds(matches!(kind, 1..=19 | 50..=59), 3)?;
    let length = usize::from(reader.u16()?);
    let exact = if flags & 4 == 0 { length == reader.left() } else { length < reader.left() };
    reader.holds(exact, 14)?;
    let behind = reader.left().saturating_sub(length);
    reader.skip(if flags & 1 == 0 { 4 } else { 12 })?;
    while reader.left() > behind {
        let kind = reader.u16()?;
        let length = usize::from(reader.u16()?);
        reader.holds((1..=512).contains(&(kind & 0x7fff)) && length <= reader.left(), 8)?;
        reader.skip(length)?;
    }
    reader.holds(reader.left() == behind, 6)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn cores() {
        table(
            &GTP,
            &[
                ("version 1 echo", "32 01 0004 00000000 0001 0000", 'l'),
                ("version 2 echo", "40 01 0009 00000100 03 0001 00 0a", 'l'),
                ("version 2, two elements", "40 01 000e 00000100 03 0001 00 0a 98 0001 00 0a", 'f'),
                ("version 2, element too long", "40 01 0009 00000100 03 0002 00 0a", 'n'),
                ("user packet", "30 ff 0004 00000001 45000000", 'n'),
                ("version 3", "60 01 0004 00000000 0001 0000", 'n'),
            ],
        );
        table(
            &GTP_PRIME,
            &[("data record", "4e f0 0004 0001 7e 01 0000", 'l'), ("length wrong", "4e f0 0005 0001 7e 01 0000", 'n')],
        );
        table(
            &PFCP,
            &[
                ("heartbeat", "20 01 000c 00000100 0060 0004 e1b2c3d4", 'f'),
                ("element too long", "20 01 000c 00000100 0060 0005 e1b2c3d4", 'n'),
                ("version 2", "40 01 000c 00000100 0060 0004 e1b2c3d4", 'n'),
            ],
        );
    }
}
