//! SSH over TCP: one version line each way, then key exchange in clear, then ciphertext.
//!
//! Sources: RFC 4253 section 4.2 (version line and text before it), section 7.1 (negotiation); RFC 8308 and OpenSSH
//! `PROTOCOL` section 1.10 (`ext-info-c`, `kex-strict-c-v00@openssh.com`: markers that tell the sides);
//! draft-ylonen-ssh-protocol-00 for version 1.
//! Evidence: version lines of both sides; in mid-stream, KEXINIT messages. One side alone is only likely: a scanner
//! sends the line to any port.
//! A connection that negotiates the cipher `none` is plaintext.
//! Not handled: connections whose capture starts after the key exchange.

use super::u32_at;
use crate::detect::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Class, Evidence, Facts, Handshake, Protocol, SshFacts, Transport};

pub(super) struct Ssh;

impl Dissector for Ssh {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let client = opening(heads.client, false, heads.from_start);
        let server = opening(heads.server, true, heads.from_start);
        match (client, server) {
            (Opening::Ssh, Opening::Ssh) => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake)),
            (Opening::Other, _) | (_, Opening::Other) => Outcome::No,
            (Opening::Ssh, _) => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided)),
            // Text alone says nothing, whoever sends it; without a byte of the client the server's line does.
            (_, Opening::Ssh) => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided)),
            (Opening::Short, Opening::Short) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(SshSession::default()))
    }
}

/// What one side starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// A version line, or in mid-stream a KEXINIT.
    Ssh,
    /// Not enough to tell.
    Short,
    /// Something else.
    Other,
}

fn opening(head: &[u8], server: bool, from_start: bool) -> Opening {
    if !from_start && may_be_kexinit(head) {
        return if kexinit(head).is_some() { Opening::Ssh } else { Opening::Short };
    }
    if !from_start && is_exchange(head) {
        return Opening::Short;
    }
    match version_line(head, server) {
        Line::Version { .. } => Opening::Ssh,
        Line::Short => Opening::Short,
        Line::None => Opening::Other,
    }
}

/// The version line of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It speaks this version, 1 or 2; packets start at `end`. 1.99 is 2 that also speaks 1.
    Version { major: u8, both: bool, end: usize },
    /// Not read to its end yet.
    Short,
    /// There is none.
    None,
}

/// Looks for the version line. A server may send other lines first (RFC 4253 section 4.2).
fn version_line(head: &[u8], server: bool) -> Line {
    let mut start = 0;
    for _ in 0..MAX_LINES {
        let rest = head.get(start..).unwrap_or_default();
        let magic = rest.get(..MAGIC.len()).unwrap_or(rest);
        let is_version = MAGIC.starts_with(magic);
        let line = rest.iter().position(|&byte| byte == b'\n').and_then(|end| rest.get(..=end));
        match line {
            Some(line) if is_version && magic.len() == MAGIC.len() && line.len() <= MAX_LINE => {
                return parse_version(line, start + line.len());
            }
            None if is_version && rest.len() <= MAX_LINE => return Line::Short,
            // Old versions and broken scanners end the line with a carriage return only, or fill it beyond measure.
            _ if !server || is_version && magic.len() == MAGIC.len() => return Line::None,
            None if rest.len() <= MAX_TEXT && is_text(rest) => return Line::Short,
            Some(line) if line.len() <= MAX_TEXT && is_text(line) => start += line.len(),
            _ => return Line::None,
        }
    }
    Line::None
}

fn parse_version(line: &[u8], end: usize) -> Line {
    match line.get(MAGIC.len()..) {
        Some([b'2', b'.', ..]) => Line::Version { major: 2, both: false, end },
        Some([b'1', b'.', b'9', b'9', b'-', ..]) => Line::Version { major: 2, both: true, end },
        Some([b'1', b'.', ..]) => Line::Version { major: 1, both: false, end },
        _ => Line::None,
    }
}

/// Whether a line may be text for people, and is not the answer of another protocol to a stray version line.
fn is_text(line: &[u8]) -> bool {
    const OTHERS: [&[u8]; 5] = [b"HTTP/", b"RTSP/", b"220 ", b"+OK", b"* OK"];
    !OTHERS.iter().any(|other| line.starts_with(other))
        && line.iter().all(|&byte| matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b | 0x20..=0x7e | 0x80..))
}

/// The ten name-lists of a KEXINIT (RFC 4253 section 7.1).
type NameLists<'a> = [&'a str; 10];

/// Reads a binary packet that holds a KEXINIT: length, padding length, message 20, cookie, name-lists.
fn kexinit(bytes: &[u8]) -> Option<NameLists<'_>> {
    let (payload, _) = binary_packet(bytes)?;
    let (&message, after) = payload.split_first()?;
    let (_cookie, mut rest) = after.split_first_chunk::<16>()?;
    if message != KEXINIT {
        return None;
    }
    let mut lists = [""; 10];
    for list in &mut lists {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (names, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        *list = std::str::from_utf8(names).ok()?;
        rest = after;
    }
    // One boolean and four reserved bytes close it; the first two lists are never empty.
    let [kex, host_key, ..] = lists;
    (rest.len() == 5 && !kex.is_empty() && !host_key.is_empty()).then_some(lists)
}

/// Whether bytes are the start of a KEXINIT, or all of it.
fn may_be_kexinit(bytes: &[u8]) -> bool {
    let plausible = match u32_at(bytes, 0) {
        Some(len) => (64..=MAX_PACKET).contains(&(len as usize)),
        None => bytes.iter().take(2).all(|&byte| byte == 0),
    };
    plausible
        && bytes.get(5).is_none_or(|&message| message == KEXINIT)
        && (packet_bounds(bytes).is_none() || kexinit(bytes).is_some())
}

/// Whether bytes are a packet of the key exchange behind KEXINIT (RFC 4253 section 8, RFC 4419): no proof, no refutation.
fn is_exchange(bytes: &[u8]) -> bool {
    let aligned = u32_at(bytes, 0).is_some_and(|len| (8..=MAX_PACKET as u32).contains(&len) && len % 8 == 4);
    aligned && matches!(bytes.get(4..6), Some([4..=19, 30..=34]))
}

/// The payload of a binary packet in clear, and what follows the packet. `None` when it is not whole or malformed.
fn binary_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (packet, rest) = packet_bounds(bytes)?;
    let (&padding, body) = packet.split_first()?;
    Some((body.get(..body.len().checked_sub(usize::from(padding))?)?, rest))
}

fn packet_bounds(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, after) = bytes.split_first_chunk::<4>()?;
    after.split_at_checked(u32::from_be_bytes(*len) as usize)
}

/// Reads both key exchanges.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct SshSession {
    client: End,
    server: End,
}

/// One side, up to the point from which it is encrypted.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct End {
    #[serde(with = "crate::model::kept::room")]
    buffer: Vec<u8>,
    version: Option<(u8, bool)>,
    lists: Option<[String; 10]>,
    new_keys: bool,
    /// Version 1: the cipher that the client chose.
    cipher: Option<u8>,
    /// Version 1: it sent the server's public key.
    public_key: bool,
    finished: bool,
    seen: bool,
}

impl End {
    fn feed(&mut self, bytes: &[u8], server: bool) {
        self.seen |= !bytes.is_empty();
        if self.finished {
            return;
        }
        self.buffer.extend_from_slice(bytes.get(..bytes.len().min(MAX_BUFFER)).unwrap_or_default());
        if self.version.is_none() {
            match version_line(&self.buffer, server) {
                Line::Version { major, both, end } => {
                    self.version = Some((major, both));
                    self.buffer.drain(..end.min(self.buffer.len()));
                }
                Line::Short => return,
                // Mid-stream: packets from the first byte.
                Line::None => self.version = Some((2, false)),
            }
        }
        while let Some(used) = self.packet() {
            self.buffer.drain(..used.min(self.buffer.len()));
        }
        if self.buffer.len() >= MAX_BUFFER {
            self.finished = true;
        }
        if self.finished {
            self.buffer = Vec::new();
        }
    }

    /// Reads one packet; gives its length on the wire, `None` when there is no whole one.
    fn packet(&mut self) -> Option<usize> {
        if self.finished {
            return None;
        }
        let len = u32_at(&self.buffer, 0)? as usize;
        if len > MAX_PACKET || len == 0 {
            self.finished = true;
            return None;
        }
        if matches!(self.version, Some((1, _))) {
            return self.packet_of_version_1(len);
        }
        let (payload, _) = match binary_packet(&self.buffer) {
            Some(packet) => packet,
            None => {
                self.finished = packet_bounds(&self.buffer).is_some();
                return None;
            }
        };
        match payload.first() {
            Some(&KEXINIT) if self.lists.is_none() => {
                self.lists = kexinit(&self.buffer).map(|lists| lists.map(String::from));
            }
            Some(&NEWKEYS) => {
                self.new_keys = true;
                self.finished = true;
            }
            _ => {}
        }
        Some(4 + len)
    }

    /// Version 1: length, 1 to 8 bytes of padding, type, data, CRC. All is encrypted after the client's session key.
    fn packet_of_version_1(&mut self, len: usize) -> Option<usize> {
        let padding = 8 - len % 8;
        let packet = self.buffer.get(4 + padding..)?.get(..len)?;
        match packet {
            [SSH1_SESSION_KEY, cipher, ..] => {
                self.cipher = Some(*cipher);
                self.finished = true;
            }
            // The server's public key is its last packet in clear; what it says next is encrypted.
            [SSH1_PUBLIC_KEY, ..] => {
                self.public_key = true;
                self.finished = true;
            }
            _ => {}
        }
        Some(4 + padding + len)
    }
}

#[typetag::serde(name = "sealed/ssh/SshSession")]
impl Session for SshSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        if from_client {
            self.client.feed(bytes, false);
        } else {
            self.server.feed(bytes, true);
        }
        if self.client.finished && self.server.finished { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        let end = if from_client { &mut self.client } else { &mut self.server };
        end.finished = true;
        end.buffer = Vec::new();
        !(self.client.finished && self.server.finished)
    }

    fn finish(mut self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if self.is_exchanged() {
            std::mem::swap(&mut self.client, &mut self.server);
        }
        let version = match (self.client.version, self.server.version) {
            (Some(a), Some(b)) if a.0 == b.0 => Some(a.0),
            // One speaks version 1 only, the other both.
            (Some((_, true)), Some((1, _))) | (Some((1, _)), Some((_, true))) => Some(1),
            (Some((major, false)), None) | (None, Some((major, false))) => Some(major),
            _ => None,
        };
        facts.carrier_version = version.map(u32::from);
        let mut ssh = if version == Some(1) { self.facts_of_version_1() } else { self.facts_of_version_2() };
        if ssh.handshake == Handshake::NotSeen {
            ssh.handshake = match (self.client.version.is_some(), self.server.version.is_some()) {
                (true, true) => Handshake::Opened,
                (false, false) => Handshake::NotSeen,
                _ => Handshake::OneSided,
            };
        }
        if ssh.cipher.iter().all(|cipher| cipher.as_deref() == Some("none")) {
            found.class = Class::Plaintext;
        }
        facts.ssh = Some(Box::new(ssh));
    }

    fn memory(&self) -> usize {
        let lists =
            |end: &End| end.lists.as_ref().map_or(0, |lists| lists.iter().map(String::len).sum::<usize>() + 240);
        self.client.buffer.capacity() + self.server.buffer.capacity() + lists(&self.client) + lists(&self.server)
    }
}

impl SshSession {
    /// The presumed client is the server: markers that only a server, or only a client, may send tell.
    fn is_exchanged(&self) -> bool {
        let marked = |end: &End, marks: [&str; 2]| {
            end.lists
                .as_ref()
                .and_then(|lists| lists.first())
                .is_some_and(|kex| kex.split(',').any(|name| marks.contains(&name)))
        };
        self.client.public_key
            || self.server.cipher.is_some()
            || marked(&self.client, SERVER_MARKS) && !marked(&self.client, CLIENT_MARKS)
            || marked(&self.server, CLIENT_MARKS) && !marked(&self.server, SERVER_MARKS)
    }

    fn facts_of_version_2(&self) -> SshFacts {
        let mut ssh = SshFacts::default();
        if let (Some(client), Some(server)) = (&self.client.lists, &self.server.lists) {
            let chosen = |at: usize| {
                let offered = server.get(at)?;
                client.get(at)?.split(',').find(|name| offered.split(',').any(|other| other == *name)).map(String::from)
            };
            ssh.kex = chosen(0);
            ssh.host_key = chosen(1);
            ssh.cipher = [chosen(2), chosen(3)];
            ssh.mac = [chosen(4), chosen(5)];
            for (mac, cipher) in ssh.mac.iter_mut().zip(&ssh.cipher) {
                if cipher.as_deref().is_some_and(is_aead) {
                    *mac = None;
                }
            }
            ssh.post_quantum_offered = client[0].split(',').any(crate::grade::registry::is_post_quantum_kex);
            let strict = |lists: &[String; 10], mark: &str| {
                lists.first().is_some_and(|kex| kex.split(',').any(|name| name == mark))
            };
            ssh.strict_kex = strict(client, STRICT_CLIENT) && strict(server, STRICT_SERVER);
        }
        if self.client.new_keys && self.server.new_keys {
            ssh.handshake = Handshake::Completed;
        }
        ssh
    }

    fn facts_of_version_1(&self) -> SshFacts {
        const CIPHERS: [&str; 7] = ["none", "idea", "des", "3des", "tss", "rc4", "blowfish"];
        let name =
            self.client.cipher.and_then(|cipher| CIPHERS.get(usize::from(cipher))).map(|name| String::from(*name));
        let handshake = if self.client.cipher.is_some() && self.server.public_key {
            Handshake::Completed
        } else {
            Handshake::NotSeen
        };
        // The client sends the session key under the server's two RSA keys; nothing else can be agreed on.
        let kex = name.is_some().then(|| "rsa".to_owned());
        SshFacts { kex, cipher: [name.clone(), name], handshake, ..SshFacts::default() }
    }
}

/// Ciphers that need no MAC (RFC 5647, OpenSSH `PROTOCOL` sections 1.6 and 1.7).
fn is_aead(cipher: &str) -> bool {
    cipher.contains("gcm") || cipher.contains("GCM") || cipher.contains("poly1305") || cipher.contains("AEAD")
}

const PROTOCOL: Protocol = Protocol(&"ssh");
const MAGIC: &[u8] = b"SSH-";
/// RFC 4253 section 4.2 allows 255 bytes; some devices exceed it.
const MAX_LINE: usize = 1024;
const MAX_TEXT: usize = 1024;
const MAX_LINES: usize = 64;
/// RFC 4253 section 6.1 demands 35,000 bytes; key exchange needs far less.
const MAX_PACKET: usize = 35_000;
const MAX_BUFFER: usize = 64 * 1024;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const SSH1_PUBLIC_KEY: u8 = 2;
const SSH1_SESSION_KEY: u8 = 3;
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const CLIENT_MARKS: [&str; 2] = ["ext-info-c", STRICT_CLIENT];
const SERVER_MARKS: [&str; 2] = ["ext-info-s", STRICT_SERVER];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::tests::ask;

    const OPENSSH: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";

    fn packet(payload: &[u8]) -> Vec<u8> {
        let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
        let len = (1 + payload.len() + padding) as u32;
        [&len.to_be_bytes()[..], &[padding as u8], payload, &vec![0; padding]].concat()
    }

    fn key_exchange(lists: [&str; 10]) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([7; 16]);
        for list in lists {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 5]);
        packet(&payload)
    }

    fn client_lists<'a>(kex: &'a str, cipher: &'a str) -> [&'a str; 10] {
        [kex, "ssh-ed25519,rsa-sha2-512", cipher, cipher, "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""]
    }

    #[test]
    pub(crate) fn probe() {
        use Outcome::{Likely, NeedMore, No};
        let both = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake));
        let one = Likely(Found::encrypted(PROTOCOL, Evidence::OneSided));
        let exchange = key_exchange(client_lists("curve25519-sha256", "aes128-ctr"));
        let cases: &[(&str, &[u8], &[u8], bool, Outcome)] = &[
            ("both sides", OPENSSH, b"SSH-2.0-dropbear\r\n", true, both),
            ("version 1.99", OPENSSH, b"SSH-1.99-Cisco-1.25\n", true, both),
            ("version 1", b"SSH-1.5-a\n", b"SSH-1.5-b\n", true, both),
            ("text before the line", OPENSSH, b"Keep out!\r\nSSH-2.0-x\r\n", true, both),
            ("text so far", OPENSSH, b"Keep out!\r\nSS", true, one),
            ("client only", OPENSSH, b"", true, one),
            ("server only", b"", OPENSSH, true, one),
            ("half a line each", b"SSH-2.0-Op", b"SSH", true, NeedMore),
            ("nothing", b"", b"", true, NeedMore),
            ("web server", OPENSSH, b"HTTP/1.1 400 Bad Request\r\n", true, No),
            ("mail server", OPENSSH, b"220 mail ESMTP\r\n", true, No),
            ("binary answer", OPENSSH, b"\x16\x03\x01\0\x05", true, No),
            ("text from the client", b"hello\r\nSSH-2.0-x\r\n", OPENSSH, true, No),
            ("version 3", b"SSH-3.0-x\r\n", OPENSSH, true, No),
            ("lower case", b"ssh-2.0-x\r\n", OPENSSH, true, No),
            ("mid-stream exchange", &exchange, &exchange, false, both),
            ("start of an exchange", exchange.get(..90).unwrap_or_default(), &exchange, false, one),
            ("exchange against its answer", &exchange, &packet(&[31; 60]), false, one),
            ("exchange where a line is due", &exchange, &exchange, true, No),
        ];
        for (name, client, server, from_start, want) in cases {
            let heads = Heads { client, server, from_start: *from_start, ..Heads::default() };
            assert_eq!(ask(&Ssh, heads), *want, "{name}");
        }
    }

    fn read(client: &[u8], server: &[u8]) -> (Found, Facts) {
        let mut found = Found::encrypted(PROTOCOL, Evidence::Handshake);
        let mut session = Ssh.session(found).expect("SSH reads on");
        let moment = Moment { time_ns: 0, wire_len: 0 };
        // Small pieces, one side after the other.
        for (from_client, bytes) in [(true, client), (false, server)] {
            for piece in bytes.chunks(7) {
                session.feed(from_client, piece, moment);
            }
        }
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        (found, facts)
    }

    #[test]
    fn negotiation() {
        let client = client_lists(
            "sntrup761x25519-sha512,curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com",
            "chacha20-poly1305@openssh.com,aes128-ctr",
        );
        let server = client_lists("curve25519-sha256,kex-strict-s-v00@openssh.com", "aes128-ctr,aes256-ctr");
        let stream =
            |lists| [OPENSSH, &key_exchange(lists), &packet(&[30, 1, 2]), &packet(&[NEWKEYS]), &[0xee; 90]].concat();
        let (_, facts) = read(&stream(client), &stream(server));
        let ssh = facts.ssh.expect("facts");
        assert_eq!(ssh.kex.as_deref(), Some("curve25519-sha256"));
        assert_eq!(ssh.host_key.as_deref(), Some("ssh-ed25519"));
        assert_eq!(ssh.cipher[0].as_deref(), Some("aes128-ctr"));
        assert_eq!(ssh.mac[1].as_deref(), Some("hmac-sha2-256"));
        assert!(ssh.strict_kex);
        assert_eq!(ssh.handshake, Handshake::Completed);
        assert_eq!(facts.carrier_version, Some(2));
        // The sides exchanged give the same answer.
        let (_, exchanged) = read(&stream(server), &stream(client));
        assert_eq!(exchanged.ssh, Some(ssh));
    }

    #[test]
    fn incomplete_and_sealed_in_name_only() {
        let lists = |cipher| key_exchange(client_lists("curve25519-sha256", cipher));
        let with = |cipher, end: &[u8]| [OPENSSH, &lists(cipher), end].concat();
        let keys = packet(&[NEWKEYS]);
        let gcm = "aes128-gcm@openssh.com";
        let cases: &[(&str, Vec<u8>, Vec<u8>, Handshake, Class)] = &[
            ("no keys", with(gcm, &[]), with(gcm, &keys), Handshake::Opened, Class::Encrypted),
            ("client only", with(gcm, &[]), vec![], Handshake::OneSided, Class::Encrypted),
            ("complete", with(gcm, &keys), with(gcm, &keys), Handshake::Completed, Class::Encrypted),
            ("cipher none", with("none", &keys), with("none", &keys), Handshake::Completed, Class::Plaintext),
            ("packet too long", [OPENSSH, &[0xff; 90]].concat(), with(gcm, &keys), Handshake::Opened, Class::Encrypted),
        ];
        for (name, client, server, handshake, class) in cases {
            let (found, facts) = read(client, server);
            let ssh = facts.ssh.expect("facts");
            assert_eq!((ssh.handshake, found.class), (*handshake, *class), "{name}");
            assert_eq!(ssh.mac[0].is_some(), ssh.cipher[0].as_deref() == Some("none"), "{name}");
        }
    }

    #[test]
    fn version_1() {
        let old = |kind: u8, rest: &[u8]| {
            let len = 1 + rest.len() + 4;
            [&(len as u32).to_be_bytes()[..], &vec![0; 8 - len % 8], &[kind], rest, &[0; 4]].concat()
        };
        let client = [b"SSH-1.5-a\n", &old(SSH1_SESSION_KEY, &[3, 1, 2])[..], &[9; 40]].concat();
        let server = [b"SSH-1.99-b\n", &old(SSH1_PUBLIC_KEY, &[1; 40])[..], &[9; 40]].concat();
        let (_, facts) = read(&client, &server);
        assert_eq!(facts.carrier_version, Some(1));
        assert_eq!(read(&server, &client).1, facts, "the sides exchanged");
        let ssh = facts.ssh.expect("facts");
        assert_eq!(ssh.cipher[1].as_deref(), Some("3des"));
    }
}
