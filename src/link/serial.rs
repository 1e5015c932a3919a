//! Serial lines: PPP, Cisco HDLC, frame relay, SLIP.
//!
//! Sources: RFC 1661, RFC 1662 and the IANA "PPP DLL Protocol Numbers"; RFC 1990 (multilink); RFC 1968 (encryption);
//! RFC 3078 (MPPE); RFC 2427 (frame relay); tcpdump.org/linktypes.html.
//! A compressed datagram (0x00fd) is opaque: whether it is compressed (MPPC) or encrypted (MPPE) was agreed earlier and
//! does not show in the packet.
//! Not handled: fragments of multilink bundles and TCP/IP headers compressed as in RFC 1144 (both opaque).

use super::{Cursor, Layer, Read, Step, llc};
use crate::model::Loss;

/// PPP: optional address and control, a protocol of one or two bytes.
pub(super) fn ppp(cursor: &mut Cursor<'_>) -> Read {
    if cursor.left().starts_with(&[0xff, 0x03]) {
        cursor.skip(2)?;
    }
    let mut protocol = u16::from(cursor.u8()?);
    if protocol & 1 == 0 {
        // Odd first bytes are compressed protocol fields (RFC 1661 section 6.5).
        protocol = protocol << 8 | u16::from(cursor.u8()?);
    }
    ppp_protocol(cursor, protocol)
}

fn ppp_protocol(cursor: &mut Cursor<'_>, protocol: u16) -> Read {
    Ok(match protocol {
        0x0021 | 0x0057 => Step::Next(Layer::Ip),
        0x0023 => Step::Opaque("osi"),
        0x0029 => Step::Opaque("appletalk"),
        0x002b => Step::Opaque("ipx"),
        0x002d | 0x002f => Step::Opaque("compressed-headers"),
        0x0031 => bridged(cursor)?,
        0x003d => multilink(cursor)?,
        0x003f => Step::Plain("netbios"),
        0x0053 | 0x0055 => Step::Sealed("ppp-encryption"),
        0x00fb | 0x00fd => Step::Opaque("ppp-compressed"),
        0x0281 | 0x0283 => Step::Next(Layer::EtherType(0x8847)),
        0x8021 => Step::Control("ipcp"),
        0x8057 => Step::Control("ipv6cp"),
        0x80fd => Step::Control("ccp"),
        0xc021 => Step::Control("lcp"),
        0xc023 => Step::Control("pap"),
        0xc025 => Step::Control("lqr"),
        0xc223 => Step::Control("chap"),
        0xc227 => Step::Control("eap"),
        // Low-volume and control protocols have their highest bits set (RFC 1661 section 2).
        0x4000..=0xffff => Step::Control("ppp-control"),
        _ => Step::Opaque("ppp"),
    })
}

/// Bridged frames (RFC 3518): flags and MAC type; only IEEE 802.3 is read.
fn bridged(cursor: &mut Cursor<'_>) -> Read {
    let head = cursor.take::<2>()?;
    Ok(if head[1] == 1 { Step::Next(Layer::Ethernet) } else { Step::Opaque("ppp-bridged") })
}

/// A bundle's packet, when it came in one piece: begin and end bits, long sequence number (RFC 1990 section 3).
fn multilink(cursor: &mut Cursor<'_>) -> Read {
    let head = cursor.take::<4>()?;
    Ok(if head[0] == 0xc0 { Step::Next(Layer::Ppp) } else { Step::Opaque("ppp-multilink") })
}

/// PPP with framing bytes, or Cisco HDLC, told apart by the address (RFC 1547, RFC 1662).
pub(super) fn ppp_hdlc(cursor: &mut Cursor<'_>) -> Read {
    match cursor.peek::<1>()?[0] {
        0x0f | 0x8f => c_hdlc(cursor),
        _ => ppp(cursor),
    }
}

/// A PPPoE session from its own header on (RFC 2516 section 4).
pub(super) fn ppp_ether(cursor: &mut Cursor<'_>) -> Read {
    Ok(Step::Next(Layer::EtherType(match cursor.peek::<2>()?[1] {
        0 => 0x8864,
        _ => 0x8863,
    })))
}

/// A direction in place of the address.
pub(super) fn ppp_with_direction(cursor: &mut Cursor<'_>) -> Read {
    if cursor.peek::<2>()?[1] == 0x03 {
        cursor.skip(1)?;
    }
    ppp_with_direction_byte(cursor)
}

/// A direction before the frame.
pub(super) fn ppp_with_direction_byte(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(1)?;
    Ok(Step::Next(Layer::Ppp))
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn c_hdlc(cursor: &mut Cursor<'_>) -> Read {
    let &[_, _, high, low] = cursor.take::<4>()?;
    Ok(match u16::from_be_bytes([high, low]) {
        0x8035 => Step::Control("slarp"),
        0x2000 => Step::Control("cdp"),
        0xfefe => {
            // A byte of padding stands before the packet; not always zero.
            if matches!(cursor.left(), [_, 0x81..=0x83, ..]) {
                cursor.skip(1)?;
            }
            llc::network_layer_id(cursor)?
        }
        ether_type => Step::Next(Layer::EtherType(ether_type)),
    })
}

/// The same behind a direction.
pub(super) fn c_hdlc_with_direction_byte(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(1)?;
    c_hdlc(cursor)
}

/// Frame relay: an address of two to four bytes, then RFC 2427 or Cisco's EtherType.
pub(super) fn frame_relay(cursor: &mut Cursor<'_>) -> Read {
    let mut address_len = 0;
    // The lowest bit marks the last byte of the address.
    while cursor.u8()? & 1 == 0 {
        address_len += 1;
        if address_len > 3 {
            return Err(Loss::MalformedHeader);
        }
    }
    if address_len == 0 {
        return Err(Loss::MalformedHeader);
    }
    let head = cursor.peek::<2>()?;
    if head[0] != 0x03 {
        let ether_type = cursor.u16()?;
        return Ok(Step::Next(Layer::EtherType(ether_type)));
    }
    cursor.skip(1)?;
    if head[1] == 0 {
        cursor.skip(1)?; // padding to an even length
    }
    frame_relay_protocol(cursor)
}

fn frame_relay_protocol(cursor: &mut Cursor<'_>) -> Read {
    Ok(match cursor.peek::<1>()?[0] {
        0x08 | 0x09 => Step::Control("lmi"),
        0x80 => {
            cursor.skip(1)?;
            llc::snap(cursor)?
        }
        0xcf => {
            cursor.skip(1)?;
            Step::Next(Layer::Ppp)
        }
        0xb1 => Step::Opaque("frame-relay-fragment"),
        _ => llc::network_layer_id(cursor)?,
    })
}

/// The same behind a direction.
pub(super) fn frame_relay_with_direction_byte(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(1)?;
    frame_relay(cursor)
}

/// SLIP with the sixteen bytes that BSD puts before a packet: direction, and the compressed header if there was one.
pub(super) fn slip(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(16)?;
    Ok(Step::Next(Layer::Ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(&mut Cursor<'_>) -> Read;

    #[test]
    fn headers() {
        let ip = Ok(Step::Next(Layer::Ip));
        let cases: &[(&str, Reader, &[u8], Read)] = &[
            ("ppp", ppp, &[0xff, 3, 0, 0x21, 0x45], ip),
            ("ppp without address", ppp, &[0, 0x57, 0x60], ip),
            ("ppp short protocol", ppp, &[0x21, 0x45], ip),
            ("ppp lcp", ppp, &[0xff, 3, 0xc0, 0x21], Ok(Step::Control("lcp"))),
            ("ppp unknown control", ppp, &[0xff, 3, 0xc0, 0x99], Ok(Step::Control("ppp-control"))),
            ("ppp maybe mppe", ppp, &[0, 0xfd, 0x90], Ok(Step::Opaque("ppp-compressed"))),
            ("ppp whole multilink", ppp, &[0, 0x3d, 0xc0, 0, 0, 1, 0x21], Ok(Step::Next(Layer::Ppp))),
            ("ppp multilink part", ppp, &[0, 0x3d, 0x80, 0, 0, 1, 0x21], Ok(Step::Opaque("ppp-multilink"))),
            ("ppp empty", ppp, &[0xff, 3], Err(Loss::MalformedHeader)),
            ("hdlc cisco", ppp_hdlc, &[0x0f, 0, 8, 0], Ok(Step::Next(Layer::EtherType(0x0800)))),
            ("hdlc ppp", ppp_hdlc, &[0xff, 3, 0, 0x21], ip),
            ("session", ppp_ether, &[0x11, 0], Ok(Step::Next(Layer::EtherType(0x8864)))),
            ("discovery", ppp_ether, &[0x11, 9], Ok(Step::Next(Layer::EtherType(0x8863)))),
            ("slarp", c_hdlc, &[0x8f, 0, 0x80, 0x35], Ok(Step::Control("slarp"))),
            ("isis", c_hdlc, &[0x0f, 0, 0xfe, 0xfe, 0x35, 0x83], Ok(Step::Control("isis"))),
            ("frame relay ip", frame_relay, &[0x18, 0x41, 3, 0xcc, 0x45], ip),
            ("frame relay snap", frame_relay, &[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], {
                Ok(Step::Next(Layer::EtherType(0x0800)))
            }),
            ("frame relay cisco", frame_relay, &[0x18, 0x41, 8, 0], Ok(Step::Next(Layer::EtherType(0x0800)))),
            ("frame relay without end of address", frame_relay, &[0; 9], Err(Loss::MalformedHeader)),
        ];
        for (name, reader, bytes, want) in cases {
            assert_eq!(reader(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }
}
