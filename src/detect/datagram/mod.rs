//! Plaintext protocols over UDP: one file and one row each, or a few kin in one file.
//!
//! What stands here comes after everything encrypted. A row is asked only when no dissector before it was certain, so
//! the order matters where two formats could meet: magic numbers and whole-message walks first, weak headers last.

use super::Dissector;

mod ber;
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
mod routing;
mod rpc;
mod rtp;
mod sctp;
pub(super) mod sdp;
mod shape;
mod sip;
mod stream;
mod stun;
mod text;
mod tftp;
mod tunnel;
mod voice;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[
    &dns::Dns,
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
    &tunnel::CAPWAP,
    &tunnel::TEREDO,
    &discovery::SLP,
    &discovery::RADIUS,
    &discovery::LIFX,
    &discovery::XDMCP,
    &discovery::LWRES,
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
    &iot::Coap,
    &iot::MQTT_SN,
    &rpc::RX,
    &peer::GNUTELLA,
    &peer::EDONKEY,
    &peer::Utp,
    &tunnel::TIPC,
    &sctp::Sctp,
];
