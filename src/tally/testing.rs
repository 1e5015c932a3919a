//! Flows made by hand, with round figures, for the tests of this stage and the next.

use std::net::{IpAddr, Ipv4Addr};

use super::Tally;
use crate::grade::Policy;
use crate::model::{
    CertificateFacts, Class, Counts, Endpoint, Evidence, Facts, Fingerprint, FlowKey, FlowSummary, Handshake, Offer,
    Protocol, TlsFacts, Transport, Tunnel, UpgradeOutcome,
};

pub(crate) const SMTP: Protocol = Protocol(&"smtp");
pub(crate) const DNS: Protocol = Protocol(&"dns");

/// A flow of host pair `host` to `port`: 10 frames of 100 bytes from the client, 20 of 200 from the server, half of each
/// being payload: 30 packets, 5,000 wire bytes, 2,500 payload bytes.
pub(crate) fn flow(host: u8, port: u16, protocol: Protocol, class: Class, evidence: Evidence) -> FlowSummary {
    let client = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port: 50_000 };
    let server = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port };
    let (key, client) = FlowKey::new(Transport::TCP, client, server);
    FlowSummary {
        key,
        client,
        first_frame: u64::from(host),
        first_ns: 1_533_081_600_000_001_000,
        last_ns: 1_533_081_601_500_000_000,
        from_client: Counts { packets: 10, wire_bytes: 1000, payload_bytes: 500 },
        from_server: Counts { packets: 20, wire_bytes: 4000, payload_bytes: 2000 },
        retransmitted_bytes: 0,
        class,
        readable: Counts::default(),
        evidence,
        protocol,
        upgraded_from: None,
        tunnels: [Tunnel::default(); 6],
        vlan: 0,
        facts: None,
        flags: Vec::new(),
        gaps: 0,
        conflicts: 0,
        openings: None,
        parts: Vec::new(),
    }
}

/// A completed TLS 1.3 handshake that offers `h2`.
pub(crate) fn tls13() -> TlsFacts {
    TlsFacts {
        version: Some(0x0304),
        offer: Offer {
            versions: vec![0x0304, 0x0303],
            ciphers: vec![0x1301, 0xc02f, 0x1301],
            groups: vec![29, 23],
            protocols: vec!["h2".to_owned(), "http/1.1".to_owned()],
            ja3: Fingerprint::new("0123456789abcdef0123456789abcdef"),
            ..Offer::default()
        }
        .into(),
        cipher: Some(0x1301),
        group: Some(29),
        server_name: Some("example.org".into()),
        handshake: Handshake::Completed,
        ..TlsFacts::default()
    }
}

/// A completed TLS 1.0 handshake with RC4 and RSA key exchange.
pub(crate) fn tls10_rc4() -> TlsFacts {
    TlsFacts {
        version: Some(0x0301),
        offer: Offer { versions: vec![0x0301], ciphers: vec![0x0005], ..Offer::default() }.into(),
        cipher: Some(0x0005),
        handshake: Handshake::Completed,
        certificate: Some(Box::new(CertificateFacts {
            key: "rsa-1024".into(),
            signature: "rsa-sha1".into(),
            not_before: 0,
            not_after: 86_400,
            self_signed: true,
            name_matches: None,
        })),
        ..TlsFacts::default()
    }
}

pub(crate) fn with_tls(mut flow: FlowSummary, tls: TlsFacts) -> FlowSummary {
    flow.facts = Some(Box::new(Facts { tls: Some(Box::new(tls)), ..Facts::default() }));
    flow
}

/// One flow of each kind, each of 30 packets and 5,000 wire bytes unless it says otherwise.
pub(crate) fn office() -> Vec<FlowSummary> {
    use Class::{Control, Encrypted, Plaintext, Unknown};
    let web = with_tls(flow(1, 443, Protocol::TLS, Encrypted, Evidence::Handshake), tls13());
    let quic = with_tls(flow(2, 443, Protocol::QUIC, Encrypted, Evidence::Verified), tls13());
    let old = with_tls(flow(3, 993, Protocol::TLS, Encrypted, Evidence::Handshake), tls10_rc4());
    let mut mail = with_tls(flow(4, 25, Protocol::TLS, Encrypted, Evidence::Handshake), tls13());
    mail.upgraded_from = Some(SMTP);
    mail.readable = Counts { packets: 8, wire_bytes: 800, payload_bytes: 300 };
    if let Some(facts) = &mut mail.facts {
        facts.upgrade = Some((SMTP, UpgradeOutcome::Used));
    }
    let mut scan = with_tls(flow(5, 8443, Protocol::TLS, Encrypted, Evidence::Handshake), tls13());
    if let Some(tls) = scan.facts.as_mut().and_then(|facts| facts.tls.as_deref_mut()) {
        tls.handshake = Handshake::Failed;
    }
    let mut running = flow(6, 443, Protocol::TLS, Encrypted, Evidence::Framing);
    running.flags.push("midstream");
    let mut null = with_tls(flow(7, 443, Protocol::TLS, Plaintext, Evidence::Handshake), tls13());
    if let Some(tls) = null.facts.as_mut().and_then(|facts| facts.tls.as_deref_mut()) {
        (tls.version, tls.cipher) = (Some(0x0303), Some(0x0002));
    }
    let http = flow(8, 80, Protocol::HTTP, Plaintext, Evidence::Signature);
    let dns = flow(9, 53, DNS, Plaintext, Evidence::Signature);
    let mut random = flow(10, 9999, Protocol::UNKNOWN, Unknown, Evidence::None);
    random.flags.push("looks_random");
    let opaque = flow(11, 9998, Protocol::UNKNOWN, Unknown, Evidence::None);
    let silent = flow(12, 80, Protocol::UNKNOWN, Control, Evidence::None);
    vec![web, quic, old, mail, scan, running, null, http, dns, random, opaque, silent]
}

/// The sums of [`office`], graded under the built-in policy.
pub(crate) fn office_tally() -> Tally {
    let mut tally = Tally::default();
    let policies: Vec<Policy> = Policy::builtin("bcp195").into_iter().collect();
    for flow in office() {
        let verdicts: Vec<_> =
            policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect();
        tally.add_flow(&flow, &verdicts);
    }
    tally.name_policies(&policies);
    tally.end_capture();
    tally
}
