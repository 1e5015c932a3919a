//! Tunnels between an access network and its core: GTP-U, CAPWAP data.
//!
//! Sources: 3GPP TS 29.281 section 5 (GTP-U), 3GPP TS 09.60 sections 6 and 9 (GTP version 0), RFC 5415 section 4.3 and RFC
//! 5416 (CAPWAP).
//! Of GTP only user data is a tunnel; the other messages stay UDP packets. So does CAPWAP under DTLS.

use super::{inside, number};
use crate::link::{Cursor, Layer, Step};
use crate::model::Tunnel;

const GTP: Tunnel = number("gtp-u");
const GTP_V0: Tunnel = number("gtp-v0");
const CAPWAP: Tunnel = number("capwap");

/// Version 1, a length that agrees, extension headers that end, an IP packet.
pub(super) fn gtp(cursor: &mut Cursor<'_>) -> Option<Step> {
    const G_PDU: u8 = 255;
    let &[flags, G_PDU, high, low, ..] = cursor.take::<8>().ok()? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // A length of zero: the network card was to cut the packet into segments.
    if flags & 0xf8 != 0x30 || (length != cursor.wire_left() && length != 0) {
        return None;
    }
    if flags & 0x07 != 0 {
        let mut next = cursor.take::<4>().ok()?[3];
        if flags & 0x04 == 0 {
            next = 0;
        }
        while next != 0 {
            let extension_len = usize::from(cursor.u8().ok()?) * 4;
            cursor.skip(extension_len.checked_sub(2)?).ok()?;
            next = cursor.u8().ok()?;
        }
    }
    let layer = match () {
        () if inside::ip(cursor) => Layer::Ip,
        () if inside::ethernet(cursor) => Layer::Ethernet,
        () => return None,
    };
    Some(Step::Open(GTP, layer))
}

/// Version 0, protocol type GTP, user data: a header of twenty bytes with spare bytes that are all ones, a length that
/// agrees, an IP packet.
pub(super) fn gtp_v0(cursor: &mut Cursor<'_>) -> Option<Step> {
    let &[0x1e | 0x1f, 255, high, low, _, _, _, _, _, 0xff, 0xff, 0xff, ..] = cursor.take::<20>().ok()? else {
        return None;
    };
    let fits = usize::from(u16::from_be_bytes([high, low])) == cursor.wire_left();
    (fits && inside::ip(cursor)).then_some(Step::Open(GTP_V0, Layer::Ip))
}

/// A plain preamble, no fragment, no keep-alive; then 802.3 or 802.11, whose control field some swap.
pub(super) fn capwap(cursor: &mut Cursor<'_>) -> Option<Step> {
    const NATIVE: u8 = 0x01;
    const FRAGMENT_OR_KEEP_ALIVE: u8 = 0x88;
    const RESERVED: u8 = 0x07;
    let &[0, length, binding, flags, ..] = cursor.peek::<8>().ok()? else { return None };
    let header_len = usize::from(length >> 3) * 4;
    if header_len < 8 || flags & (FRAGMENT_OR_KEEP_ALIVE | RESERVED) != 0 {
        return None;
    }
    cursor.skip(header_len).ok()?;
    let layer = match (binding & NATIVE != 0, (binding >> 1) & 0x1f) {
        (false, _) if inside::ethernet(cursor) => Layer::Ethernet,
        (true, 1) => {
            let swapped = [false, true].into_iter().find(|swapped| inside::wlan(cursor, *swapped))?;
            Layer::Wlan { swapped }
        }
        _ => return None,
    };
    Some(Step::Open(CAPWAP, layer))
}
