//! QUIC connections whose packets go on in another flow: by the connection ID, and by nothing else.

use tlscov::model::{Class, Evidence, FlowSummary};

use crate::common::{options, read_bytes};

/// File header, and the frames with their record headers, of a recorded QUIC connection over Ethernet and IPv4.
fn recorded() -> (Vec<u8>, Vec<Vec<u8>>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/quic.pcap");
    let bytes = std::fs::read(path).expect("recorded");
    let (header, mut rest) = bytes.split_at(24);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (frame, after) = rest.split_at(16 + len);
        frames.push(frame.to_vec());
        rest = after;
    }
    (header.to_vec(), frames)
}

const ADDRESS: usize = 16 + 14 + 12;
const PORTS: usize = 16 + 14 + 20;
const PAYLOAD: usize = PORTS + 8;

/// Packets with short headers from the client's address as recorded, to the same server.
fn later(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let client = frames[0][ADDRESS..ADDRESS + 4].to_vec();
    let short = |frame: &&Vec<u8>| frame[ADDRESS..ADDRESS + 4] == client && frame[PAYLOAD] & 0xc0 == 0x40;
    frames.iter().filter(short).take(4).cloned().collect()
}

/// The flow that has `port` as one of its ends.
fn flow(frames: &[Vec<u8>], port: u16) -> FlowSummary {
    let (header, _) = recorded();
    let bytes = [header, frames.concat()].concat();
    let (_, flows) = read_bytes(bytes, &options(2), 1 << 20).expect("a capture");
    let ends = |flow: &FlowSummary| {
        [tlscov::model::Side::Low, tlscov::model::Side::High].map(|side| flow.key.endpoint(side).port).contains(&port)
    };
    flows.into_iter().find(ends).expect("a flow at the port")
}

fn moved(frames: &[Vec<u8>], port: u16, address: Option<[u8; 4]>) -> Vec<Vec<u8>> {
    let mut frames = frames.to_vec();
    for frame in &mut frames {
        frame[PORTS..PORTS + 2].copy_from_slice(&port.to_be_bytes());
        if let Some(address) = address {
            frame[ADDRESS..ADDRESS + 4].copy_from_slice(&address);
        }
    }
    frames
}

#[test]
fn known_by_their_id_elsewhere() {
    let (_, frames) = recorded();
    let later = later(&frames);
    assert_eq!(later.len(), 4, "short headers of the client");
    let with = |more: Vec<Vec<u8>>| [frames.clone(), more].concat();
    let other_id = |mut frames: Vec<Vec<u8>>| {
        frames.iter_mut().for_each(|frame| frame[PAYLOAD + 3] ^= 0x10);
        frames
    };
    let elsewhere = |mut frames: Vec<Vec<u8>>| {
        frames.iter_mut().for_each(|frame| frame[ADDRESS + 4..ADDRESS + 8].copy_from_slice(&[198, 51, 100, 9]));
        frames
    };
    let new_port = moved(&later, 4321, None);
    let new_host = moved(&later, 4321, Some([198, 51, 100, 7]));
    let known = (Class::Encrypted, Evidence::Association, "quic");
    let unknown = (Class::Unknown, Evidence::None, "unknown");
    let cases = [
        ("another port", with(new_port.clone()), known),
        ("the first packet only", with(new_port[..1].to_vec()), known),
        ("before the start", [new_port.clone(), frames.clone()].concat(), known),
        ("another address", with(new_host.clone()), known),
        ("another ID", with(other_id(new_port.clone())), unknown),
        ("two strangers with the ID", with(elsewhere(new_host)), unknown),
        ("a connection that was not seen", new_port, unknown),
    ];
    for (name, frames, want) in cases {
        let found = flow(&frames, 4321);
        assert_eq!((found.class, found.evidence, found.protocol.name()), want, "{name}");
    }
}

#[test]
fn goes_on_after_a_pause() {
    let (_, mut frames) = recorded();
    let mut later = later(&frames);
    for frame in &mut later {
        let seconds = u32::from_le_bytes(frame[..4].try_into().expect("four bytes")) + 3_600;
        frame[..4].copy_from_slice(&seconds.to_le_bytes());
    }
    frames.extend(later);
    let (header, _) = recorded();
    let (_, flows) = read_bytes([header, frames.concat()].concat(), &options(1), 1 << 20).expect("a capture");
    let last = flows.last().map(|flow| (flow.class, flow.evidence));
    assert_eq!(last, Some((Class::Encrypted, Evidence::Association)), "the same ends, and a flow of its own");
    let verified = flows.iter().filter(|flow| flow.evidence == Evidence::Verified).count();
    assert_eq!(verified + 1, flows.len());
}
