//! What is said of a flow besides its class: whether its handshake was completed, and whether it is web traffic.
//!
//! These are labels. None of them decides a class; the server port appears here and nowhere earlier.

use crate::model::{Class, FlowSummary, Handshake, TlsFacts};

/// Kinds of web traffic, as the web share counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    /// HTTP over TLS over TCP.
    Https,
    /// HTTP over QUIC.
    Quic,
    /// HTTP in clear.
    Cleartext,
}

/// Whether the handshake of `flow` was completed; `None` when that cannot be told.
///
/// `Some(false)`: it was seen to end early, or nothing but the hellos, or no application data behind the handshake, was seen
/// although nothing of the flow is missing,
/// or a client handshake was answered by packets without any payload. When a direction, a segment or the start of the flow
/// is missing, an unfinished handshake proves nothing, so the answer is `None`.
#[must_use]
pub fn established(flow: &FlowSummary) -> Option<bool> {
    let facts = flow.facts.as_ref()?;
    let handshake = match (&facts.tls, &facts.ssh) {
        (Some(tls), _) => tls.handshake,
        (None, Some(ssh)) => ssh.handshake,
        (None, None) => return None,
    };
    let whole = !flow.flags.iter().any(|flag| INCOMPLETE.contains(flag));
    match handshake {
        Handshake::Unused => Some(!whole),
        Handshake::Completed => Some(true),
        Handshake::Failed => Some(false),
        Handshake::Opened if whole => Some(false),
        Handshake::OneSided if whole && answered_without_payload(flow) => Some(false),
        Handshake::Opened | Handshake::OneSided | Handshake::NotSeen => None,
    }
}

/// Flags that say that a part of the flow was not seen.
const INCOMPLETE: [&str; 7] =
    ["midstream", "one_sided", "evicted", "gap", "cut_short", "handshake_cut_short", "capture_ended"];

fn answered_without_payload(flow: &FlowSummary) -> bool {
    flow.from_server.packets > 0 && flow.from_server.payload_bytes == 0
}

/// The kind of web traffic that `flow` is, if it is.
///
/// Encrypted: TLS or QUIC whose application protocol (ALPN; the negotiated one, else those offered) is an HTTP version;
/// without any ALPN, when the server port is 443 or 8443. In clear: flows recognised as HTTP and of class plaintext.
#[must_use]
pub fn web(flow: &FlowSummary) -> Option<Web> {
    let protocol = flow.protocol.name();
    match flow.class {
        Class::Plaintext if matches!(protocol, "http" | "http2") => Some(Web::Cleartext),
        Class::Encrypted if matches!(flow.upgraded_from.map(|from| from.name()), None | Some("http")) => match protocol
        {
            "tls" if is_web(flow) => Some(Web::Https),
            "quic" | "gquic" if is_web(flow) => Some(Web::Quic),
            _ => None,
        },
        _ => None,
    }
}

fn is_web(flow: &FlowSummary) -> bool {
    let tls = flow.facts.as_ref().and_then(|facts| facts.tls.as_deref());
    let mut names = tls.into_iter().flat_map(application_protocols).peekable();
    match names.peek() {
        Some(_) => names.any(is_http),
        None => matches!(server_port(flow), 443 | 8443),
    }
}

/// The negotiated application protocol, else those offered; empty when there is none.
fn application_protocols(tls: &TlsFacts) -> impl Iterator<Item = &str> {
    let negotiated = tls.next_protocol.as_deref();
    let offered = if negotiated.is_some() { &[] } else { &tls.offer.protocols[..] };
    negotiated.into_iter().chain(offered.iter().map(String::as_str))
}

/// Source: IANA "TLS Application-Layer Protocol Negotiation (ALPN) Protocol IDs"; `h3-29` and its kin are drafts.
pub(super) fn is_http(name: &str) -> bool {
    name == "h2" || name == "h3" || ["h3-", "hq-", "http/", "spdy/"].iter().any(|start| name.starts_with(start))
}

/// The port of the server; 0 where the transport has none.
#[must_use]
pub fn server_port(flow: &FlowSummary) -> u16 {
    flow.key.endpoint(flow.client.other()).port
}

/// What runs over the protocol of `flow`, in the words of ECS `network.application`; `None` when that is not seen.
#[must_use]
pub fn application(flow: &FlowSummary) -> Option<&'static str> {
    match web(flow) {
        Some(Web::Https | Web::Quic) => return Some("https"),
        Some(Web::Cleartext) => return Some("http"),
        None => {}
    }
    if flow.class != Class::Encrypted {
        return None;
    }
    if let Some(from) = flow.upgraded_from {
        return Some(from.name());
    }
    let tls = flow.facts.as_ref()?.tls.as_deref()?;
    let (_, application) =
        APPLICATIONS.iter().find(|(name, _)| application_protocols(tls).any(|found| found == *name))?;
    Some(application)
}

/// ALPN identifiers that name one application, and its name.
const APPLICATIONS: [(&str, &str); 14] = [
    ("dot", "dns"),
    ("doq", "dns"),
    ("imap", "imap"),
    ("pop3", "pop3"),
    ("managesieve", "sieve"),
    ("ftp", "ftp"),
    ("xmpp-client", "xmpp"),
    ("xmpp-server", "xmpp"),
    ("mqtt", "mqtt"),
    ("irc", "irc"),
    ("nntp", "nntp"),
    ("postgresql", "postgresql"),
    ("tds/8.0", "tds"),
    ("smb", "smb"),
];
