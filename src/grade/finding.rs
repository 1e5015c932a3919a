//! What weakens encryption in a flow, or shows that it is missing where it matters: one row, one predicate.
//!
//! Findings hold under any policy and move no level; each names the document that says why it matters. They are looked
//! for once, when a flow is closed. What a client offered counts only where the row says so; everything else is about
//! what was negotiated in a handshake that was not seen to fail.
//!
//! Not seen, hence not found: certificates of TLS 1.3, renegotiation itself (only that it is unprotected), and whether an
//! Encrypted Client Hello is real or GREASE unless the server accepted it with a HelloRetryRequest.

use std::sync::LazyLock;

use super::registry::{self, Suite};
use crate::model::{CertificateFacts, Class, FlowSummary, Handshake, SshFacts, TlsFacts, Tunnel, UpgradeOutcome};
use crate::net::TunnelKind;

/// How much a finding matters, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// Content or passwords are readable, or can be made so by someone on the path.
    High,
    /// Protection falls short of what is asked for today.
    Medium,
    /// It tells something, or is a weakness only together with others.
    Low,
    /// Good to know; no weakness.
    Note,
}

impl Concern {
    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Note => "note",
        }
    }
}

/// A kind of finding.
pub struct Finding {
    /// Identifier, unique.
    pub id: &'static str,
    /// How much it matters.
    pub concern: Concern,
    /// What was found, in one plain sentence without a full stop.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The document and section that says why.
    pub source: &'static str,
    looks_at: Look,
}

impl Finding {
    /// Whether it is about the part of a flow before its upgrade to encryption.
    #[must_use]
    pub fn before_upgrade(&self) -> bool {
        matches!(self.looks_at, Look::Upgrade(_)) || matches!(self.id, "password_in_clear" | "upgrade_stripped")
    }

    /// Whether a password can be read in the flow.
    #[must_use]
    pub fn shows_password(&self) -> bool {
        matches!(self.id, "password_in_clear" | "login_in_clear" | "community_in_clear")
    }
}

/// What the predicate of a row is asked about.
enum Look {
    /// The flow as a whole.
    Flow(fn(&FlowSummary) -> bool),
    /// The hellos, whatever became of them.
    Hello(fn(&TlsFacts) -> bool),
    /// A handshake with its ServerHello.
    Tls(fn(&TlsFacts) -> bool),
    /// The suite of such a handshake.
    Suite(fn(&Suite) -> bool),
    /// The server's certificate, at the time of the flow in seconds since 1970 UTC.
    Certificate(fn(&CertificateFacts, i64) -> bool),
    /// SSH algorithms.
    Ssh(fn(&SshFacts) -> bool),
    /// What became of an upgrade.
    Upgrade(UpgradeOutcome),
    /// Several flows together; the sums say it ([`REPEATED_SHARE`]).
    Flows,
}

/// The finding that several flows show together: a server's public value in more than one connection.
pub const REPEATED_SHARE: &str = "server_share_repeated";

/// All kinds, worst first.
#[must_use]
pub fn all() -> &'static [&'static Finding] {
    static SORTED: LazyLock<Vec<&'static Finding>> = LazyLock::new(|| {
        let mut rows: Vec<_> = FINDINGS.iter().collect();
        rows.sort_by_key(|row| row.concern);
        rows
    });
    &SORTED
}

/// The kind called `id`; `None` when there is none.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Finding> {
    FINDINGS.iter().find(|row| row.id == id)
}

/// What is found in a closed flow; `completed` is `Some(false)` when its handshake is known to have failed.
pub fn of(flow: &FlowSummary, completed: Option<bool>) -> impl Iterator<Item = &'static Finding> {
    let facts = flow.facts.as_deref();
    let hello = facts.and_then(|facts| facts.tls.as_deref());
    let tls = hello.filter(|tls| tls.version.is_some() && completed != Some(false));
    let suite = tls.and_then(|tls| tls.cipher).and_then(registry::suite);
    let certificate = tls.and_then(|tls| tls.certificate.as_deref());
    let ssh = facts.and_then(|facts| facts.ssh.as_deref()).filter(|ssh| ssh.handshake == Handshake::Completed);
    let upgrade = facts.and_then(|facts| facts.upgrade);
    let seconds = flow.first_ns.div_euclid(1_000_000_000);
    // What said nothing of itself can only have what is told from the flow, and only in clear.
    let rows = match facts {
        Some(_) => EACH.as_slice(),
        None if flow.class == Class::Plaintext => OF_FLOWS.as_slice(),
        None => &[],
    };
    rows.iter().copied().filter(move |row| match row.looks_at {
        Look::Flow(holds) => holds(flow),
        Look::Hello(holds) => hello.is_some_and(holds),
        Look::Tls(holds) => tls.is_some_and(holds),
        Look::Suite(holds) => suite.is_some_and(holds),
        Look::Certificate(holds) => certificate.is_some_and(|certificate| holds(certificate, seconds)),
        Look::Ssh(holds) => ssh.is_some_and(holds),
        Look::Upgrade(outcome) => upgrade.is_some_and(|(_, found)| found == outcome),
        Look::Flows => false,
    })
}

/// Whether frames of this name belong to a protocol that encrypts by nature: in clear it protects in name only.
#[must_use]
pub fn protects_in_name_only(name: &str) -> bool {
    ["tls", "dtls", "ssh", "esp", "esp-null", "ah", "macsec"].contains(&name)
}

use Concern::{High, Low, Medium, Note};

/// All rows.
static EACH: LazyLock<Vec<&Finding>> = LazyLock::new(|| FINDINGS.iter().collect());

/// Those that look at the flow alone.
static OF_FLOWS: LazyLock<Vec<&Finding>> =
    LazyLock::new(|| FINDINGS.iter().filter(|row| matches!(row.looks_at, Look::Flow(_))).collect());

#[rustfmt::skip]
static FINDINGS: &[Finding] = &[
    // Suites that protect little or nothing.
    Finding { id: "null_suite", concern: High, looks_at: Look::Suite(|suite| suite.cipher == "null" && !suite.is_tls13()),
        what: "a suite without encryption was negotiated: everyone on the path reads along",
        advice: "take NULL suites out of the configuration of both ends", source: "RFC 9325 section 4.1" },
    Finding { id: "integrity_only_suite", concern: High, looks_at: Look::Suite(|suite| suite.cipher == "null" && suite.is_tls13()),
        what: "a suite that only protects integrity was negotiated: everyone on the path reads along",
        advice: "use a suite that encrypts unless that was the intention", source: "RFC 9150 sections 1 and 9" },
    Finding { id: "encryption_in_name_only", concern: High, looks_at: Look::Flow(in_name_only),
        what: "an encrypting protocol was used without encryption",
        advice: "take the null cipher or integrity-only mode out of the configuration of both ends",
        source: "RFC 4253 section 6.3 (SSH none), RFC 4302 (AH), RFC 2410 (ESP null), IEEE 802.1AE (MACsec)" },
    Finding { id: "export_suite", concern: High, looks_at: Look::Suite(|suite| suite.export),
        what: "a suite weakened for export was negotiated: its key can be found by search",
        advice: "take export suites out of the configuration of both ends", source: "RFC 9325 section 4.1; RFC 2246 appendix D" },
    Finding { id: "anonymous_suite", concern: High, looks_at: Look::Suite(|suite| suite.auth == "anon"),
        what: "neither side proved who it is: anyone on the path can take either role",
        advice: "use suites with certificates or pre-shared keys", source: "RFC 5246 appendix A.5; RFC 10015 (DH_anon)" },
    Finding { id: "rc4", concern: High, looks_at: Look::Suite(|suite| suite.cipher == "rc4"),
        what: "RC4 encrypts: its biases give plaintext away", advice: "switch RC4 off at both ends", source: "RFC 7465 section 2" },
    Finding { id: "des", concern: High, looks_at: Look::Suite(|suite| matches!(suite.cipher, "des" | "des40")),
        what: "DES encrypts: its 56-bit key can be found by search", advice: "switch DES off at both ends", source: "RFC 5469 section 4" },
    Finding { id: "3des", concern: Medium, looks_at: Look::Suite(|suite| suite.cipher == "3des"),
        what: "3DES encrypts: its blocks are so short that long sessions repeat them (Sweet32)",
        advice: "switch 3DES off at both ends", source: "RFC 9325 section 4.1; RFC 8429 section 5" },
    Finding { id: "md5", concern: Medium, looks_at: Look::Suite(|suite| suite.mac == "md5"),
        what: "MD5 protects the integrity of records", advice: "use suites with SHA-256, or better AES-GCM", source: "RFC 6151 section 2" },
    Finding { id: "sha1", concern: Low, looks_at: Look::Suite(|suite| suite.mac == "sha1"),
        what: "SHA-1 protects the integrity of records", advice: "prefer suites with authenticated encryption",
        source: "RFC 9325 section 4.2; RFC 6194 section 3.3 (no attack on the MAC is known)" },
    Finding { id: "handshake_signed_with_sha1_or_md5", concern: Medium,
        looks_at: Look::Tls(|tls| tls.signature.and_then(registry::signature).is_some_and(|(_, hash)| matches!(hash, "sha1" | "md5"))),
        what: "the server signed its key exchange with SHA-1 or MD5, for which collisions can be made",
        advice: "let both ends offer SHA-256 signatures", source: "RFC 9155 section 4" },

    // Who can read it later.
    Finding { id: "static_rsa", concern: Medium, looks_at: Look::Suite(|suite| suite.kex == "rsa"),
        what: "keys were sent under the server's long-term RSA key: whoever gets that one key opens all recorded traffic",
        advice: "use ECDHE suites or TLS 1.3", source: "RFC 10015 section \"RSA\"; RFC 9325 section 4.1" },
    Finding { id: "static_dh", concern: Medium, looks_at: Look::Suite(|suite| matches!(suite.kex, "dh" | "ecdh") && suite.auth != "anon"),
        what: "keys come from the Diffie-Hellman key in the certificate: whoever gets that one key opens all recorded traffic",
        advice: "use ECDHE suites or TLS 1.3", source: "RFC 10015 section \"Non-Ephemeral Diffie Hellman\"; RFC 9325 section 4.1" },
    Finding { id: "psk_without_forward_secrecy", concern: Medium, looks_at: Look::Tls(|tls| tls.psk_only || suite_of(tls).is_some_and(|suite| suite.kex == "psk")),
        what: "keys come from a pre-shared key alone (psk_ke): whoever gets that key opens all recorded traffic",
        advice: "use psk_dhe_ke, or ECDHE_PSK suites", source: "RFC 9325 section 3.4; RFC 8446 section 2.2" },
    Finding { id: REPEATED_SHARE, concern: Medium, looks_at: Look::Flows,
        what: "a server used the same public value in several connections: keys may be kept, as enterprise TLS (ETSI TS 103 523-3) does \
               so that others can decrypt",
        advice: "let servers make a new key for each connection; ask why they do not", source: "RFC 9325 section 7.4; RFC 8446 appendix C.4" },
    Finding { id: "dh_prime_small", concern: Medium, looks_at: Look::Tls(|tls| tls.dh_bits.is_some_and(|bits| bits < 2048)),
        what: "the Diffie-Hellman prime has fewer than 2048 bits", advice: "use ECDHE, or primes of RFC 7919",
        source: "RFC 9325 section 4.5" },
    Finding { id: "dh_prime_shared", concern: High, looks_at: Look::Tls(shared_prime),
        what: "a Diffie-Hellman prime of 1024 bits or less that many servers share: broken once, it opens them all (Logjam)",
        advice: "use ECDHE, or primes of RFC 7919", source: "RFC 9325 section 4.1; RFC 10015; the primes: RFC 2409, RFC 5114" },
    Finding { id: "curve_small", concern: Medium, looks_at: Look::Tls(small_curve),
        what: "the elliptic curve gives less than 112 bits of security", advice: "offer x25519 and secp256r1", source: "RFC 9325 section 4.5" },

    // Versions and downgrades.
    Finding { id: "ssl", concern: High, looks_at: Look::Tls(|tls| matches!(tls.version, Some(0x0002 | 0x0300))),
        what: "SSL 2 or 3 was negotiated", advice: "switch SSL off at both ends", source: "RFC 6176, RFC 7568" },
    Finding { id: "tls_1.0_or_1.1", concern: Medium, looks_at: Look::Tls(|tls| matches!(tls.version, Some(0x0301 | 0x0302 | 0xfeff))),
        what: "TLS 1.0 or 1.1 was negotiated, which are withdrawn", advice: "switch them off at both ends", source: "RFC 8996 sections 4 and 5" },
    Finding { id: "downgrade", concern: High, looks_at: Look::Hello(|tls| tls.downgrade_sentinel && offers_more(tls)),
        what: "a lower version was negotiated than both sides can do: the server's random says so, and the client offered it",
        advice: "look for a device in between that changes handshakes", source: "RFC 8446 section 4.1.3" },
    Finding { id: "downgrade_sentinel", concern: Low, looks_at: Look::Tls(|tls| tls.downgrade_sentinel && !offers_more(tls)),
        what: "the server can do a newer version than the client offered", advice: "update the client",
        source: "RFC 8446 section 4.1.3" },
    Finding { id: "fallback_scsv", concern: Medium, looks_at: Look::Hello(|tls| tls.fallback_scsv),
        what: "a client tried again with a lower version after a failed attempt", advice: "find out why the first attempt fails",
        source: "RFC 7507 section 4" },

    // Extensions.
    Finding { id: "compression", concern: Medium, looks_at: Look::Tls(|tls| tls.compression.is_some_and(|method| method != 0)),
        what: "TLS compression was negotiated: lengths give plaintext away (CRIME)", advice: "switch compression off",
        source: "RFC 9325 section 3.3" },
    Finding { id: "renegotiation_unprotected", concern: Low, looks_at: Look::Tls(|tls| is_before_1_3(tls) && !tls.secure_renegotiation),
        what: "one side does not protect renegotiation: handshakes can be spliced", advice: "update it, or switch renegotiation off",
        source: "RFC 9325 section 3.5; RFC 5746" },
    Finding { id: "heartbeat", concern: Low, looks_at: Look::Tls(|tls| tls.heartbeat),
        what: "heartbeat was negotiated, which old software answers with its memory (Heartbleed)", advice: "switch heartbeat off",
        source: "RFC 6520 section 4; CVE-2014-0160" },
    Finding { id: "sni_in_clear", concern: Note, looks_at: Look::Hello(|tls| tls.server_name.is_some()),
        what: "the name of the server goes in clear", advice: "offer Encrypted Client Hello", source: "RFC 6066 section 3; RFC 8744 section 2" },
    Finding { id: "ech_offered", concern: Note, looks_at: Look::Hello(|tls| tls.ech_offered && !tls.ech_real),
        what: "the client offers Encrypted Client Hello, for real or as GREASE: from outside that cannot be told",
        advice: "nothing", source: "RFC 9849 section 6.2" },
    Finding { id: "ech_real", concern: Note, looks_at: Look::Hello(|tls| tls.ech_real),
        what: "the client offered a real Encrypted Client Hello and the server accepted it: asked for another hello, it encrypted the inner one anew",
        advice: "nothing", source: "RFC 9849 section 6.1.5" },
    Finding { id: "ipsec_key_exchange_weak", concern: Medium, looks_at: Look::Flow(|flow| chose(flow, "isakmp",
            &["modp768", "modp1024", "modp1536", "modp1024s160"], &["des", "3des"])),
        what: "IKE agreed on DES or 3DES, or on a Diffie-Hellman group below 2048 bits", advice: "offer AES and groups 14, 19 or 31 only",
        source: "RFC 8247 sections 2.1 and 2.4" },
    Finding { id: "srtp_null", concern: High, looks_at: Look::Tls(|tls| tls.srtp_profile.is_some_and(registry::is_null_srtp)),
        what: "DTLS agreed on media without encryption (a NULL profile of SRTP): everyone on the path listens in",
        advice: "take the NULL profiles out of the configuration of both ends", source: "RFC 5764 section 4.1.2; RFC 8827 section 6.5" },
    Finding { id: "ssh_version_1", concern: High, looks_at: Look::Flow(|flow| flow.protocol.name() == "ssh"
            && flow.facts.as_ref().is_some_and(|facts| facts.carrier_version == Some(1))),
        what: "SSH version 1 was used: data can be changed and commands inserted", advice: "use version 2",
        source: "RFC 4251; CVE-1999-1085, CVE-2001-0572" },
    Finding { id: "rdp_own_security", concern: High, looks_at: Look::Flow(|flow| chose(flow, "rdp", &[], &["rc4-40", "rc4-56", "rc4-128", "3des"])),
        what: "RDP used its own security instead of TLS: the server is not proven, and RC4 or 3DES encrypts",
        advice: "demand Network Level Authentication", source: "MS-RDPBCGR section 5.3" },
    Finding { id: "terrapin", concern: Low, looks_at: Look::Ssh(terrapin),
        what: "SSH messages can be cut out unseen (Terrapin): a cipher of that kind without strict key exchange",
        advice: "update SSH at both ends", source: "CVE-2023-48795; OpenSSH PROTOCOL section 1.10" },

    // Certificates, where they are visible.
    Finding { id: "certificate_expired", concern: Medium, looks_at: Look::Certificate(|certificate, now| now > certificate.not_after),
        what: "a certificate had expired", advice: "renew certificates in time", source: "RFC 5280 section 4.1.2.5" },
    Finding { id: "certificate_not_yet_valid", concern: Medium, looks_at: Look::Certificate(|certificate, now| now > 0 && now < certificate.not_before),
        what: "a certificate was not valid yet", advice: "check the clocks", source: "RFC 5280 section 4.1.2.5" },
    Finding { id: "certificate_self_signed", concern: Low, looks_at: Look::Certificate(|certificate, _| certificate.self_signed),
        what: "a certificate was signed by its own key", advice: "use certificates of an authority that clients know, or pin them",
        source: "RFC 5280 sections 3.2 and 6" },
    Finding { id: "certificate_weak_key", concern: Medium, looks_at: Look::Certificate(|certificate, _| weak_key(&certificate.key)),
        what: "a certificate's key is too short", advice: "use RSA keys of 2048 bits or more, or curves of 256", source: "RFC 9325 section 4.5" },
    Finding { id: "certificate_weak_signature", concern: Medium,
        looks_at: Look::Certificate(|certificate, _| !certificate.self_signed && ["-sha1", "-md5", "-md2"].iter().any(|hash| certificate.signature.ends_with(hash))),
        what: "a certificate is signed with SHA-1 or MD5, for which collisions can be made", advice: "have it issued again",
        source: "RFC 9325 section 4.5; RFC 9155" },
    Finding { id: "certificate_name_mismatch", concern: Medium, looks_at: Look::Certificate(|certificate, _| certificate.name_matches == Some(false)),
        what: "a certificate was not issued for the name that the client asked for", advice: "correct the name or the certificate",
        source: "RFC 9525 section 6" },

    // Encryption that could have been, and was not.
    Finding { id: "upgrade_refused", concern: High, looks_at: Look::Upgrade(UpgradeOutcome::Refused),
        what: "clients asked for encryption and the server refused",
        advice: "switch STARTTLS on at the server; if it is on, look for a device in between that strips it", source: "RFC 9325 section 3.2; RFC 3207 section 6" },
    Finding { id: "upgrade_stripped", concern: High, looks_at: Look::Flow(|flow| flow.facts.as_ref().is_some_and(|facts| facts.offer_overwritten)),
        what: "a device in between overwrote what the server offers (XXXXXXXX), and no offer of encryption was left",
        advice: "find the device and switch its mail inspection off", source: "RFC 3207 section 6; RFC 7672 section 1.3.2" },
    Finding { id: "upgrade_failed", concern: High, looks_at: Look::Upgrade(UpgradeOutcome::Failed),
        what: "encryption was agreed and did not follow",
        advice: "look at the server's certificate and TLS settings, and for a device that interferes", source: "RFC 9325 section 3.2; RFC 3207 section 6" },
    Finding { id: "upgrade_unused", concern: Medium, looks_at: Look::Upgrade(UpgradeOutcome::Offered),
        what: "the server offered encryption and the client did not take it",
        advice: "make encryption mandatory at the clients or the server (MTA-STS, DANE, \"require TLS\")", source: "RFC 9325 section 3.2; RFC 8314 section 3" },
    Finding { id: "password_in_clear", concern: High, looks_at: Look::Flow(|flow| flow.facts.as_ref().is_some_and(|facts| facts.password_in_clear.is_some())),
        what: "a password was sent in clear (it is counted and kept nowhere)",
        advice: "switch logins in clear off at the server, and change these passwords", source: "RFC 8314 section 3; RFC 7617 section 4" },
    Finding { id: "login_in_clear", concern: High, looks_at: Look::Flow(|flow| is_clear(flow, &["telnet", "rlogin", "rsh", "vnc"])),
        what: "remote control in clear: logins and everything after them can be read",
        advice: "use SSH, or the same through TLS", source: "RFC 4949 (\"cleartext\"); RFC 854, RFC 1282 have no encryption" },
    Finding { id: "community_in_clear", concern: Medium, looks_at: Look::Flow(community),
        what: "SNMP version 1 or 2c: its community string, a password, goes in clear", advice: "use SNMP version 3 with privacy",
        source: "RFC 3584 section 8; RFC 3414 section 1.2" },
    Finding { id: "web_in_clear", concern: Medium, looks_at: Look::Flow(|flow| is_clear(flow, &["http", "http2"])),
        what: "web pages and APIs were fetched over HTTP in clear",
        advice: "redirect to HTTPS and send Strict-Transport-Security", source: "RFC 6797 section 2.3; RFC 7258" },
    Finding { id: "names_in_clear", concern: Low, looks_at: Look::Flow(|flow| is_clear(flow, &["dns"])),
        what: "names were looked up in clear", advice: "use DNS over TLS, HTTPS or QUIC to the resolver",
        source: "RFC 9076; RFC 7858, RFC 8484, RFC 9250" },
];

fn is_clear(flow: &FlowSummary, names: &[&str]) -> bool {
    flow.class == Class::Plaintext && names.contains(&flow.protocol.name())
}

/// TLS has rows of its own, by suite. What AH and MACsec leave readable is found as the protocol inside them.
fn in_name_only(flow: &FlowSummary) -> bool {
    let inside = |tunnel: &Tunnel| TunnelKind::of(*tunnel).is_some_and(|kind| ["ah", "macsec"].contains(&kind.name));
    let protected = flow.class == Class::Plaintext && flow.tunnels.iter().any(inside);
    protected || is_clear(flow, &["ssh", "esp", "esp-null", "ah", "macsec"])
}

/// Whether a flow of `protocol` agreed on one of these key exchanges or ciphers.
fn chose(flow: &FlowSummary, protocol: &str, kexes: &[&str], ciphers: &[&str]) -> bool {
    let found = flow.facts.as_ref().and_then(|facts| facts.algorithms.as_ref());
    let among = |name: &Option<String>, names: &[&str]| name.as_deref().is_some_and(|name| names.contains(&name));
    flow.protocol.name() == protocol
        && found.is_some_and(|found| among(&found.kex, kexes) || among(&found.cipher, ciphers))
}

fn community(flow: &FlowSummary) -> bool {
    let version = flow.facts.as_ref().and_then(|facts| facts.carrier_version);
    is_clear(flow, &["snmp"]) && version != Some(3)
}

fn suite_of(tls: &TlsFacts) -> Option<&'static Suite> {
    tls.cipher.and_then(registry::suite)
}

fn is_before_1_3(tls: &TlsFacts) -> bool {
    tls.version.is_some_and(|version| (0x0300..0x0304).contains(&version) || matches!(version, 0xfeff | 0xfefd))
}

/// Whether the client offered a newer version than was negotiated.
fn offers_more(tls: &TlsFacts) -> bool {
    // DTLS counts downwards.
    let rank = |version: u16| if version >= 0xfe00 { 0xffff - version } else { version };
    let Some(chosen) = tls.version else { return false };
    let alike = |version: u16| (version >= 0xfe00) == (chosen >= 0xfe00);
    // Drafts of TLS 1.3 (0x7fxx) rank above every version before them.
    tls.offer.versions.iter().any(|version| alike(*version) && rank(*version) > rank(chosen))
}

/// Source: RFC 9325 section 4.5; families as in the registry of groups.
fn small_curve(tls: &TlsFacts) -> bool {
    let group = tls.group.and_then(registry::group);
    group.is_some_and(|group| matches!(group.family, "prime" | "binary") && (1..224).contains(&group.bits))
}

fn shared_prime(tls: &TlsFacts) -> bool {
    tls.dh_bits.is_some_and(|bits| bits <= 1024) && tls.dh_prime_digest.and_then(registry::dh_prime).is_some()
}

/// `rsa-1024`, `dsa-1024`, `ec-p192` ...; a key without a size in its name is not judged.
fn weak_key(key: &str) -> bool {
    let Some((kind, size)) = key.rsplit_once('-') else { return false };
    let Ok(bits) = size.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>() else {
        return false;
    };
    match kind {
        "rsa" | "dsa" | "rsa-pss" => bits < 2048,
        "ec" => bits < 224,
        _ => false,
    }
}

/// ChaCha20-Poly1305, or CBC with a MAC over the ciphertext, in either direction, without strict key exchange.
fn terrapin(ssh: &SshFacts) -> bool {
    let weak = |(cipher, mac): (&Option<String>, &Option<String>)| {
        let Some(cipher) = cipher else { return false };
        let etm = mac.as_deref().is_some_and(|mac| mac.contains("-etm@"));
        cipher.starts_with("chacha20-poly1305") || (cipher.contains("-cbc") && etm)
    };
    !ssh.strict_kex && ssh.cipher.iter().zip(&ssh.mac).any(weak)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, Facts, FlowKey, Offer, Protocol, SharedOffer, Transport};

    /// A flow of 2018-08-01 with these facts.
    fn flow(protocol: Protocol, class: Class, facts: Facts) -> FlowSummary {
        let end = |port| Endpoint { ip: std::net::IpAddr::from([192, 0, 2, 1]), port };
        let (key, client) = FlowKey::new(Transport::TCP, end(50_000), end(443));
        FlowSummary {
            key,
            client,
            first_frame: 0,
            first_ns: 1_533_081_600_000_000_000,
            last_ns: 1_533_081_600_000_000_000,
            from_client: Default::default(),
            from_server: Default::default(),
            retransmitted_bytes: 0,
            class,
            readable: Default::default(),
            evidence: crate::model::Evidence::Handshake,
            protocol,
            upgraded_from: None,
            tunnels: Default::default(),
            vlan: 0,
            facts: Some(Box::new(facts)),
            flags: Vec::new(),
            gaps: 0,
            conflicts: 0,
            openings: None,
            parts: Vec::new(),
        }
    }

    fn found(flow: &FlowSummary, completed: Option<bool>) -> Vec<&'static str> {
        of(flow, completed).map(|row| row.id).collect()
    }

    fn versions(offered: &[u16]) -> SharedOffer {
        Offer { versions: offered.to_vec(), ..Offer::default() }.into()
    }

    /// TLS 1.2 with an AEAD suite, nothing wrong with it.
    fn good() -> TlsFacts {
        TlsFacts {
            version: Some(0x0303),
            cipher: Some(0xc02f),
            offer: versions(&[0x0303]),
            group: Some(29),
            signature: Some(0x0804),
            secure_renegotiation: true,
            compression: Some(0),
            handshake: Handshake::Completed,
            certificate: Some(Box::new(CertificateFacts {
                key: "rsa-2048".into(),
                signature: "rsa-sha256".into(),
                not_before: 1_500_000_000,
                not_after: 1_600_000_000,
                self_signed: false,
                name_matches: Some(true),
            })),
            ..TlsFacts::default()
        }
    }

    #[test]
    fn tls() {
        type Change = fn(&mut TlsFacts);
        #[rustfmt::skip]
        let cases: &[(&str, Change, &[&str])] = &[
            ("good", |_| {}, &[]),
            ("RC4 with SHA-1, static RSA", |tls| tls.cipher = Some(0x0005), &["rc4", "sha1", "static_rsa"]),
            ("RC4 with MD5", |tls| tls.cipher = Some(0x0004), &["rc4", "md5", "static_rsa"]),
            ("3DES, ephemeral", |tls| tls.cipher = Some(0xc012), &["3des", "sha1"]),
            ("DES", |tls| tls.cipher = Some(0x0015), &["des", "sha1"]),
            ("export", |tls| tls.cipher = Some(0x0008), &["export_suite", "des", "sha1", "static_rsa"]),
            ("NULL", |tls| tls.cipher = Some(0x003b), &["null_suite", "static_rsa"]),
            ("integrity only", |tls| { tls.version = Some(0x0304); tls.cipher = Some(0xc0b4) }, &["integrity_only_suite"]),
            ("anonymous, not static", |tls| tls.cipher = Some(0x00a6), &["anonymous_suite"]),
            ("static ECDH", |tls| tls.cipher = Some(0xc02d), &["static_dh"]),
            ("PSK", |tls| tls.cipher = Some(0x00a8), &["psk_without_forward_secrecy"]),
            ("PSK with DHE", |tls| tls.cipher = Some(0x00aa), &[]),
            ("psk_ke", |tls| { tls.version = Some(0x0304); tls.cipher = Some(0x1301); tls.psk_only = true }, &["psk_without_forward_secrecy"]),
            ("SHA-1 signature", |tls| tls.signature = Some(0x0201), &["handshake_signed_with_sha1_or_md5"]),
            ("prime of 1536 bits", |tls| tls.dh_bits = Some(1536), &["dh_prime_small"]),
            ("prime of 2048 bits", |tls| tls.dh_bits = Some(2048), &[]),
            ("Oakley group 2", |tls| { tls.dh_bits = Some(1024); tls.dh_prime_digest = Some(0x3f35_a3f5_f6c4_376a) }, &["dh_prime_small", "dh_prime_shared"]),
            ("own prime of 1024 bits", |tls| { tls.dh_bits = Some(1024); tls.dh_prime_digest = Some(1) }, &["dh_prime_small"]),
            ("shared prime of 2048 bits", |tls| { tls.dh_bits = Some(2048); tls.dh_prime_digest = Some(0xd664_36f7_9bbd_6b2e) }, &[]),
            ("secp192r1", |tls| tls.group = Some(19), &["curve_small"]),
            ("secp224r1", |tls| tls.group = Some(21), &[]),
            ("SSL 3", |tls| tls.version = Some(0x0300), &["ssl"]),
            ("TLS 1.1", |tls| tls.version = Some(0x0302), &["tls_1.0_or_1.1"]),
            ("DTLS 1.0", |tls| tls.version = Some(0xfeff), &["tls_1.0_or_1.1"]),
            ("sentinel, 1.3 offered", |tls| { tls.downgrade_sentinel = true; tls.offer = versions(&[0x0304, 0x0303]) }, &["downgrade"]),
            ("sentinel, 1.2 offered", |tls| tls.downgrade_sentinel = true, &["downgrade_sentinel"]),
            ("1.3 offered, no sentinel", |tls| tls.offer = versions(&[0x0304, 0x0303]), &[]),
            ("fallback", |tls| tls.fallback_scsv = true, &["fallback_scsv"]),
            ("compression", |tls| tls.compression = Some(1), &["compression"]),
            ("renegotiation", |tls| tls.secure_renegotiation = false, &["renegotiation_unprotected"]),
            ("heartbeat", |tls| tls.heartbeat = true, &["heartbeat"]),
            ("SNI", |tls| tls.server_name = Some("a".into()), &["sni_in_clear"]),
            ("ECH", |tls| tls.ech_offered = true, &["ech_offered"]),
            ("real ECH", |tls| (tls.ech_offered, tls.ech_real) = (true, true), &["ech_real"]),
            ("media in clear", |tls| tls.srtp_profile = Some(5), &["srtp_null"]),
            ("media encrypted", |tls| tls.srtp_profile = Some(1), &[]),
        ];
        for (name, change, want) in cases {
            let mut tls = good();
            change(&mut tls);
            let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
            assert_eq!(found(&flow(Protocol::TLS, Class::Encrypted, facts), Some(true)), *want, "{name}");
        }
    }

    #[test]
    fn a_failed_handshake_shows_only_what_the_client_said() {
        let tls = TlsFacts { cipher: Some(0x0005), fallback_scsv: true, ..good() };
        let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
        assert_eq!(found(&flow(Protocol::TLS, Class::Encrypted, facts), Some(false)), ["fallback_scsv"]);
        // A client that sees through a downgrade breaks off: that is when it matters.
        let tls = TlsFacts { downgrade_sentinel: true, offer: versions(&[0x0304, 0x0303]), ..good() };
        let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
        assert_eq!(found(&flow(Protocol::TLS, Class::Encrypted, facts), Some(false)), ["downgrade"]);
    }

    #[test]
    fn certificates() {
        type Change = fn(&mut CertificateFacts);
        #[rustfmt::skip]
        let cases: &[(&str, Change, &[&str])] = &[
            ("expired", |it| it.not_after = 1_533_081_599, &["certificate_expired"]),
            ("expires this second", |it| it.not_after = 1_533_081_600, &[]),
            ("not yet valid", |it| it.not_before = 1_533_081_601, &["certificate_not_yet_valid"]),
            ("self-signed with SHA-1", |it| { it.self_signed = true; it.signature = "rsa-sha1".into() }, &["certificate_self_signed"]),
            ("SHA-1", |it| it.signature = "rsa-sha1".into(), &["certificate_weak_signature"]),
            ("RSA 1024", |it| it.key = "rsa-1024".into(), &["certificate_weak_key"]),
            ("P-192", |it| it.key = "ec-p192".into(), &["certificate_weak_key"]),
            ("P-256", |it| it.key = "ec-p256".into(), &[]),
            ("Ed25519", |it| it.key = "ed25519".into(), &[]),
            ("another name", |it| it.name_matches = Some(false), &["certificate_name_mismatch"]),
            ("no name asked for", |it| it.name_matches = None, &[]),
        ];
        for (name, change, want) in cases {
            let mut tls = good();
            change(tls.certificate.get_or_insert_default());
            let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
            assert_eq!(found(&flow(Protocol::TLS, Class::Encrypted, facts), Some(true)), *want, "{name}");
        }
    }

    #[test]
    fn other_protocols() {
        const SSH: Protocol = Protocol(&"ssh");
        let ssh = |cipher: &str, mac: Option<&str>, strict_kex| {
            let both = |name: Option<&str>| [name.map(str::to_owned), name.map(str::to_owned)];
            let (cipher, mac) = (both(Some(cipher)), both(mac));
            let ssh = SshFacts { cipher, mac, strict_kex, handshake: Handshake::Completed, ..SshFacts::default() };
            flow(SSH, Class::Encrypted, Facts { ssh: Some(Box::new(ssh)), ..Facts::default() })
        };
        let clear = |name: &'static &'static str, facts| flow(Protocol(name), Class::Plaintext, facts);
        let upgrade =
            |outcome| clear(&"smtp", Facts { upgrade: Some((Protocol(&"smtp"), outcome)), ..Facts::default() });
        let (etm, plain) = (Some("hmac-sha2-256-etm@openssh.com"), Some("hmac-sha2-256"));
        let version_3 = Facts { carrier_version: Some(3), ..Facts::default() };
        let password = Facts { password_in_clear: Some(Protocol(&"ftp")), ..Facts::default() };
        let cases: &[(&str, FlowSummary, &[&str])] = &[
            ("ChaCha20", ssh("chacha20-poly1305@openssh.com", None, false), &["terrapin"]),
            ("ChaCha20, strict", ssh("chacha20-poly1305@openssh.com", None, true), &[]),
            ("CBC, encrypt then MAC", ssh("aes128-cbc", etm, false), &["terrapin"]),
            ("CBC, MAC then encrypt", ssh("aes128-cbc", plain, false), &[]),
            ("counter mode", ssh("aes128-ctr", etm, false), &[]),
            ("SSH without encryption", clear(&"ssh", Facts::default()), &["encryption_in_name_only"]),
            ("telnet", clear(&"telnet", Facts::default()), &["login_in_clear"]),
            ("SNMP 2c", clear(&"snmp", Facts::default()), &["community_in_clear"]),
            ("SNMP 3 without privacy", clear(&"snmp", version_3), &[]),
            ("a password", clear(&"ftp", password), &["password_in_clear"]),
            ("FTP without a password", clear(&"ftp", Facts::default()), &[]),
            ("STARTTLS refused", upgrade(UpgradeOutcome::Refused), &["upgrade_refused"]),
            ("STARTTLS not used", upgrade(UpgradeOutcome::Offered), &["upgrade_unused"]),
            ("STARTTLS failed", upgrade(UpgradeOutcome::Failed), &["upgrade_failed"]),
            ("STARTTLS used", upgrade(UpgradeOutcome::Used), &[]),
            ("web", clear(&"http", Facts::default()), &["web_in_clear"]),
            ("names", clear(&"dns", Facts::default()), &["names_in_clear"]),
        ];
        for (name, flow, want) in cases {
            assert_eq!(found(flow, None), *want, "{name}");
        }
    }

    #[test]
    fn every_kind_is_explained_once() {
        let mut ids: Vec<_> = FINDINGS.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), FINDINGS.len());
        for row in FINDINGS {
            assert!(!row.what.ends_with('.') && !row.source.is_empty() && !row.advice.is_empty(), "{}", row.id);
        }
    }
}
