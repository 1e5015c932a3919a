//! Voice signalling in binary: IAX2, H.225 registration.
//!
//! Sources: RFC 5456 section 8 (IAX2 frames, information elements), ITU-T H.225.0 and H.245 (object identifiers).
//! Evidence: IAX2: full frames with known types and a chain of elements; a call that asks for encryption is refused.
//! H.225: its object identifier near the start.
//! Not handled: IAX2 flows that begin with media.

use super::shape::{Check, Reader, Shape, Stop};

/// Inter-Asterisk exchange.
pub(super) static IAX2: Shape = Shape::new(&"iax2", iax2).opens(&[0x80..=0xff]);
/// H.225 registration, admission and status.
pub(super) static H225: Shape = Shape::new(&"h225-ras", h225);

fn iax2(reader: &mut Reader<'_>) -> Check {
    let source = reader.u16()?;
    const FULL: u16 = 0x8000;
    reader.holds(source & FULL != 0, 1)?;
    let destination = reader.u16()?;
    let _time = reader.u32()?;
    let (out, back) = (reader.u8()?, reader.u8()?);
    let kind = reader.u8()?;
    let command = reader.u8()?;
    reader.holds((1..=12).contains(&kind), 0)?;
    const SIGNALLING: u8 = 6;
    if kind != SIGNALLING {
        // Voice and the like: their content proves nothing.
        return Ok(());
    }
    reader.favours(destination & !FULL == 0 && out == 0 && back == 0, 16);
    reader.holds((1..=41).contains(&command), 6)?;
    while reader.left() > 0 {
        let element = reader.u8()?;
        let length = usize::from(reader.u8()?);
        const ENCRYPTION: u8 = 43;
        const ENCRYPTION_KEY: u8 = 44;
        let known = matches!(element, 1..=0x38) && !matches!(element, ENCRYPTION | ENCRYPTION_KEY);
        reader.holds(known && length <= reader.left(), 3)?;
        if element == 11 {
            let version = reader.take(length)?;
            reader.holds(version == [0, 2], 24)?;
        } else {
            reader.skip(length)?;
        }
    }
    reader.end(6)
}

fn h225(reader: &mut Reader<'_>) -> Check {
    // { itu-t recommendation h 2250 version n }, as PER encodes it: length, then 0.0.8.2250.0.n.
    let head = reader.whole();
    let head = head.get(..head.len().min(24)).unwrap_or_default();
    let found = head.windows(7).any(|window| matches!(window, [6, 0, 8, 0x91, 0x4a, 0, ..=8]));
    if found {
        return reader.holds(true, 44);
    }
    // Confirmations and rejections carry none; they only count beside a message that does.
    let first = reader.u8()?;
    reader.holds(first >> 1 <= 0x1f || first == 0x80, 2)?;
    if reader.left() < 2 { Err(Stop::Against) } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn signalling() {
        table(
            &IAX2,
            &[
                ("new call", "8001 0000 00000000 00 00 06 01 0b02 0002 0103 313233", 'f'),
                ("new call, encrypted", "8001 0000 00000000 00 00 06 01 0b02 0002 2b02 0001", 'n'),
                ("element too long", "8001 0000 00000000 00 00 06 01 0b02 0002 0104 313233", 'n'),
                ("media", "0001 0000 aabbccdd", 'n'),
            ],
        );
        table(
            &H225,
            &[
                ("gatekeeper request", "00 0000 01 06 0008914a 0004 00 c0000201", 'f'),
                ("short", "0c 00", 'n'),
                ("nothing in it", "0c 0011 2233 44", 'm'),
            ],
        );
    }
}
