//! Encapsulations: what carries them, and how each is opened. A new one is one reader and one row of [`TUNNELS`].
//!
//! Over IP and Ethernet the protocol number or EtherType announces a tunnel. Over UDP nothing does: ports are no evidence,
//! so every packet is looked at, whatever its ports. It is a tunnel when the header is valid bit by bit and an inner
//! packet follows whose lengths agree with the outer one (see [`inside`]); else it stays a UDP packet.
//!
//! VLAN tags and MACsec are no tunnels: they belong to the link.
//! Not handled: tunnels that encrypt or compress (left to the dissectors), GTP version 0, STT, GUE variant 0, L2TPv3 with
//! payloads other than Ethernet, CAPWAP and GRE fragments.

mod access;
mod gre;
mod inside;
mod ip;
mod mirror;
mod overlay;
mod provider;

use crate::link::{Cursor, Read, Step};
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
    /// UDP.
    Udp(UdpReader),
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
    TunnelKind::new("geneve", &[Carrier::Udp(overlay::geneve)]),
    TunnelKind::new("gtp-u", &[Carrier::Udp(access::gtp)]),
    TunnelKind::new("vxlan-gpe", &[Carrier::Udp(overlay::vxlan_gpe)]),
    TunnelKind::new("vxlan", &[Carrier::Udp(overlay::vxlan)]),
    TunnelKind::new("capwap", &[Carrier::Udp(access::capwap)]),
    TunnelKind::new("tzsp", &[Carrier::Udp(mirror::tzsp)]),
    TunnelKind::new("teredo", &[Carrier::Udp(ip::teredo)]),
    TunnelKind::new("ayiya", &[Carrier::Udp(ip::ayiya)]),
    TunnelKind::new("ip-in-udp", &[Carrier::Udp(ip::over_udp)]),
    TunnelKind::new(
        "l2tp",
        &[Carrier::Ip(115, Version::Any, provider::l2tp_over_ip), Carrier::Udp(provider::l2tp_over_udp)],
    ),
    TunnelKind::new("gre", &[Carrier::Ip(47, Version::Any, gre::over_ip), Carrier::Udp(gre::over_udp)]),
    TunnelKind::new("lisp", &[Carrier::Udp(ip::lisp)]),
    TunnelKind::new(
        "mpls",
        &[
            Carrier::EtherType(&[0x8847, 0x8848], provider::mpls),
            Carrier::Ip(137, Version::Any, provider::mpls_over_ip),
            Carrier::Udp(provider::mpls_over_udp),
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
];

/// The number of the kind called `name`, worked out when compiling; a name that is not in the table does not compile.
const fn number(name: &str) -> Tunnel {
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
    carriers().find_map(|carrier| match carrier {
        Carrier::Udp(read) => {
            let mut inner = *cursor;
            read(&mut inner).map(|step| (step, inner))
        }
        _ => None,
    })
}
