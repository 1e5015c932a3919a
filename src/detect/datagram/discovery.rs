//! Discovery and small home-network protocols: SLP, NAT-PMP and PCP, LIFX, XDMCP, lwres, RADIUS beside them.
//!
//! Sources: RFC 2608 section 8 and RFC 2165 section 4 (SLP), RFC 6886 section 3 (NAT-PMP), RFC 6887 section 7 (PCP), the LIFX
//! LAN protocol documentation, the XDMCP specification section 5, BIND's lwpacket.h, nmap's
//! ubiquiti-discovery.nse, RFC 2865 section 3 (RADIUS).
//! Evidence: version and function numbers, and lengths that end with the datagram.

use super::shape::{Check, Reader, Shape, Stop};

/// Service location.
pub(super) static SLP: Shape = Shape::new(&"slp", slp).opens(&[1..=2]);
/// Port control, both generations.
pub(super) static PORT_CONTROL: Shape = Shape::new(&"pcp", port_control).opens(&[0..=2]);
/// LIFX lamps.
pub(super) static LIFX: Shape = Shape::new(&"lifx", lifx);
/// X display manager control.
pub(super) static XDMCP: Shape = Shape::new(&"xdmcp", xdmcp).opens(&[0..=0]);
/// BIND's lightweight resolver.
pub(super) static LWRES: Shape = Shape::new(&"lwres", lwres).opens(&[0..=0]);
/// Ubiquiti device discovery.
pub(super) static UBIQUITI: Shape = Shape::new(&"ubiquiti-discovery", ubiquiti).opens(&[1..=2]);
/// RADIUS: passwords are hidden, the rest is readable.
pub(super) static RADIUS: Shape = Shape::new(&"radius", radius).opens(&[1..=45]);

fn slp(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let function = reader.u8()?;
    reader.holds((1..=11).contains(&function), 4)?;
    match version {
        1 => {
            let length = usize::from(reader.u16()?);
            reader.holds(length == reader.left() + 4, 7 + 14)?;
            let flags = reader.u8()?;
            reader.holds(flags & 7 == 0, 3)?;
            reader.skip(1)?;
            let language = reader.take(2)?;
            reader.favours(language.iter().all(u8::is_ascii_lowercase), 6);
            Ok(())
        }
        2 => {
            let length = reader.u24()? as usize;
            reader.holds(length == reader.left() + 5, 7 + 16)?;
            let flags = reader.u16()?;
            reader.holds(flags & 0x1fff == 0, 8)?;
            let extension = reader.u24()? as usize;
            reader.holds(extension <= length, 8)?;
            reader.skip(2)?;
            let language = usize::from(reader.u16()?);
            reader.holds((1..=32).contains(&language) && language <= reader.left(), 6)
        }
        _ => Err(Stop::Against),
    }
}

fn port_control(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let operation = reader.u8()?;
    match (version, operation) {
        // Nothing but two zeros: the answer has to show what it is.
        (0, 0) => reader.end(2),
        (0, 1 | 2) => {
            let reserved = reader.u16()?;
            reader.holds(reserved == 0 && reader.left() == 8, 18)?;
            let _ports = reader.u32()?;
            let lifetime = reader.u32()?;
            reader.holds(lifetime <= 1 << 25, 5)
        }
        (0, 128..=130) => {
            let result = reader.u16()?;
            let length = if operation == 128 { 8 } else { 12 };
            reader.holds(result <= 5 && reader.left() == length, 13 + 14 + 2)?;
            reader.skip(length)?;
            reader.end(2)
        }
        (2, _) if operation & 0x7f <= 4 => {
            let (reserved, result) = (reader.u8()?, reader.u8()?);
            reader.holds(reserved == 0 && result <= 13, 8 + 5)?;
            let lifetime = reader.u32()?;
            reader.holds(lifetime <= 1 << 25 && reader.left() >= 16 && reader.left().is_multiple_of(4), 5 + 2)?;
            if operation & 0x80 != 0 {
                return Ok(());
            }
            let client = reader.take(16)?;
            reader.favours(client.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), 30);
            Ok(())
        }
        _ => Err(Stop::Against),
    }
}

fn lifx(reader: &mut Reader<'_>) -> Check {
    let length = usize::from(reader.u16_le()?);
    reader.holds(length == reader.left() + 2 && length >= 36, 14)?;
    let frame = reader.u16_le()?;
    // Protocol 1024, "addressable" set.
    reader.holds(frame & 0x1fff == 0x1400, 13)?;
    reader.skip(4)?;
    let target = reader.take(8)?;
    reader.holds(target.ends_with(&[0, 0]), 8)?;
    reader.skip(8 + 8)?;
    let kind = reader.u16_le()?;
    reader.holds(kind < 1024, 4)
}

fn xdmcp(reader: &mut Reader<'_>) -> Check {
    let version = reader.u16()?;
    let operation = reader.u16()?;
    reader.holds(version == 1 && (1..=13).contains(&operation), 24)?;
    let length = usize::from(reader.u16()?);
    reader.covers_rest(length, 12)
}

fn lwres(reader: &mut Reader<'_>) -> Check {
    let length = reader.u32()? as usize;
    reader.holds(length == reader.left() + 4, 20)?;
    let version = reader.u16()?;
    let flags = reader.u16()?;
    reader.holds(version == 0 && flags <= 1, 16)?;
    let _serial = reader.u32()?;
    let operation = reader.u32()?;
    reader.holds(matches!(operation, 1..=3 | 0x10001..=0x10003), 20)
}

fn ubiquiti(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let command = reader.u8()?;
    reader.holds(matches!(version, 1 | 2) && command <= 11, 10)?;
    let length = usize::from(reader.u16()?);
    reader.covers_rest(length, if length == 0 { 8 } else { 14 })?;
    while reader.left() > 0 {
        let kind = reader.u8()?;
        let length = usize::from(reader.u16()?);
        reader.holds(kind != 0 && kind < 0x40 && length <= reader.left(), 6)?;
        reader.skip(length)?;
    }
    reader.end(8)
}

fn radius(reader: &mut Reader<'_>) -> Check {
    let code = reader.u8()?;
    reader.holds(matches!(code, 1..=5 | 11..=13 | 40..=45), 4)?;
    let _identifier = reader.u8()?;
    let length = usize::from(reader.u16()?);
    // Bytes behind the length are padding (RFC 2865 section 3).
    let behind = (reader.left() + 4).checked_sub(length).ok_or(Stop::Against)?;
    reader.holds((20..=4096).contains(&length) && behind <= 16, if behind == 0 { 16 } else { 12 })?;
    reader.skip(16)?;
    while reader.left() > behind {
        let kind = reader.u8()?;
        let length = usize::from(reader.u8()?);
        reader.holds(kind != 0 && length >= 2 && length - 2 <= reader.left(), 2)?;
        reader.skip(length - 2)?;
    }
    reader.holds(reader.left() == behind, 8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn services() {
        table(
            &SLP,
            &[
                ("version 2", "02 01 000010 0000 000000 1234 0002 656e", 'f'),
                ("version 2, length wrong", "02 01 000011 0000 000000 1234 0002 656e", 'n'),
                ("version 1", "01 01 000c 00 00 656e 0003 1234", 'f'),
                ("function 12", "01 0c 000c 00 00 656e 0003 1234", 'n'),
            ],
        );
        table(
            &PORT_CONTROL,
            &[
                ("address wanted", "00 00", 'm'),
                ("address", "00 80 0000 00000e10 c0000201", 'l'),
                ("mapping", "00 01 0000 1f90 1f90 00000e10", 'l'),
                ("mapping, reserved set", "00 01 0100 1f90 1f90 00000e10", 'n'),
                ("second generation", "02 01 00 00 00000e10 00000000000000000000ffffc0000201 00000000", 'f'),
            ],
        );
    }

    #[test]
    pub(crate) fn others() {
        table(
            &LIFX,
            &[
                ("get", "2400 0034 11223344 d073d5000102 0000 000000000000 01 01 0000000000000000 0200 0000", 'f'),
                (
                    "length wrong",
                    "2500 0034 11223344 d073d5000102 0000 000000000000 01 01 0000000000000000 0200 0000",
                    'n',
                ),
            ],
        );
        table(
            &UBIQUITI,
            &[
                ("announcement", "02 06 0012 02 000a 00112233445566778899 0a 0002 aabb", 'f'),
                ("part too long", "02 06 0012 02 000a 00112233445566778899 0a 0003 aabb", 'n'),
                ("request", "01 00 0000", 'l'),
                ("length wrong", "01 00 0001", 'n'),
            ],
        );
        table(&XDMCP, &[("query", "0001 0002 0001 00", 'f'), ("operation 14", "0001 000e 0001 00", 'n')]);
        table(
            &LWRES,
            &[
                ("no-op", "0000 0010 0000 0000 00000001 00000001", 'f'),
                ("operation 9", "0000 0010 0000 0000 00000001 00000009", 'n'),
            ],
        );
        let authenticator = "00112233445566778899aabbccddeeff";
        table(
            &RADIUS,
            &[
                ("request", &format!("01 07 0019 {authenticator} 01 05 626f62"), 'l'),
                ("two attributes", &format!("01 07 001f {authenticator} 01 05 626f62 04 06 c0000201"), 'f'),
                ("attribute too long", &format!("01 07 0019 {authenticator} 01 06 626f62"), 'n'),
                ("code 9", &format!("09 07 0019 {authenticator} 01 05 626f62"), 'n'),
            ],
        );
    }
}
