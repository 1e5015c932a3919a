//! Whole frames: what [`decode`] makes of each kind of tunnel, of near misses, and of frames cut anywhere.

use etherparse::PacketBuilder;

use super::*;
use crate::model::Transport;

/// An IPv4 packet with UDP: ports 1234 to 53, `payload` inside.
fn udp_packet(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1234, 53).write(&mut bytes, payload).unwrap();
    bytes
}

/// The same over IPv6 with TCP.
fn tcp_packet(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let addresses = ([1; 16], [2; 16]);
    PacketBuilder::ipv6(addresses.0, addresses.1, 64).tcp(1234, 53, 7, 100).ack(9).write(&mut bytes, payload).unwrap();
    bytes
}

/// `packet` behind Ethernet addresses and a type.
fn ethernet(ether_type: u16, packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ether_type.to_be_bytes()[..], packet].concat()
}

/// An Ethernet frame with IPv4 that carries `protocol`.
fn over_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .write(&mut bytes, protocol.into(), payload)
        .unwrap();
    bytes
}

/// An Ethernet frame with UDP between ports that say nothing.
fn over_udp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(40000, 40001)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn names(tunnels: &[Tunnel; 6]) -> Vec<&'static str> {
    tunnels.iter().filter_map(|tunnel| TunnelKind::of(*tunnel).map(|kind| kind.name)).collect()
}

/// Tunnels, transport, the lower port, payload on the wire.
fn seen(frame: &[u8]) -> (Vec<&'static str>, u8, u16, u32) {
    match decode(1, frame, frame.len() as u32) {
        Decoded::Packet(packet) => {
            let port = [Side::Low, Side::High].map(|side| packet.key.endpoint(side).port).into_iter().min().unwrap();
            assert!(packet.payload_captured <= packet.payload_len);
            let payload_end = packet.payload_start + packet.payload_captured;
            assert!(payload_end as usize <= frame.len());
            (names(&packet.tunnels), packet.key.transport().0, port, packet.payload_len)
        }
        other => panic!("{other:?}"),
    }
}

/// `head`, then `rest`.
fn join(head: &[u8], rest: &[u8]) -> Vec<u8> {
    [head, rest].concat()
}

/// `head` with the length of `rest` at its third and fourth byte, then `rest`.
fn with_len(head: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut bytes = join(head, rest);
    bytes[2..4].copy_from_slice(&(rest.len() as u16).to_be_bytes());
    bytes
}

/// A GTP header of version 0 for user data.
fn gtp_v0() -> [u8; 20] {
    [0x1e, 255, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]
}

/// An STT header for a frame without offloads.
const STT_HEADER: [u8; 18] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0];

/// A TCP segment as STT forms it: length and offset in place of the sequence number.
fn stt(header: &[u8], frame: &[u8]) -> Vec<u8> {
    let payload = join(header, frame);
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(40000, 40001, (payload.len() as u32) << 16, 0)
        .ack(9)
        .write(&mut bytes, &payload)
        .unwrap();
    bytes
}

/// An Ethernet frame with IPv6 that carries `protocol`.
fn over_ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([1; 16], [2; 16], 64)
        .write(&mut bytes, protocol.into(), payload)
        .unwrap();
    bytes
}

/// One frame for each kind of tunnel, with a packet of nine payload bytes to or from port 53 in it.
fn tunnelled() -> Vec<(&'static str, Vec<u8>)> {
    let four = udp_packet(b"nine byte");
    let six = tcp_packet(b"nine byte");
    let frame = ethernet(0x0800, &four);
    let wlan = [&[0x08, 0x01][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &four].concat();
    let swapped = [&[0x01, 0x08][..], &[0; 20], &[0x01, 0x10], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &four].concat();
    let mut teredo = six.clone();
    teredo[8..12].copy_from_slice(&[0x20, 0x01, 0, 0]);
    vec![
        ("gre", over_ip(47, &join(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &four))),
        ("gre", over_ip(47, &join(&[0, 0, 0x65, 0x58], &frame))),
        ("gre", over_ip(47, &join(&[0, 0, 0x82, 0x10], &wlan))),
        ("gre", over_udp(&join(&[0x20, 0, 0x86, 0xdd, 0, 0, 0, 9], &six))),
        (
            "pptp",
            over_ip(47, &{
                let mut bytes =
                    join(&[0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 3, 0, 0x21], &four);
                bytes[4..6].copy_from_slice(&(four.len() as u16 + 4).to_be_bytes());
                bytes
            }),
        ),
        ("erspan", over_ip(47, &join(&[0, 0, 0x88, 0xbe], &frame))),
        ("erspan", over_ip(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 0][..], &frame].concat())),
        (
            "erspan",
            over_ip(47, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20][..], &[0; 10], &[1], &[0; 8], &frame].concat()),
        ),
        ("ipip", over_ip(4, &four)),
        ("6in4", over_ip(41, &six)),
        ("etherip", over_ip(97, &join(&[0x30, 0], &frame))),
        ("ethernet-in-ip", over_ip(143, &frame)),
        ("pim-register", over_ip(103, &join(&[0x21, 0, 0, 0, 0, 0, 0, 0], &four))),
        ("mpls", ethernet(0x8847, &join(&[0, 1, 0, 64, 0, 2, 1, 64], &six))),
        ("mpls", ethernet(0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0][..], &frame].concat())),
        ("mpls", ethernet(0x8848, &[&[0, 1, 1, 64][..], &frame].concat())),
        ("mpls", over_ip(137, &join(&[0, 1, 1, 64], &four))),
        ("mpls", over_udp(&join(&[0, 1, 1, 64], &four))),
        (
            "pppoe",
            ethernet(0x8864, &{
                let mut bytes = join(&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &four);
                bytes[4..6].copy_from_slice(&(four.len() as u16 + 2).to_be_bytes());
                join(&bytes, &[0; 6])
            }),
        ),
        ("l2tp", over_ip(115, &join(&[0, 0, 0, 1, 9, 9, 9, 9], &frame))),
        ("l2tp", over_udp(&join(&[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &four))),
        ("l2tp", over_udp(&join(&[0, 3, 0, 0, 0, 0, 0, 1], &frame))),
        ("macsec", ethernet(0x88e5, &[&[0, 0, 0, 0, 0, 1, 8, 0][..], &four, &[0; 16]].concat())),
        ("macsec", ethernet(0x88e5, &[&[0x20, 0, 0, 0, 0, 1][..], &[2; 8], &[8, 0], &four, &[0; 16]].concat())),
        ("ah", over_ip(51, &[&[17, 4, 0, 0][..], &[0; 20], &four[20..]].concat())),
        ("pbb", ethernet(0x88e7, &join(&[0, 0, 0, 1], &frame))),
        ("vntag", ethernet(0x8926, &join(&[0, 0, 0, 0, 8, 0], &four))),
        ("etag", ethernet(0x893f, &join(&[0, 0, 0, 0, 0, 0, 8, 0], &four))),
        ("trill", ethernet(0x22f3, &join(&[0, 0, 0, 1, 0, 2], &frame))),
        ("fabricpath", ethernet(0x8903, &join(&[0, 1], &frame))),
        ("nsh", ethernet(0x894f, &join(&[0, 2, 2, 3, 0, 0, 1, 255], &frame))),
        ("vxlan", over_udp(&join(&[8, 0, 0, 0, 0, 0, 7, 0], &frame))),
        ("vxlan-gpe", over_udp(&join(&[0x0c, 0, 0, 1, 0, 0, 7, 0], &four))),
        ("vxlan-gpe", over_udp(&join(&[0x0c, 0, 0, 3, 0, 0, 7, 0], &frame))),
        ("geneve", over_udp(&join(&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 1, 1, 0], &frame))),
        ("gtp-u", over_udp(&with_len(&[0x30, 255, 0, 0, 0, 0, 0, 1], &four))),
        (
            "gtp-u",
            over_udp(&{
                let mut bytes = join(&[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0], &six);
                bytes[2..4].copy_from_slice(&(six.len() as u16 + 8).to_be_bytes());
                bytes
            }),
        ),
        ("gtp-v0", over_udp(&with_len(&gtp_v0(), &four))),
        ("gue", over_udp(&join(&[0, 4, 0, 0], &four))),
        ("gue", over_udp(&join(&[1, 41, 0x80, 0, 0, 0, 0, 7], &six))),
        ("stt", stt(&STT_HEADER, &frame)),
        ("4in6", over_ipv6(4, &four)),
        ("6in6", over_ipv6(41, &six)),
        ("l2tp", over_ip(115, &join(&[0, 0, 0, 1, 9, 9, 9, 9], &four))),
        ("l2tp", over_udp(&join(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &four))),
        ("capwap", over_udp(&join(&[0, 0x10, 0x02, 0, 0, 0, 0, 0], &frame))),
        ("capwap", over_udp(&join(&[0, 0x10, 0x03, 0, 0, 0, 0, 0], &swapped))),
        ("tzsp", over_udp(&join(&[1, 0, 0, 1, 10, 1, 0xc0, 0, 1], &frame))),
        ("tzsp", over_udp(&join(&[1, 0, 0, 18, 1], &wlan))),
        ("teredo", over_udp(&join(&[0, 0, 1, 2, 1, 2, 3, 4], &teredo))),
        ("ip-in-udp", over_udp(&four)),
        ("ip-in-udp", over_udp(&six)),
        ("lisp", over_udp(&join(&[0xc0, 1, 2, 3, 0, 0, 0, 1], &four))),
        ("ayiya", over_udp(&[&[0x41, 0x52, 0x11, 41][..], &[0; 4 + 16 + 20], &six].concat())),
    ]
}

#[test]
fn every_tunnel_opens() {
    for (name, frame) in tunnelled() {
        let (tunnels, transport, port, payload_len) = seen(&frame);
        assert_eq!((tunnels, port, payload_len), (vec![name], 53, 9), "{name}");
        assert!(matches!(transport, 6 | 17), "{name}");
    }
}

/// Each row of the table has a frame above.
#[test]
fn no_tunnel_is_left_out() {
    let opened: Vec<_> = tunnelled().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = TUNNELS.iter().map(|kind| kind.name).filter(|name| !opened.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// STT takes the place of TCP: what only resembles it stays a TCP segment.
#[test]
fn near_misses_stay_tcp() {
    let frame = ethernet(0x0800, &udp_packet(b"nine byte"));
    let with = |at: usize, value: u8| {
        let mut header = STT_HEADER;
        header[at] = value;
        stt(&header, &frame)
    };
    let mut later_part = stt(&STT_HEADER, &frame);
    later_part[14 + 20 + 7] = 1;
    let cases = [
        ("version 1", with(0, 1)),
        ("reserved flag", with(1, 0x80)),
        ("padding", with(17, 1)),
        ("not the start of a frame", later_part),
        ("text", stt(&STT_HEADER, &[b'a'; 60])),
    ];
    for (name, bytes) in cases {
        let (tunnels, transport, port, _) = seen(&bytes);
        assert_eq!((tunnels, transport, port), (vec![], 6, 40000), "{name}");
    }
}

/// What looks like a tunnel over UDP and is none stays the UDP packet that it is.
#[test]
fn near_misses_stay_udp() {
    let four = udp_packet(b"nine byte");
    let frame = ethernet(0x0800, &four);
    let wrong_length = {
        let mut bytes = four.clone();
        bytes[3] += 1;
        bytes
    };
    let cases: &[(&str, Vec<u8>)] = &[
        ("vxlan without network", join(&[0, 0, 0, 0, 0, 0, 7, 0], &frame)),
        ("vxlan, last byte set", join(&[8, 0, 0, 0, 0, 0, 7, 1], &frame)),
        ("vxlan with text", join(&[8, 0, 0, 0, 0, 0, 7, 0], &[b'a'; 60])),
        ("vxlan, inner length wrong", join(&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x0800, &wrong_length))),
        ("geneve, options too long", join(&[2, 0, 8, 0, 0, 0, 7, 0, 1, 1, 1, 2], &four)),
        ("geneve version 1", join(&[0x41, 0, 8, 0, 0, 0, 7, 0, 1, 1, 1, 0], &four)),
        ("gtp echo", with_len(&[0x30, 1, 0, 0, 0, 0, 0, 1], &four)),
        ("gtp length wrong", join(&[0x30, 255, 0, 9, 0, 0, 0, 1], &four)),
        ("gtp version 0, echo", {
            let mut header = gtp_v0();
            header[1] = 1;
            with_len(&header, &four)
        }),
        ("gtp version 0, spare bytes set", {
            let mut header = gtp_v0();
            header[10] = 0;
            with_len(&header, &four)
        }),
        ("gtp version 0, length wrong", join(&gtp_v0(), &four)),
        ("gue, control message", join(&[0x20, 4, 0, 0], &four)),
        ("gue, fields that no flag announces", join(&[1, 4, 0, 0, 0, 0, 0, 7], &four)),
        ("gue, another version inside", join(&[0, 41, 0, 0], &four)),
        ("l2tp version 3, length wrong inside", join(&[0, 3, 0, 0, 0, 0, 0, 1], &wrong_length)),
        ("capwap under dtls", join(&[1, 0, 0, 0], &frame)),
        ("capwap fragment", join(&[0, 0x10, 0x02, 0x80, 0, 0, 0, 0], &frame)),
        ("tzsp without end", join(&[1, 0, 0, 1, 10, 255], &frame)),
        ("l2tp control", join(&[0xc8, 2, 0, 40, 0, 1, 0, 2, 0, 0, 0, 0], &four)),
        ("gre with reserved bits", join(&[0x08, 0, 8, 0], &four)),
        ("ip, wrong length", wrong_length.clone()),
        ("ip in ip of another kind", join(&[9], &four)),
        ("lisp, encrypted", join(&[0x81, 0, 0, 0, 0, 0, 0, 1], &four)),
        ("ayiya, heartbeat", [&[0x41, 0x52, 0x10, 41][..], &[0; 40], &tcp_packet(b"x")].concat()),
    ];
    for (name, payload) in cases {
        let want = (vec![], 17, 40000, payload.len() as u32);
        assert_eq!(seen(&over_udp(payload)), want, "{name}");
    }
}

/// An announced tunnel that cannot be read is a packet of its carrier; encryption inside UDP tunnels is not believed.
#[test]
fn unreadable_tunnels_are_their_carriers() {
    assert_eq!(seen(&over_ip(47, &[0, 0, 0xab, 0xcd, 1, 2, 3])), (vec![], 47, 0, 7));
    assert_eq!(seen(&over_ip(47, &[0x30, 1, 0x88, 0x0b, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0xfd, 0x90])), (vec![], 47, 0, 15));
    assert_eq!(seen(&over_ip(4, b"no packet")), (vec![], 4, 0, 9));
    assert_eq!(seen(&over_ip(50, b"sealed")), (vec![], 50, 0, 6));
    let protected = [&[0x08, 0x41][..], &[0; 22], &[7; 40]].concat();
    assert_eq!(seen(&over_udp(&join(&[1, 0, 0, 18, 1], &protected))).1, 17);
    let gre = over_ip(47, &join(&[0, 0, 0x82, 0], &protected));
    assert!(matches!(decode(1, &gre, 0), Decoded::Sealed("wlan", _)));
}

#[test]
fn depth_is_bounded() {
    let nested = |count: usize| {
        let packet = (0..count).fold(udp_packet(b"nine byte"), |inner, _| over_ip(4, &inner)[14..].to_vec());
        ethernet(0x0800, &packet)
    };
    assert_eq!(seen(&nested(6)), (vec!["ipip"; 6], 17, 53, 9));
    assert_eq!(decode(1, &nested(7), 0), Decoded::Undecoded(Loss::TunnelsTooDeep));
    let tags = ethernet(0x8100, &[0x81, 0x00].repeat(5000));
    assert_eq!(decode(1, &tags, 0), Decoded::Undecoded(Loss::MalformedHeader));
    let headers = [0, 0, 8, 0, 192, 0, 0, 0].repeat(1000);
    assert_eq!(decode(192, &headers, 0), Decoded::Undecoded(Loss::TunnelsTooDeep));
}

/// The short way and the careful way agree wherever the short way answers.
#[test]
fn both_ways_agree() {
    let mut frames: Vec<_> = tunnelled().into_iter().map(|(_, frame)| frame).collect();
    for packet in [udp_packet(b"x"), tcp_packet(b"x"), udp_packet(b""), tcp_packet(&[0; 1400])] {
        let ether_type = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        frames.push(join(&ethernet(ether_type, &packet), &[0; 9]));
        let tag = [&[0, 5], &u16::to_be_bytes(ether_type)[..], &packet].concat();
        frames.push(ethernet(0x8100, &tag));
        frames.push(ethernet(0x88a8, &join(&[0, 6, 0x81, 0x00], &tag)));
    }
    let mut short = 0;
    for frame in &frames {
        for end in 0..=frame.len() {
            let wire_len = frame.len() as u32;
            let quick = |frame| fast::plain(frame, wire_len).or_else(|| fast::tagged(frame, wire_len));
            if let Some(packet) = quick(&frame[..end]) {
                assert_eq!(Decoded::Packet(packet), walk::frame(1, &frame[..end], wire_len));
                short += usize::from(end == frame.len());
            }
        }
    }
    assert_eq!(short, 12);
}

/// Cut by the snap length, a packet is the same as far as it goes, and its length is that of the wire.
#[test]
fn cut_frames() {
    let frame = ethernet(0x86dd, &tcp_packet(b"nine byte"));
    let wire_len = frame.len() as u32;
    for end in 0..=frame.len() {
        match decode(1, &frame[..end], wire_len) {
            Decoded::Packet(packet) => {
                assert!(end >= 58, "{end}");
                assert_eq!((packet.payload_len, packet.key.transport()), (9, Transport::TCP), "{end}");
                assert_eq!(packet.payload_captured as usize, end.saturating_sub(74), "{end}");
                assert_eq!(packet.seq, if end >= 62 { 7 } else { 0 }, "{end}");
                assert_eq!(packet.tcp_flags, if end >= 68 { 0x10 } else { 0 }, "{end}");
            }
            other => assert!(end < 58 && other == Decoded::Undecoded(Loss::HeaderCutShort), "{end} {other:?}"),
        }
    }
}

#[test]
fn transports() {
    let sctp = join(&[0, 53, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 4], &{
        let data = [&[0, 3, 0, 19][..], &[0; 12], b"abc", &[0]].concat();
        join(&data, &data)
    });
    assert_eq!(seen(&over_ip(132, &sctp)), (vec![], 132, 53, 6), "user data of both chunks");
    assert_eq!(seen(&over_ip(132, &sctp[..16])), (vec![], 132, 53, 0), "acknowledgement");
    let dccp = |kind: u8| [&[0, 53, 0x10, 0, 4, 0, 0, 0, kind << 1 | 1, 0, 0, 0, 0, 0, 0, 1][..], b"abc"].concat();
    assert_eq!(seen(&over_ip(33, &dccp(2))), (vec![], 33, 53, 3));
    assert_eq!(seen(&over_ip(33, &dccp(3))), (vec![], 33, 53, 0));
    assert_eq!(seen(&over_ip(136, b"\0\x35\x10\0\0\x08\0\0abc")), (vec![], 136, 53, 3));
    assert_eq!(seen(&over_ip(17, b"\0\x35\x10\0\0\x00\0\0abc")), (vec![], 17, 53, 3), "length left out");
    assert_eq!(seen(&over_ip(17, b"\0\x35\x10\0\0\x0a\0\0abc")), (vec![], 17, 53, 2), "shorter than the packet");
    assert_eq!(seen(&over_ip(17, b"\0\x35\x10\0\xff\xff\0\0abc")), (vec![], 17, 53, 3), "longer than the packet");
    let cases: &[(&str, u8, &[u8], Decoded)] = &[
        ("icmp", 1, &[8, 0, 0, 0], Decoded::Control("icmp", Default::default())),
        ("pgm control", 113, &[0, 1, 0, 2, 0], Decoded::Control("pgm", Default::default())),
        ("pgm data", 113, &[0, 1, 0, 2, 4], Decoded::Opaque("pgm", Default::default())),
        ("unknown", 200, &[1], Decoded::Opaque("ip", Default::default())),
        ("tcp, header of 16 bytes", 6, &[&[0; 12][..], &[0x40], &[0; 9]].concat(), {
            Decoded::Undecoded(Loss::MalformedHeader)
        }),
        ("tcp, half a header", 6, &[0; 12], Decoded::Undecoded(Loss::MalformedHeader)),
    ];
    for (name, protocol, payload, want) in cases {
        assert_eq!(decode(1, &over_ip(*protocol, payload), 0), *want, "{name}");
    }
}

/// No byte string panics, and what a packet says of its payload stays within the frame.
#[test]
fn hostile_frames() {
    let frames = tunnelled();
    for (name, frame) in &frames {
        for end in 0..=frame.len() {
            for wire_len in [end as u32, frame.len() as u32, u32::MAX] {
                check(name, &frame[..end], wire_len);
            }
        }
        for at in 0..frame.len() {
            for value in [0, 1, 0x0f, 0x40, 0x7f, 0x80, 0xf0, 0xff] {
                let mut changed = frame.clone();
                changed[at] = value;
                check(name, &changed, frame.len() as u32);
            }
        }
    }
}

fn check(name: &str, frame: &[u8], wire_len: u32) {
    let links = crate::link::LINKS.iter().map(|link| link.number);
    for link_type in links {
        let within =
            |start: u32, captured: u32, len: u32| start as usize + captured as usize <= frame.len() && captured <= len;
        let sound = match decode(link_type, frame, wire_len) {
            Decoded::Packet(packet) => within(packet.payload_start, packet.payload_captured, packet.payload_len),
            Decoded::Fragment(part) => within(part.data_start, part.data_captured, part.data_len),
            _ => true,
        };
        assert!(sound, "{name}, link type {link_type}");
    }
}
