//! Industrial, building, power and vehicle protocols over UDP.
//!
//! Sources: ASHRAE 135 annex J (BACnet/IP), the EtherNet/IP specification volume 2 chapter 2 (encapsulation, CPF), IEEE 1815
//! section 9 (DNP3 link frames), IEEE C37.118.2 section 6 (synchrophasors), ISO 22510 (KNXnet/IP), AUTOSAR SOME/IP
//! section 4, ISO 13400-2 (DoIP), HART-IP specification, IEEE 1588 clause 13 (PTP), GE GFK-1541 (EGD),
//! ANSI/CTA 852 (CN/IP).
//! Evidence: magic numbers, exact lengths, checksums. KNX secure services are refused.

use super::shape::{Check, Reader, Shape, Stop};

/// BACnet/IP.
pub(super) static BACNET: Shape = Shape::new(&"bacnet", bacnet).opens(&[0x81..=0x82]);
/// EtherNet/IP encapsulation and CIP I/O.
pub(super) static ENIP: Shape = Shape::new(&"enip", enip).opens(&[0..=4, 0x63..=0x70]);
/// DNP3.
pub(super) static DNP3: Shape = Shape::new(&"dnp3", dnp3).opens(&[5..=5]);
/// Synchrophasors.
pub(super) static SYNCHROPHASOR: Shape = Shape::new(&"synchrophasor", synchrophasor).opens(&[0xaa..=0xaa]);
/// KNXnet/IP.
pub(super) static KNX: Shape = Shape::new(&"knx", knx).opens(&[6..=6]);
/// SOME/IP.
pub(super) static SOME_IP: Shape = Shape::new(&"someip", some_ip);
/// Diagnostics over IP.
pub(super) static DOIP: Shape = Shape::new(&"doip", doip).opens(&[1..=5, 255..=255]);
/// HART-IP.
pub(super) static HART_IP: Shape = Shape::new(&"hart-ip", hart_ip).opens(&[1..=1]);
/// Precision time.
pub(super) static PTP: Shape = Shape::new(&"ptp", ptp);
/// Ethernet global data.
pub(super) static EGD: Shape = Shape::new(&"egd", egd).opens(&[0x0d..=0x0d]);
/// Component networks over IP.
pub(super) static CNIP: Shape = Shape::new(&"cnip", cnip);

fn bacnet(reader: &mut Reader<'_>) -> Check {
    let kind = reader.u8()?;
    let function = reader.u8()?;
    reader.holds(matches!(kind, 0x81 | 0x82) && function <= 0x0c, 7 + 4)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 4, 14)?;
    match function {
        4 => reader.skip(6)?,
        9..=11 => {}
        _ => return Ok(()),
    }
    let version = reader.u8()?;
    let control = reader.u8()?;
    reader.holds(version == 1 && control & 0x50 == 0, 10)
}

fn enip(reader: &mut Reader<'_>) -> Check {
    if reader.whole().starts_with(&[2, 0, 2, 0x80, 8, 0]) {
        return cyclic(reader);
    }
    let command = reader.u16_le()?;
    reader.holds(matches!(command, 0 | 1 | 4 | 0x63..=0x66 | 0x6f | 0x70), 12)?;
    let length = usize::from(reader.u16_le()?);
    reader.holds(length + 20 == reader.left(), 13)?;
    let _session = reader.u32_le()?;
    let status = reader.u32_le()?;
    reader.skip(8)?;
    let options = reader.u32_le()?;
    reader.holds(status <= 0x69 && options == 0, 16)
}

/// Connected I/O: an address item and a data item.
fn cyclic(reader: &mut Reader<'_>) -> Check {
    reader.skip(14)?;
    let kind = reader.u16_le()?;
    let length = usize::from(reader.u16_le()?);
    reader.holds(kind == 0xb1 && length == reader.left(), 48)
}

fn dnp3(reader: &mut Reader<'_>) -> Check {
    reader.literal(&[5, 0x64])?;
    let length = usize::from(reader.u8()?);
    reader.holds(length >= 5, 0)?;
    let user = length - 5;
    // Each block of up to sixteen bytes has a checksum of two.
    let frame = 7 + user + 2 * user.div_ceil(16);
    reader.holds(reader.left() >= frame, 0)?;
    reader.favours(reader.left() == frame, 12);
    let header = reader.whole().get(..8).ok_or(Stop::Cut)?;
    reader.skip(5)?;
    let checksum = reader.u16_le()?;
    reader.holds(checksum == crc_dnp(header), 16)
}

/// CRC-16/DNP (IEEE 1815 section 9.2.4): polynomial 0x3d65 reflected, complemented.
fn crc_dnp(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xa6bc } else { crc >> 1 };
        }
    }
    !crc
}

fn synchrophasor(reader: &mut Reader<'_>) -> Check {
    let sync = reader.u8()?;
    let kind = reader.u8()?;
    reader.holds(sync == 0xaa && kind & 0x88 == 0 && kind >> 4 <= 5, 8 + 3)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 4 && length >= 16, 14)?;
    if reader.is_cut() {
        return Err(Stop::Cut);
    }
    let (body, checksum) = reader.whole().split_last_chunk::<2>().ok_or(Stop::Against)?;
    reader.holds(crc_ccitt(body) == u16::from_be_bytes(*checksum), 16)
}

/// CRC-16 with polynomial 0x1021 and all ones at the start (IEEE C37.118.2 annex B).
fn crc_ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 })
    })
}

fn knx(reader: &mut Reader<'_>) -> Check {
    reader.literal(&[6, 0x10])?;
    let service = reader.u16()?;
    const SECURE: u16 = 0x0950;
    reader.holds(matches!(service >> 8, 2..=6) && service != SECURE, 5)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 6, 14)
}

fn some_ip(reader: &mut Reader<'_>) -> Check {
    while reader.left() > 0 {
        reader.skip(4)?;
        let length = reader.u32()? as usize;
        reader.holds((8..=reader.left()).contains(&length), 18)?;
        reader.skip(4)?;
        let (protocol, _interface) = (reader.u8()?, reader.u8()?);
        let (kind, code) = (reader.u8()?, reader.u8()?);
        let known =
            matches!(kind, 0..=2 | 0x20..=0x22 | 0x40..=0x42 | 0x60..=0x62 | 0x80 | 0x81 | 0xa0 | 0xa1 | 0xc0 | 0xc1);
        reader.holds(protocol == 1 && known && code <= 0x5e, 8 + 4 + 1)?;
        reader.skip(length - 8)?;
    }
    reader.end(8)
}

fn doip(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let inverse = reader.u8()?;
    reader.holds(version == !inverse && matches!(version, 1..=5 | 255), 8 + 5)?;
    let kind = reader.u16()?;
    reader.holds(matches!(kind, 0..=8 | 0x4001..=0x4004 | 0x8001..=0x8003), 11)?;
    let length = reader.u32()? as usize;
    reader.covers_rest(length, 20)
}

fn hart_ip(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let kind = reader.u8()?;
    let id = reader.u8()?;
    reader.holds(version == 1 && matches!(kind, 0..=3 | 15) && id <= 4, 8 + 5 + 5)?;
    reader.skip(3)?;
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 8, 14)
}

fn ptp(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    let second = reader.u8()?;
    if first == 0 && second == 1 {
        return ptp_version_1(reader);
    }
    let kind = first & 0xf;
    reader.holds(matches!(kind, 0..=3 | 8..=13) && second & 0xf == 2, 4)?;
    let length = usize::from(reader.u16()?);
    // Some clocks pad the datagram by a few bytes.
    let behind = (reader.left() + 4).checked_sub(length).ok_or(Stop::Against)?;
    reader.holds(length >= 44 && behind <= 4, 13)?;
    let _domain = reader.u8()?;
    reader.skip(3 + 8 + 4 + 10 + 2)?;
    let control = reader.u8()?;
    let expected = match kind {
        0 | 1 => kind,
        8 => 2,
        9 => 3,
        13 => 4,
        _ => 5,
    };
    reader.holds(control == expected || control == 0, 7)?;
    let interval = reader.u8()? as i8;
    reader.holds(interval == 127 || (-10..=10).contains(&interval), 3)?;
    // Event messages carry seconds since 1970 and nanoseconds, or zeros.
    let seconds = u64::from(reader.u16()?) << 32 | u64::from(reader.u32()?);
    let nanoseconds = reader.u32()?;
    reader.favours(seconds < 1 << 33 && nanoseconds < 1_000_000_000, 16);
    Ok(())
}

fn ptp_version_1(reader: &mut Reader<'_>) -> Check {
    let network = reader.u16()?;
    reader.holds(network == 1, 20)?;
    let subdomain = reader.take(16)?;
    reader.holds(subdomain.starts_with(b"_DFLT\0") || subdomain.starts_with(b"_ALT"), 32)
}

fn egd(reader: &mut Reader<'_>) -> Check {
    reader.literal(&[0x0d, 0x01])?;
    reader.skip(2 + 4)?;
    let _exchange = reader.u32_le()?;
    let _seconds = reader.u32_le()?;
    let nanoseconds = reader.u32_le()?;
    reader.holds(nanoseconds < 1_000_000_000, 2)?;
    let status = reader.u32_le()?;
    let _configuration = reader.u32_le()?;
    let reserved = reader.u32_le()?;
    reader.holds(status <= 0xff && reserved == 0, 24)
}

fn cnip(reader: &mut Reader<'_>) -> Check {
    let length = usize::from(reader.u16()?);
    reader.holds(length == reader.left() + 2 && length >= 20, 13)?;
    let version = reader.u8()?;
    let kind = reader.u8()?;
    reader.holds(version == 1 && matches!(kind, 1..=8 | 0x60..=0x72), 8 + 3)?;
    let extension = reader.u8()?;
    let flags = reader.u8()?;
    reader.holds(extension == 0 && flags & 0x1f == 0, 8 + 4)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn buildings_and_plants() {
        table(
            &BACNET,
            &[
                ("who-is", "81 0b 0008 01 00 10 08", 'f'),
                ("length wrong", "81 0b 0009 01 00 10 08", 'n'),
                ("version 2", "81 0b 0008 02 00 10 08", 'n'),
            ],
        );
        table(
            &ENIP,
            &[
                ("list identity", "6300 0000 00000000 00000000 0000000000000000 00000000", 'f'),
                ("options set", "6300 0000 00000000 00000000 0000000000000000 00000001", 'n'),
                ("cyclic", "0200 0280 0800 01020304 01000000 b100 0200 aabb", 'f'),
                ("cyclic, length wrong", "0200 0280 0800 01020304 01000000 b100 0300 aabb", 'n'),
            ],
        );
        table(
            &DNP3,
            &[
                ("link status", "0564 05 c9 0100 0004 e921", 'n'),
                ("reset of link states", "0564 05 c0 0100 0004 e921", 'f'),
            ],
        );
        table(
            &KNX,
            &[
                ("search", "06 10 0201 000e 08 01 c0000201 0e57", 'f'),
                ("secure wrapper", "06 10 0950 000e 08 01 c0000201 0e57", 'n'),
                ("length wrong", "06 10 0201 000f 08 01 c0000201 0e57", 'n'),
            ],
        );
        table(&HART_IP, &[("keep alive", "01 00 02 00 0001 0008", 'f'), ("kind 9", "01 09 02 00 0001 0008", 'n')]);
        table(
            &EGD,
            &[
                ("data", "0d 01 0100 c0000201 01000000 00000000 00000000 01000000 00000000 00000000 aabb", 'f'),
                ("reserved set", "0d 01 0100 c0000201 01000000 00000000 00000000 01000000 00000000 00000001 aabb", 'n'),
            ],
        );
        table(
            &CNIP,
            &[
                ("data", "0014 01 01 00 00 0000 00000001 00000001 00000001", 'f'),
                ("version 2", "0014 02 01 00 00 0000 00000001 00000001 00000001", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn clocks_and_vehicles() {
        let sync =
            "00 02 002c 00 00 0200 0000000000000000 00000000 0102030405060708 0001 0001 00 00 00005c0d0e0f 0000000a";
        table(
            &PTP,
            &[
                ("sync", sync, 'f'),
                ("length wrong", &sync.replacen("002c", "0040", 1), 'n'),
                ("control of another kind", &sync.replacen("0001 0001 00", "0001 0001 04", 1), 'n'),
            ],
        );
        table(
            &SOME_IP,
            &[
                ("request", "1234 0001 0000000a 0001 0001 01 01 00 00 aabb", 'f'),
                ("length wrong", "1234 0001 0000000b 0001 0001 01 01 00 00 aabb", 'n'),
            ],
        );
        table(&DOIP, &[("request", "02 fd 0001 00000000", 'f'), ("inverse wrong", "02 fc 0001 00000000", 'n')]);
        let mut command = vec![0xaa, 0x41, 0, 18, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        command.extend(crc_ccitt(&command).to_be_bytes());
        let good: String = command.iter().map(|byte| format!("{byte:02x}")).collect();
        table(&SYNCHROPHASOR, &[("command", &good, 'f'), ("one bit flipped", &good.replacen("0002", "0003", 1), 'n')]);
    }

    /// The check value that catalogues of checksums give for "123456789".
    #[test]
    fn checksums() {
        assert_eq!(crc_dnp(b"123456789"), 0xea82);
        assert_eq!(crc_ccitt(b"123456789"), 0x29b1);
    }
}
