//! Plaintext protocols over UDP: one file and one row each, or a few kin in one file.
//!
//! What stands here comes after everything encrypted. A row is asked only when no dissector before it was certain, so
//! the order matters where two formats could meet: magic numbers and whole-message walks first, weak headers last.

use super::Dissector;
pub(super) use dns::Dns;

mod ber;
mod capwap;
mod dhcp;
mod discovery;
mod dns;
mod export;
mod games;
mod industrial;
mod iot;
mod mobile;
mod netbios;
mod ntp;
mod peer;
pub(super) mod relay;
mod routing;
mod rpc;
mod rtp;
mod sctp;
pub(super) mod sdp;
mod shape;
mod sip;
mod softether;
mod speech;
mod stream;
pub(super) mod stun;
mod text;
mod tftp;
mod tunnel;
mod uftp;
mod voice;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[
    &stun::Stun,
    &dhcp::DHCP,
    &sip::SIP,
    &sip::SAP,
    &text::SSDP,
    &text::SYSLOG,
    &text::MGCP,
    &text::MEGACO,
    &text::WS_DISCOVERY,
    &text::DROPBOX,
    &text::TIVO,
    &text::STATSD,
    &text::MEMCACHED,
    &text::JSON,
    &text::XML,
    &softether::SoftEther,
    &peer::DHT,
    &peer::TRACKER,
    &games::QUERY,
    &games::RakNet,
    &stream::RTPS,
    &stream::MPEG_TS,
    &ber::SNMP,
    &ber::KERBEROS,
    &ber::CLDAP,
    &ber::C1222,
    &netbios::NETBIOS_DATAGRAM,
    &rpc::SUNRPC,
    &rpc::DCERPC,
    &export::SFLOW,
    &export::NETFLOW,
    &export::COLLECTD,
    &export::GANGLIA,
    &industrial::ENIP,
    &industrial::BACNET,
    &industrial::DNP3,
    &industrial::SYNCHROPHASOR,
    &industrial::KNX,
    &industrial::DOIP,
    &industrial::SOME_IP,
    &industrial::HART_IP,
    &industrial::PTP,
    &industrial::EGD,
    &industrial::CNIP,
    &tunnel::RMCP,
    &tunnel::L2TP,
    &capwap::Capwap,
    &tunnel::TEREDO,
    &discovery::SLP,
    &discovery::RADIUS,
    &discovery::LIFX,
    &discovery::XDMCP,
    &discovery::LWRES,
    &discovery::UBIQUITI,
    &discovery::PORT_CONTROL,
    &mobile::PFCP,
    &mobile::GTP,
    &mobile::GTP_PRIME,
    &tftp::TFTP,
    &routing::RIP,
    &routing::RIPNG,
    &routing::HSRP,
    &routing::GLBP,
    &routing::LDP,
    &routing::LISP,
    &routing::BFD,
    &dhcp::DHCPV6,
    &ntp::NTP,
    &voice::IAX2,
    &voice::H225,
    &rtp::Rtcp,
    &rtp::Rtp,
    &uftp::UFTP,
    &iot::Coap,
    &iot::MQTT_SN,
    &rpc::RX,
    &peer::GNUTELLA,
    &peer::EDONKEY,
    &peer::Utp,
    &tunnel::TIPC,
    &sctp::Sctp,
];

/// The tests that ask the dissectors of this group; the law of `detect` runs them.
#[cfg(test)]
pub(super) static TESTS: &[fn()] = &[
    ber::tests::directory_and_tickets,
    ber::tests::snmp_versions,
    capwap::tests::openings,
    dhcp::tests::version_4,
    dhcp::tests::version_6,
    discovery::tests::others,
    discovery::tests::services,
    dns::tests::broken_names_are_likely_at_most,
    dns::tests::kinds,
    dns::tests::near_misses,
    dns::tests::sides_and_cuts,
    export::tests::exports,
    games::tests::queries,
    games::tests::raknet,
    industrial::tests::buildings_and_plants,
    industrial::tests::clocks_and_vehicles,
    iot::tests::coap_messages,
    iot::tests::sensors,
    mobile::tests::cores,
    netbios::tests::datagrams,
    ntp::tests::messages,
    peer::tests::bencoding,
    peer::tests::headers,
    peer::tests::micro_transport,
    routing::tests::distance_vectors,
    routing::tests::locator_protocol,
    routing::tests::neighbours,
    rpc::tests::calls,
    rtp::tests::control_packets,
    rtp::tests::media,
    sctp::tests::associations,
    sip::tests::first_lines,
    softether::tests::probe,
    stream::tests::streams,
    stun::tests::messages,
    stun::tests::waits_for_what_follows,
    text::tests::starts_and_near_misses,
    tftp::tests::messages,
    tunnel::tests::management,
    tunnel::tests::tunnels,
    uftp::tests::messages,
    voice::tests::signalling,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Datagram, Heads, MAX_DATAGRAMS, Outcome};
    use crate::model::{Class, Transport};

    /// Noise with a fixed start (xorshift64).
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn bytes(&mut self, len: usize) -> Vec<u8> {
            (0..len).map(|_| (self.next() >> 32) as u8).collect()
        }
    }

    fn heads<'a>(payloads: &'a [Vec<u8>]) -> Vec<Datagram<'a>> {
        let side = |index: usize| index % 3 != 1;
        payloads
            .iter()
            .enumerate()
            .map(|(index, bytes)| Datagram { from_client: side(index), bytes, wire_len: bytes.len() })
            .collect()
    }

    /// The names and classes of everything that claims this flow after any number of its datagrams.
    fn claims(payloads: &[Vec<u8>], accept_likely: bool) -> Vec<(&'static str, Class)> {
        let all = heads(payloads);
        let mut claims = Vec::new();
        for count in 1..=all.len() {
            let datagrams = &all[..count];
            for dissector in DISSECTORS.iter().filter(|dissector| dissector.transport() == Transport::UDP) {
                match dissector.probe(Heads { datagrams, from_start: true, ..Heads::default() }) {
                    Outcome::Found(found) => claims.push((found.protocol.name(), found.class)),
                    Outcome::Likely(found) if accept_likely && count == all.len() => {
                        claims.push((found.protocol.name(), found.class));
                    }
                    _ => {}
                }
            }
        }
        claims
    }

    #[test]
    fn random_datagrams_are_nothing() {
        let mut noise = Noise(0x5eed_0001);
        for len in (1..=64).chain((65..1500).step_by(61)) {
            for _ in 0..40 {
                let flow: Vec<_> = (0..MAX_DATAGRAMS).map(|_| noise.bytes(len)).collect();
                assert_eq!(claims(&flow, false), [], "{len} bytes");
            }
        }
    }

    /// Eight datagrams of `make`, with lengths that differ.
    fn flow(seed: u64, make: impl Fn(u32, &mut Noise) -> Vec<u8>) -> Vec<Vec<u8>> {
        let mut noise = Noise(seed);
        (0..8u32).map(|index| make(index, &mut noise)).collect()
    }

    #[test]
    fn encrypted_flows_are_nothing() {
        type Make = fn(u32, &mut Noise) -> Vec<u8>;
        let cases: &[(&str, Make)] = &[
            ("QUIC short headers", |index, noise| {
                let tail = noise.bytes(40 + index as usize * 97);
                [&[0x40 | (noise.next() & 0x3f) as u8, 1, 2, 3, 4, 5, 6, 7, 8][..], &tail].concat()
            }),
            ("QUIC long headers", |index, noise| {
                let tail = noise.bytes(1200 - 18);
                [
                    &[
                        0xc0 | (noise.next() & 0x3f) as u8,
                        0,
                        0,
                        0,
                        1,
                        8,
                        1,
                        2,
                        3,
                        4,
                        5,
                        6,
                        7,
                        8,
                        0,
                        index as u8,
                        0x44,
                        0x9e,
                    ][..],
                    &tail,
                ]
                .concat()
            }),
            ("WireGuard data", |index, noise| {
                let tail = noise.bytes(16 + 16 * (index as usize + 1));
                [&[4, 0, 0, 0, 9, 8, 7, 6][..], &u64::from(index).to_le_bytes(), &tail].concat()
            }),
            ("WireGuard initiation", |_, noise| [&[1, 0, 0, 0][..], &noise.bytes(144)].concat()),
            ("ESP in UDP", |index, noise| {
                let tail = noise.bytes(64 + 4 * index as usize);
                [&[0xc1, 2, 3, 4][..], &(index + 1).to_be_bytes(), &tail].concat()
            }),
            ("ESP in UDP with a small SPI", |index, noise| {
                let tail = noise.bytes(64 + 4 * index as usize);
                [&[0, 0, 1, 4][..], &(index + 1).to_be_bytes(), &tail].concat()
            }),
            ("DTLS 1.2 data", |index, noise| {
                let len = 40 + index as u8;
                let tail = noise.bytes(usize::from(len));
                [&[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, index as u8, 0, len][..], &tail].concat()
            }),
            ("DTLS 1.3 data", |index, noise| {
                let len = 40 + index as u8;
                let tail = noise.bytes(usize::from(len));
                [&[0x2f, 0, index as u8, 0, len][..], &tail].concat()
            }),
            ("OpenVPN data", |index, noise| {
                let tail = noise.bytes(100 + index as usize);
                [&[0x48, 0, 0, 1][..], &index.to_be_bytes(), &tail].concat()
            }),
            ("counters and ciphertext", |index, noise| {
                let tail = noise.bytes(80);
                [&index.to_le_bytes()[..], &tail].concat()
            }),
        ];
        for (name, make) in cases {
            for seed in 1..=25u64 {
                assert_eq!(claims(&flow(seed * 0x9e37_79b9_7f4a, make), true), [], "{name}");
            }
        }
    }

    #[test]
    fn srtp_is_not_plaintext() {
        for seed in 1..=200u64 {
            let packets = flow(seed * 0x51_7cc1_b727, |index, noise| {
                let tail = noise.bytes(170);
                [&[0x80, 0, 7, index as u8, 0, 0, index as u8, 0, 0xca, 0xfe, 0xba, 0xbe][..], &tail].concat()
            });
            assert!(claims(&packets, true).iter().all(|(name, class)| *name == "rtp" && *class == Class::Unknown));
            let control = flow(seed * 0x51_7cc1_b729, |index, noise| {
                let tail = noise.bytes(24 + 14);
                [&[0x80, 200, 0, 6, 0xca, 0xfe, 0xba, 0xbe][..], &tail, &[0x80, 0, 0, index as u8]].concat()
            });
            assert_eq!(claims(&control, true), []);
        }
    }

    /// No dissector panics, whatever is cut off or flipped, and whatever length the wire had.
    #[test]
    fn hostile_bytes_end() {
        let mut noise = Noise(0xbad_5eed);
        let starts: &[&[u8]] = &[
            b"d1:ad2:id",
            b"INVITE sip:",
            b"<34>",
            b"{\"",
            b"RTPS\x02",
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x05, 0x64],
            &[0, 9, 0xff, 0xff],
            &[0xff; 4],
            &[0x81, 0x0a, 0xff, 0xff],
            &[0x80, 0xc8, 0xff, 0xff],
            &[0x90, 0, 0, 1],
        ];
        for start in starts {
            for _ in 0..400 {
                let len = (noise.next() % 80) as usize;
                let bytes = [start, &noise.bytes(len)[..]].concat();
                let wire_len = bytes.len() + (noise.next() % 3) as usize * 700;
                let datagrams = [Datagram { from_client: true, bytes: &bytes, wire_len }];
                for dissector in DISSECTORS {
                    let _ = dissector.probe(Heads { datagrams: &datagrams, ..Heads::default() });
                }
            }
        }
    }
}
