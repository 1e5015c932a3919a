//! Data streams: MPEG transport stream, RTPS (DDS).
//!
//! Sources: ISO/IEC 13818-1 section 2.4.3 (packets of 188 bytes), OMG RTPS 2.5 section 8.3 and DDS Security 1.1 section 7.3
//! (submessages that protect others).
//! Evidence: a sync byte every 188 bytes, not scrambled; `RTPS` and a chain of submessages. Both refuse what is scrambled
//! or protected.

use super::shape::{Check, Reader, Shape, Stop};

/// MPEG transport stream.
pub(super) static MPEG_TS: Shape = Shape::new(&"mpeg-ts", mpeg_ts).opens(&[0x47..=0x47]);
/// Real-time publish and subscribe.
pub(super) static RTPS: Shape = Shape::new(&"rtps", rtps).opens(&[b'R'..=b'R']);

fn mpeg_ts(reader: &mut Reader<'_>) -> Check {
    reader.holds(reader.left() >= 188 && reader.left().is_multiple_of(188), 7)?;
    for packet in reader.rest().chunks(188) {
        let &[sync, _, _, flags, ..] = packet else { return Err(Stop::Cut) };
        const SCRAMBLED: u8 = 0xc0;
        reader.holds(sync == 0x47 && flags & SCRAMBLED == 0, 10)?;
    }
    Ok(())
}

fn rtps(reader: &mut Reader<'_>) -> Check {
    let magic = reader.take(4)?;
    reader.holds(magic == b"RTPS" || magic == b"RTPX", 32)?;
    // Participants find each other in clear before protection begins.
    reader.waits = true;
    let version = reader.u8()?;
    reader.holds(matches!(version, 1 | 2), 6)?;
    // The pings of one maker carry a word in place of submessages.
    if reader.rest().ends_with(b"NDDSPING") && reader.left() == 11 {
        return reader.holds(true, 16);
    }
    reader.skip(15)?;
    while reader.left() >= 4 {
        let kind = reader.u8()?;
        // 0x30 to 0x34 protect a message, a submessage or its body.
        reader.holds(!(0x30..=0x34).contains(&kind), 0)?;
        let little = reader.u8()? & 1 == 1;
        let length = if little { reader.u16_le()? } else { reader.u16()? };
        // Zero: to the end of the datagram.
        let length = if length == 0 && !matches!(kind, 1 | 9) { reader.left() } else { usize::from(length) };
        reader.skip(length)?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn streams() {
        let packet = format!("47 4000 10 {}", "00".repeat(184));
        table(
            &MPEG_TS,
            &[
                ("two packets", &packet.repeat(2), 'l'),
                ("seven packets", &packet.repeat(7), 'f'),
                ("scrambled", &packet.replacen("4000 10", "4000 90", 1).repeat(7), 'n'),
                ("sync lost", &format!("{packet} 48 {}", "00".repeat(187)), 'n'),
            ],
        );
        let head = "52545053 02 01 01 0f 000102030405060708090a0b";
        table(
            &RTPS,
            &[
                ("heartbeat", &format!("{head} 07 01 0400 01020304"), 'l'),
                ("protected", &format!("{head} 33 01 0400 01020304"), 'n'),
                ("submessage too long", &format!("{head} 07 01 0500 01020304"), 'n'),
            ],
        );
    }
}
