//! Who talks to whom: keys, sides, and the summary in which a closed flow leaves the flow stage.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// A network address as it stands in a [`FlowKey`]: hashed and compared faster than what it turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "IpAddr", into = "IpAddr")]
pub struct Address {
    words: [u64; 2],
    is_ipv4: bool,
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { words: words(octets(ip)), is_ipv4: ip.is_ipv4() }
    }
}

impl From<Address> for IpAddr {
    #[inline]
    fn from(Address { words: [top, bottom], is_ipv4 }: Address) -> Self {
        if is_ipv4 {
            Self::V4(Ipv4Addr::from_bits(bottom as u32))
        } else {
            Self::V6(Ipv6Addr::from_bits(u128::from(top) << 64 | u128::from(bottom)))
        }
    }
}

impl Address {
    /// A number from all of its bits, the same on every machine.
    pub(crate) fn folded(self) -> u64 {
        let [top, bottom] = self.words;
        (top ^ bottom).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What makes two packets one conversation: both ends in a fixed order, and the transport.
///
/// IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2), with [`V4`] set. Whole words only: a
/// key is made, hashed and copied for every packet, and a copy that begins or ends within a field waits for its stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FlowKey {
    /// The lower end first, each address as a big-endian number.
    addresses: [[u64; 2]; 2],
    /// Ports from bits 32 and 8 on, transport, and [`V4`].
    ends: u64,
}

/// Bit of a key: the network layer is IPv4.
const V4: u64 = 1 << 63;

/// A [`FlowKey`] in 16 bytes, for where millions of them are kept; longer addresses than those of IPv4 lie beside.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(from = "FlowKey", into = "FlowKey")]
pub enum NarrowKey {
    /// Ends in IPv4.
    V4 {
        /// Number of the transport.
        transport: u8,
        /// The port of the lower end first.
        ports: [u16; 2],
        /// The lower end first.
        addresses: [u32; 2],
    },
    /// All others.
    Wide {
        /// Number of the transport.
        transport: u8,
        /// The port of the lower end first.
        ports: [u16; 2],
        /// The lower end first, each address as a big-endian number.
        addresses: Box<[[u64; 2]; 2]>,
    },
}

impl From<FlowKey> for NarrowKey {
    #[inline]
    fn from(key: FlowKey) -> Self {
        let (ports, FlowKey { addresses, ends }) = (key.ports(), key);
        let transport = ends as u8;
        if ends & V4 == 0 {
            return Self::Wide { transport, ports, addresses: Box::new(addresses) };
        }
        Self::V4 { transport, ports, addresses: addresses.map(|[_, bottom]| bottom as u32) }
    }
}

impl From<NarrowKey> for FlowKey {
    fn from(key: NarrowKey) -> Self {
        key.widen()
    }
}

impl NarrowKey {
    /// The key that it stands for.
    #[must_use]
    #[inline]
    pub fn widen(&self) -> FlowKey {
        match self {
            Self::V4 { transport, ports, addresses } => {
                FlowKey { addresses: addresses.map(mapped), ends: ends(*ports, Transport(*transport), true) }
            }
            Self::Wide { transport, ports, addresses } => {
                FlowKey { addresses: **addresses, ends: ends(*ports, Transport(*transport), false) }
            }
        }
    }

    /// Whether it stands for `key`.
    #[inline]
    pub(crate) fn is(&self, key: &FlowKey) -> bool {
        match self {
            // Of two keys of IPv4 the other half of each address is the same.
            Self::V4 { transport, ports, addresses } => {
                ends(*ports, Transport(*transport), true) == key.ends
                    && *addresses == key.addresses.map(|[_, bottom]| bottom as u32)
            }
            Self::Wide { .. } => self.widen() == *key,
        }
    }

    /// Number of the transport.
    #[inline]
    pub(crate) fn transport(&self) -> u8 {
        match self {
            Self::V4 { transport, .. } | Self::Wide { transport, .. } => *transport,
        }
    }

    /// Bytes beside it.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Self::V4 { .. } => 0,
            Self::Wide { addresses, .. } => size_of_val(&**addresses),
        }
    }

    /// Reads a byte of what lies beside it.
    #[inline]
    pub(crate) fn touch(&self) -> u8 {
        match self {
            Self::V4 { .. } => 0,
            Self::Wide { addresses, .. } => addresses[0][0] as u8,
        }
    }
}

/// An IPv4 address as an IPv4-mapped IPv6 address.
#[inline]
fn mapped(address: u32) -> [u64; 2] {
    [0, 0xffff << 32 | u64::from(address)]
}

/// The last word of a key.
#[inline]
fn ends([low, high]: [u16; 2], Transport(transport): Transport, v4: bool) -> u64 {
    u64::from(low) << 32 | u64::from(high) << 8 | u64::from(transport) | if v4 { V4 } else { 0 }
}

impl FlowKey {
    /// The key of packets from `from` to `to`, and the side that `from` is.
    #[must_use]
    pub fn new(transport: Transport, from: Endpoint, to: Endpoint) -> (Self, Side) {
        let v4 = from.ip.is_ipv4();
        Self::from_octets(transport, v4, octets(from.ip), from.port, octets(to.ip), to.port)
    }

    /// The same from raw octets, IPv4 already mapped.
    #[must_use]
    #[inline]
    pub fn from_octets(
        transport: Transport,
        v4: bool,
        from: [u8; 16],
        from_port: u16,
        to: [u8; 16],
        to_port: u16,
    ) -> (Self, Side) {
        let (from, to) = ((words(from), from_port), (words(to), to_port));
        let ((low, high), side) = if from <= to { ((from, to), Side::Low) } else { ((to, from), Side::High) };
        (Self { addresses: [low.0, high.0], ends: ends([low.1, high.1], transport, v4) }, side)
    }

    /// The same for IPv4: the form the fast path has at hand.
    #[must_use]
    #[inline]
    pub fn v4(transport: Transport, from: [u8; 4], from_port: u16, to: [u8; 4], to_port: u16) -> (Self, Side) {
        // An end in one number, so that the order is a minimum and a maximum: a branch would be guessed wrong half of the time.
        let end = |address, port| u64::from(u32::from_be_bytes(address)) << 16 | u64::from(port);
        let (from, to) = (end(from, from_port), end(to, to_port));
        let (low, high) = (from.min(to), from.max(to));
        let ends = ends([low as u16, high as u16], transport, true);
        let key = Self { addresses: [mapped((low >> 16) as u32), mapped((high >> 16) as u32)], ends };
        (key, if from <= to { Side::Low } else { Side::High })
    }

    /// A key of no flow, with nothing beside it.
    pub(crate) const NOWHERE: Self = Self { addresses: [[0; 2]; 2], ends: V4 };

    /// A number that is the same for both directions, on every machine and in every run: its top bits decide the shard.
    #[must_use]
    #[inline]
    pub fn shard_hash(&self) -> u64 {
        let Self { addresses: [a, b], ends } = self;
        // Sums and one product: spread enough for 64 shards.
        let sum = (a[0] ^ a[1].rotate_left(31)).wrapping_add((b[0] ^ b[1].rotate_left(31)).rotate_left(17));
        let sum = sum ^ ends & !V4;
        (sum ^ sum >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The hash for tables, the same for both directions. Who does not know the seed cannot make keys that collide: a
    /// capture may come from an attacker.
    #[must_use]
    #[inline]
    pub fn hash_with(&self, Seed(seed): Seed) -> u32 {
        let Self { addresses: [a, b], ends } = self;
        let low = folded(a[0] ^ seed[0], a[1] ^ seed[1]);
        let high = folded(b[0] ^ seed[2], b[1] ^ seed[3]);
        (folded(low ^ ends ^ seed[3], high ^ seed[0].rotate_left(32)) >> 32) as u32
    }

    /// The jackknife group of the host pair, 0..64 (fixed hash; ports play no part).
    #[must_use]
    pub fn host_group(&self) -> usize {
        let [a, b] = self.addresses.map(|[top, bottom]| top ^ bottom.rotate_left(31));
        (mix(mix(a) ^ b.rotate_left(23)) >> 58) as usize
    }

    /// The transport of the flow.
    #[must_use]
    #[inline]
    pub fn transport(&self) -> Transport {
        Transport(self.ends as u8)
    }

    /// Whether the network layer is IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.ends & V4 != 0
    }

    /// The ports of both ends, in key order.
    #[must_use]
    pub fn ports(&self) -> [u16; 2] {
        [(self.ends >> 32) as u16, (self.ends >> 8) as u16]
    }

    /// The end at `side`.
    #[must_use]
    #[inline]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        Endpoint { ip: self.address(side).into(), port: self.ports()[side as usize] }
    }

    /// The address at `side`.
    #[must_use]
    #[inline]
    pub fn address(&self, side: Side) -> Address {
        Address { words: self.addresses[side as usize], is_ipv4: self.is_ipv4() }
    }
}

/// An address as a big-endian number in two words.
#[inline]
fn words(octets: [u8; 16]) -> [u64; 2] {
    let number = u128::from_be_bytes(octets);
    [(number >> 64) as u64, number as u64]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_key_stands_for_its_key_alone() {
        let end = |ip: &str, port| Endpoint { ip: ip.parse().expect("an address"), port };
        let tcp = |from, to| FlowKey::new(Transport::TCP, from, to).0;
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        // A packet of IPv6 may carry mapped addresses; it is none of IPv4.
        let octets = [v4, "192.0.2.2"].map(|ip| octets(end(ip, 0).ip));
        let mapped = FlowKey::from_octets(Transport::TCP, false, octets[0], 1, octets[1], 2).0;
        let keys = [
            tcp(end(v4, 1), end("192.0.2.2", 2)),
            mapped,
            tcp(end(v4, 1), end("192.0.2.3", 2)),
            tcp(end("192.0.3.1", 1), end("192.0.2.2", 2)),
            tcp(end(v4, 1), end("192.0.2.2", 3)),
            FlowKey::new(Transport::UDP, end(v4, 1), end("192.0.2.2", 2)).0,
            tcp(end(v6, 1), end("2001:db8::2", 2)),
            tcp(end(v6, 1), end("2001:db8:0:1::2", 2)),
            tcp(end(v6, 1), end("2001:db8::2", 3)),
        ];
        assert_eq!(size_of::<NarrowKey>(), 16);
        for (i, key) in keys.iter().enumerate() {
            let narrow = NarrowKey::from(*key);
            assert_eq!(narrow.widen(), *key, "{i}");
            assert_eq!(narrow.memory(), if key.is_ipv4() { 0 } else { 32 }, "{i}");
            for (j, other) in keys.iter().enumerate() {
                assert_eq!(narrow.is(other), i == j, "{i}, {j}");
            }
        }
    }
}
