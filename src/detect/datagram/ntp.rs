//! NTP versions 1 to 4, SNTP, control (mode 6) and private (mode 7) messages; NTS is NTP with extension fields.
//!
//! Sources: RFC 5905 sections 7.3 and 7.5 (header, extension fields), RFC 9327 (mode 6), ntp_request.h of the reference
//! implementation (mode 7), RFC 8915 (NTS: time itself stays readable).
//! Evidence: no magic, so many small facts: stratum, poll, precision, small delay and dispersion, timestamps that are zero
//! or near each other, a legal length or chain of extension fields.

use super::shape::{Check, Reader, Shape, Stop};

/// Modes 1 to 7. The two bits above the version warn of leap seconds.
pub(super) static NTP: Shape = Shape::new(&"ntp", check).opens(&[0x08..=0x27, 0x48..=0x67, 0x88..=0xa7, 0xc8..=0xe7]);

fn check(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    let version = first >> 3 & 7;
    reader.holds((1..=4).contains(&version), 1)?;
    match first & 7 {
        1..=5 => time(reader, version),
        6 => control(reader),
        7 => private(reader),
        _ => Err(Stop::Against),
    }
}

fn time(reader: &mut Reader<'_>, version: u8) -> Check {
    let stratum = reader.u8()?;
    reader.holds(stratum <= 16, 4)?;
    let poll = reader.u8()? as i8;
    reader.holds((-7..=24).contains(&poll), 3)?;
    let precision = reader.u8()? as i8;
    // 32 is what clients send that tell nothing of themselves (draft-ietf-ntp-data-minimization).
    reader.holds((-40..=6).contains(&precision) || precision == 32, 2)?;
    for _ in ["root delay", "root dispersion"] {
        let seconds = (reader.u32()? as i32) >> 16;
        reader.favours((-16..=16).contains(&seconds), 10);
    }
    let reference_id = reader.u32()?;
    reader.favours(reference_id == 0, 4);
    let stamps = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
    let [reference, origin, receive, transmit] = stamps;
    for stamp in [reference, origin, receive] {
        reader.favours(stamp == 0, 6);
    }
    let near = |a: u64, b: u64| a != 0 && (a >> 32).abs_diff(b >> 32) <= 4096;
    reader.favours(near(receive, transmit), 14);
    reader.favours(near(reference, transmit) || near(origin, transmit), 14);
    // A client that hides its clock sends random bits as its transmit time, and zeros elsewhere.
    reader.favours((0xb000_0000..).contains(&(transmit >> 32)), 1);
    tail(reader, version)
}

/// What may follow the 48 bytes: extension fields, then nothing, a crypto-NAK or a key and digest.
fn tail(reader: &mut Reader<'_>, version: u8) -> Check {
    loop {
        match reader.left() {
            0 => return reader.holds(true, 4),
            4 | 20 | 24 => return reader.holds(true, 2),
            12 if version < 4 => return reader.holds(true, 1),
            28.. if version == 4 || version == 3 => {
                let _kind = reader.u16()?;
                let length = usize::from(reader.u16()?);
                reader.holds(length >= 16 && length % 4 == 0, 4)?;
                reader.skip(length - 4)?;
            }
            16 => {
                let _kind = reader.u16()?;
                let length = reader.u16()?;
                return reader.holds(length == 16, 8);
            }
            _ => return Err(Stop::Against),
        }
    }
}

fn control(reader: &mut Reader<'_>) -> Check {
    let operation = reader.u8()? & 0x1f;
    reader.holds(matches!(operation, 0..=12 | 31), 1)?;
    let _sequence = reader.u16()?;
    let status = reader.u16()?;
    let association = reader.u16()?;
    let offset = reader.u16()?;
    let count = usize::from(reader.u16()?);
    reader.favours(status == 0 && association == 0, 10);
    reader.favours(offset < 0x4000, 2);
    let padded = count.next_multiple_of(4);
    let left = reader.left();
    reader.holds(left == count || left == padded || left == padded + 20 || left == padded + 24, 12)?;
    let text = reader.rest().get(..count.min(reader.rest().len())).unwrap_or_default();
    let readable = text.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n')).count();
    reader.favours(count >= 16 && readable == text.len(), 16);
    Ok(())
}

fn private(reader: &mut Reader<'_>) -> Check {
    let _authenticated_and_sequence = reader.u8()?;
    let implementation = reader.u8()?;
    reader.holds(matches!(implementation, 0 | 2 | 3), 6)?;
    let code = reader.u8()?;
    reader.holds(code <= 45, 2)?;
    let error_and_count = reader.u16()?;
    let zero_and_size = reader.u16()?;
    reader.holds(zero_and_size >> 12 == 0 && zero_and_size <= 500 && error_and_count >> 12 <= 7, 6)?;
    let items = usize::from(error_and_count & 0xfff).saturating_mul(usize::from(zero_and_size));
    let left = reader.left();
    if left == items {
        return reader.holds(true, 16);
    }
    // Requests are padded with zeros to a fixed size, an authenticator may follow.
    reader.holds(items == 0 && matches!(left, 40 | 184 | 208), 16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn messages() {
        let zeros = |count: usize| "00".repeat(count);
        let sntp = format!("23{}", zeros(47));
        let hidden = format!("23 00 06 20 {} 1122334455667788", zeros(36));
        let server = format!(
            "24 01 06 ec 00000000 00000010 47505300 {} {} {} {}",
            "e3a1b2c300000000", "1122334455667788", "e3a1b2d000000001", "e3a1b2d000000002"
        );
        let nts = format!("{hidden} 0104 0024 {} 0204 0068 {}", "aa".repeat(32), "bb".repeat(100));
        let monlist = format!("17 00 03 2a 0000 0000 {}", zeros(0));
        table(
            &NTP,
            &[
                ("sntp of zeros", &sntp, 'f'),
                ("client that hides its clock", &hidden, 'f'),
                ("server", &server, 'f'),
                ("NTS fields", &nts, 'f'),
                ("monlist", &monlist, 'l'),
                ("control, read variables", "16 02 0001 0000 0000 0000 0000", 'l'),
                ("version 7", &sntp.replacen("23", "3b", 1), 'n'),
                ("47 bytes", &sntp[2..], 'n'),
                ("stratum 17", &hidden.replacen("23 00", "23 11", 1), 'n'),
                ("DTLS handshake", "16 fefd 0000 000000000000 0004 01020304", 'n'),
                ("DTLS data", "17 fefd 0001 000000000001 0004 01020304", 'n'),
            ],
        );
    }
}
