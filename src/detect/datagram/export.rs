//! Flow export and metrics: NetFlow, IPFIX, sFlow, collectd, Ganglia.
//!
//! Sources: Cisco NetFlow services export formats (v1, v5, v7), RFC 3954 section 5 (v9), RFC 7011 section 3 (IPFIX),
//! sflow.org versions 2, 4 and 5, the collectd binary protocol, gmetad's XDR.
//! Evidence: record counts times record sizes, or chains of sets, that end with the datagram.

use super::shape::{Check, Reader, Shape, Stop, printable};

/// NetFlow 1 to 9 and IPFIX.
pub(super) static NETFLOW: Shape = Shape::new(&"netflow", netflow).opens(&[0..=0]);
/// sFlow.
pub(super) static SFLOW: Shape = Shape::new(&"sflow", sflow).opens(&[0..=0]);
/// collectd values; its encrypted parts are refused.
pub(super) static COLLECTD: Shape = Shape::new(&"collectd", collectd).opens(&[0..=2]);
/// Ganglia metrics.
pub(super) static GANGLIA: Shape = Shape::new(&"ganglia", ganglia).opens(&[0..=0]);

fn netflow(reader: &mut Reader<'_>) -> Check {
    let version = reader.u16()?;
    let second = reader.u16()?;
    let count = usize::from(second);
    match version {
        1 | 5 | 7 => {
            let (header, record) = if version == 1 { (16, 52) } else { (24, if version == 5 { 48 } else { 52 }) };
            reader.holds((1..=30).contains(&count), 11)?;
            let size = reader.left() + 4;
            // Version 7 is seen with records of 56 bytes as well.
            let padded = version == 7 && size == header + 56 * count;
            reader.holds(size == header + record * count || padded, 14)?;
            reader.favours(true, 12);
            Ok(())
        }
        9 => {
            reader.holds((1..=512).contains(&count), 7 + 13)?;
            reader.skip(16)?;
            sets(reader, 2)
        }
        10 => {
            reader.holds(count == reader.left() + 4, 14 + 13)?;
            reader.skip(12)?;
            sets(reader, 4)
        }
        _ => Err(Stop::Against),
    }
}

/// Sets of templates (ids below `data`) and data (from 256 on).
fn sets(reader: &mut Reader<'_>, data: u16) -> Check {
    while reader.left() > 0 {
        // Some exporters pad the datagram.
        if reader.left() < 4 {
            return reader.holds(reader.rest().iter().all(|byte| *byte == 0), 0);
        }
        let id = reader.u16()?;
        let length = usize::from(reader.u16()?);
        reader.holds((id < data || id >= 256) && length >= 4 && length - 4 <= reader.left(), 6)?;
        reader.skip(length - 4)?;
    }
    reader.end(6)
}

fn sflow(reader: &mut Reader<'_>) -> Check {
    let version = reader.u32()?;
    reader.holds(matches!(version, 2 | 4 | 5), 28)?;
    let family = reader.u32()?;
    reader.holds(matches!(family, 1 | 2), 20)?;
    reader.skip(if family == 1 { 4 } else { 16 })?;
    if version == 5 {
        let _agent = reader.u32()?;
    }
    reader.skip(8)?;
    let samples = reader.u32()?;
    reader.holds(samples <= 128, 12)?;
    if version == 5 {
        for _ in 0..samples {
            let _format = reader.u32()?;
            let length = reader.u32()? as usize;
            reader.holds(length.is_multiple_of(4) && length <= reader.left(), 8)?;
            reader.skip(length)?;
        }
        return reader.end(8);
    }
    Ok(())
}

fn collectd(reader: &mut Reader<'_>) -> Check {
    while reader.left() > 0 {
        let kind = reader.u16()?;
        let length = usize::from(reader.u16()?);
        // 0x0210 is an encrypted part: nothing of it can be read.
        let known = matches!(kind, 0..=9 | 0x100 | 0x101 | 0x200);
        reader.holds(known && length >= 5 && length - 4 <= reader.left(), 16)?;
        let text = matches!(kind, 0 | 2..=5 | 0x100);
        let body = reader.take(length - 4)?;
        if text {
            let name = body.strip_suffix(&[0]).ok_or(Stop::Against)?;
            reader.holds(printable(name), 8)?;
        } else if matches!(kind, 1 | 7 | 8 | 9 | 0x101) {
            reader.holds(body.len() == 8, 8)?;
        }
    }
    reader.end(2)
}

fn ganglia(reader: &mut Reader<'_>) -> Check {
    let kind = reader.u32()?;
    reader.holds((0x80..=0x87).contains(&kind), 26)?;
    for _ in ["host", "metric"] {
        let length = reader.u32()? as usize;
        reader.holds((1..=255).contains(&length), 16)?;
        let text = reader.take(length)?;
        reader.holds(printable(text), 4)?;
        reader.skip(length.next_multiple_of(4) - length)?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn exports() {
        let zeros = |count: usize| "11".repeat(count);
        let five = format!("0005 0001 {} {}", zeros(20), zeros(48));
        table(
            &NETFLOW,
            &[
                ("version 5", &five, 'f'),
                ("version 5, count wrong", &five.replacen("0001", "0002", 1), 'n'),
                ("version 9", &format!("0009 0001 {} 0000 0008 01000000", zeros(16)), 'f'),
                ("version 9, set 3", &format!("0009 0001 {} 0003 0008 01000000", zeros(16)), 'n'),
                ("IPFIX", &format!("000a 0018 {} 0002 0008 01000000", zeros(12)), 'f'),
                ("IPFIX, length wrong", &format!("000a 0019 {} 0002 0008 01000000", zeros(12)), 'n'),
            ],
        );
        table(
            &SFLOW,
            &[
                (
                    "version 5",
                    "00000005 00000001 c0000201 00000000 00000001 00000001 00000001 00000001 00000004 00000000",
                    'f',
                ),
                (
                    "sample too long",
                    "00000005 00000001 c0000201 00000000 00000001 00000001 00000001 00000001 00000008 00000000",
                    'n',
                ),
                ("version 3", "00000003 00000001 c0000201 00000000 00000001 00000001 00000000", 'n'),
            ],
        );
        table(
            &COLLECTD,
            &[
                ("host and time", "0000 0009 686f737400 0001 000c 0000000012345678", 'f'),
                ("encrypted", "0210 0009 686f737400", 'n'),
                ("text without an end", "0000 0009 686f737475", 'n'),
            ],
        );
        table(
            &GANGLIA,
            &[
                ("metric", "00000080 00000004 686f7374 00000003 63707500 00000000", 'f'),
                ("kind 0x90", "00000090 00000004 686f7374 00000003 63707500 00000000", 'n'),
            ],
        );
    }
}
