//! NetBIOS datagram service, with the browser announcements inside.
//!
//! Sources: RFC 1002 section 4.4 (datagram headers).
//! Evidence: type, flags, the length field and two encoded names.

use super::shape::{Check, Reader, Shape, Stop};

/// NetBIOS datagrams.
pub(super) static NETBIOS_DATAGRAM: Shape = Shape::new(&"netbios-dgm", check).opens(&[0x10..=0x16]);

fn check(reader: &mut Reader<'_>) -> Check {
    let kind = reader.u8()?;
    reader.holds((0x10..=0x16).contains(&kind), 5)?;
    let flags = reader.u8()?;
    // The upper half is reserved; some senders set its lowest bit.
    reader.holds(flags >> 5 == 0, 3)?;
    reader.skip(8)?; // identification, address, port
    match kind {
        // Direct unique, direct group, broadcast.
        0x10..=0x12 => {
            let length = usize::from(reader.u16()?);
            let offset = reader.u16()?;
            // The length counts from behind the packet offset; some senders count it in.
            reader.holds(length == reader.left() || length == reader.left() + 2 || length == reader.left() + 14, 12)?;
            reader.favours(offset == 0, 4);
            name(reader)?;
            name(reader)
        }
        0x13 => reader.end(8),
        _ => {
            name(reader)?;
            reader.end(4)
        }
    }
}

/// A first-level encoded name: 32 letters from A to P, then scope labels (RFC 1001 section 14.1).
fn name(reader: &mut Reader<'_>) -> Check {
    let size = reader.u8()?;
    reader.holds(size == 32, 8)?;
    let letters = reader.take(32)?;
    reader.holds(letters.iter().all(|byte| (b'A'..=b'P').contains(byte)), 32)?;
    for _ in 0..16 {
        match reader.u8()? {
            0 => return Ok(()),
            size @ 1..=63 => reader.skip(usize::from(size))?,
            _ => return Err(Stop::Against),
        }
    }
    Err(Stop::Against)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn datagrams() {
        let name = format!("20 {} 00", "43".repeat(32));
        let two = format!("11 02 1234 c0000201 008a 0048 0000 {name} {name} ff534d42");
        table(
            &NETBIOS_DATAGRAM,
            &[
                ("direct group", &two, 'f'),
                ("length wrong", &two.replacen("0048", "0047", 1), 'n'),
                ("name of other letters", &two.replacen("4343", "5a5a", 1), 'n'),
                ("type 0x20", &two.replacen("11", "20", 1), 'n'),
            ],
        );
    }
}
