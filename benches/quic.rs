//! Opening the first packet of a QUIC connection: what each new connection costs.

#![allow(clippy::expect_used, missing_docs)] // a bench builds its own packet, and stops when it cannot

use std::hint::black_box;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hkdf::Hkdf;
use sha2::Sha256;
use tlscov::detect::{DISSECTORS, Datagram, Found, Heads, Moment, Outcome};
use tlscov::model::{Evidence, Facts, Protocol};

const DESTINATION: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];

/// HKDF-Expand-Label with an empty context.
fn expand<const N: usize>(secret: &[u8], label: &str) -> [u8; N] {
    let info = [&[0, N as u8, label.len() as u8 + 6][..], b"tls13 ", label.as_bytes(), &[0]].concat();
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).expect("a secret of 32 bytes").expand(&info, &mut out).expect("a short output");
    out
}

/// A client's Initial packet of version 1, 1200 bytes, with a ClientHello (RFC 9001 section 5).
fn client_initial() -> Vec<u8> {
    let extensions = [0, 43, 0, 3, 2, 3, 4, 0, 10, 0, 4, 0, 2, 0, 0x1d];
    let hello = [&[3, 3][..], &[0x5a; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, extensions.len() as u8], &extensions].concat();
    let mut frames = [&[6, 0, 0x40, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8][..], &hello].concat();
    let mut packet = [&[0xc0, 0, 0, 0, 1, 8][..], DESTINATION, &[0, 0]].concat();
    frames.resize(1200 - packet.len() - 2 - 1 - 16, 0);
    packet.extend((0x4000 | (frames.len() as u16 + 17)).to_be_bytes());
    let number_at = packet.len();
    packet.push(0);

    let (initial, _) = Hkdf::<Sha256>::extract(Some(&SALT_V1), DESTINATION);
    let secret: [u8; 32] = expand(&initial, "client in");
    let key = Aes128Gcm::new(&expand::<16>(&secret, "quic key").into());
    let tag = key
        .encrypt_inout_detached(&expand::<12>(&secret, "quic iv").into(), &packet, frames.as_mut_slice().into())
        .expect("short enough");
    packet.extend(frames);
    packet.extend(tag.as_slice());
    let mut block: [u8; 16] = packet[number_at + 4..][..16].try_into().expect("a sample");
    Aes128::new(&expand::<16>(&secret, "quic hp").into()).encrypt_block((&mut block).into());
    packet[0] ^= block[0] & 0x0f;
    packet[number_at] ^= block[1];
    packet
}

fn quic(c: &mut Criterion) {
    let packet = client_initial();
    let datagrams = [Datagram { from_client: true, bytes: &packet, wire_len: packet.len() }];
    let heads = Heads { datagrams: &datagrams, from_start: true, ..Heads::default() };
    let quic = DISSECTORS
        .iter()
        .copied()
        .flatten()
        .find(|dissector| dissector.protocol() == Protocol::QUIC)
        .expect("QUIC is in the table");
    let found = Found::encrypted(Protocol::QUIC, Evidence::Verified).from_client();
    assert_eq!(quic.probe(heads), Outcome::Found(found));
    let read = |packet: &[u8]| {
        let mut session = quic.session(found).expect("QUIC reads on");
        session.feed(true, packet, Moment { time_ns: 0, wire_len: packet.len() });
        let (mut found, mut facts) = (found, Facts::default());
        session.finish(&mut found, &mut facts);
        facts.tls.map(|tls| tls.offer.ciphers.clone())
    };
    assert_eq!(read(&packet), Some(vec![0x1301]));

    let mut group = c.benchmark_group("quic");
    group.throughput(Throughput::Bytes(packet.len() as u64));
    group.bench_function("recognise an Initial", |b| b.iter(|| quic.probe(black_box(heads))));
    group.bench_function("read its hello", |b| b.iter(|| read(black_box(&packet))));
    group.finish();
}

criterion_group!(benches, quic);
criterion_main!(benches);
