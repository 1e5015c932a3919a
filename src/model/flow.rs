//! Who talks to whom: keys, sides, and the summary in which a closed flow leaves the flow stage.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use super::{Class, Counts, Evidence, Facts, Protocol};

/// The transport of a flow, as the IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Transport(pub u8);

impl Transport {
    /// RFC 9293.
    pub const TCP: Self = Self(6);
    /// RFC 768.
    pub const UDP: Self = Self(17);
    /// Encapsulating Security Payload, RFC 4303.
    pub const ESP: Self = Self(50);
    /// Authentication Header, RFC 4302.
    pub const AH: Self = Self(51);
    /// RFC 9260.
    pub const SCTP: Self = Self(132);

    /// The name in reports (`tcp`, `udp` ...); `None` for a number that has no name here.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            4 => "ipip",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            115 => "l2tp",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }
}

/// One of the two ends of a key, in key order. Which of them is the client is known later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Side {
    /// The end that compares lower (address, then port).
    Low = 0,
    /// The other end.
    High = 1,
}

impl Side {
    /// The end that this one talks to.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Endpoint {
    /// Network address; IPv4 as itself, never as a mapped IPv6 address.
    pub ip: IpAddr,
    /// Transport port; 0 where the transport has none.
    pub port: u16,
}

/// What makes two packets one conversation: both ends in a fixed order, and the transport.
///
/// IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2), with `v4` set: 38 bytes in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FlowKey {
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    transport: Transport,
    v4: bool,
}

impl FlowKey {
    /// The key of packets from `from` to `to`, and the side that `from` is.
    #[must_use]
    pub fn new(transport: Transport, from: Endpoint, to: Endpoint) -> (Self, Side) {
        let v4 = from.ip.is_ipv4();
        Self::from_octets(transport, v4, octets(from.ip), from.port, octets(to.ip), to.port)
    }

    /// The same from raw octets, IPv4 already mapped: the form the fast path has at hand.
    #[must_use]
    pub fn from_octets(
        transport: Transport,
        v4: bool,
        from: [u8; 16],
        from_port: u16,
        to: [u8; 16],
        to_port: u16,
    ) -> (Self, Side) {
        let (a, b) = (u128::from_be_bytes(from), u128::from_be_bytes(to));
        if (a, from_port) <= (b, to_port) {
            (Self { addresses: [from, to], ports: [from_port, to_port], transport, v4 }, Side::Low)
        } else {
            (Self { addresses: [to, from], ports: [to_port, from_port], transport, v4 }, Side::High)
        }
    }

    /// The same for IPv4.
    #[must_use]
    #[inline]
    pub fn v4(transport: Transport, from: [u8; 4], from_port: u16, to: [u8; 4], to_port: u16) -> (Self, Side) {
        let mapped = |[a, b, c, d]: [u8; 4]| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d];
        let (a, b) = (u32::from_be_bytes(from), u32::from_be_bytes(to));
        if (a, from_port) <= (b, to_port) {
            let (addresses, ports) = ([mapped(from), mapped(to)], [from_port, to_port]);
            (Self { addresses, ports, transport, v4: true }, Side::Low)
        } else {
            let (addresses, ports) = ([mapped(to), mapped(from)], [to_port, from_port]);
            (Self { addresses, ports, transport, v4: true }, Side::High)
        }
    }

    /// A key of no flow.
    pub(crate) const NOWHERE: Self =
        Self { addresses: [[0; 16]; 2], ports: [0; 2], transport: Transport(0), v4: false };

    /// A number that is the same for both directions, on every machine and in every run: its top bits decide the shard.
    #[must_use]
    #[inline]
    pub fn shard_hash(&self) -> u64 {
        let ([a, b], ends) = self.words();
        // Sums and one product: spread enough for 64 shards.
        let sum = (a[0] ^ a[1].rotate_left(31)).wrapping_add((b[0] ^ b[1].rotate_left(31)).rotate_left(17)) ^ ends;
        (sum ^ sum >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The hash for tables, the same for both directions. Who does not know the seed cannot make keys that collide: a
    /// capture may come from an attacker.
    #[must_use]
    #[inline]
    pub fn hash_with(&self, Seed(seed): Seed) -> u64 {
        let ([a, b], ends) = self.words();
        let low = folded(a[0] ^ seed[0], a[1] ^ seed[1]);
        let high = folded(b[0] ^ seed[2], b[1] ^ seed[3]);
        folded(low ^ ends ^ seed[3], high ^ seed[0].rotate_left(32))
    }

    /// Both addresses in two words each, and one for the ports and the transport.
    #[inline]
    fn words(&self) -> ([[u64; 2]; 2], u64) {
        let [a, b] = [u128::from_be_bytes(self.addresses[0]), u128::from_be_bytes(self.addresses[1])];
        let ends = u64::from(self.ports[0]) << 32 | u64::from(self.ports[1]) << 8 | u64::from(self.transport.0);
        ([[(a >> 64) as u64, a as u64], [(b >> 64) as u64, b as u64]], ends)
    }

    /// The jackknife group of the host pair, 0..64 (fixed hash; ports play no part).
    #[must_use]
    pub fn host_group(&self) -> usize {
        let [a, b] = self.addresses.map(u128::from_be_bytes);
        let fold = |value: u128| (value >> 64) as u64 ^ (value as u64).rotate_left(31);
        (mix(mix(fold(a)) ^ fold(b).rotate_left(23)) >> 58) as usize
    }

    /// The transport of the flow.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the network layer is IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.v4
    }

    /// The end at `side`.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        let index = side as usize;
        let v6 = Ipv6Addr::from(self.addresses[index]);
        let ip = match (self.v4, v6.to_ipv4_mapped()) {
            (true, Some(v4)) => IpAddr::V4(v4),
            _ => IpAddr::V6(v6),
        };
        Endpoint { ip, port: self.ports[index] }
    }
}

/// The octets of an address; IPv4 as `::ffff:a.b.c.d`.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The secret of a run that hashes of keys depend on; what is reported does not.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u64; 4]);

impl Seed {
    /// Another one in each run.
    #[must_use]
    pub fn random() -> Self {
        let random = RandomState::new();
        Self(std::array::from_fn(|place| random.hash_one(place)))
    }
}

/// Both halves of a product, folded into one: every input bit moves about half of the output bits.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The finaliser of MurmurHash3: every input bit moves every output bit.
fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ value >> 33
}

/// A kind of encapsulation that was opened on the way to a flow: an index into `net::TUNNELS`, plus one; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Tunnel(pub u8);

/// A closed flow: all that grading, sums and records need, and nothing of how it was found.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FlowSummary {
    /// Both ends and the transport.
    pub key: FlowKey,
    /// Which side of the key is the client.
    pub client: Side,
    /// Number of the first frame of the flow within its capture, from 0.
    pub first_frame: u64,
    /// Time of the first frame, nanoseconds since 1970 UTC.
    pub first_ns: i64,
    /// Time of the latest frame, nanoseconds since 1970 UTC.
    pub last_ns: i64,
    /// Totals from the client and from the server.
    pub from_client: Counts,
    /// Totals from the server.
    pub from_server: Counts,
    /// Payload bytes that repeat sequence numbers already seen. Unit: bytes.
    pub retransmitted_bytes: u64,
    /// Class of the flow; the packets in `readable` are plaintext all the same.
    pub class: Class,
    /// The part of an encrypted flow that went in clear: before an upgrade, or beside the encryption (STUN).
    pub readable: Counts,
    /// Why the class was given.
    pub evidence: Evidence,
    /// The protocol that carries the flow; `unknown` when none was recognised.
    pub protocol: Protocol,
    /// The protocol that went before an upgrade, for example `smtp` before `tls`.
    pub upgraded_from: Option<Protocol>,
    /// Encapsulations opened, outermost first.
    pub tunnels: [Tunnel; 6],
    /// Outermost VLAN of the first frame, 0 when it has none.
    pub vlan: u16,
    /// What the flow said of itself.
    pub facts: Option<Box<Facts>>,
    /// Words for the record's `flags`: `midstream`, `one_sided`, `evicted`, `gap`, `looks_random` ...
    #[serde(with = "super::kept::words")]
    pub flags: Vec<&'static str>,
    /// Holes in the sequence space that were never filled.
    pub gaps: u32,
    /// Segments that repeated sequence numbers with other bytes.
    pub conflicts: u32,
    /// First bytes of each side of an unknown UDP flow that may be the middle of a QUIC connection; low side first.
    pub openings: Option<Box<[super::Opening; 2]>>,
    /// The flow cut at the ends of intervals; empty when it lies in one interval, that of `first_ns`.
    #[serde(with = "super::kept::room")]
    pub parts: Vec<super::FlowPart>,
}

impl FlowSummary {
    /// Totals of both directions.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = self.from_client;
        total.add(self.from_server);
        total
    }
}
