//! What the tests of this folder share.

use super::super::tests::ask;
use super::super::{Dissector, Heads, Outcome};
use super::DISSECTORS;

/// A named case: client, server, and the word for the answer.
pub(super) type Case<'a> = (&'a str, &'a [u8], &'a [u8], &'a str);

/// Probes named cases of streams seen from their start.
///
/// The law goes with it: of a case that is found or likely, no prefix of either side is refused.
pub(super) fn check(dissector: &dyn Dissector, cases: &[Case<'_>]) {
    for (name, client, server, want) in cases {
        let heads = |client, server| Heads { client, server, from_start: true, ..Heads::default() };
        let probe = |client, server| dissector.probe(heads(client, server));
        let word = match ask(dissector, heads(client, server)) {
            Outcome::No => "no",
            Outcome::NeedMore => "more",
            Outcome::Likely(_) => "likely",
            Outcome::Found(_) => "found",
        };
        assert_eq!(word, *want, "{name}");
        if matches!(*want, "found" | "likely") {
            for cut in 0..=client.len() {
                assert_ne!(probe(&client[..cut], server), Outcome::No, "{name}: client cut at {cut}");
                assert_ne!(probe(&client[..cut], b""), Outcome::No, "{name}: client alone cut at {cut}");
            }
            for cut in 0..=server.len() {
                assert_ne!(probe(client, &server[..cut]), Outcome::No, "{name}: server cut at {cut}");
            }
        }
    }
}

/// A case with the row that it is about.
pub(super) type Row<'a> = (&'a str, &'a dyn Dissector, &'a [u8], &'a [u8], &'a str);

/// The same for cases of several rows.
pub(super) fn check_rows(cases: &[Row<'_>]) {
    for (name, row, client, server, want) in cases {
        check(*row, &[(name, client, server, want)]);
    }
}

/// Bytes without any order, the same in every run (xorshift64*).
pub(super) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
    .take(len)
    .collect()
}

fn recognised(client: &[u8], server: &[u8], from_start: bool) -> Vec<&'static str> {
    let heads = Heads { client, server, from_start, ..Heads::default() };
    let fixed: &dyn Dissector = &super::super::fixed::TCP;
    let all = DISSECTORS.iter().copied().chain([fixed]);
    all.filter(|dissector| matches!(dissector.probe(heads), Outcome::Found(_) | Outcome::Likely(_)))
        .map(|dissector| dissector.protocol().name())
        .collect()
}

/// Fully encrypted streams look like this: nothing may be seen in them, in any length, with one side or both.
#[test]
fn nothing_in_random_bytes() {
    for seed in 0..4000 {
        let client = random(seed, 1 + (seed as usize * 7) % 1500);
        let server = random(seed + 1_000_000, (seed as usize * 13) % 1500);
        for (client, server) in [(&client[..], &server[..]), (&client, b""), (b"", &server)] {
            for from_start in [true, false] {
                assert_eq!(recognised(client, server, from_start), Vec::<&str>::new(), "seed {seed}");
            }
        }
    }
}

/// Other people's protocols, and contents that follow a plain order.
#[test]
fn nothing_in_others() {
    let hello = b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03".as_slice();
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("tls", hello, b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03"),
        ("tls, mid-stream", b"\x17\x03\x03\x00\x20", b"\x17\x03\x03\x01\x00"),
        ("ssh", b"SSH-2.0-a\r\n\0\0\x01\x04\x05\x14", b"SSH-2.0-b\r\n\0\0\x01\x04\x05\x14"),
        ("openvpn", b"\0\x0e\x38\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0", b""),
        ("zeros", &[0; 600], &[0; 600]),
        ("ones", &[0xff; 15], &[0xff; 600]),
        (
            "counting",
            b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17",
            b"",
        ),
        ("text", b"hello there\r\nhow are you\r\n", b"fine, and you?\r\n"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b""),
    ];
    for (name, client, server) in cases {
        assert_eq!(recognised(client, server, true), Vec::<&str>::new(), "{name}");
        assert_eq!(recognised(server, client, true), Vec::<&str>::new(), "{name}, sides exchanged");
    }
}
