//! Links of earlier days and of storage networks: token ring, FDDI, ARCNET, ATM, fibre channel, FireWire, InfiniBand.
//!
//! Sources: tcpdump.org/linktypes.html; IEEE 802.5; ANSI X3.139; RFC 1201 and RFC 1051 (ARCNET); RFC 2734; RFC 4391.
//! Not handled: ARCNET packets in several frames (opaque).

use super::{Cursor, Layer, Read, Step};
use crate::model::Loss;

/// Access and frame control, addresses, a source route if the source address says so, LLC.
pub(super) fn token_ring(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<14>()?;
    if header[1] & 0xc0 != 0x40 {
        return Ok(Step::Control("token-ring"));
    }
    if header[8] & 0x80 != 0 {
        let route_len = usize::from(cursor.peek::<1>()?[0] & 0x1f);
        cursor.skip(route_len.max(2))?;
    }
    Ok(Step::Next(Layer::Llc))
}

/// Frame control, addresses, LLC.
pub(super) fn fddi(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<13>()?;
    Ok(if header[0] & 0xf0 == 0x50 { Step::Next(Layer::Llc) } else { Step::Control("fddi") })
}

/// Addresses of eight bytes each, LLC.
pub(super) fn ip_over_fc(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(16)?;
    Ok(Step::Next(Layer::Llc))
}

/// SunATM: what kind of traffic, path, channel.
pub(super) fn sun_atm(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<4>()?;
    Ok(match header[0] & 0x0f {
        1 => {
            cursor.skip(2)?;
            Step::Next(Layer::Ethernet)
        }
        2 => Step::Next(Layer::Llc),
        5 | 6 => Step::Control("atm-signalling"),
        _ => Step::Opaque("atm"),
    })
}

/// Source, destination, type.
pub(super) fn arcnet_bsd(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<3>()?;
    arcnet(cursor, header[2])
}

/// The same with two bytes of offset before the type.
pub(super) fn arcnet_linux(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<5>()?;
    arcnet(cursor, header[4])
}

/// Types of RFC 1201 have a header that counts fragments; those of RFC 1051 do not.
fn arcnet(cursor: &mut Cursor<'_>, kind: u8) -> Read {
    match kind {
        0xf0 => return Ok(Step::Next(Layer::Ip)),
        0xf1 => return Ok(Step::Control("arp")),
        0xcd => return Ok(Step::Next(Layer::Llc)),
        0xdd => return Ok(Step::Opaque("appletalk")),
        _ => {}
    }
    let split = cursor.take::<3>()?[0];
    if split == 0xff {
        cursor.skip(4)?; // an exception packet: the real header follows
    } else if split != 0 {
        return Ok(Step::Opaque("arcnet-fragment"));
    }
    Ok(match kind {
        0xd4 | 0xc4 => Step::Next(Layer::Ip),
        0xd5 | 0xd6 => Step::Control("arp"),
        0xfa => Step::Opaque("ipx"),
        _ => Step::Opaque("arcnet"),
    })
}

/// FireWire as macOS shows it: two addresses of eight bytes, EtherType.
pub(super) fn firewire(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(16)?;
    ether_type(cursor)
}

/// InfiniBand: forty bytes of routing, EtherType, two reserved bytes.
pub(super) fn ip_over_infiniband(cursor: &mut Cursor<'_>) -> Read {
    cursor.skip(40)?;
    let step = ether_type(cursor)?;
    cursor.skip(2)?;
    Ok(step)
}

fn ether_type(cursor: &mut Cursor<'_>) -> Result<Step, Loss> {
    cursor.u16().map(|ether_type| Step::Next(Layer::EtherType(ether_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(&mut Cursor<'_>) -> Read;

    #[test]
    fn headers() {
        let ip = Ok(Step::Next(Layer::Ip));
        let llc = Ok(Step::Next(Layer::Llc));
        let routed = [&[0x10, 0x40][..], &[0; 6], &[0x80, 0, 0, 0, 0, 0], &[0x06, 0, 0, 0, 0, 0, 0xaa]].concat();
        let cases: &[(&str, Reader, &[u8], Read)] = &[
            ("token ring", token_ring, &[&[0x10, 0x40][..], &[0; 12]].concat(), llc),
            ("token ring, routed", token_ring, &routed, llc),
            ("token ring, management", token_ring, &[0; 14], Ok(Step::Control("token-ring"))),
            ("fddi", fddi, &[&[0x50][..], &[0; 12]].concat(), llc),
            ("fibre channel", ip_over_fc, &[0; 16], llc),
            ("arcnet old", arcnet_linux, &[1, 2, 0, 0, 0xf0], ip),
            ("arcnet", arcnet_linux, &[1, 2, 0, 0, 0xd4, 0, 0, 1], ip),
            ("arcnet split", arcnet_bsd, &[1, 2, 0xd4, 3, 0, 1], Ok(Step::Opaque("arcnet-fragment"))),
            ("arcnet bacnet", arcnet_linux, &[1, 2, 0, 0, 0xcd, 0x82], llc),
            ("cut", fddi, &[0x50, 0], Err(Loss::MalformedHeader)),
        ];
        for (name, reader, bytes, want) in cases {
            assert_eq!(reader(&mut Cursor::new(bytes, 0)), *want, "{name}");
        }
    }
}
