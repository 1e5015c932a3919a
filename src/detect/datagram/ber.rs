//! Protocols in BER: SNMP, CLDAP, Kerberos, C12.22. Nested lengths must fit exactly.
//!
//! Sources: X.690 section 8.1 (identifier and length octets); RFC 1157, RFC 3416 and RFC 3412 section 6 (SNMP);
//! RFC 4511 section 4.2 and MS-ADTS section 6.3.3 (CLDAP); RFC 4120 section 5 (Kerberos); IEEE 1703 (C12.22).
//! Evidence: outer and inner lengths that end where the datagram ends, and the small integers and tags of each protocol.
//! SNMPv3 with privacy and C12.22 in cipher mode are not plaintext and are refused here.

use super::shape::{Check, Reader, Shape, Stop};

/// SNMP v1, v2c and v3 without privacy.
pub(super) static SNMP: Shape = Shape::new(&"snmp", snmp).opens(&[0x30..=0x30]);

/// LDAP over UDP.
pub(super) static CLDAP: Shape = Shape::new(&"cldap", cldap).opens(&[0x30..=0x30]);

/// Kerberos 5: what it protects (tickets) is inside, the exchange itself is readable.
pub(super) static KERBEROS: Shape = Shape::new(&"kerberos", kerberos).opens(&[0x6a..=0x7e]);

/// ANSI C12.22 smart meters.
pub(super) static C1222: Shape = Shape::new(&"c1222", c1222).opens(&[0x60..=0x60]);

/// A tag and its length. The length may say more than is left only if the caller allows.
fn element(reader: &mut Reader<'_>) -> Result<(u8, usize), Stop> {
    let tag = reader.u8()?;
    let first = reader.u8()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81 => usize::from(reader.u8()?),
        0x82 => usize::from(reader.u16()?),
        0x83 => reader.u24()? as usize,
        0x84 => reader.u32()? as usize,
        _ => return Err(Stop::Against),
    };
    Ok((tag, length))
}

/// An element of this tag that reaches to the end of the datagram.
fn rest_is(reader: &mut Reader<'_>, wanted: u8) -> Check {
    let (tag, length) = element(reader)?;
    reader.holds(tag == wanted, 8)?;
    reader.covers_rest(length, 8)
}

/// An INTEGER of at most four bytes, five with a leading zero.
fn integer(reader: &mut Reader<'_>) -> Result<u32, Stop> {
    let (tag, length) = element(reader)?;
    reader.holds(tag == 2 && (1..=5).contains(&length), 10)?;
    let bytes = reader.take(length)?;
    Ok(bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte)))
}

fn snmp(reader: &mut Reader<'_>) -> Check {
    rest_is(reader, 0x30)?;
    match integer(reader)? {
        0 | 1 => community_message(reader),
        3 => user_message(reader),
        _ => Err(Stop::Against),
    }
}

fn community_message(reader: &mut Reader<'_>) -> Check {
    let (tag, length) = element(reader)?;
    reader.holds(tag == 4, 8)?;
    reader.skip(length)?;
    let (tag, length) = element(reader)?;
    reader.holds((0xa0..=0xa8).contains(&tag), 4)?;
    reader.covers_rest(length, 8)
}

fn user_message(reader: &mut Reader<'_>) -> Check {
    let (tag, length) = element(reader)?;
    reader.holds(tag == 0x30 && length <= reader.left(), 8)?;
    let _message_id = integer(reader)?;
    let _max_size = integer(reader)?;
    let (tag, length) = element(reader)?;
    reader.holds(tag == 4 && length == 1, 16)?;
    const PRIVACY: u8 = 2;
    // Discovery goes in clear before privacy begins.
    reader.waits = true;
    let flags = reader.u8()?;
    reader.holds(flags & PRIVACY == 0 && flags <= 7, 5)
}

fn cldap(reader: &mut Reader<'_>) -> Check {
    rest_is_or_follows(reader, 0x30)?;
    let _message_id = integer(reader)?;
    let (tag, length) = element(reader)?;
    reader.holds(matches!(tag, 0x60..=0x79 | 0x42 | 0x4a | 0x50) && length <= reader.left(), 6)?;
    match tag {
        // SearchRequest: base object, then scope and alias handling, both ENUMERATED.
        0x63 => {
            let (tag, length) = element(reader)?;
            reader.holds(tag == 4, 8)?;
            reader.skip(length)?;
            reader.literal(&[0x0a, 1])
        }
        // SearchResultEntry: object name. SearchResultDone: a result code.
        0x64 => reader.literal(&[4]),
        0x65 => reader.literal(&[0x0a, 1]),
        _ => Ok(()),
    }
}

/// Like [`rest_is`], but more messages of the same kind may follow.
fn rest_is_or_follows(reader: &mut Reader<'_>, wanted: u8) -> Check {
    let (tag, length) = element(reader)?;
    reader.holds(tag == wanted && length <= reader.left(), 8)?;
    if length < reader.left() {
        let next = reader.rest().get(length).copied();
        reader.holds(next.is_none_or(|byte| byte == wanted), 4)?;
    } else {
        reader.favours(true, 8);
    }
    Ok(())
}

fn kerberos(reader: &mut Reader<'_>) -> Check {
    let (tag, length) = element(reader)?;
    // Application tags 10 to 15, 20 to 22, 30: AS, TGS, AP, SAFE, PRIV, CRED, ERROR.
    reader.holds(matches!(tag, 0x6a..=0x6f | 0x74..=0x76 | 0x7e), 4)?;
    reader.covers_rest(length, 8)?;
    rest_is(reader, 0x30)?;
    let (tag, length) = element(reader)?;
    reader.holds(matches!(tag, 0xa0 | 0xa1) && length == 3, 14)?;
    let version = integer(reader)?;
    reader.holds(version == 5, 8)?;
    let (tag, length) = element(reader)?;
    reader.holds(matches!(tag, 0xa1 | 0xa2) && length == 3, 14)
}

fn c1222(reader: &mut Reader<'_>) -> Check {
    rest_is(reader, 0x60)?;
    while reader.left() > 0 {
        let (tag, length) = element(reader)?;
        const USER_INFORMATION: u8 = 0xbe;
        reader.holds(matches!(tag, 0xa1..=0xaf | 0x8b | USER_INFORMATION), 4)?;
        if tag == USER_INFORMATION {
            reader.covers_rest(length, 8)?;
            rest_is(reader, 0x28)?;
            rest_is(reader, 0x81)?;
            // EPSEM control: bits 2 and 3 are the security mode, 2 is ciphertext with authentication.
            let control = reader.u8()?;
            return reader.holds(control & 0x80 != 0 && control >> 2 & 3 < 2, 2);
        }
        reader.skip(length)?;
    }
    Err(Stop::Against)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn snmp_versions() {
        table(
            &SNMP,
            &[
                ("v1 get", "30 1c 0201 00 0406 7075626c6963 a0 0f 020101 020100 020100 3004 30020600", 'f'),
                ("v2c get", "30 1c 0201 01 0406 7075626c6963 a0 0f 020101 020100 020100 3004 30020600", 'f'),
                ("v3 discovery", "30 14 0201 03 300d 020101 0202 05dc 0401 04 0201 03 0400", 'l'),
                ("v3 with privacy", "30 14 0201 03 300d 020101 0202 05dc 0401 07 0201 03 0400", 'n'),
                ("one byte short", "30 1d 0201 01 0406 7075626c6963 a0 0f 020101 020100 020100 3004 30020600", 'n'),
                ("version 9", "30 1c 0201 09 0406 7075626c6963 a0 0f 020101 020100 020100 3004 30020600", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn directory_and_tickets() {
        table(
            &CLDAP,
            &[
                ("search", "30 12 020101 63 0d 0400 0a0100 0a0100 020100 0201", 'f'),
                ("no integer", "30 12 040101 63 0d 0400 0a0100 0a0100 020100 0201", 'n'),
            ],
        );
        table(
            &KERBEROS,
            &[
                ("AS-REQ", "6a 0e 300c a103 020105 a203 02010a a400", 'f'),
                ("version 4", "6a 0e 300c a103 020104 a203 02010a a400", 'n'),
                ("length wrong", "6a 0f 300c a103 020105 a203 02010a a400", 'n'),
            ],
        );
        table(
            &C1222,
            &[
                ("clear", "60 0c a203 060101 be05 2803 8101 80", 'f'),
                ("ciphertext", "60 0c a203 060101 be05 2803 8101 88", 'n'),
            ],
        );
    }
}
