//! Plaintext protocols over UDP: one file and one row each, or a few kin in one file.
//!
//! What stands here comes after everything encrypted. A row is asked only when no dissector before it was certain, so
//! the order matters where two formats could meet: magic numbers and whole-message walks first, weak headers last.

use super::Dissector;

mod ber;
mod dhcp;
mod dns;
mod netbios;
mod ntp;
mod rtp;
pub(super) mod sdp;
mod shape;
mod sip;
mod stun;
mod text;

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
    &ber::SNMP,
    &ber::KERBEROS,
    &ber::CLDAP,
    &ber::C1222,
    &netbios::NETBIOS_DATAGRAM,
    &dhcp::DHCPV6,
    &ntp::NTP,
    &rtp::Rtcp,
    &rtp::Rtp,
];
