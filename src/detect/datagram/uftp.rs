//! UFTP: files to many receivers by multicast, versions 4 and 5, as far as they are not encrypted.
//!
//! Sources: the UFTP protocol specification, version 4 (uftp-multicast.sourceforge.net), with Wireshark's packet-uftp4.c and
//! packet-uftp5.c: a header of 16 bytes that names the message, then the message, which begins with its name again and its
//! length in words of four bytes.
//! Evidence: version, name and reserved byte, the name repeated, a length that fits; of two datagrams that differ.
//! Not handled: sessions with keys. Their messages are sealed in one of their own kind, and they are left unknown, as are
//! announcements with extensions, of which one names the ciphers.

use super::shape::{Check, Reader, Shape};

/// Multicast file transfer.
pub(super) static UFTP: Shape = Shape::new(&"uftp", uftp).opens(&[0x40..=0x40, 0x50..=0x50]);

fn uftp(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let name = reader.u8()?;
    reader.holds(matches!(version, 0x40 | 0x50) && matches!(name, ANNOUNCE..=CONGESTION_ANSWER), 7 + 3)?;
    let speaks_of_keys = matches!(name, CLIENT_KEY | KEY_INFO | KEY_INFO_ANSWER | KEY_REQUEST | PROXY_KEY | ENCRYPTED);
    reader.holds(!speaks_of_keys, 0)?;
    // Sequence, source, group, instance, round-trip time, group size.
    reader.skip(2 + 4 + 4 + 1 + 1 + 1)?;
    let reserved = reader.u8()?;
    let repeated = reader.u8()?;
    reader.holds(reserved == 0 && repeated == name, 6 + 8)?;
    let words = usize::from(reader.u8()?);
    reader.holds(words > 0 && words * 4 <= reader.left() + 2, 2)?;
    // An announcement without extensions, of groups in IPv4 or IPv6.
    reader.holds(name != ANNOUNCE || matches!(words, 6 | 12), 0)
}

const ANNOUNCE: u8 = 1;
const CLIENT_KEY: u8 = 3;
const KEY_INFO: u8 = 5;
const KEY_INFO_ANSWER: u8 = 6;
const KEY_REQUEST: u8 = 16;
const PROXY_KEY: u8 = 17;
const ENCRYPTED: u8 = 18;
const CONGESTION_ANSWER: u8 = 21;

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe, table};
    use super::*;

    const HEADER: &str = "0a000001 96f4c304 00 9d 00 00";
    const ANNOUNCEMENT: &str = "01 06 00 14 0000 0514 57a65c1d00057a51 e6040401 e6050538";

    #[test]
    pub(crate) fn messages() {
        let message = |start: &str, rest: &str| format!("{start} {HEADER} {rest}");
        table(
            &UFTP,
            &[
                ("announcement", &message("40 01 0001", ANNOUNCEMENT), 'l'),
                ("part of a file", &message("40 09 0001", "09 02 0001 0000 0007 aabbccdd"), 'l'),
                ("version 5", &message("50 09 0001", "09 02 0001 0000 0007 aabbccdd"), 'l'),
                ("version 6", &message("60 09 0001", "09 02 0001 0000 0007 aabbccdd"), 'n'),
                ("sealed", &message("40 12 0001", "12 02 0001 0000 0007 aabbccdd"), 'n'),
                ("keys", &message("40 03 0001", "03 02 0001 0000 0007 aabbccdd"), 'n'),
                (
                    "announcement with an extension",
                    &message("40 01 0001", "01 07 00 14 0000 0514 57a65c1d00057a51 e6040401 e6050538 01 01 0000"),
                    'n',
                ),
                ("another name inside", &message("40 09 0001", "0a 02 0001 0000 0007 aabbccdd"), 'n'),
                ("longer than it is", &message("40 09 0001", "09 05 0001 0000 0007 aabbccdd"), 'n'),
                ("no length", &message("40 09 0001", "09 00 0001 0000 0007 aabbccdd"), 'n'),
            ],
        );
        let [first, second] = ["0001", "0002"].map(|number| hex(&message(&format!("40 01 {number}"), ANNOUNCEMENT)));
        assert_eq!(letter(probe(&UFTP, &[&first, &second])), 'f', "two announcements");
        assert_eq!(letter(probe(&UFTP, &[&first, &first])), 'l', "one, repeated");
        let sealed = hex(&message("40 12 0003", "12 02 0001 0000 0007 aabbccdd"));
        assert_eq!(letter(probe(&UFTP, &[&first, &sealed])), 'n', "an announcement, then sealed messages");
    }
}
