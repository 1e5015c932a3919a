//! The short way for most frames: Ethernet, VLAN tags, IPv4 without options or IPv6 without extension headers, TCP or UDP.
//!
//! Whatever is not exactly that goes the careful way; both give the same answer, which a test holds.

use super::ip::{Hosts, mapped};
use super::{Packet, transport, tunnel};
use crate::link::Cursor;
use crate::model::{FlowKey, Transport, Tunnel};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where IPv4 begins in a frame without tags, and where TCP and UDP begin behind it.
const NETWORK: usize = 14;
const TRANSPORT: usize = 34;

/// The headers of a frame with IPv4, without tags and options.
#[inline(always)]
fn head(frame: &[u8]) -> Option<&[u8; 42]> {
    frame.first_chunk::<42>().filter(|head| head[12..15] == [0x08, 0x00, 0x45])
}

/// IPv4 without tags and options, with all of its headers captured: most packets of most captures.
#[inline(always)]
pub(super) fn plain(frame: &[u8], wire_len: u32) -> Option<Packet> {
    let head = head(frame)?;
    let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let total_len = usize::from(number(NETWORK + 2));
    let is_part = number(NETWORK + 6) & 0x3fff != 0;
    if is_part || total_len < 28 {
        return None;
    }
    let mut end = frame.len().max(wire_len as usize).min(NETWORK + total_len);
    let protocol = head[NETWORK + 9];
    let start = match protocol {
        TCP => {
            let header_len = usize::from(*frame.get(TRANSPORT + 12)? >> 4) * 4;
            (header_len >= 20).then_some(TRANSPORT + header_len)?
        }
        UDP => {
            let length = usize::from(number(TRANSPORT + 4));
            if length >= 8 {
                end = end.min(TRANSPORT + length);
            }
            TRANSPORT + 8
        }
        _ => return None,
    };
    let captured = end.min(frame.len());
    let payload_captured = captured.checked_sub(start)?;
    let ports = (number(TRANSPORT), number(TRANSPORT + 2));
    let (from, to) = (head[26..].first_chunk()?, head[30..].first_chunk()?);
    let (key, from) = FlowKey::v4(Transport(protocol), *from, ports.0, *to, ports.1);
    let mut packet = Packet {
        key,
        from,
        vlan: 0,
        tcp_flags: 0,
        tunnels: [Tunnel::default(); 6],
        seq: 0,
        payload_start: start as u32,
        payload_captured: payload_captured as u32,
        payload_len: (end - start) as u32,
    };
    if protocol == UDP {
        return tunnel::over_udp(&Cursor::within(frame, start, end)).is_none().then_some(packet);
    }
    let header = frame.get(TRANSPORT..)?.first_chunk::<20>()?;
    packet.seq = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    packet.tcp_flags = header[13];
    (!tunnel::may_be_over_tcp(&packet)).then_some(packet)
}

/// The same for frames with VLAN tags, IPv6, and frames cut short; not for those that [`plain`] has looked at.
pub(super) fn tagged(frame: &[u8], wire_len: u32) -> Option<Packet> {
    if head(frame).is_some() {
        return None;
    }
    let mut cursor = Cursor::new(frame, wire_len);
    let header = cursor.take::<14>().ok()?;
    let mut ether_type = [header[12], header[13]];
    while ether_type == [0x81, 0x00] || ether_type == [0x88, 0xa8] {
        let &[_, _, high, low] = cursor.take::<4>().ok()?;
        ether_type = [high, low];
    }
    let (hosts, protocol) = match ether_type {
        [0x08, 0x00] => v4(&mut cursor)?,
        [0x86, 0xdd] => v6(&mut cursor)?,
        _ => return None,
    };
    if protocol == TCP {
        let packet = transport::tcp(&hosts, &mut cursor, [Tunnel::default(); 6]).ok()?;
        return (!tunnel::may_be_over_tcp(&packet)).then_some(packet);
    }
    let packet = transport::udp(&hosts, &mut cursor, [Tunnel::default(); 6]).ok()?;
    tunnel::over_udp(&cursor).is_none().then_some(packet)
}

/// A header of twenty bytes, not a fragment, carrying TCP or UDP.
#[inline]
fn v4(cursor: &mut Cursor<'_>) -> Option<(Hosts, u8)> {
    let header = cursor.peek::<20>().ok()?;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_part = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    if header[0] != 0x45 || is_part || total_len < 20 || !matches!(header[9], TCP | UDP) {
        return None;
    }
    cursor.limit(total_len);
    cursor.skip(20).ok()?;
    let from = mapped(header[12], header[13], header[14], header[15]);
    let to = mapped(header[16], header[17], header[18], header[19]);
    Some((Hosts { v4: true, from, to }, header[9]))
}

/// A header that TCP or UDP follows at once, with a length.
#[inline]
fn v6(cursor: &mut Cursor<'_>) -> Option<(Hosts, u8)> {
    let header = cursor.peek::<40>().ok()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || payload_len == 0 || !matches!(header[6], TCP | UDP) {
        return None;
    }
    cursor.skip(40).ok()?;
    cursor.limit(payload_len);
    let from = *header[8..].first_chunk()?;
    let to = *header[24..].first_chunk()?;
    Some((Hosts { v4: false, from, to }, header[6]))
}
