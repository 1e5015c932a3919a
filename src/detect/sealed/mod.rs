//! Encrypted protocols other than TLS, DTLS and QUIC: one file and one row each.
//!
//! # Not here, and why
//! | protocol | what is said of it |
//! |---|---|
//! | SSTP, SoftEther's VPN, Tailscale's DERP, Tor, Signal, DNS over TLS and HTTPS, NTS key exchange, Modbus, DNP3, MQTT and AMQP over TLS | `tls`: nothing outside tells them apart |
//! | SMB, DNS and HTTP/3 over QUIC | `quic` |
//! | L2TP over IPsec | `ike` and `esp`: it lies inside |
//! | NTP with NTS | `ntp`, plaintext: it is authenticated, and the time can be read (RFC 8915 section 5) |
//! | AH, ESP-NULL that proves itself | what is inside, and `esp-null`: both are plaintext |
//! | 802.11 protected frames, MACsec | the link stage: their frames have no flow |
//! | LDAP and TDS with a security layer, RDP, VNC, STARTTLS of all kinds | [`super::stream`], because they begin in clear |
//! | Bitcoin's transport version 2 (BIP 324), BitTorrent's message stream encryption with RC4, obfuscated MTProto, Shadowsocks, VMess, obfs4 | unknown: made to look like random bytes from the first on |
//! | tinc's and SoftEther's packets over UDP, TeamViewer, Zoom's media, WhatsApp before Noise | unknown: no published description that proves them |

mod dcerpc;
mod dnscrypt;
mod esp;
mod frames;
mod ike;
mod ike_proposal;
mod mtproto;
mod opcua;
mod openvpn;
mod openvpn_control;
mod rdpudp;
mod smb;
mod snmp;
mod ssh;
mod tailscale;
mod whatsapp;
mod wireguard;
mod zerotier;

use super::Dissector;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[
    &ssh::Ssh,
    &smb::Smb,
    &dcerpc::DceRpc,
    &opcua::OpcUa,
    &snmp::SnmpV3,
    &wireguard::WireGuard,
    &tailscale::Disco,
    &rdpudp::RdpUdp,
    &ike::Ike,
    &ike::IkeTcp,
    &openvpn::OpenVpnUdp,
    &openvpn::OpenVpnTcp,
    &whatsapp::WhatsApp,
    &mtproto::MtProto,
    &esp::Esp,
    &esp::EspUdp,
    &esp::EspTcp,
    &dnscrypt::DnsCrypt,
    &dnscrypt::DnsCryptTcp,
    &zerotier::ZeroTier,
];

/// The big-endian number at an offset; `None` when it is not all there.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The big-endian number at an offset; `None` when it is not all there.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Whether packet counters go up by small steps, as those of a replay window do. Packets may change places or be
/// repeated by the capture, but not all of them.
fn rises(counters: impl Iterator<Item = u64>) -> bool {
    let counters: Vec<u64> = counters.collect();
    let steps = || counters.windows(2).filter_map(|pair| Some(i128::from(*pair.get(1)?) - i128::from(*pair.first()?)));
    let forward = steps().filter(|&step| step > 0).count();
    steps().all(|step| step.unsigned_abs() <= MAX_STEP) && forward * 4 >= counters.len().saturating_sub(1) * 3
}

/// Whether the same field of several packets varies as a tag or ciphertext does: at each of its bytes from packet to
/// packet, and all over. What is readable nearly always has a byte that stays, or few values. Random bytes fail this
/// once in thousands of flows.
pub(crate) fn varies(fields: &[&[u8]]) -> bool {
    let width = fields.iter().map(|field| field.len()).min().unwrap_or(0);
    let distinct = |values: &mut Vec<u8>| {
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    let mut all: Vec<u8> = fields.iter().flat_map(|field| field.iter().copied()).collect();
    let half = all.len().min(128) / 2;
    distinct(&mut all) >= half
        && (0..width).all(|at| {
            let mut column: Vec<u8> = fields.iter().filter_map(|field| field.get(at).copied()).collect();
            distinct(&mut column) * 2 > fields.len()
        })
}

/// Largest distance between two packet counters that follow each other: the replay window of Linux is 64 to 8192.
const MAX_STEP: u128 = 128;

/// The tests that ask the dissectors of this group; the law of `detect` runs them.
#[cfg(test)]
pub(super) static TESTS: &[fn()] = &[
    dcerpc::tests::probe,
    dnscrypt::tests::over_tcp,
    dnscrypt::tests::probe,
    esp::tests::as_ip_protocol,
    esp::tests::inside_tcp,
    esp::tests::inside_udp,
    ike::tests::over_tcp,
    ike::tests::probe,
    mtproto::tests::probe,
    opcua::tests::probe,
    openvpn::tests::over_tcp,
    openvpn::tests::probe,
    rdpudp::tests::probe,
    smb::tests::probe,
    snmp::tests::probe,
    ssh::tests::probe,
    tailscale::tests::probe,
    whatsapp::tests::probe,
    wireguard::tests::probe,
    zerotier::tests::probe,
];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::tests::ask;
    use crate::detect::{Datagram, Heads, Outcome};

    /// Bytes without a pattern, the same for the same seed.
    pub(crate) fn noise(seed: u8, len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(seed).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        for _ in 0..16 {
            next();
        }
        (0..len).map(|_| next()).collect()
    }

    /// Asks a dissector about whole datagrams.
    pub(super) fn probe_datagrams(dissector: &dyn Dissector, sent: &[(bool, Vec<u8>)]) -> Outcome {
        let datagrams: Vec<_> = sent
            .iter()
            .map(|(from_client, bytes)| Datagram { from_client: *from_client, bytes, wire_len: bytes.len() })
            .collect();
        ask(dissector, Heads { datagrams: &datagrams, from_start: true, ..Heads::default() })
    }

    #[test]
    fn counters() {
        let cases: &[(&str, &[u64], bool)] = &[
            ("by one", &[1, 2, 3, 4], true),
            ("with losses", &[1, 5, 60, 61], true),
            ("two in another order", &[1, 2, 4, 3, 5, 6], true),
            ("far jumps", &[1, 2, 3, 4000], false),
            ("standing still", &[7, 7, 7, 7], false),
            ("falling", &[9, 8, 7, 6], false),
            ("around the end", &[u64::MAX, 0, 1], false),
        ];
        for (name, counters, want) in cases {
            assert_eq!(rises(counters.iter().copied()), *want, "{name}");
        }
    }

    #[test]
    fn hostile_input_ends_for_every_dissector() {
        let heads: Vec<Vec<u8>> = (0..=255).map(|first| [&[first][..], &noise(first, 300)].concat()).collect();
        for dissector in DISSECTORS {
            for head in &heads {
                for end in [0, 1, 3, 7, 8, 20, 28, 32, 64, 92, 148, head.len()] {
                    let bytes = head.get(..end).unwrap_or_default();
                    let datagrams = [Datagram { from_client: true, bytes, wire_len: end }; 8];
                    let outcome = dissector.probe(Heads {
                        client: bytes,
                        server: bytes,
                        datagrams: &datagrams,
                        from_start: false,
                    });
                    assert!(
                        !matches!(outcome, Outcome::Found(_)),
                        "{:?} of {first:?}",
                        dissector.protocol(),
                        first = head.first()
                    );
                }
            }
        }
    }
}
