//! Encapsulations: what carries them, and how each is opened. A new one is one reader and one row of [`TUNNELS`].
//!
//! Over IP and Ethernet the protocol number or EtherType announces a tunnel. Over UDP nothing does: ports are no evidence,
//! so every packet is looked at, whatever its ports. It is a tunnel when the header is valid bit by bit and an inner
//! packet follows whose lengths agree with the outer one (see [`inside`]); else it stays a UDP packet.
//!
//! VLAN tags and MACsec are no tunnels: they belong to the link.
//! Over TCP there is STT alone, whose sequence numbers are no sequence.
//! Not handled: tunnels that encrypt or compress (left to the dissectors), L2TPv3 with frame relay or HDLC, fragments of
//! CAPWAP, GRE and STT (they stay packets of their carrier, unknown).

mod access;
mod gre;
mod inside;
mod ip;
mod mirror;
mod overlay;
mod provider;

use super::Packet;
use crate::link::{self, Cursor, Layer, Read, Step};
use crate::model::Tunnel;

/// A kind of encapsulation.
pub struct TunnelKind {
    /// Its name in reports, lower case.
    pub name: &'static str,
    carriers: &'static [Carrier],
}

/// Reads a tunnel header that an EtherType announces.
type LinkReader = fn(&mut Cursor<'_>) -> Read;

/// Reads a tunnel header that a protocol number announces; told whether the carrying packet is IPv4.
type IpReader = fn(&mut Cursor<'_>, bool) -> Read;

/// Looks for a tunnel in a UDP payload; moves the cursor to what is inside.
type UdpReader = fn(&mut Cursor<'_>) -> Option<Step>;

/// What a tunnel travels in.
enum Carrier {
    /// These EtherTypes.
    EtherType(&'static [u16], LinkReader),
    /// This protocol over IPv4, IPv6 or both.
    Ip(u8, Version, IpReader),
    /// UDP, when the first eight bytes under this mask have this value: a quick no for most packets.
    Udp(u64, u64, UdpReader),
    /// TCP headers without a connection; the walk knows them.
    Tcp,
    /// Only another tunnel, which opens it.
    Tunnel,
}

/// The version of the carrying packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
    Any,
}

impl TunnelKind {
    const fn new(name: &'static str, carriers: &'static [Carrier]) -> Self {
        Self { name, carriers }
    }

    /// The row of `tunnel`; `None` for an unused place.
    #[must_use]
    pub fn of(tunnel: Tunnel) -> Option<&'static Self> {
        TUNNELS.get(usize::from(tunnel.0).checked_sub(1)?)
    }
}

/// All kinds; [`Tunnel`] holds the place in this table, plus one. Over UDP the first that recognises a packet wins,
/// so those with more structure of their own stand first.
pub const TUNNELS: &[TunnelKind] = &[
    TunnelKind::new("geneve", &[Carrier::Udp(0xc03f_0000_0000_00ff, 0, overlay::geneve)]),
    TunnelKind::new("gtp-u", &[Carrier::Udp(0xf8ff_0000_0000_0000, 0x30ff_0000_0000_0000, access::gtp)]),
    TunnelKind::new("gtp-v0", &[Carrier::Udp(0xfeff_0000_0000_0000, 0x1eff_0000_0000_0000, access::gtp_v0)]),
    TunnelKind::new("vxlan-gpe", &[Carrier::Udp(0xfeff_ff00_0000_00ff, 0x0c00_0000_0000_0000, overlay::vxlan_gpe)]),
    TunnelKind::new("vxlan", &[Carrier::Udp(0x0800_0000_0000_00ff, 0x0800_0000_0000_0000, overlay::vxlan)]),
    TunnelKind::new("capwap", &[Carrier::Udp(0xff00_008f_0000_0000, 0, access::capwap)]),
    TunnelKind::new("tzsp", &[Carrier::Udp(0xfffe_ff00_0000_0000, 0x0100_0000_0000_0000, mirror::tzsp)]),
    TunnelKind::new(
        "teredo",
        &[
            Carrier::Udp(0xf000_0000_0000_0000, 0x6000_0000_0000_0000, ip::teredo),
            Carrier::Udp(0xfffe_0000_0000_0000, 0, ip::teredo),
        ],
    ),
    TunnelKind::new("ayiya", &[Carrier::Udp(0x0c0c_cfd2_0000_0000, 0x0000_0100_0000_0000, ip::ayiya)]),
    TunnelKind::new(
        "ip-in-udp",
        &[
            Carrier::Udp(0xf000_0000_0000_0000, 0x4000_0000_0000_0000, ip::over_udp),
            Carrier::Udp(0xf000_0000_0000_0000, 0x6000_0000_0000_0000, ip::over_udp),
        ],
    ),
    TunnelKind::new(
        "l2tp",
        &[
            Carrier::Ip(115, Version::Any, provider::l2tp_over_ip),
            Carrier::Udp(0xb4fe_0000_0000_0000, 0x0002_0000_0000_0000, provider::l2tp_over_udp),
        ],
    ),
    TunnelKind::new(
        "gre",
        &[Carrier::Ip(47, Version::Any, gre::over_ip), Carrier::Udp(0x4fff_0000_0000_0000, 0, gre::over_udp)],
    ),
    TunnelKind::new(
        "gue",
        &[
            Carrier::Udp(0xe0ff_0000_0000_0000, 0x0004_0000_0000_0000, ip::gue),
            Carrier::Udp(0xe0ff_0000_0000_0000, 0x0029_0000_0000_0000, ip::gue),
        ],
    ),
    TunnelKind::new("stt", &[Carrier::Tcp]),
    TunnelKind::new("lisp", &[Carrier::Udp(0x0700_0000_0000_0000, 0, ip::lisp)]),
    TunnelKind::new(
        "mpls",
        &[
            Carrier::EtherType(&[0x8847, 0x8848], provider::mpls),
            Carrier::Ip(137, Version::Any, provider::mpls_over_ip),
            // One label, or two: the last one says so.
            Carrier::Udp(0x0000_0100_0000_0000, 0x0000_0100_0000_0000, provider::mpls_over_udp),
            Carrier::Udp(0x0000_0100_0000_0100, 0x0000_0000_0000_0100, provider::mpls_over_udp),
        ],
    ),
    TunnelKind::new("pptp", &[Carrier::Tunnel]),
    TunnelKind::new("erspan", &[Carrier::EtherType(&[0x88be, 0x22eb], mirror::erspan)]),
    TunnelKind::new("ipip", &[Carrier::Ip(4, Version::Four, ip::open)]),
    TunnelKind::new("4in6", &[Carrier::Ip(4, Version::Six, ip::open)]),
    TunnelKind::new("6in4", &[Carrier::Ip(41, Version::Four, ip::open)]),
    TunnelKind::new("6in6", &[Carrier::Ip(41, Version::Six, ip::open)]),
    TunnelKind::new("etherip", &[Carrier::Ip(97, Version::Any, ip::ethernet)]),
    TunnelKind::new("ethernet-in-ip", &[Carrier::Ip(143, Version::Any, ip::bare_ethernet)]),
    TunnelKind::new("pim-register", &[Carrier::Ip(103, Version::Any, ip::pim_register)]),
    TunnelKind::new("pppoe", &[Carrier::EtherType(&[0x8864], provider::pppoe)]),
    TunnelKind::new("pbb", &[Carrier::EtherType(&[0x88e7], provider::backbone)]),
    TunnelKind::new("vntag", &[Carrier::EtherType(&[0x8926], provider::vn_tag)]),
    TunnelKind::new("etag", &[Carrier::EtherType(&[0x893f], provider::e_tag)]),
    TunnelKind::new("trill", &[Carrier::EtherType(&[0x22f3], provider::trill)]),
    TunnelKind::new("fabricpath", &[Carrier::EtherType(&[0x8903], provider::fabric_path)]),
    TunnelKind::new("nsh", &[Carrier::EtherType(&[0x894f], overlay::nsh)]),
    // Protection in name only: the content is readable. AH is an extension header, and the walk knows it.
    TunnelKind::new("macsec", &[Carrier::EtherType(&[MACSEC], macsec)]),
    TunnelKind::new("ah", &[Carrier::Tunnel]),
];

const MACSEC: u16 = 0x88e5;

/// IEEE 802.1AE with integrity alone is noted; with encryption it hides what is inside.
fn macsec(cursor: &mut Cursor<'_>) -> Read {
    match link::read(Layer::EtherType(MACSEC), cursor)? {
        Step::Next(inside) => Ok(Step::Open(const { number("macsec") }, inside)),
        step => Ok(step),
    }
}

/// The number of the kind called `name`, worked out when compiling; a name that is not in the table does not compile.
pub(super) const fn number(name: &str) -> Tunnel {
    let mut index = 0;
    while index < TUNNELS.len() {
        if same(TUNNELS[index].name, name) {
            return Tunnel(index as u8 + 1);
        }
        index += 1;
    }
    panic!("no such tunnel")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// The reader for a tunnel that `ether_type` announces.
pub(super) fn over_ether_type(ether_type: u16) -> Option<LinkReader> {
    if matches!(ether_type, 0x0800 | 0x86dd | 0x0806 | 0x8100 | 0x88a8) {
        return None;
    }
    carriers().find_map(|carrier| match carrier {
        Carrier::EtherType(types, read) if types.contains(&ether_type) => Some(*read),
        _ => None,
    })
}

/// The reader for a tunnel that `protocol` announces in an IP packet.
pub(super) fn over_ip(protocol: u8, v4: bool) -> Option<IpReader> {
    if matches!(protocol, 1 | 6 | 17 | 58) {
        return None;
    }
    let version = if v4 { Version::Four } else { Version::Six };
    carriers().find_map(|carrier| match carrier {
        Carrier::Ip(number, carrying, read) if *number == protocol => {
            (*carrying == Version::Any || *carrying == version).then_some(*read)
        }
        _ => None,
    })
}

fn carriers() -> impl Iterator<Item = &'static Carrier> {
    TUNNELS.iter().flat_map(|kind| kind.carriers)
}

/// The tunnel in a UDP payload at which `cursor` stands: what to do next, and from where.
#[inline]
pub(super) fn over_udp<'a>(cursor: &Cursor<'a>) -> Option<(Step, Cursor<'a>)> {
    // The shortest: an IPv4 header with a UDP header in it.
    if cursor.wire_left() < 28 {
        return None;
    }
    let head = u64::from_be_bytes(*cursor.left().first_chunk()?);
    let mut rows = BY_FIRST_BYTE[(head >> 56) as usize];
    while rows != 0 {
        let (mask, value, read) = OVER_UDP[rows.trailing_zeros() as usize];
        rows &= rows - 1;
        if head & mask == value {
            let mut inner = *cursor;
            if let Some(step) = read(&mut inner) {
                return Some((step, inner));
            }
        }
    }
    None
}

/// The Ethernet frame in a TCP segment that is none; `cursor` stands behind the TCP header.
pub(super) fn over_tcp(packet: &Packet, cursor: &mut Cursor<'_>) -> Option<Step> {
    if may_be_over_tcp(packet) { overlay::stt(cursor) } else { None }
}

/// Whether a segment's numbers are those of a whole STT frame: the length of the payload in the upper half of the
/// sequence number, an offset of zero in the lower one. Of TCP segments one in 2^32 is like that.
#[inline]
pub(super) fn may_be_over_tcp(packet: &Packet) -> bool {
    packet.seq == packet.payload_len << 16 && packet.payload_len > 0
}

/// The carriers over UDP of all kinds, side by side: every UDP packet is held against them.
static OVER_UDP: [(u64, u64, UdpReader); count_over_udp()] = OVER_UDP_ROWS;

const OVER_UDP_ROWS: [(u64, u64, UdpReader); count_over_udp()] = {
    let mut all: [(u64, u64, UdpReader); count_over_udp()] = [(0, 0, provider::mpls_over_udp); count_over_udp()];
    let (mut kind, mut filled) = (0, 0);
    while kind < TUNNELS.len() {
        let mut carrier = 0;
        while carrier < TUNNELS[kind].carriers.len() {
            if let Carrier::Udp(mask, value, read) = TUNNELS[kind].carriers[carrier] {
                all[filled] = (mask, value, read);
                filled += 1;
            }
            carrier += 1;
        }
        kind += 1;
    }
    all
};

/// The rows of [`OVER_UDP`] that a packet with this first byte may be of, as bits.
static BY_FIRST_BYTE: [u32; 256] = {
    let mut rows = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut row = 0;
        while row < OVER_UDP_ROWS.len() {
            let (mask, value, _) = OVER_UDP_ROWS[row];
            if (byte as u64) << 56 & mask == value & 0xff << 56 {
                rows[byte] |= 1 << row;
            }
            row += 1;
        }
        byte += 1;
    }
    rows
};

const fn count_over_udp() -> usize {
    let (mut kind, mut count) = (0, 0);
    while kind < TUNNELS.len() {
        let mut carrier = 0;
        while carrier < TUNNELS[kind].carriers.len() {
            if let Carrier::Udp(..) = TUNNELS[kind].carriers[carrier] {
                count += 1;
            }
            carrier += 1;
        }
        kind += 1;
    }
    count
}
