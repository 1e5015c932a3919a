//! Whether a packet of a kind really stands where a tunnel header would have it.
//!
//! Evidence: an IPv4 header whose length fits and whose checksum is right (RFC 1071), or whose transport header agrees
//! with that length (network cards fill checksums in after the capture); an IPv6 header whose length fits exactly and
//! whose next header is known and agrees. Against chance that is 30 bits and more.

use crate::link::{self, Cursor, Layer, Step};

/// Bytes that may follow an IP packet in an Ethernet frame: padding to 60 bytes, a check sequence.
const ETHERNET_SLACK: usize = 50;

/// An IP packet that fills the layer.
pub(super) fn ip(cursor: &Cursor<'_>) -> bool {
    ip_with_slack(cursor, 0)
}

/// An IP packet where nothing but the packet itself is evidence.
pub(super) fn bare_ip(cursor: &Cursor<'_>) -> bool {
    match cursor.left().first().map(|first| first >> 4) {
        Some(4) => ip(cursor) && cursor.left().get(..20).is_some_and(sums_to_ones),
        Some(6) => ip(cursor) && matches!(cursor.left().get(6), Some(6 | 17 | 58)),
        _ => false,
    }
}

fn ip_with_slack(cursor: &Cursor<'_>, slack: usize) -> bool {
    match cursor.left().first().map(|first| first >> 4) {
        Some(4) => v4(cursor, slack),
        Some(6) => v6(cursor, slack),
        _ => false,
    }
}

fn v4(cursor: &Cursor<'_>, slack: usize) -> bool {
    let Ok(header) = cursor.peek::<20>() else { return false };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = match u16::from_be_bytes([header[2], header[3]]) {
        0 if cursor.wire_left() > 0xffff => cursor.wire_left(),
        length => usize::from(length),
    };
    let mut payload = *cursor;
    if header_len < 20 || total_len < header_len || !fits(total_len, cursor.wire_left(), slack) {
        return false;
    }
    payload.limit(total_len);
    if payload.skip(header_len).is_err() {
        return false;
    }
    let is_part = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    cursor.left().get(..header_len).is_some_and(sums_to_ones)
        || (!is_part && matches!(header[9], 6 | 17) && transport(header[9], &payload))
}

fn v6(cursor: &Cursor<'_>, slack: usize) -> bool {
    let mut payload = *cursor;
    let Ok(header) = payload.take::<40>() else { return false };
    let length = match u16::from_be_bytes([header[4], header[5]]) {
        0 if payload.wire_left() > 0xffff => payload.wire_left(),
        length => usize::from(length),
    };
    if !fits(length, payload.wire_left(), slack) {
        return false;
    }
    payload.limit(length);
    transport(header[6], &payload)
}

/// Whether `length` is what there is, but for `slack` bytes.
fn fits(length: usize, wire_left: usize, slack: usize) -> bool {
    wire_left.checked_sub(length).is_some_and(|behind| behind <= slack)
}

/// Whether a payload agrees with its protocol as far as it was captured.
fn transport(protocol: u8, payload: &Cursor<'_>) -> bool {
    let bytes = payload.left();
    match protocol {
        6 => match bytes.get(12) {
            Some(offset) => offset & 0x0e == 0 && (20..=payload.wire_left()).contains(&(usize::from(offset >> 4) * 4)),
            None => false,
        },
        17 => match bytes.get(4..6) {
            Some(&[high, low]) => match usize::from(u16::from_be_bytes([high, low])) {
                0 => payload.wire_left() > 0xffff,
                length => length == payload.wire_left(),
            },
            _ => false,
        },
        58 => matches!(bytes.first(), Some(1..=4 | 128..=161)),
        59 => payload.wire_left() == 0,
        0 | 43 | 60 => matches!(bytes, [_, length, ..] if (usize::from(*length) + 1) * 8 <= payload.wire_left()),
        44 => matches!(bytes, [_, 0, ..]),
        4 | 41 | 47 | 50 | 51 | 89 | 103 | 132 => true,
        _ => false,
    }
}

/// The Internet checksum of bytes that hold a right checksum is all ones.
fn sums_to_ones(bytes: &[u8]) -> bool {
    let (pairs, _) = bytes.as_chunks::<2>();
    let sum: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    folded == 0xffff
}

/// An Ethernet frame with an IP packet, an address resolution, a PPPoE session or LLC in it.
pub(super) fn ethernet(cursor: &Cursor<'_>) -> bool {
    let mut inner = *cursor;
    if inner.skip(12).is_err() {
        return false;
    }
    // Every turn takes four bytes.
    while let Ok(ether_type) = inner.u16() {
        match ether_type {
            0x8100 | 0x88a8 | 0x9100 => {
                if inner.skip(2).is_err() {
                    return false;
                }
            }
            _ => return of_type(&inner, ether_type),
        }
    }
    false
}

/// What `ether_type` announces, in an Ethernet frame.
fn of_type(cursor: &Cursor<'_>, ether_type: u16) -> bool {
    let bytes = cursor.left();
    match ether_type {
        0x0800 => bytes.first().is_some_and(|first| first >> 4 == 4) && ip_with_slack(cursor, ETHERNET_SLACK),
        0x86dd => bytes.first().is_some_and(|first| first >> 4 == 6) && ip_with_slack(cursor, ETHERNET_SLACK),
        0x0806 => matches!(bytes, [0, 1, 8, 0, 6, 4, 0, 1..=4, ..]),
        0x8864 => match bytes {
            [0x11, 0, _, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])) + 6;
                fits(length, cursor.wire_left(), ETHERNET_SLACK)
            }
            _ => false,
        },
        3..=1500 => {
            fits(usize::from(ether_type), cursor.wire_left(), ETHERNET_SLACK)
                && matches!(bytes, [0xaa, 0xaa, 3, 0, 0, ..] | [0x42, 0x42, 3, 0, 0, ..])
        }
        _ => false,
    }
}

/// A payload announced by an EtherType in a tunnel header.
pub(super) fn announced(cursor: &Cursor<'_>, ether_type: u16) -> bool {
    match ether_type {
        0x0800 | 0x86dd => {
            let version = if ether_type == 0x0800 { 4 } else { 6 };
            cursor.left().first().is_some_and(|first| first >> 4 == version) && ip(cursor)
        }
        0x6558 => ethernet(cursor),
        0x880b => ppp(cursor),
        _ => false,
    }
}

/// A PPP frame with an IP packet.
pub(super) fn ppp(cursor: &Cursor<'_>) -> bool {
    let mut inner = *cursor;
    link::read(Layer::Ppp, &mut inner) == Ok(Step::Next(Layer::Ip)) && ip(&inner)
}

/// An 802.11 data frame in clear with an IP packet, an address resolution or an authentication in it.
pub(super) fn wlan(cursor: &Cursor<'_>, swapped: bool) -> bool {
    let mut inner = *cursor;
    if link::read(Layer::Wlan { swapped }, &mut inner) != Ok(Step::Next(Layer::Llc)) {
        return false;
    }
    match inner.take::<8>() {
        Ok(&[0xaa, 0xaa, 3, 0, 0, 0, high, low]) => {
            let ether_type = u16::from_be_bytes([high, low]);
            ether_type == 0x888e || of_type(&inner, ether_type)
        }
        _ => false,
    }
}
