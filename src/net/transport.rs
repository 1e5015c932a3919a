//! Transports: ports, TCP numbers, and where the payload is.
//!
//! Sources: RFC 9293 section 3.1 (TCP), RFC 768 (UDP), RFC 3828 (UDP-Lite), RFC 9260 section 3 (SCTP), RFC 8260 (SCTP
//! I-DATA), RFC 4340 section 5 (DCCP), RFC 3208 section 8 (PGM), RFC 7761 section 4.9 (PIM).
//! A header cut by the snap length still gives a packet as long as its ports were captured: what is missing is taken for
//! zero, and the payload length then supposes a TCP header without options.
//! Routing, group management and resource reservation are control. IP protocols that are not read are opaque, because
//! nothing says what they carry; PGM too: its data packets carry any application.

use super::ip::Hosts;
use super::{Decoded, Packet, walk};
use crate::link::Cursor;
use crate::model::{Loss, Transport, Tunnel};

/// Reads the transport `protocol`. The cursor then stands at the payload.
pub(super) fn read(
    hosts: &Hosts,
    protocol: u8,
    cursor: &mut Cursor<'_>,
    tunnels: [Tunnel; 6],
) -> Result<Decoded, Loss> {
    let packet = match protocol {
        6 => tcp(hosts, cursor, tunnels)?,
        17 => udp(hosts, cursor, tunnels)?,
        33 => dccp(hosts, cursor, tunnels)?,
        50 => walk::portless(hosts, protocol, cursor, tunnels),
        132 => sctp(hosts, cursor, tunnels)?,
        136 => {
            let ports = ports(cursor)?;
            skip_lenient(cursor, 8)?;
            packet(hosts, Transport(136), ports, cursor, 0, tunnels)
        }
        113 => return pgm(cursor, tunnels),
        _ => {
            return Ok(match control(protocol) {
                Some(name) => Decoded::Control(name, tunnels),
                None => Decoded::Opaque("ip", tunnels),
            });
        }
    };
    Ok(Decoded::Packet(packet))
}

/// Protocols without application payload.
pub(super) fn control(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        1 => "icmp",
        2 => "igmp",
        3 => "ggp",
        8 => "egp",
        9 => "igrp",
        20 => "hmp",
        46 => "rsvp",
        54 => "nhrp",
        58 => "icmpv6",
        59 => "no-next-header",
        85 => "nsfnet-igp",
        86 => "dgp",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        124 => "isis",
        135 => "mobility",
        138 => "manet",
        139 => "hip",
        140 => "shim6",
        240 => "pfsync",
        _ => return None,
    })
}

/// `value` as the offsets of a packet hold it. Frames are shorter than 4 GiB.
#[inline]
pub(super) fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A packet whose payload is what the cursor has left, less `behind` bytes of header that were not captured.
#[inline]
pub(super) fn packet(
    hosts: &Hosts,
    transport: Transport,
    (from_port, to_port): (u16, u16),
    cursor: &Cursor<'_>,
    behind: usize,
    tunnels: [Tunnel; 6],
) -> Packet {
    let (key, from) = hosts.key(transport, from_port, to_port);
    Packet {
        key,
        from,
        vlan: 0,
        tcp_flags: 0,
        tunnels,
        seq: 0,
        payload_start: narrow(cursor.at()),
        payload_captured: narrow(cursor.left().len()),
        payload_len: narrow(cursor.wire_left().saturating_sub(behind)),
    }
}

/// Source and destination port, without moving.
fn ports(cursor: &Cursor<'_>) -> Result<(u16, u16), Loss> {
    let &[a, b, c, d] = cursor.peek::<4>()?;
    Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Skips a header, or the captured part of it; the answer is how many bytes of it were not captured.
fn skip_lenient(cursor: &mut Cursor<'_>, header_len: usize) -> Result<usize, Loss> {
    if header_len > cursor.wire_left() {
        return Err(Loss::MalformedHeader);
    }
    let captured = header_len.min(cursor.left().len());
    cursor.skip(captured)?;
    Ok(header_len - captured)
}

/// TCP. What of the header was captured is used.
#[inline]
pub(super) fn tcp(hosts: &Hosts, cursor: &mut Cursor<'_>, tunnels: [Tunnel; 6]) -> Result<Packet, Loss> {
    let left = cursor.left();
    let (head, seen) = match left.first_chunk::<20>() {
        Some(head) => (*head, 20),
        None => cut_tcp(left).ok_or_else(|| cursor.shortage(4))?,
    };
    let header_len = if seen > 12 { usize::from(head[12] >> 4) * 4 } else { 20 };
    if header_len < 20 {
        return Err(Loss::MalformedHeader);
    }
    let behind = skip_lenient(cursor, header_len)?;
    let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let packet = packet(hosts, Transport::TCP, (port(0), port(2)), cursor, behind, tunnels);
    Ok(Packet { tcp_flags: head[13], seq: number(4), ..packet })
}

/// A header of fewer than twenty captured bytes, and how many there are; `None` without ports.
#[cold]
fn cut_tcp(left: &[u8]) -> Option<([u8; 20], usize)> {
    let mut head = [0; 20];
    head.get_mut(..left.len())?.copy_from_slice(left);
    // A field of which only a part was captured is as good as none.
    let whole = match left.len() {
        0..4 => return None,
        4..8 => 4,
        8..12 => 8,
        longer => longer,
    };
    head.get_mut(whole..)?.fill(0);
    Some((head, whole))
}

/// UDP. A length that cannot be is left aside; the smaller of the lengths counts.
#[inline]
pub(super) fn udp(hosts: &Hosts, cursor: &mut Cursor<'_>, tunnels: [Tunnel; 6]) -> Result<Packet, Loss> {
    let ports = ports(cursor)?;
    if let Some(&[_, _, _, _, high, low]) = cursor.left().first_chunk::<6>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length >= 8 {
            cursor.limit(length);
        }
    }
    let behind = skip_lenient(cursor, 8)?;
    Ok(packet(hosts, Transport::UDP, ports, cursor, behind, tunnels))
}

/// DCCP: the types that carry data, behind the data offset.
fn dccp(hosts: &Hosts, cursor: &mut Cursor<'_>, tunnels: [Tunnel; 6]) -> Result<Packet, Loss> {
    let ports = ports(cursor)?;
    let Some(&[_, _, _, _, offset, _, _, _, kind]) = cursor.left().first_chunk::<9>() else {
        let behind = skip_lenient(cursor, 12)?;
        return Ok(packet(hosts, Transport(33), ports, cursor, behind, tunnels));
    };
    let behind = skip_lenient(cursor, usize::from(offset) * 4)?;
    let carries_data = matches!((kind >> 1) & 0x0f, 0 | 1 | 2 | 4);
    if !carries_data {
        cursor.limit(0);
    }
    Ok(packet(hosts, Transport(33), ports, cursor, behind, tunnels))
}

/// SCTP. The payload is the user data of the first data chunk; its length on the wire that of all of them.
fn sctp(hosts: &Hosts, cursor: &mut Cursor<'_>, tunnels: [Tunnel; 6]) -> Result<Packet, Loss> {
    const DATA: u8 = 0;
    const I_DATA: u8 = 64;
    let ports = ports(cursor)?;
    skip_lenient(cursor, 12)?;
    let mut first = None;
    let mut total = 0_usize;
    let mut chunk = *cursor;
    // Every turn takes four bytes or more.
    while let Ok(&[kind, _, high, low]) = chunk.peek::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 4 {
            break;
        }
        let header_len = match kind {
            DATA => 16,
            I_DATA => 20,
            _ => length,
        };
        let mut content = chunk;
        content.limit(length);
        if content.skip(header_len).is_ok() && matches!(kind, DATA | I_DATA) {
            total += content.wire_left();
            first.get_or_insert(content);
        }
        if chunk.skip(length.next_multiple_of(4)).is_err() {
            break;
        }
    }
    let payload = first.unwrap_or_else(|| {
        cursor.limit(0);
        *cursor
    });
    let packet = packet(hosts, Transport::SCTP, ports, &payload, 0, tunnels);
    Ok(Packet { payload_len: narrow(total), ..packet })
}

/// PGM: only original and repair data carry an application's bytes.
fn pgm(cursor: &mut Cursor<'_>, tunnels: [Tunnel; 6]) -> Result<Decoded, Loss> {
    let header = cursor.peek::<5>()?;
    Ok(match header[4] & 0x0f {
        4 | 5 => Decoded::Opaque("pgm", tunnels),
        _ => Decoded::Control("pgm", tunnels),
    })
}
