//! Plaintext protocols over TCP, and their upgrades to TLS.
//!
//! A chain of messages with a head that can be checked is a row of [`framed::Framed`] and one or two reader functions;
//! rows stand together by what they are for. A protocol that is told by fixed bytes alone is a row of `fixed.json`.

use super::Dissector;

mod adb;
mod backends;
mod brokers;
mod databases;
mod description;
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
mod stores;
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
    &stores::REDIS,
    &stores::ZOOKEEPER,
    &stores::ELASTICSEARCH,
    &backends::THRIFT,
    &stores::MONGO,
    &stores::CASSANDRA,
    &stores::TNS,
    &stores::DRDA,
    &brokers::STOMP,
    &brokers::NATS,
    &stores::MEMCACHED,
    &stores::MEMCACHED_BINARY,
    &backends::FASTCGI,
    &backends::AJP,
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
    &backends::JSON_RPC,
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

/// The tests that ask the dissectors of this group; the law of `detect` runs them.
#[cfg(test)]
pub(super) static TESTS: &[fn()] = &[
    adb::tests::heads,
    backends::tests::probe,
    brokers::tests::queues,
    brokers::tests::text,
    stores::tests::clusters,
    stores::tests::documents_and_columns,
    stores::tests::keys_and_values,
    stores::tests::relations,
    databases::tests::probe,
    databases::tests::upgrades,
    desktops::tests::nx,
    desktops::tests::vnc,
    files::tests::probe,
    files::tests::disks_and_printers,
    industrial::tests::checksums,
    industrial::tests::probe,
    industrial::tests::plants_and_meters,
    industrial::tests::sessions,
    mail::tests::probe,
    media::tests::probe,
    media::tests::calls,
    media::tests::streams_and_sharing,
    network::tests::probe,
    network::tests::labels_and_groups,
    network::tests::tickets_and_accounts,
    peer::tests::after_a_key_exchange,
    rdp::tests::probe,
    shells::tests::probe,
    stun::tests::messages,
    tds::tests::probe,
    tunnel::tests::socks,
    tunnel::tests::prefaces,
    web::tests::gnutella,
    web::tests::half_a_stream,
    web::tests::probe,
];
