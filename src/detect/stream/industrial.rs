//! Automation and power: Modbus/TCP, S7comm and MMS over ISO-on-TCP, EtherNet/IP, IEC 60870-5-104, DNP3,
//! synchrophasors, ANSI C12.22.
//!
//! Sources: Modbus Messaging on TCP/IP V1.0b section 3.1, RFC 1006 with ISO 8073, ISO 8327 and Wireshark's
//! packet-s7comm.c, ODVA CIP volume 2 section 2-3, IEC 60870-5-104 section 5, IEEE 1815 section 9 (with its CRC), IEEE
//! C37.118.2 section 6 (with its CRC), IEEE 1703 section 5 (C12.22).
//! Evidence: message heads of both sides; checksums where there are.
//! Not handled: OPC UA, which can seal and stands with the sealed protocols; RDP and H.323 over the same TPKT; C12.22 in
//! its enciphered mode, which stays unknown.

use super::framed::{Framed, Header, good, u16_at, u16_le, u32_le};

/// Modbus/TCP.
pub(super) static MODBUS: Framed = Framed::directed(&"modbus", |head| modbus(head, false), |head| modbus(head, true));
/// S7comm.
pub(super) static S7COMM: Framed = Framed::alike(&"s7comm", |head| tpkt(head, s7comm));
/// MMS and other users of the ISO session layer.
pub(super) static ISO_SESSION: Framed = Framed::alike(&"iso-session", |head| tpkt(head, iso_session));
/// ISO-on-TCP of which only the connection request was seen; never more than likely.
pub(super) static COTP: Framed =
    Framed::directed(&"cotp", cotp_request, |head| tpkt(head, |_, _| Header::Short).silent());
/// EtherNet/IP.
pub(super) static ENIP: Framed = Framed::alike(&"enip", enip);
/// IEC 60870-5-104.
pub(super) static IEC104: Framed = Framed::alike(&"iec104", iec104);
/// DNP3.
pub(super) static DNP3: Framed = Framed::alike(&"dnp3", dnp3);
/// Synchrophasors.
pub(super) static SYNCHROPHASOR: Framed = Framed::alike(&"synchrophasor", synchrophasor);
/// ANSI C12.22 smart meters.
pub(super) static C1222: Framed = Framed::alike(&"c1222", c1222);

/// Transaction, protocol 0, length, unit, function, and the length that the function asks for.
fn modbus(head: &[u8], response: bool) -> Header {
    let (Some(0), Some(len @ 2..=260)) = (u16_at(head, 2).or(Some(0)), u16_at(head, 4).or(Some(2))) else {
        return Header::Bad;
    };
    let (Some(function), Some(_)) = (head.get(7), head.get(5)) else { return Header::Short };
    let whole = usize::from(len) + 6;
    let first = head.get(8).map(|byte| u16::from(*byte));
    match (*function, response) {
        (0x81..=0xab, true) => good(len == 2 || len == 3, whole, 40),
        (1..=4, false) => match u16_at(head, 10) {
            // So many bits or registers are asked for.
            Some(quantity) => good(len == 6 && (1..=2000).contains(&quantity), whole, 48),
            None => Header::Short,
        },
        (5 | 6 | 8, false) | (5 | 6 | 15 | 16, true) => good(len == 6 || *function == 8 && len >= 6, whole, 40),

        (1..=4 | 12 | 17 | 20 | 21 | 23, true) if len > 2 => match first {
            Some(count) => good(len == count + 3, whole, 36),
            None => Header::Short,
        },
        (7 | 11 | 12 | 17, false) => good(len == 2, whole, 36),
        (15 | 16, false) => match head.get(12).map(|count| u16::from(*count)) {
            Some(count) => good(len == count + 7, whole, 40),
            None => Header::Short,
        },
        (7 | 8 | 11 | 20..=24 | 43 | 90, _) => Header::Good { len: whole, bits: 26 },
        _ => Header::Bad,
    }
}

/// TPKT (version 3, a zero, length) with COTP; data goes to `inside`, which knows its protocol and is told its whole length.
fn tpkt(head: &[u8], inside: fn(&[u8], usize) -> Header) -> Header {
    match *head {
        [] | [3] | [3, 0] | [3, 0, _] | [3, 0, _, _] | [3, 0, _, _, _] => Header::Short,
        [3, 0, high, low, size, ref cotp @ ..] => {
            let len = usize::from(u16::from_be_bytes([high, low]));
            if len < usize::from(size) + 5 || size < 2 {
                return Header::Bad;
            }
            match *cotp {
                [] => Header::Short,
                // Connection request and confirm; RDP's carries a cookie or a negotiation, and is none of these.
                [0xe0 | 0xd0, ref rest @ ..] => match rest.get(5) {
                    None => Header::Short,
                    Some(parameter) => good(matches!(parameter, 0xc0..=0xc2) && len == usize::from(size) + 5, len, 18),
                },
                [0xf0, end, ref data @ ..] if size == 2 && end & 0x7f == 0 => match inside(data, len.saturating_sub(7))
                {
                    Header::Good { bits, .. } => Header::Good { len, bits },
                    other => other,
                },
                [0xf0] if size == 2 => Header::Short,
                _ => Header::Bad,
            }
        }
        _ => Header::Bad,
    }
}

/// A connection request with the parameters of ISO 8073: 03 00, both lengths, e0, no destination yet.
fn cotp_request(head: &[u8]) -> Header {
    match tpkt(head, |_, _| Header::Short) {
        Header::Good { .. } => good(matches!(head, [3, 0, _, _, _, 0xe0, 0, 0, ..]), usize::MAX, 48),
        other => other,
    }
}

/// Protocol 0x32 (S7) with a known kind of job and reserved zeros, or 0x72 (S7 plus), whose versions sign but
/// do not encipher.
fn s7comm(data: &[u8], _len: usize) -> Header {
    match *data {
        [] | [0x32] | [0x72] => Header::Short,
        [0x32, 1..=3 | 7, ref rest @ ..] => match rest.get(..2) {
            Some(reserved) => good(reserved == [0, 0], 0, 56),
            None => Header::Short,
        },
        [0x72, 1..=3 | 0xfe, ..] => Header::Good { len: 0, bits: 52 },
        _ => Header::Bad,
    }
}

/// SPDUs: connect, accept, refuse, finish, disconnect, abort, and "give tokens" before data (ISO 8327-1 section 8).
fn iso_session(data: &[u8], len: usize) -> Header {
    match *data {
        [] | [1 | 0x0c | 0x0d | 0x0e | 9 | 10 | 0x19] | [1, 0] | [1, 0, 1] => Header::Short,
        [1, 0, 1, 0, ..] => Header::Good { len: 0, bits: 48 },
        [0x0d | 0x0e, size, ..] => good(usize::from(size) + 2 == len || size == 0xff, 0, 40),
        [0x0c | 9 | 10 | 0x19, size, ..] => good(usize::from(size) + 2 == len, 0, 30),
        _ => Header::Bad,
    }
}

/// Command, length, session, status, context, options 0; all little endian.
fn enip(head: &[u8]) -> Header {
    let (Some(command), Some(status), Some(options)) = (u16_le(head, 0), u32_le(head, 8), u32_le(head, 20)) else {
        return if head.get(1).is_none_or(|high| *high == 0) { Header::Short } else { Header::Bad };
    };
    let known = matches!(command, 0 | 1 | 4 | 0x63..=0x66 | 0x6f | 0x70 | 0x72 | 0x73);
    let len = usize::from(u16_le(head, 2).unwrap_or_default());
    // A NOP with nothing in it is all zeros, which anything may be.
    good(known && status <= 0x6a && options == 0, len + 24, if command <= 1 { 0 } else { 66 })
}

/// Start 0x68, length, control field in its three formats, a known type of ASDU.
fn iec104(head: &[u8]) -> Header {
    match *head {
        [] | [0x68] => Header::Short,
        [0x68, 4..=253, ref rest @ ..] if rest.len() < 4 => Header::Short,
        [0x68, 4, 0x07 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83, 0, 0, 0, ..] => Header::Good { len: 6, bits: 45 },
        [0x68, 4, 1, 0, low, _, ..] => good(low & 1 == 0, 6, 32),
        [0x68, len @ 10..=253, low, _, ack, _, ref asdu @ ..] if low & 1 == 0 && ack & 1 == 0 => match *asdu {
            [] | [_] => Header::Short,
            [1..=21 | 30..=41 | 45..=51 | 58..=64 | 70 | 100..=107 | 110..=113 | 120..=127, count, ..] => {
                good(count & 0x7f > 0, usize::from(len) + 2, 18)
            }
            _ => Header::Bad,
        },
        _ => Header::Bad,
    }
}

/// 0x0564, length, control, two addresses, CRC; data in blocks of 16, each with a CRC.
fn dnp3(head: &[u8]) -> Header {
    let Some(block) = head.first_chunk::<10>() else {
        return if matches!(*head, [] | [5] | [5, 0x64] | [5, 0x64, 5..=255, ..]) {
            Header::Short
        } else {
            Header::Bad
        };
    };
    let [5, 0x64, len @ 5..=255, ..] = *block else { return Header::Bad };
    let data = usize::from(len - 5);
    let crc = u16_le(head, 8) == Some(crc_dnp(head.get(..8).unwrap_or_default()));
    good(crc, 10 + data + 2 * data.div_ceil(16), 35)
}

/// CRC-16/DNP: polynomial 0x3d65, reflected, complemented.
fn crc_dnp(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa6bc } else { crc >> 1 })
    })
}

/// 0xaa, kind and version, size, then the CRC at the end of the frame.
fn synchrophasor(head: &[u8]) -> Header {
    match *head {
        [] | [0xaa] => Header::Short,
        [0xaa, kind, ref rest @ ..] if kind & 0x80 == 0 && kind >> 4 <= 5 && (1..=3).contains(&(kind & 0xf)) => {
            let Some(len) = u16_at(rest, 0).map(usize::from) else { return Header::Short };
            if len < 16 {
                return Header::Bad;
            }
            match (head.get(..len - 2), u16_at(head, len - 2)) {
                (Some(frame), Some(crc)) => {
                    // A frame that ends with the bytes at hand is surer by its length.
                    let ends = if head.len() == len { 18 } else { 0 };
                    good(crc_ccitt(frame) == crc, len, 30 + ends)
                }
                _ => Header::Short,
            }
        }
        _ => Header::Bad,
    }
}

/// CRC-16/CCITT with 0xffff at the start.
fn crc_ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc >> 15 == 1 { crc << 1 ^ 0x1021 } else { crc << 1 })
    })
}

/// An ACSE APDU (0x60) whose elements are those of C12.22, up to the user information, and that is not enciphered.
fn c1222(head: &[u8]) -> Header {
    let (mut at, end) = match *head {
        [] | [0x60] | [0x60, 0x81] | [0x60, 0x82] | [0x60, 0x82, _] => return Header::Short,
        [0x60, len @ 10..=0x7f, ..] => (2, 2 + usize::from(len)),
        [0x60, 0x81, len @ 0x80..=0xff, ..] => (3, 3 + usize::from(len)),
        [0x60, 0x82, high, low, ..] => (4, 4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => return Header::Bad,
    };
    let mut bits = 16;
    loop {
        match *head.get(at..).unwrap_or_default() {
            _ if at >= end => return Header::Bad,
            [] | [_] => return Header::Short,
            [0xa1 | 0xa2 | 0xa4 | 0xa6 | 0xa7 | 0xa8 | 0xab | 0xac, len @ 0..=0x7f, ..] => {
                bits += 6;
                at += 2 + usize::from(len);
            }
            // User information: external, in it the EPSEM. Security mode 2 is ciphertext.
            [0xbe, ref user @ ..] => {
                let Some(user) = user.get(..12.min(end.saturating_sub(at + 1))) else { return Header::Short };
                let Some(epsem) = epsem(user) else { return Header::Bad };
                return good(epsem & 0x0c <= 4 && bits >= 28, end, bits + 20);
            }
            _ => return Header::Bad,
        }
    }
}

/// The EPSEM control byte behind `len 28 len 81 len`, lengths in one to three bytes.
fn epsem(user: &[u8]) -> Option<u8> {
    let skip = |bytes: &[u8]| -> Option<usize> {
        match bytes.first()? {
            0..=0x7f => Some(1),
            0x81 => Some(2),
            0x82 => Some(3),
            _ => None,
        }
    };
    let rest = user.get(skip(user)?..)?.strip_prefix(&[0x28])?;
    let rest = rest.get(skip(rest)?..)?.strip_prefix(&[0x81])?;
    rest.get(skip(rest)?).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    #[test]
    pub(crate) fn probe() {
        check(
            &MODBUS,
            &[
                ("read", b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02", b"\0\x01\0\0\0\x07\x01\x03\x04\0\0\0\0", "found"),
                ("wrong count", b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02", b"\0\x01\0\0\0\x09\x01\x03\x04\0\0", "no"),
                ("another protocol", b"\0\x01\0\x01\0\x06\x01\x03", b"", "no"),
            ],
        );
        let connect = b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02";
        let job = b"\x03\0\0\x0b\x02\xf0\x80\x32\x01\0\0";
        let rdp = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0";
        check(
            &S7COMM,
            &[
                ("job", &[connect.as_slice(), job].concat(), job, "found"),
                ("connect only", connect, connect, "more"),
                ("rdp", rdp, b"", "no"),
            ],
        );
        check(
            &IEC104,
            &[
                ("start", b"\x68\x04\x07\0\0\0", b"\x68\x04\x0b\0\0\0", "found"),
                ("two formats at once", b"\x68\x04\x05\0\0\0", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn checksums() {
        assert_eq!(crc_dnp(b"123456789"), 0xea82, "check value of CRC-16/DNP");
        assert_eq!(crc_ccitt(b"123456789"), 0x29b1, "check value of CRC-16/IBM-3740");
        let mut frame = b"\x05\x64\x05\xc0\x01\0\0\x04".to_vec();
        frame.extend_from_slice(&crc_dnp(&frame).to_le_bytes());
        check(
            &DNP3,
            &[("both sides", &frame, &frame, "found"), ("no checksum", b"\x05\x64\x05\xc0\x01\0\0\x04\0\0", b"", "no")],
        );
    }

    #[test]
    pub(crate) fn sessions() {
        let connect = b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02";
        let data = |spdu: &[u8]| [&[3, 0, 0, 7 + spdu.len() as u8, 2, 0xf0, 0x80][..], spdu].concat();
        check(
            &ISO_SESSION,
            &[
                ("connect and accept", &data(b"\x0d\x02\x01\x02"), &data(b"\x0e\x02\x01\x02"), "found"),
                ("connect alone", &data(b"\x0d\x02\x01\x02"), b"", "more"),
                ("two of them in one piece", &data(b"\x0d\x02\x01\x02").repeat(2), b"", "likely"),
                ("a length that is wrong", &data(b"\x0d\x03\x01\x02"), b"", "no"),
                ("s7", &data(b"\x32\x01\0\0"), b"", "no"),
            ],
        );
        let rdp = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0";
        check(
            &COTP,
            &[
                ("request", connect, b"", "likely"),
                ("rdp", rdp, b"", "no"),
                ("a destination already", b"\x03\0\0\x0e\x09\xe0\0\x01\0\x01\0\xc0\x01\x0a", b"", "no"),
            ],
        );
    }

    #[test]
    pub(crate) fn plants_and_meters() {
        let register = |command: u8, options: u8| {
            [&[command, 0, 4, 0][..], &[0; 8], b"context ", &[options, 0, 0, 0, 1, 0, 0, 0]].concat()
        };
        check(
            &ENIP,
            &[
                ("session", &register(0x65, 0), &register(0x65, 0), "found"),
                ("a command that was never assigned", &register(0x68, 0), b"", "no"),
                ("options", &register(0x65, 1), b"", "no"),
                ("nothing but zeros", &[0; 24], &[0; 24], "more"),
            ],
        );
        let mut frame = b"\xaa\x41\0\x12\0\x07\x5f\x5e\x10\0\0\0\0\0\0\x02".to_vec();
        frame.extend_from_slice(&crc_ccitt(&frame).to_be_bytes());
        let mut damaged = frame.clone();
        damaged[15] = 1;
        check(
            &SYNCHROPHASOR,
            &[
                ("commands", &frame, &frame, "found"),
                ("a checksum that is wrong", &damaged, b"", "no"),
                ("a kind that is reserved", b"\xaa\x61\0\x12", b"", "no"),
                ("too short", b"\xaa\x41\0\x0f", b"", "no"),
            ],
        );
        let titles = b"\xa2\x05\x06\x03\x60\x7c\x01\xa6\x05\x06\x03\x60\x7c\x02\xa8\x03\x02\x01\x01";
        let message = |control: u8| {
            [&b"\x60\x20"[..], titles, b"\xbe\x0b\x28\x09\x81\x07", &[control], b"\x05\x20\x01\x02\x03\x04"].concat()
        };
        check(
            &C1222,
            &[
                ("in clear", &message(0x80), &message(0x80), "found"),
                ("signed only", &message(0x84), &message(0x84), "found"),
                ("enciphered", &message(0x88), b"", "no"),
                ("another element", b"\x60\x20\xa3\x05\x06\x03\x60\x7c\x01", b"", "no"),
                ("sequence", b"\x30\x20\xa2\x05", b"", "no"),
            ],
        );
    }
}
