//! Remote procedure calls: ONC RPC (portmap, mount, NFS ...), AFS Rx, connectionless DCE/RPC (PROFINET among others).
//!
//! Sources: RFC 5531 section 9 (ONC RPC), RFC 2203 section 5 (RPCSEC_GSS), the Rx protocol specification (Zeldovich),
//! C706 section 12.5 (DCE/RPC connectionless PDUs).
//! Evidence: discriminants and small numbers of the message header. Calls under RPCSEC_GSS with privacy, Rx with a security
//! class and sealed DCE/RPC are refused: what they carry may be encrypted.

use super::shape::{Check, Reader, Shape, Stop};

/// ONC RPC.
pub(super) static SUNRPC: Shape = Shape::new(&"sunrpc", sunrpc);
/// AFS.
pub(super) static RX: Shape = Shape::new(&"rx", rx);
/// DCE/RPC over datagrams.
pub(super) static DCERPC: Shape = Shape::new(&"dcerpc", dcerpc).opens(&[4..=4]);

fn sunrpc(reader: &mut Reader<'_>) -> Check {
    let _transaction = reader.u32()?;
    match reader.u32()? {
        0 => {
            reader.holds(true, 16)?;
            let version = reader.u32()?;
            reader.holds(version == 2, 30)?;
            let program = reader.u32()?;
            let (version, procedure) = (reader.u32()?, reader.u32()?);
            reader.holds(program >= 100_000 && version <= 0xffff && procedure <= 0xffff, 16)?;
            credential(reader)?;
            verifier(reader)
        }
        1 => {
            reader.holds(true, 16)?;
            let denied = reader.u32()?;
            reader.holds(denied <= 1, 20)?;
            if denied == 1 {
                // Versions that would do, or why the credential would not.
                let why = reader.u32()?;
                return reader.holds(matches!((why, reader.left()), (0, 8) | (1, 4)), 20);
            }
            verifier(reader)?;
            let status = reader.u32()?;
            reader.holds(status <= 5, 16)
        }
        _ => Err(Stop::Against),
    }
}

fn credential(reader: &mut Reader<'_>) -> Check {
    let flavour = reader.u32()?;
    let length = reader.u32()? as usize;
    reader.holds(flavour <= 6 && length <= 400 && length.is_multiple_of(4), 16)?;
    const GSS: u32 = 6;
    if flavour == GSS {
        const PRIVACY: u32 = 3;
        reader.waits = true;
        let (_version, _procedure, _sequence, service) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        reader.holds(service != PRIVACY && length >= 16, 0)?;
        return reader.skip(length - 16);
    }
    reader.skip(length)
}

fn verifier(reader: &mut Reader<'_>) -> Check {
    let flavour = reader.u32()?;
    let length = reader.u32()? as usize;
    // A reply under GSS (6) does not say whether its result is sealed.
    reader.holds(flavour <= 5 && length <= 400 && length.is_multiple_of(4), 16)?;
    reader.skip(length)
}

fn rx(reader: &mut Reader<'_>) -> Check {
    reader.skip(8)?; // epoch, connection
    let (call, sequence, serial) = (reader.u32()?, reader.u32()?, reader.u32()?);
    reader.favours(call < 0x1_0000 && sequence < 0x1_0000 && serial < 0x100_0000, 16);
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    let status = reader.u8()?;
    reader.holds((1..=13).contains(&kind) && flags & 0xc0 == 0 && status <= 1, 12)?;
    let security = reader.u8()?;
    reader.holds(security == 0, 8)?;
    let checksum = reader.u16()?;
    let service = reader.u16()?;
    reader.holds(checksum == 0 && service != 0, 10)?;
    Ok(())
}

fn dcerpc(reader: &mut Reader<'_>) -> Check {
    let version = reader.u8()?;
    let kind = reader.u8()?;
    reader.holds(version == 4 && kind <= 10, 8 + 4)?;
    let (first, second) = (reader.u8()?, reader.u8()?);
    reader.holds(first & 0x81 == 0 && second & 0xfc == 0, 6)?;
    let representation = reader.take(3)?;
    let &[integers, floats, zero] = representation else { return Err(Stop::Against) };
    reader.holds(matches!(integers, 0 | 0x10) && floats <= 3 && zero == 0, 16)?;
    reader.skip(1 + 16 * 3 + 4 * 3 + 2 + 2 + 2)?; // to the fragment length
    let bytes = reader.take(2)?;
    let length = match (integers, bytes) {
        (0, [a, b]) => u16::from_be_bytes([*a, *b]),
        (_, [a, b]) => u16::from_le_bytes([*a, *b]),
        _ => return Err(Stop::Against),
    };
    reader.skip(2)?; // fragment number
    let authentication = reader.u8()?;
    reader.holds(authentication == 0, 6)?;
    reader.skip(1)?;
    reader.covers_rest(usize::from(length), 12)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn calls() {
        let call = "01020304 00000000 00000002 000186a0 00000002 00000003 00000000 00000000 00000000 00000000";
        table(
            &SUNRPC,
            &[
                ("call", call, 'f'),
                ("reply", "01020304 00000001 00000000 00000000 00000000 00000000", 'f'),
                ("version 3", &call.replacen("00000002", "00000003", 1), 'n'),
                (
                    "sealed",
                    "01020304 00000000 00000002 000186a3 00000003 00000001 00000006 00000014 00000001 00000000 00000001 00000003 00000000",
                    'n',
                ),
            ],
        );
        table(
            &RX,
            &[
                ("call", "a1b2c3d4 01020304 00000001 00000001 00000001 01 05 00 00 0000 0001 00000001", 'f'),
                ("security class 2", "a1b2c3d4 01020304 00000001 00000001 00000001 01 05 00 02 0000 0001", 'n'),
            ],
        );
        let pdu = format!(
            "04 00 20 00 10 00 00 00 {} {} 0000 0000 0000 0400 0000 00 00 01020304",
            "aa".repeat(48),
            "bb".repeat(12)
        );
        table(
            &DCERPC,
            &[
                ("request", &pdu, 'f'),
                ("sealed", &pdu.replacen("0400 0000 00 00", "0400 0000 09 00", 1), 'n'),
                ("length wrong", &pdu.replacen("0400 0000 00 00", "0500 0000 00 00", 1), 'n'),
            ],
        );
    }
}
