//! TFTP. The answer to a request comes from another port, so that blocks and acknowledgements form a flow of their own.
//!
//! Sources: RFC 1350 section 5, RFC 2347 (options).
//! Evidence: requests: a name, a mode, option pairs, all ending with the datagram; the name may be missing (a scan), with
//! zeros in its place. Blocks: an opcode and a small number, and acknowledgements of the same; one block alone is not enough.

use super::shape::{Check, Reader, Shape, Stop, printable};

/// TFTP.
pub(super) static TFTP: Shape = Shape::new(&"tftp", check).opens(&[0..=0]);

fn check(reader: &mut Reader<'_>) -> Check {
    let operation = reader.u16()?;
    match operation {
        1 | 2 => request(reader),
        3 => {
            let block = reader.u16()?;
            reader.holds(reader.left() <= 65_464, 12)?;
            reader.favours(block <= 64, 8);
            Ok(())
        }
        4 => {
            let block = reader.u16()?;
            reader.end(16)?;
            reader.favours(block <= 64, 8);
            Ok(())
        }
        5 => {
            let code = reader.u16()?;
            reader.holds(code <= 8, 24)?;
            let (text, rest) = string(reader.rest()).ok_or(Stop::Against)?;
            reader.holds(rest.is_empty() && printable(text), 10)
        }
        6 => strings(reader, 12),
        _ => Err(Stop::Against),
    }
}

fn request(reader: &mut Reader<'_>) -> Check {
    if let [0, rest @ ..] = reader.rest() {
        // Nothing is asked for. The mode alone is left, and ends the datagram.
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let mode = rest.get(zeros..).and_then(|rest| rest.strip_suffix(&[0])).ok_or(Stop::Against)?;
        return reader.holds(zeros < MOST_ZEROS && is_mode(mode), 16 + 40);
    }
    let (name, rest) = string(reader.rest()).ok_or(Stop::Against)?;
    let (mode, _) = string(rest).ok_or(Stop::Against)?;
    reader.holds(printable(name) && is_mode(mode), 16 + 40)?;
    strings(reader, 8)
}

/// Whether this is one of the modes, in upper or lower case (RFC 1350 section 5).
fn is_mode(text: &[u8]) -> bool {
    ["netascii", "octet", "mail"].iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

/// Zeros in the place of a name: it lies in a field of fixed size with some senders.
const MOST_ZEROS: usize = 128;

/// Pairs of strings to the end.
fn strings(reader: &mut Reader<'_>, bits: u32) -> Check {
    let mut rest = reader.rest();
    let mut count = 0u32;
    while let Some((text, behind)) = string(rest) {
        reader.holds(printable(text), 4)?;
        rest = behind;
        count += 1;
    }
    reader.holds(rest.is_empty() && count >= 2 && count.is_multiple_of(2), bits)
}

/// A string and what follows its final zero.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe, table};
    use super::*;

    #[test]
    pub(crate) fn messages() {
        table(
            &TFTP,
            &[
                ("read request", "0001 612e747874 00 6f63746574 00", 'f'),
                ("with option", "0001 612e747874 00 6f63746574 00 626c6b73697a65 00 31343238 00", 'f'),
                ("no name", "0001 00 6f6374657400", 'f'),
                ("zeros for a name", "0001 0000000000000000 6f6374657400", 'f'),
                ("zeros and another word", "0001 0000000000000000 6f6374657500", 'n'),
                ("zeros and no end", "0001 0000000000000000 6f63746574", 'n'),
                ("zeros alone", "0001 0000000000000000", 'n'),
                ("unknown mode", "0001 612e747874 00 6f63746574 74 00", 'n'),
                ("half an option", "0001 612e747874 00 6f63746574 00 626c6b73697a65 00", 'n'),
                ("error", "0005 0001 4e6f7420666f756e64 00", 'f'),
                ("one block", "0003 0001 aabbccdd", 'l'),
                ("late block", "0003 4001 aabbccdd", 'm'),
                ("long acknowledgement", "0004 0001 00", 'n'),
            ],
        );
        let (block, acknowledgement) = (hex("0003 0001 aabbccdd"), hex("0004 0001"));
        assert_eq!(letter(probe(&TFTP, &[&block, &acknowledgement])), 'f');
    }
}
