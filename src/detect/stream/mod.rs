//! Plaintext protocols over TCP, and their upgrades to TLS.
//!
//! A chain of messages with a head that can be checked is a row of [`framed::Framed`] and one or two reader functions;
//! rows stand together by what they are for. A protocol that is told by fixed bytes alone is a row of `fixed.json`.

use super::Dissector;

mod databases;
mod framed;
mod lines;
mod mail;
mod rdp;
mod shells;
mod tds;
mod text;
mod tunnel;
mod upgrade;
mod web;

/// The dissectors of this group, surest first.
pub(super) static DISSECTORS: &[&dyn Dissector] = &[
    &tunnel::Proxy,
    &rdp::Rdp,
    &tds::Tds,
    &web::HTTP,
    &web::RTSP,
    &web::SIP,
    &web::ICY,
    &mail::SMTP,
    &mail::LMTP,
    &mail::POP3,
    &mail::IMAP,
    &mail::MANAGESIEVE,
    &shells::FTP,
    &mail::NNTP,
    &shells::IRC,
    &shells::XMPP,
    &databases::Postgres,
    &databases::AMQP_TLS,
    &databases::LDAP,
    &databases::MYSQL,
    &tunnel::Socks,
    &shells::TELNET,
];
