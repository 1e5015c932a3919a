//! Ethernet, VLAN tags, and what each EtherType means.
//!
//! Sources: IEEE 802.3, 802.1Q, 802.1AE section 9 (MACsec SecTAG), the IANA and IEEE registries of EtherTypes.
//! A VLAN tag is no tunnel: it separates traffic of one network. Protocols that only keep a network running are control;
//! data in clear by design (no variant of the protocol encrypts) is plain; where the payload may be anything, it is
//! opaque.
//! Not handled: the frame check sequence at the end, when a capture keeps it (the IP length leaves it out anyway).

use super::{Cursor, Layer, Read, Step};
use crate::model::Loss;

/// Smallest EtherType; what is smaller is a length (IEEE 802.3 section 3.2.6).
const FIRST_ETHER_TYPE: u16 = 0x0600;

/// Destination, source, then type or length.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Read {
    let header = cursor.take::<14>()?;
    Ok(Step::Next(Layer::EtherType(u16::from_be_bytes([header[12], header[13]]))))
}

/// What follows a type or length. Behind tags it is the inner type, which may also be that of a tunnel.
pub(super) fn ether_type(cursor: &mut Cursor<'_>, outer: u16) -> Read {
    let mut ether_type = outer;
    // Every turn takes four bytes, so this ends with the frame.
    while is_tag(ether_type) {
        ether_type = match ether_type {
            HSR => tag::<6>(cursor)?,
            _ => tag::<4>(cursor)?,
        };
    }
    if ether_type != outer {
        return Ok(Step::Next(Layer::EtherType(ether_type)));
    }
    if ether_type < FIRST_ETHER_TYPE {
        return length(cursor, ether_type);
    }
    Ok(match ether_type {
        IPV4 | IPV6 => Step::Next(Layer::Ip),
        MACSEC => return macsec(cursor),
        BRIDGED => Step::Next(Layer::Ethernet),
        PPP => Step::Next(Layer::Ppp),
        APPLETALK => appletalk(cursor),
        DECNET => decnet(cursor),
        _ => named(ether_type),
    })
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const BRIDGED: u16 = 0x6558;
const PPP: u16 = 0x880b;
const MACSEC: u16 = 0x88e5;
const HSR: u16 = 0x892f;
const APPLETALK: u16 = 0x809b;
const DECNET: u16 = 0x6003;

/// Tags that end in the next type: VLANs (also of several vendors), high-availability seamless redundancy.
#[inline]
pub(crate) const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 | HSR)
}

/// The type at the end of a tag of `N` bytes.
fn tag<const N: usize>(cursor: &mut Cursor<'_>) -> Result<u16, Loss> {
    let bytes = cursor.take::<N>()?;
    match bytes.last_chunk() {
        Some(last) => Ok(u16::from_be_bytes(*last)),
        None => Err(Loss::MalformedHeader),
    }
}

/// IEEE 802.3 with a length. Bytes behind it are padding.
fn length(cursor: &mut Cursor<'_>, length: u16) -> Read {
    if length > 1500 {
        return Ok(Step::Opaque("ethernet")); // neither a length nor a type
    }
    // Some senders leave the length zero for what does not fit into it.
    if length != 0 {
        cursor.limit(usize::from(length));
    }
    Ok(Step::Next(Layer::Llc))
}

/// IEEE 802.1AE. Without the E bit the content is readable: an integrity check value ends it.
fn macsec(cursor: &mut Cursor<'_>) -> Read {
    const SCI_PRESENT: u8 = 0x20;
    const ENCRYPTED: u8 = 0x08;
    const CHANGED: u8 = 0x04;
    const CHECK_VALUE_LEN: usize = 16;
    let tag = cursor.take::<6>()?;
    if tag[0] & 0x80 != 0 {
        return Err(Loss::MalformedHeader); // version 1 was never defined
    }
    if tag[0] & SCI_PRESENT != 0 {
        cursor.skip(8)?;
    }
    if tag[0] & ENCRYPTED != 0 {
        return Ok(Step::Sealed("macsec"));
    }
    if tag[0] & CHANGED != 0 {
        return Ok(Step::Opaque("macsec"));
    }
    match usize::from(tag[1] & 0x3f) {
        0 => cursor.trim_end(CHECK_VALUE_LEN),
        short => cursor.limit(short),
    }
    let inner = cursor.u16()?;
    Ok(Step::Next(Layer::EtherType(inner)))
}

/// The long header of DDP ("Inside AppleTalk", chapter 4): routing, names, echo and zones keep the network running.
pub(super) fn appletalk(cursor: &Cursor<'_>) -> Step {
    match cursor.left().get(12) {
        Some(1 | 2 | 4 | 5 | 6) => Step::Control("appletalk"),
        _ => Step::Opaque("appletalk"),
    }
}

/// DECnet phase IV routing layer: length, perhaps padding, then flags whose lowest bit marks a control message.
fn decnet(cursor: &Cursor<'_>) -> Step {
    match cursor.left() {
        [_, _, padding, rest @ ..] if padding & 0x80 != 0 => {
            let flags = usize::from(padding & 0x7f).checked_sub(1).and_then(|at| rest.get(at));
            if flags.is_some_and(|flags| flags & 1 != 0) { Step::Control("decnet") } else { Step::Opaque("decnet") }
        }
        [_, _, flags, ..] if flags & 1 != 0 => Step::Control("decnet"),
        _ => Step::Opaque("decnet"),
    }
}

/// EtherTypes with nothing further to open.
fn named(ether_type: u16) -> Step {
    match ether_type {
        0x0806 => Step::Control("arp"),
        0x0842 => Step::Control("wake-on-lan"),
        0x0bad => Step::Opaque("vines"),
        0x22e7 | 0x8940 => Step::Control("edge-control"),
        0x22ea | 0x88f5 | 0x88f6 | 0x8929 => Step::Control("mrp"),
        0x22f0 => Step::Opaque("avtp"),
        0x22f4 => Step::Control("isis"),
        0x2000 => Step::Control("cdp"),
        0x6001 | 0x6002 => Step::Control("mop"),
        0x6004 => Step::Plain("lat"),
        0x8035 => Step::Control("rarp"),
        0x80f3 => Step::Control("aarp"),
        0x8137 | 0x8138 => Step::Opaque("ipx"),
        0x8204 => Step::Opaque("qnx"),
        0x8808 => Step::Control("mac-control"),
        0x8809 => Step::Control("slow-protocols"),
        0x8819 => Step::Control("cobranet"),
        0x8863 => Step::Control("pppoe-discovery"),
        0x886d => Step::Control("ans-probe"),
        0x886f => Step::Control("ms-nlb"),
        0x8870 => Step::Opaque("jumbo-llc"),
        0x887b | 0x88e1 | 0x8912 => Step::Opaque("homeplug"),
        0x888e | 0x88c7 => Step::Control("eapol"),
        0x8892 => Step::Plain("profinet"),
        0x8899 => Step::Control("realtek"),
        0x88a2 => Step::Plain("aoe"),
        0x88a4 => Step::Plain("ethercat"),
        0x88ab => Step::Plain("powerlink"),
        0x88b8 => Step::Plain("goose"),
        0x88b9 => Step::Control("gse"),
        0x88ba => Step::Plain("sampled-values"),
        0x88cc => Step::Control("lldp"),
        0x88cd => Step::Plain("sercos"),
        0x88d9 => Step::Control("lltd"),
        0x88e3 => Step::Control("media-redundancy"),
        0x88f7 => Step::Control("ptp"),
        0x88fb => Step::Control("prp"),
        0x8902 => Step::Control("cfm"),
        0x8906 => Step::Opaque("fcoe"),
        0x890d => Step::Control("tdls"),
        0x8914 => Step::Control("fip"),
        0x8915 => Step::Opaque("roce"),
        0x8947 => Step::Opaque("geonetworking"),
        0x9000 => Step::Control("loopback"),
        0xfefe => Step::Control("osi"),
        _ => Step::Opaque("ethernet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(outer: u16, bytes: &[u8]) -> Read {
        ether_type(&mut Cursor::new(bytes, 0), outer)
    }

    #[test]
    fn types_and_tags() {
        let next = |ether_type| Ok(Step::Next(Layer::EtherType(ether_type)));
        let cases: &[(&str, u16, &[u8], Read)] = &[
            ("ipv4", 0x0800, &[], Ok(Step::Next(Layer::Ip))),
            ("arp", 0x0806, &[], Ok(Step::Control("arp"))),
            ("one tag", 0x8100, &[0, 5, 0x86, 0xdd], next(0x86dd)),
            ("two tags", 0x88a8, &[0, 5, 0x81, 0x00, 0, 6, 0x08, 0x06], next(0x0806)),
            ("tag cut off", 0x8100, &[0, 5], Err(Loss::MalformedHeader)),
            ("length", 0x0003, &[0x42, 0x42, 3], Ok(Step::Next(Layer::Llc))),
            ("between length and type", 0x05f0, &[0, 0], Ok(Step::Opaque("ethernet"))),
            ("redundancy tag", HSR, &[0, 0, 0, 1, 0x08, 0x00], next(0x0800)),
            ("decnet hello", DECNET, &[0, 0, 0x0b], Ok(Step::Control("decnet"))),
            ("decnet hello, padded", DECNET, &[0, 0, 0x81, 0x0b], Ok(Step::Control("decnet"))),
            ("decnet data", DECNET, &[0, 0, 0x26], Ok(Step::Opaque("decnet"))),
            ("appletalk names", APPLETALK, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], Ok(Step::Control("appletalk"))),
            ("appletalk data", APPLETALK, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3], Ok(Step::Opaque("appletalk"))),
            ("unknown type", 0xabcd, &[], Ok(Step::Opaque("ethernet"))),
        ];
        for (name, outer, rest, want) in cases {
            assert_eq!(step(*outer, rest), *want, "{name}");
        }
        assert_eq!(read(&mut Cursor::new(&[8; 14], 0)), next(0x0808));
    }

    #[test]
    fn macsec_only_the_e_bit_seals() {
        let tag = |flags: u8, rest: &[u8]| [&[flags, 0, 0, 0, 0, 1], rest].concat();
        assert_eq!(step(MACSEC, &tag(0x0c, &[0; 20])), Ok(Step::Sealed("macsec")));
        assert_eq!(step(MACSEC, &tag(0x2c, &[0; 30])), Ok(Step::Sealed("macsec")));
        assert_eq!(step(MACSEC, &tag(0x04, &[0; 20])), Ok(Step::Opaque("macsec")));
        let readable = [&[0x08, 0x00, 0x45][..], &[0; 16]].concat();
        let bytes = tag(0x00, &readable);
        let mut cursor = Cursor::new(&bytes, 0);
        assert_eq!(macsec(&mut cursor), Ok(Step::Next(Layer::EtherType(0x0800))));
        assert_eq!(cursor.left(), &[0x45], "the check value is not content");
        assert_eq!(step(MACSEC, &tag(0x80, &readable)), Err(Loss::MalformedHeader));
    }
}
