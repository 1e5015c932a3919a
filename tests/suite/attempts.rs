//! Handshakes that led to nothing, and encryption in name only: each as a whole TCP connection through the whole program.

use tlscov::model::{Class, FlowSummary};
use tlscov::tally::established;

use crate::common::{self, Piece, SUITE, client_hello, noise, server_hello, tls_record, tls_session};

const C: bool = true;
const S: bool = false;

/// TLS 1.3: the version in an extension on both sides (RFC 8446 section 4.2.1), the handshake behind the hellos protected.
fn tls13(suite: [u8; 2], client: &[usize], server: &[usize]) -> Vec<Piece> {
    let hello = |kind: u8, middle: &[u8], extension: &[u8]| {
        let body = [&[3, 3][..], &[kind; 32], &[0], middle, &[0, extension.len() as u8], extension].concat();
        tls_record(22, &[&[kind, 0, 0, body.len() as u8], &body[..]].concat())
    };
    let client_hello = hello(1, &[&[0, 2][..], &suite, &[1, 0]].concat(), &[0, 43, 0, 3, 2, 3, 4]);
    let server_hello = hello(2, &[suite[0], suite[1], 0], &[0, 43, 0, 2, 3, 4]);
    let sealed =
        |lens: &[usize]| lens.iter().flat_map(|len| tls_record(23, &noise(*len as u64, *len))).collect::<Vec<u8>>();
    let mut pieces = vec![(C, client_hello), (S, [server_hello, sealed(server)].concat())];
    if !client.is_empty() {
        pieces.push((C, sealed(client)));
    }
    pieces
}

/// What is said, the class, whether it counts as established, and whether it counts as attempted.
type Row = (&'static str, Vec<Piece>, Class, Option<bool>);

fn rows() -> Vec<Row> {
    use Class::{Encrypted, Plaintext};
    let alert = |level: u8, what: u8| tls_record(21, &[level, what]);
    let null = |suite: [u8; 2]| {
        let mut pieces = tls_session(300);
        pieces[0].1 = client_hello(suite);
        pieces[1].1 = server_hello(suite);
        pieces
    };
    let mut with_close = tls_session(300);
    with_close.push((C, tls_record(21, &noise(9, 26))));
    let mut refused_late = tls_session(0);
    refused_late.truncate(3);
    refused_late.push((S, alert(2, 51)));
    vec![
        ("data both ways", tls_session(300), Encrypted, Some(true)),
        ("data, then an alert as the end", with_close, Encrypted, Some(true)),
        ("handshake without application data", tls_session(0), Encrypted, Some(false)),
        ("hellos and no more", vec![(C, client_hello(SUITE)), (S, server_hello(SUITE))], Encrypted, Some(false)),
        ("hello answered by an alert", vec![(C, client_hello(SUITE)), (S, alert(2, 40))], Encrypted, Some(false)),
        (
            "ended by the client's alert",
            vec![(C, client_hello(SUITE)), (S, server_hello(SUITE)), (C, alert(2, 42))],
            Encrypted,
            Some(false),
        ),
        ("ended by the server's alert behind the key exchange", refused_late, Encrypted, Some(false)),
        ("scan: a hello that nobody answers", vec![(C, client_hello(SUITE))], Encrypted, Some(false)),
        ("1.3 with data", tls13([0x13, 1], &[53, 200], &[900, 400]), Encrypted, Some(true)),
        ("1.3, server's flight only", tls13([0x13, 1], &[], &[900]), Encrypted, Some(false)),
        ("1.3, protected alert in place of Finished", tls13([0x13, 1], &[19], &[900]), Encrypted, Some(false)),
        // RFC 5246 appendix A.5, RFC 4785, RFC 4492: authenticated at most, readable always.
        ("NULL_WITH_NULL_NULL", null([0, 0]), Plaintext, Some(true)),
        ("RSA_WITH_NULL_MD5", null([0, 1]), Plaintext, Some(true)),
        ("RSA_WITH_NULL_SHA256", null([0, 0x3b]), Plaintext, Some(true)),
        ("PSK_WITH_NULL_SHA", null([0, 0x2c]), Plaintext, Some(true)),
        ("ECDHE_RSA_WITH_NULL_SHA", null([0xc0, 0x10]), Plaintext, Some(true)),
        // RFC 9150: integrity only in TLS 1.3.
        ("SHA256_SHA256", tls13([0xc0, 0xb4], &[53, 200], &[900, 400]), Plaintext, Some(true)),
        ("SHA384_SHA384", tls13([0xc0, 0xb5], &[69, 200], &[900, 400]), Plaintext, Some(true)),
        ("the number beside it", tls13([0x13, 3], &[53, 200], &[900, 400]), Encrypted, Some(true)),
    ]
}

#[test]
fn established_and_attempted() {
    for (name, pieces, class, want) in rows() {
        let (tally, flows) = common::read_records(&common::conversation(50_000, &pieces));
        let [flow]: &[FlowSummary] = &flows else { panic!("{name}: {} flows", flows.len()) };
        assert_eq!((flow.class, established(flow)), (class, want), "{name}");
        let attempted = u64::from(class == Class::Encrypted && want == Some(false));
        assert_eq!(tally.attempted.flows, attempted, "{name}");
    }
}

/// With the middle of a connection missing, the lack of data proves nothing.
#[test]
fn a_gap_proves_nothing() {
    let mut pieces = tls_session(0);
    pieces.push((S, tls_record(21, &noise(9, 26))));
    let mut records = common::conversation(50_000, &pieces);
    let end_of_handshake = records.len() - 4;
    records.remove(end_of_handshake);
    let (_, flows) = common::read_records(&records);
    assert_eq!(flows[0].class, Class::Encrypted);
    assert_eq!(established(&flows[0]), None);
}

/// What nobody recognises is subdivided by what its bytes look like; class and bounds stay the same.
#[test]
fn unknown_content_is_information_only() {
    let json = b"\x01\x02\x03";
    let cases: &[(&str, Vec<u8>, [u64; 3])] = &[
        ("looks random", noise(1, 1000), [1, 0, 0]),
        ("looks like text", b"a line of words that belong to no protocol\n".repeat(9), [0, 1, 0]),
        ("binary with order", json.repeat(300), [0, 0, 1]),
        ("too short to tell", noise(2, 12), [0, 0, 1]),
    ];
    for (name, bytes, want) in cases {
        let (tally, flows) =
            common::read_records(&common::conversation(50_000, &[(C, bytes.clone()), (S, bytes.clone())]));
        let report = tlscov::report::Report::new(&tally);
        let content = &report.coverage.unknown_content;
        let flows_of = [&content.looks_random, &content.looks_text, &content.undetermined].map(|units| units.flows);
        assert_eq!((flows[0].class, flows_of), (Class::Unknown, *want), "{name}");
        assert_eq!(tally.class(Class::Unknown).payload_bytes, 2 * bytes.len() as u64, "{name}");
        let share = &report.coverage.encrypted_share;
        assert_eq!((share.lower, share.upper), (Some(0.0), Some(1.0)), "{name}: no bound moves");
    }
}
