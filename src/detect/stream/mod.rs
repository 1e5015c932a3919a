//! Plaintext protocols over TCP, and their upgrades to TLS.
//!
//! A chain of messages with a head that can be checked is a row of [`framed::Framed`] and one or two reader functions;
//! rows stand together by what they are for. A protocol that is told by fixed bytes alone is a row of `fixed.json`.

use super::Dissector;

mod adb;
mod brokers;
mod databases;
mod desktops;
mod files;
mod framed;
mod industrial;
mod lines;
pub(super) mod logins;
mod mail;
mod media;
mod network;
mod peer;
mod rdp;
mod shells;
mod stun;
mod tds;
mod text;
#[cfg(test)]
mod trial;
mod tunnel;
mod upgrade;
mod web;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[
    &tunnel::Proxy,
    &web::ICY,
    &rdp::Rdp,
    &tds::Tds,
    &web::HTTP,
    &web::ICY,
    &media::HTTP2,
    &web::RTSP,
    &web::SIP,
    &web::GNUTELLA,
    &stun::Stun,
    &adb::ADB,
    &mail::SMTP,
    &mail::LMTP,
    &mail::POP3,
    &mail::IMAP,
    &mail::MANAGESIEVE,
    &shells::FTP,
    &mail::NNTP,
    &shells::IRC,
    &shells::XMPP,
    &desktops::Vnc,
    &desktops::NX,
    &network::BGP,
    &files::NETBIOS,
    &files::RPC,
    &files::ISCSI,
    &databases::Postgres,
    &databases::AMQP_TLS,
    &databases::LDAP,
    &databases::MYSQL,
    &brokers::MQTT,
    &brokers::REDIS,
    &brokers::ZOOKEEPER,
    &brokers::ELASTICSEARCH,
    &brokers::THRIFT,
    &brokers::MONGO,
    &brokers::CASSANDRA,
    &brokers::TNS,
    &brokers::DRDA,
    &brokers::STOMP,
    &brokers::NATS,
    &brokers::MEMCACHED,
    &brokers::MEMCACHED_BINARY,
    &brokers::FASTCGI,
    &brokers::AJP,
    &network::DNS,
    &network::KERBEROS,
    &network::DIAMETER,
    &network::SMPP,
    &network::LDP,
    &network::OPENFLOW,
    &industrial::S7COMM,
    &industrial::ISO_SESSION,
    &industrial::COTP,
    &industrial::ENIP,
    &industrial::DNP3,
    &industrial::SYNCHROPHASOR,
    &industrial::IEC104,
    &industrial::C1222,
    &industrial::MODBUS,
    &media::FIX,
    &media::H225,
    &media::SKINNY,
    &media::X11,
    &media::RTMP,
    &media::EDONKEY,
    &brokers::KAFKA,
    &tunnel::Socks,
    &shells::TELNET,
    &brokers::JSON_RPC,
    &network::SYSLOG,
    &network::MSDP,
    &media::RLOGIN,
    &media::RSH,
    &files::LPD,
    &network::IDENT,
    &media::MPEG_TS,
    &network::WHOIS,
    &peer::AfterKeyExchange,
];
