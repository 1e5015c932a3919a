//! From a captured frame to a flow key and a transport payload: link headers, IP, extension headers, fragments, tunnels.
//!
//! [`decode`] takes one frame. [`fragments::Pool`] takes the fragments among its answers, in capture order.
//!
//! A frame is walked from the outside in, one header a step, without recursion and without allocation, and every step
//! moves on; so the time is linear in the length of the frame. Six tunnels are opened at most: deeper frames are
//! [`Loss::TunnelsTooDeep`], outside every share, because a guess about what was not read would be worse.
//!
//! A tunnel whose inside cannot be read stays a packet of the protocol that carries it (GRE, UDP ...), which is counted
//! as unknown; so nothing is lost and nothing is claimed. What looks encrypted at the link layer inside a UDP tunnel is
//! left to that UDP flow too: a few bytes of structure are too little for such a claim.
//!
//! Sources: RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 9260, RFC 4340, RFC 3828, RFC 4302, RFC 4303, RFC 2675; the IANA
//! registry of protocol numbers.
//! Addresses are those of the innermost IP header, as it stands: routing headers and home address options change nothing.
//! Not handled: the inside of compressed headers (IPComp, ROHC, van Jacobson).

mod fast;
pub mod fragments;
mod ip;
mod transport;
mod tunnel;
mod walk;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use crate::model::{FlowKey, Loss, Side, Tunnel};

pub use tunnel::{TUNNELS, TunnelKind};

/// Number of Ethernet in the tcpdump registry of link types.
const ETHERNET: u16 = 1;

/// The packet in a frame without any layer that is less than common; what is refused goes to [`decode_other`]. Apart from that
/// so that a caller can go on with a packet that never was in memory.
#[inline(always)]
#[must_use]
pub fn plain(link_type: u16, frame: &[u8], wire_len: u32) -> Option<Packet> {
    if link_type == ETHERNET { fast::plain(frame, wire_len) } else { None }
}

/// Takes a captured frame apart.
///
/// `link_type` is the number of the tcpdump registry, `wire_len` the original length of the frame in bytes. Never
/// allocates, never fails: what cannot be read is [`Decoded::Undecoded`].
#[inline]
#[must_use]
pub fn decode(link_type: u16, frame: &[u8], wire_len: u32) -> Decoded {
    plain(link_type, frame, wire_len).map_or_else(|| decode_other(link_type, frame, wire_len), Decoded::Packet)
}

/// Takes a captured frame apart that [`plain`] refused.
#[must_use]
pub fn decode_other(link_type: u16, frame: &[u8], wire_len: u32) -> Decoded {
    if link_type == ETHERNET
        && let Some(packet) = fast::tagged(frame, wire_len)
    {
        return Decoded::Packet(Packet { vlan: vlan(link_type, frame), ..packet });
    }
    match walk::frame(link_type, frame, wire_len) {
        Decoded::Packet(packet) => Decoded::Packet(Packet { vlan: vlan(link_type, frame), ..packet }),
        Decoded::Fragment(fragment) => Decoded::Fragment(Fragment { vlan: vlan(link_type, frame), ..fragment }),
        other => other,
    }
}

/// The VLAN of the outermost tag of a frame (IEEE 802.1Q section 9.6), 0 when there is none. Of Ethernet, and of Linux cooked
/// captures, whose last two bytes are an EtherType.
#[inline]
fn vlan(link_type: u16, frame: &[u8]) -> u16 {
    let type_at = match link_type {
        1 => 12,
        113 => 14,
        _ => return 0,
    };
    match frame.get(type_at..).and_then(|from| from.first_chunk::<4>()) {
        Some(&[0x81, 0x00, high, low] | &[0x88, 0xa8, high, low]) => u16::from_be_bytes([high, low]) & 0x0fff,
        _ => 0,
    }
}

/// A frame, taken apart as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded {
    /// A packet of a conversation.
    Packet(Packet),
    /// A frame without application payload that belongs to no conversation: its protocol name (`arp`, `icmp` ...).
    Control(&'static str, [Tunnel; 6]),
    /// A fragment of an IP datagram, to be put together in order before it can go on.
    Fragment(Fragment),
    /// A frame that carries data in clear at the link layer, without a network packet (for example NetBIOS over LLC,
    /// CAN): protocol name.
    Plain(&'static str, [Tunnel; 6]),
    /// A frame whose content is encrypted at the link layer (802.11 protected, MACsec): protocol name.
    Sealed(&'static str, [Tunnel; 6]),
    /// A frame with content that nothing here recognises.
    Opaque(&'static str, [Tunnel; 6]),
    /// A frame that could not be read, and why. Outside every share.
    Undecoded(Loss),
}

/// A transport packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Conversation.
    pub key: FlowKey,
    /// Side of `key` that sent it.
    pub from: Side,
    /// Outermost VLAN of the frame, 0 when it has none.
    pub vlan: u16,
    /// TCP header flags (RFC 9293 section 3.1), low byte; 0 for other transports.
    pub tcp_flags: u8,
    /// Encapsulations opened, outermost first; unused places are 0.
    pub tunnels: [Tunnel; 6],
    /// TCP sequence number.
    pub seq: u32,
    /// Offset of the transport payload from the start of the frame (or of the reassembled datagram).
    pub payload_start: u32,
    /// Transport payload bytes that were captured.
    pub payload_captured: u32,
    /// Transport payload bytes on the wire, from the IP length (never link padding). At least `payload_captured`.
    pub payload_len: u32,
}

/// One IP fragment.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fragment {
    /// Source and destination in key form, ports 0; transport is the fragment's protocol.
    pub key: FlowKey,
    /// Side of `key` that sent it.
    pub from: Side,
    /// Outermost VLAN of the frame, 0 when it has none.
    pub vlan: u16,
    /// Identification (16 bits in IPv4, 32 in IPv6).
    pub id: u32,
    /// Offset of this fragment's data in the datagram. Unit: bytes.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// Encapsulations opened, outermost first.
    pub tunnels: [Tunnel; 6],
    /// Offset of the fragment's data from the start of the frame.
    pub data_start: u32,
    /// Bytes of it that were captured.
    pub data_captured: u32,
    /// Bytes of it on the wire.
    pub data_len: u32,
}
