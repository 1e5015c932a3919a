//! Control of tunnels and machines: L2TP, Teredo, TIPC, RMCP with IPMI.
//!
//! Sources: RFC 2661 section 3.1 and 4.1 (L2TP), RFC 4380 section 5.1
//! (Teredo), the TIPC protocol specification section 3, DSP0136 section 3.2 and IPMI 2.0 section 13 (RMCP).
//! Evidence: lengths and chains of attributes that end with the datagram. Packets inside these tunnels are opened before
//! detection. IPMI sessions that encrypt are refused.

use super::shape::{Check, Reader, Shape, Stop};

/// L2TP version 2 control messages.
pub(super) static L2TP: Shape = Shape::new(&"l2tp", l2tp).opens(&[0xc8..=0xff]);
/// Teredo bubbles and qualification.
pub(super) static TEREDO: Shape = Shape::new(&"teredo", teredo).opens(&[0..=0, 0x60..=0x6f]);
/// TIPC.
pub(super) static TIPC: Shape = Shape::new(&"tipc", tipc).opens(&[0x40..=0x5f]);
/// Remote management.
pub(super) static RMCP: Shape = Shape::new(&"rmcp", rmcp).opens(&[6..=6]);

fn l2tp(reader: &mut Reader<'_>) -> Check {
    let flags = reader.u16()?;
    reader.holds(flags & 0xcb0f == 0xc802 || flags & 0xcb0f == 0xc803, 9)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 4, 14)?;
    reader.skip(8)?;
    while reader.left() > 0 {
        let size = usize::from(reader.u16()?);
        let vendor = reader.u16()?;
        let length = size & 0x3ff;
        reader.holds(size & 0x3c00 == 0 && length >= 6 && length - 4 <= reader.left(), 8)?;
        reader.favours(vendor == 0, 8);
        reader.skip(length - 4)?;
    }
    reader.end(6)
}

fn teredo(reader: &mut Reader<'_>) -> Check {
    // Packets with content may follow, which nobody opened.
    reader.waits = true;
    if reader.whole().starts_with(&[0, 1]) {
        reader.skip(2)?;
        let (client, value) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        reader.skip(client + value + 9)?;
    }
    let mut first = reader.u16()?;
    if first == 0 {
        reader.skip(6)?;
        first = reader.u16()?;
    }
    reader.holds(first >> 12 == 6, 4)?;
    reader.skip(2)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length + 34 == reader.left(), 14)?;
    let next = reader.u8()?;
    reader.holds(matches!(next, 58 | 59), 7)?;
    let _hops = reader.u8()?;
    for _ in ["source", "destination"] {
        let address = reader.take(16)?;
        let near = address.starts_with(&[0x20, 1, 0, 0])
            || address.starts_with(&[0xfe, 0x80])
            || address.starts_with(&[0xff, 2]);
        reader.favours(near, 14);
    }
    Ok(())
}

fn tipc(reader: &mut Reader<'_>) -> Check {
    let word = reader.u32()?;
    let size = (word & 0x1_ffff) as usize;
    let header = (word >> 21 & 0xf) as usize * 4;
    reader.holds(
        word >> 29 == 2 && size == reader.left() + 4 && (24..=60).contains(&header) && header <= size,
        3 + 15 + 1,
    )?;
    let second = reader.u32()?;
    let user = word >> 25 & 0xf;
    reader.favours(matches!(user, 0..=3 | 5..=8 | 10..=14), 0);
    // Discovery: type in the top bits, reserved zeros below.
    reader.favours(user == 13 && second & 0x1fff_0000 == 0, 8);
    Ok(())
}

fn rmcp(reader: &mut Reader<'_>) -> Check {
    reader.literal(&[6, 0])?;
    let _sequence = reader.u8()?;
    let class = reader.u8()?;
    match class {
        // An acknowledgement.
        0x86 | 0x87 => reader.end(8),
        6 => {
            let enterprise = reader.u32()?;
            reader.holds(enterprise == 0x11be, 8 + 28)?;
            reader.skip(3)?;
            let length = usize::from(reader.u8()?);
            reader.covers_rest(length, 8)
        }
        7 => ipmi(reader),
        _ => Err(Stop::Against),
    }
}

fn ipmi(reader: &mut Reader<'_>) -> Check {
    const RMCP_PLUS: u8 = 6;
    let authentication = reader.u8()?;
    reader.holds(matches!(authentication, 0..=2 | 4 | 5 | RMCP_PLUS), 8 + 5)?;
    if authentication == RMCP_PLUS {
        reader.waits = true;
        let kind = reader.u8()?;
        const ENCRYPTED: u8 = 0x80;
        reader.holds(kind & ENCRYPTED == 0 && matches!(kind & 0x3f, 0..=2 | 0x10..=0x15), 3)?;
        if kind & 0x3f == 2 {
            reader.skip(6)?;
        }
        reader.skip(8)?;
        let length = usize::from(reader.u16_le()?);
        return reader.holds(length <= reader.left() && reader.left() - length <= 64, 8);
    }
    reader.skip(8)?;
    if authentication != 0 {
        reader.skip(16)?;
    }
    let length = usize::from(reader.u8()?);
    // A byte of padding is added to some lengths.
    reader.holds(length == reader.left() || length + 1 == reader.left(), 7)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn tunnels() {
        table(
            &L2TP,
            &[
                ("start control", "c802 0014 0000 0000 0000 0000 8008 0000 0000 0001", 'f'),
                ("attribute too long", "c802 0014 0000 0000 0000 0000 8009 0000 0000 0001", 'n'),
                ("data", "0002 0001 0001 ff03", 'n'),
            ],
        );
        let address = "20010000c0000201000000000000000";
        table(
            &TEREDO,
            &[
                ("bubble", &format!("60000000 0000 3b 15 {address}1 {address}2"), 'l'),
                ("length wrong", &format!("60000000 0001 3b 15 {address}1 {address}2"), 'n'),
                ("version 4", &format!("45000000 0000 3b 15 {address}1 {address}2"), 'n'),
            ],
        );
        table(
            &TIPC,
            &[
                ("discovery", "5ac00018 00000000 00000000 00000000 00000000 00000000", 'l'),
                ("size wrong", "5ac00019 00000000 00000000 00000000 00000000 00000000", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn management() {
        table(
            &RMCP,
            &[
                ("presence ping", "06 00 ff 06 000011be 80 00 00 00", 'f'),
                ("session setup", "06 00 ff 07 00 00000000 00000000 09 2018c8810438 8e04b5", 'f'),
                ("plus, encrypted", "06 00 ff 07 06 c0 01020304 00000001 0010 00112233445566778899aabbccddeeff", 'n'),
                ("class 9", "06 00 ff 09 000011be 80 00 00 00", 'n'),
            ],
        );
    }
}
