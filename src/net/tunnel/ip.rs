//! IP (or Ethernet) directly in IP or UDP, and tunnels with little more than an IP packet in them.
//!
//! Sources: RFC 2003 (IPIP), RFC 2473 (4in6, 6in6), RFC 4213 (6in4), RFC 3378 (EtherIP), RFC 8986 (Ethernet over IPv6), RFC
//! 7761 section 4.9.3 (PIM Register), RFC 4380 (Teredo), draft-ietf-intarea-gue-09 sections 3 and 4 (GUE; its variant 1 is IP in UDP), RFC 6830 section 5 (LISP),
//! draft-massar-v6ops-ayiya.

use super::{inside, number};
use crate::link::{Cursor, Layer, Read, Step};
use crate::model::{Loss, Tunnel};

/// IP in IP, by the version inside and the version outside.
pub(super) fn open(cursor: &mut Cursor<'_>, v4: bool) -> Read {
    const KINDS: [[Tunnel; 2]; 2] = [[number("6in6"), number("4in6")], [number("6in4"), number("ipip")]];
    let inner_v4 = match cursor.peek::<1>()?[0] >> 4 {
        4 => true,
        6 => false,
        _ => return Err(Loss::MalformedHeader),
    };
    Ok(Step::Open(KINDS[usize::from(v4)][usize::from(inner_v4)], Layer::Ip))
}

/// EtherIP: version 3, reserved bits zero.
pub(super) fn ethernet(cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    match cursor.take::<2>()? {
        [0x30, 0] => Ok(Step::Open(const { number("etherip") }, Layer::Ethernet)),
        _ => Err(Loss::MalformedHeader),
    }
}

/// Ethernet as segment routing carries it.
pub(super) fn bare_ethernet(_cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    Ok(Step::Open(const { number("ethernet-in-ip") }, Layer::Ethernet))
}

/// Multicast data on its way to the rendezvous point; all other PIM is control.
pub(super) fn pim_register(cursor: &mut Cursor<'_>, _v4: bool) -> Read {
    const REGISTER: u8 = 0x21;
    const EMPTY: u8 = 0x40;
    let &[kind, _, _, _, flags, ..] = match cursor.peek::<8>() {
        Ok(header) => header,
        Err(_) => return Ok(Step::Control("pim")),
    };
    let mut inner = *cursor;
    if kind != REGISTER || flags & EMPTY != 0 || inner.skip(8).is_err() || !inside::ip(&inner) {
        return Ok(Step::Control("pim"));
    }
    *cursor = inner;
    Ok(Step::Open(const { number("pim-register") }, Layer::Ip))
}

/// Authentication, origin, then IPv6 with a Teredo address (2001::/32), a bubble, or a router's answer.
pub(super) fn teredo(cursor: &mut Cursor<'_>) -> Option<Step> {
    let mut announced = false;
    if let &[0, 1, client_len, value_len] = cursor.peek::<4>().ok()? {
        cursor.skip(13 + usize::from(client_len) + usize::from(value_len)).ok()?;
        announced = true;
    }
    if let [0, 0, ..] = cursor.peek::<4>().ok()? {
        cursor.skip(8).ok()?;
        announced = true;
    }
    let header = cursor.peek::<40>().ok()?;
    let is_teredo = |at: usize| header.get(at..at + 4) == Some(&[0x20, 0x01, 0, 0]);
    if header[0] >> 4 != 6 || !(is_teredo(8) || is_teredo(24) || (announced && header[8] == 0xfe)) {
        return None;
    }
    inside::ip(cursor).then_some(Step::Open(const { number("teredo") }, Layer::Ip))
}

/// An IP packet and nothing else.
pub(super) fn over_udp(cursor: &mut Cursor<'_>) -> Option<Step> {
    inside::bare_ip(cursor).then_some(Step::Open(const { number("ip-in-udp") }, Layer::Ip))
}

/// Variant 0, data, flags of the fields that are there; then the IP packet announced. Variant 1 is [`over_udp`].
pub(super) fn gue(cursor: &mut Cursor<'_>) -> Option<Step> {
    let &[first, next, high, low] = cursor.take::<4>().ok()?;
    let version = match next {
        4 => 4,
        41 => 6,
        _ => return None,
    };
    let fields_len = usize::from(first & 0x1f) * 4;
    // Flags without room for their fields, or fields that no flag announces.
    if ([high, low] == [0, 0]) != (fields_len == 0) {
        return None;
    }
    cursor.skip(fields_len).ok()?;
    let same_version = cursor.left().first().is_some_and(|first| first >> 4 == version);
    (same_version && inside::bare_ip(cursor)).then_some(Step::Open(const { number("gue") }, Layer::Ip))
}

/// Eight bytes with flags that may stand together (an echo needs a nonce, a nonce leaves no room for versions), no
/// reserved or key bits; then an IP packet.
pub(super) fn lisp(cursor: &mut Cursor<'_>) -> Option<Step> {
    const NONCE: u8 = 0x80;
    const ECHO: u8 = 0x20;
    const VERSIONS: u8 = 0x10;
    const RESERVED: u8 = 0x07;
    let flags = cursor.take::<8>().ok()?[0];
    let has = |bits: u8| flags & bits != 0;
    if flags == 0 || has(RESERVED) || (has(VERSIONS) && has(NONCE)) || (has(ECHO) && !has(NONCE)) {
        return None;
    }
    inside::bare_ip(cursor).then_some(Step::Open(const { number("lisp") }, Layer::Ip))
}

/// Identity and signature of the lengths announced, then the IP packet announced.
pub(super) fn ayiya(cursor: &mut Cursor<'_>) -> Option<Step> {
    const FORWARD: u8 = 1;
    let &[identity, signature, operation, next, ..] = cursor.take::<8>().ok()?;
    let version = match next {
        4 => 4,
        41 => 6,
        _ => return None,
    };
    if operation & 0x0f != FORWARD || identity & 0x0f > 3 || signature & 0x0f > 3 || operation >> 4 > 2 {
        return None;
    }
    cursor.skip((1_usize << (identity >> 4)) + usize::from(signature >> 4) * 4).ok()?;
    let same_version = cursor.left().first().is_some_and(|first| first >> 4 == version);
    (same_version && inside::ip(cursor)).then_some(Step::Open(const { number("ayiya") }, Layer::Ip))
}
