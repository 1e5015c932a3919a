//! Routing and neighbour protocols over UDP: RIP, RIPng, BFD, HSRP, GLBP, LDP hellos, LISP control.
//!
//! Sources: RFC 2453 section 4 (RIP), RFC 2080 section 2 (RIPng), RFC 5880 section 4.1 (BFD), RFC 2281 section 5 (HSRP),
//! RFC 5036 section 3.5 (LDP), RFC 9301 section 5 (LISP messages).
//! Evidence: fixed sizes, reserved zeros, and chains that end with the datagram. Each is a few dozen bits; BFD asks for
//! more than one packet. Such messages are application payload of UDP, hence plaintext and not control.

use super::shape::{Check, Reader, Shape, Stop};

/// RIP versions 1 and 2.
pub(super) static RIP: Shape = Shape::new(&"rip", rip).opens(&[1..=11]);
/// RIP for IPv6.
pub(super) static RIPNG: Shape = Shape::new(&"ripng", ripng).opens(&[1..=2]);
/// Bidirectional forwarding detection.
pub(super) static BFD: Shape = Shape::new(&"bfd", bfd).opens(&[0..=0x3f]);
/// Cisco hot standby, both versions.
pub(super) static HSRP: Shape = Shape::new(&"hsrp", hsrp).opens(&[0..=1]);
/// Cisco gateway load balancing.
pub(super) static GLBP: Shape = Shape::new(&"glbp", glbp).opens(&[1..=1]);
/// Label distribution hellos.
pub(super) static LDP: Shape = Shape::new(&"ldp", ldp).opens(&[0..=0]);
/// LISP control messages.
pub(super) static LISP: Shape = Shape::new(&"lisp", lisp);

fn rip(reader: &mut Reader<'_>) -> Check {
    let command = reader.u8()?;
    reader.holds(matches!(command, 1..=6 | 9..=11), 4)?;
    let version = reader.u8()?;
    reader.holds(matches!(version, 1 | 2), 7)?;
    let _domain = reader.u16()?;
    reader.holds(reader.left() >= 20 && reader.left().is_multiple_of(20) && reader.left() <= 520, 6)?;
    while reader.left() > 0 {
        let family = reader.u16()?;
        reader.holds(matches!(family, 0 | 2 | 0xffff), 10)?;
        let _tag = reader.u16()?;
        reader.skip(12)?;
        let metric = reader.u32()?;
        reader.holds(family == 0xffff || metric <= 16, if family == 0xffff { 0 } else { 12 })?;
        if family == 0xffff {
            // Authentication: the rest is a digest.
            return reader.skip(reader.left());
        }
    }
    Ok(())
}

fn ripng(reader: &mut Reader<'_>) -> Check {
    let head = reader.u32()?;
    reader.holds(matches!(head, 0x0101_0000 | 0x0201_0000), 22)?;
    reader.holds(reader.left() >= 20 && reader.left().is_multiple_of(20), 4)?;
    while reader.left() > 0 {
        reader.skip(18)?;
        let prefix = reader.u8()?;
        let metric = reader.u8()?;
        reader.holds(prefix <= 128 && matches!(metric, 0..=16 | 255), 4)?;
    }
    Ok(())
}

fn bfd(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()? >> 5;
    reader.holds(matches!(version, 0 | 1), 1)?;
    let flags = reader.u8()?;
    const AUTHENTICATED: u8 = 4;
    let multiplier = reader.u8()?;
    reader.holds(flags & 1 == 0 && multiplier != 0, 1)?;
    let length = usize::from(reader.u8()?);
    let right = if flags & AUTHENTICATED == 0 { length == 24 } else { (26..=60).contains(&length) };
    reader.holds(right && reader.left() + 4 == length, 8)?;
    let mine = reader.u32()?;
    let _yours = reader.u32()?;
    reader.favours(mine != 0 && mine < 0x1_0000, 10);
    // Intervals in microseconds: minutes at most.
    for _ in 0..3 {
        let interval = reader.u32()?;
        reader.holds(interval < 1 << 28, 4)?;
    }
    Ok(())
}

fn hsrp(reader: &mut Reader<'_>) -> Check {
    if reader.left() >= 42 && reader.whole().starts_with(&[1, 40, 2]) {
        reader.skip(3)?;
        let (operation, state, version) = (reader.u8()?, reader.u8()?, reader.u8()?);
        return reader.holds(operation <= 3 && state <= 6 && matches!(version, 4 | 6), 24 + 16);
    }
    let (version, operation, state) = (reader.u8()?, reader.u8()?, reader.u8()?);
    reader.holds(version == 0 && operation <= 2 && matches!(state, 0 | 1 | 2 | 4 | 8 | 16), 10)?;
    let (hello, hold) = (reader.u8()?, reader.u8()?);
    let _priority_and_group = reader.u16()?;
    let reserved = reader.u8()?;
    reader.holds(hello <= hold && reserved == 0, 6)?;
    let word = reader.take(8)?;
    reader.favours(word == b"cisco\0\0\0", 32);
    reader.skip(4)?;
    // Authentication by digest is appended.
    reader.holds(matches!(reader.left(), 0 | 30), 4)
}

fn glbp(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let _unknown = reader.u8()?;
    let group = reader.u16()?;
    reader.holds(version == 1 && group < 1024, 12)?;
    reader.skip(8)?;
    while reader.left() > 0 {
        let kind = reader.u8()?;
        let length = usize::from(reader.u8()?);
        reader.holds((1..=4).contains(&kind) && length >= 2 && length - 2 <= reader.left(), 6)?;
        reader.skip(length - 2)?;
    }
    reader.end(4)
}

fn ldp(reader: &mut Reader<'_>) -> Check {
    let version = reader.u16()?;
    reader.holds(version == 1, 12)?;
    let length = usize::from(reader.u16()?);
    reader.covers_rest(length, 14)?;
    reader.skip(6)?;
    let kind = reader.u16()?;
    reader.holds(kind & 0x7fff == 0x100, 14)?;
    let length = usize::from(reader.u16()?);
    reader.covers_rest(length, 10)
}

fn lisp(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    match first >> 4 {
        1 => map_request(reader),
        2 => {
            reader.skip(1)?;
            let records = small_count(reader)?;
            reader.skip(8)?;
            locator_records(reader, records)
        }
        3..=5 => map_register(reader),
        7 => {
            reader.skip(3)?;
            reader.skip(8)?;
            authentication(reader)
        }
        8 => encapsulated(reader),
        _ => Err(Stop::Against),
    }
}

/// A reserved byte, then the number of records.
fn small_count(reader: &mut Reader<'_>) -> Result<u8, Stop> {
    let _reserved = reader.u8()?;
    let count = reader.u8()?;
    reader.holds((1..=32).contains(&count), 3)?;
    Ok(count)
}

fn map_request(reader: &mut Reader<'_>) -> Check {
    let _flags = reader.u8()?;
    let resolvers = reader.u8()? & 0x1f;
    let records = reader.u8()?;
    reader.holds((1..=8).contains(&records), 5)?;
    reader.skip(8)?;
    address(reader)?;
    for _ in 0..=resolvers {
        address(reader)?;
    }
    for _ in 0..records {
        let reserved = reader.u8()?;
        let mask = reader.u8()?;
        reader.holds(reserved == 0 && mask <= 128, 8)?;
        address(reader)?;
    }
    // A Map-Reply record of the sender may follow.
    Ok(())
}

fn map_register(reader: &mut Reader<'_>) -> Check {
    reader.skip(1)?;
    let records = small_count(reader)?;
    reader.skip(8)?;
    authentication(reader)?;
    locator_records(reader, records)
}

fn authentication(reader: &mut Reader<'_>) -> Check {
    let key = reader.u16()?;
    let length = usize::from(reader.u16()?);
    reader.holds(key <= 0x1ff && matches!(length, 0 | 12 | 16 | 20 | 32), 14)?;
    reader.skip(length)
}

fn locator_records(reader: &mut Reader<'_>, records: u8) -> Check {
    for _ in 0..records {
        reader.skip(4)?;
        let locators = reader.u8()?;
        let mask = reader.u8()?;
        reader.holds(mask <= 128, 1)?;
        reader.skip(4)?;
        // Four bits of version, reserved, before the EID's family.
        reader.bits = reader.bits.saturating_sub(2);
        address(reader)?;
        for _ in 0..locators {
            reader.skip(6)?;
            address(reader)?;
        }
    }
    // An xTR-ID and a site-ID may follow a registration.
    reader.holds(matches!(reader.left(), 0 | 24), 6)
}

/// An address family and its address (RFC 8060 for family 16387).
fn address(reader: &mut Reader<'_>) -> Check {
    let family = reader.u16()?;
    let length = match family {
        0 => 0,
        1 => 4,
        2 => 16,
        6 => 6,
        16387 => {
            reader.skip(4)?;
            usize::from(reader.u16()?)
        }
        _ => return Err(Stop::Against),
    };
    reader.holds(length <= reader.left(), 12)?;
    reader.skip(length)
}

fn encapsulated(reader: &mut Reader<'_>) -> Check {
    reader.skip(3)?;
    let first = reader.u8()?;
    match first >> 4 {
        4 => {
            reader.skip(1)?;
            let length = usize::from(reader.u16()?);
            reader.holds(length == reader.left() + 4, 14)?;
            reader.skip(5)?;
            let protocol = reader.u8()?;
            reader.holds(protocol == 17, 8)?;
            reader.skip(10)?;
        }
        6 => {
            reader.skip(3)?;
            let length = usize::from(reader.u16()?);
            reader.holds(length + 34 == reader.left(), 14)?;
            let protocol = reader.u8()?;
            reader.holds(protocol == 17, 8)?;
            reader.skip(33)?;
        }
        _ => return Err(Stop::Against),
    }
    reader.skip(4)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 6, 14)?;
    reader.skip(2)?;
    lisp_inner(reader)
}

/// What is inside an encapsulated control message is one of the others, never encapsulated again.
fn lisp_inner(reader: &mut Reader<'_>) -> Check {
    match reader.u8()? >> 4 {
        1 => map_request(reader),
        3..=5 => map_register(reader),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn distance_vectors() {
        let entry = "0002 0000 0a000000 ff000000 00000000 00000001";
        table(
            &RIP,
            &[
                ("response", &format!("02 02 0000 {entry}"), 'f'),
                ("request for all", "01 01 0000 0000 0000 00000000 00000000 00000000 00000010", 'f'),
                ("metric 17", "02 02 0000 0002 0000 0a000000 ff000000 00000000 00000011", 'n'),
                ("half an entry", &format!("02 02 0000 {entry} 0002"), 'n'),
            ],
        );
        table(
            &RIPNG,
            &[
                ("request", "01 01 0000 00000000000000000000000000000000 0000 00 10", 'l'),
                ("metric 40", "01 01 0000 00000000000000000000000000000000 0000 00 28", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn neighbours() {
        table(
            &BFD,
            &[
                ("control", "20 c0 03 18 00000001 00000000 000f4240 000f4240 00000000", 'f'),
                ("length field wrong", "20 c0 03 19 00000001 00000000 000f4240 000f4240 00000000", 'n'),
                ("multiplier 0", "20 c0 00 18 00000001 00000000 000f4240 000f4240 00000000", 'n'),
            ],
        );
        table(
            &HSRP,
            &[
                ("hello", "00 00 10 03 0a 78 01 00 636973636f000000 c0000201", 'f'),
                ("state 3", "00 00 03 03 0a 78 01 00 636973636f000000 c0000201", 'n'),
            ],
        );
        table(
            &GLBP,
            &[
                ("hello", "01 00 0001 0000 000000000001 02 04 0000 01 06 00000000", 'l'),
                ("chain too long", "01 00 0001 0000 000000000001 02 05 0000", 'n'),
            ],
        );
        table(
            &LDP,
            &[
                ("hello", "0001 001e c0000201 0000 0100 0014 00000000 0400 0004 000f 0000 0401 0004 c0000201", 'f'),
                ("keepalive", "0001 001e c0000201 0000 0201 0014 00000000 0400 0004 000f 0000 0401 0004 c0000201", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn locator_protocol() {
        table(
            &LISP,
            &[
                ("request", "10 00 00 01 0102030405060708 0000 0001 c0000201 00 20 0001 0a000001", 'f'),
                ("unknown family", "10 00 00 01 0102030405060708 0000 0009 c0000201 00 20 0001 0a000001", 'n'),
                ("notify", "40 00 00 01 0102030405060708 0001 0000 00000e10 00 20 1000 0000 0001 0a000001", 'f'),
                (
                    "notify, bytes behind",
                    "40 00 00 01 0102030405060708 0001 0000 00000e10 00 20 1000 0000 0001 0a000001 00",
                    'n',
                ),
            ],
        );
    }
}
