//! Passwords in clear in the first bytes of a client, for protocols that have no other reason to be read on: a row and one
//! reader function each. Protocols that can switch to TLS look for passwords where they look for the switch.
//!
//! Sources: at each reader. What counts is a password that anyone can read, or undo without a key; an empty one does not,
//! nor does a challenge, a ticket or a signature. The password itself is looked at and kept nowhere.
//! Not handled: a login after the first [`MAX_HEAD`] bytes of a client, memcached's login in text (it looks like any `set`),
//! AMQP 0-10, HTTP/2 in clear (its fields are compressed), headers that AJP and FastCGI pass on, SIP over UDP.

use super::super::{Found, Moment, Session, Step};
use super::text::{basic, plain, starts};
use crate::model::{Facts, Protocol};

/// Looks at the first bytes of a client: whether there is a password among them that can be read. `None` while that is
/// open.
type Reader = fn(&[u8]) -> Option<bool>;

static READERS: &[(&str, Reader)] = &[
    ("mqtt", mqtt),
    ("redis", redis),
    ("mongodb", mongodb),
    ("cassandra", cassandra),
    ("kafka", kafka),
    ("stomp", stomp),
    ("nats", nats),
    ("memcached", memcached),
    ("amqp", amqp),
    ("rtsp", basic_field),
    ("sip", basic_field),
    ("icy", basic_field),
    ("smpp", smpp),
    ("drda", drda),
    ("zookeeper", zookeeper),
    ("tacacs", tacacs),
    ("cvs", cvs),
];

/// Bytes of a client in which a password is looked for.
const MAX_HEAD: usize = 8 * 1024;
/// Bytes of a server after which a silent client is no longer waited for.
const MAX_SERVER: usize = 64 * 1024;

/// What looks for a password in a flow of `protocol`; `None` where nothing is known of its logins.
pub(in super::super) fn session(protocol: Protocol) -> Option<Box<dyn Session>> {
    let known = READERS.iter().any(|(name, _)| *name == protocol.name());
    known.then(|| Box::new(Logins { protocol, ..Logins::default() }) as Box<dyn Session>)
}

/// The bytes of a client until it is clear whether it sends a password.
#[derive(serde::Serialize, serde::Deserialize)]
struct Logins {
    protocol: Protocol,
    #[serde(with = "crate::model::kept::room")]
    head: Vec<u8>,
    from_server: usize,
    password: bool,
}

impl Default for Logins {
    fn default() -> Self {
        Self { protocol: Protocol::UNKNOWN, head: Vec::new(), from_server: 0, password: false }
    }
}

#[typetag::serde(name = "stream/logins/Logins")]
impl Session for Logins {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        if !from_client {
            self.from_server = self.from_server.saturating_add(bytes.len());
            return if self.from_server > MAX_SERVER { Step::Done } else { Step::Continue };
        }
        let room = MAX_HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let reader = READERS.iter().find(|(name, _)| *name == self.protocol.name()).map(|(_, reader)| reader);
        match reader.map_or(Some(false), |reader| reader(&self.head)) {
            None if self.head.len() < MAX_HEAD => Step::Continue,
            found => {
                self.password = found == Some(true);
                self.head = Vec::new();
                Step::Done
            }
        }
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        if self.password {
            facts.password_in_clear = Some(self.protocol);
        }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.head.capacity()
    }
}

/// Bytes that are taken from the front; `None` when they do not reach.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, big endian.
    fn number(&mut self, size: usize) -> Option<usize> {
        Some(self.take(size)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    /// A number of so many bytes, little endian.
    fn number_le(&mut self, size: usize) -> Option<usize> {
        Some(self.take(size)?.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    /// A field behind its length of so many bytes.
    fn counted(&mut self, size: usize) -> Option<&'a [u8]> {
        let len = self.number(size)?;
        self.take(len)
    }

    /// A number in groups of seven bits, the lowest first.
    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in 0..4 {
            let byte = self.number(1)?;
            value |= (byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                break;
            }
        }
        Some(value)
    }

    /// Up to a zero, which is taken too.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

/// What stands behind `mark`, if it is there.
fn behind<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    bytes.get(at + mark.len()..)
}

/// CONNECT: name, level, flags, keep-alive, then fields that the flags announce, the password last (OASIS MQTT 3.1.1
/// section 3.1; 5.0 section 3.1).
fn mqtt(head: &[u8]) -> Option<bool> {
    const PASSWORD: usize = 0x40;
    let mut bytes = Bytes(head);
    if bytes.number(1)? >> 4 != 1 {
        return Some(false);
    }
    bytes.varint()?;
    bytes.counted(2)?;
    let (level, flags) = (bytes.number(1)?, bytes.number(1)?);
    if flags & PASSWORD == 0 {
        return Some(false);
    }
    bytes.number(2)?;
    let properties = |bytes: &mut Bytes<'_>| {
        let len = if level >= 5 { bytes.varint()? } else { 0 };
        bytes.take(len).map(|_| ())
    };
    properties(&mut bytes)?;
    bytes.counted(2)?;
    if flags & 0x04 != 0 {
        properties(&mut bytes)?;
        bytes.counted(2)?;
        bytes.counted(2)?;
    }
    if flags & 0x80 != 0 {
        bytes.counted(2)?;
    }
    Some(bytes.number(2)? > 0)
}

/// `AUTH [user] password`, `HELLO 3 AUTH user password`, as arrays or inline (Redis, "AUTH", "HELLO", protocol
/// specification).
fn redis(head: &[u8]) -> Option<bool> {
    let mut rest = head;
    loop {
        let mut words = Vec::new();
        let line = redis_line(&mut rest)?;
        match line.strip_prefix(b"*") {
            Some(count) => {
                for _ in 0..decimal(count)? {
                    let len = redis_line(&mut rest)?.strip_prefix(b"$").and_then(decimal);
                    let Some(len) = len else { return Some(false) };
                    words.push(rest.get(..len)?);
                    rest = rest.get(len.checked_add(2)?..)?;
                }
            }
            None => words.extend(line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())),
        }
        let says = |word: &[u8], known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        match words.as_slice() {
            [auth, password] | [auth, _, password] if says(auth, "AUTH") => return Some(!password.is_empty()),
            [hello, _, auth, _, password, ..] if says(hello, "HELLO") && says(auth, "AUTH") => {
                return Some(!password.is_empty());
            }
            _ => {}
        }
    }
}

/// A line without its end; what follows stays in `rest`.
fn redis_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = rest.split_at_checked(end + 1)?;
    *rest = after;
    Some(line.trim_ascii())
}

/// A short number in digits; no more than may come in one message that is looked at.
fn decimal(digits: &[u8]) -> Option<usize> {
    let value: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (value <= MAX_HEAD).then_some(value)
}

/// `saslStart` with the mechanism PLAIN and its payload, in BSON (MongoDB Authentication specification; bsonspec.org).
fn mongodb(head: &[u8]) -> Option<bool> {
    let mut rest = head;
    loop {
        let len = Bytes(rest).number_le(4)?.max(16);
        let (message, after) = rest.split_at_checked(len)?;
        if let Some(mechanism) = behind(message, b"\x02mechanism\0") {
            let is_plain = mechanism.get(4..).is_some_and(|name| name.starts_with(b"PLAIN\0"));
            let binary = behind(message, b"\x05payload\0").and_then(|payload| {
                let mut payload = Bytes(payload);
                let (len, _subtype) = (payload.number_le(4)?, payload.number(1)?);
                payload.take(len)
            });
            return Some(is_plain && binary.is_some_and(plain));
        }
        rest = after;
    }
}

/// AUTH_RESPONSE with the token of the PasswordAuthenticator, or CREDENTIALS of version 1 (native_protocol_v4.spec section
/// 4.1.2, v1 section 4.1.2, v5 section 2: frames within segments).
fn cassandra(head: &[u8]) -> Option<bool> {
    let mut bytes = Bytes(head);
    let version = *head.first()?;
    loop {
        if version == 5 && bytes.0.first()? & 0x7f != 5 {
            // Behind STARTUP: three bytes of length, three of checksum.
            bytes.take(6)?;
        }
        bytes.take(if version < 3 { 3 } else { 4 })?;
        let operation = bytes.number(1)?;
        let mut body = Bytes(bytes.counted(4)?);
        match operation {
            // STARTUP, OPTIONS.
            1 | 5 => {}
            0x0f => return Some(body.counted(4).is_some_and(plain)),
            4 => {
                let mut pairs = 0..body.number(2).unwrap_or(0).min(16);
                return Some(pairs.any(|_| match (body.counted(2), body.counted(2)) {
                    (Some(key), Some(value)) => key == b"password" && !value.is_empty(),
                    _ => false,
                }));
            }
            _ => return Some(false),
        }
    }
}

/// SaslHandshake for PLAIN, then its token in SaslAuthenticate, or bare behind a handshake of version 0 (Kafka protocol
/// guide, "SASL Authentication Sequence").
fn kafka(head: &[u8]) -> Option<bool> {
    const API_VERSIONS: usize = 18;
    const HANDSHAKE: usize = 17;
    const AUTHENTICATE: usize = 36;
    let mut bytes = Bytes(head);
    loop {
        let mut request = Bytes(bytes.counted(4)?);
        let (Some(api), Some(version)) = (request.number(2), request.number(2)) else { return Some(false) };
        request.take(4);
        // A client without a name gives the length -1.
        let name = request.number(2).filter(|len| *len != 0xffff).unwrap_or(0);
        request.take(name);
        match api {
            API_VERSIONS => {}
            HANDSHAKE if request.counted(2) != Some(b"PLAIN") => return Some(false),
            HANDSHAKE if version == 0 => return Some(plain(bytes.counted(4)?)),
            HANDSHAKE => {}
            AUTHENTICATE => {
                let token = if version >= 2 {
                    // Tagged fields, none; then a length that counts itself.
                    request.varint();
                    let len = request.varint().unwrap_or(0).saturating_sub(1);
                    request.take(len)
                } else {
                    request.counted(4)
                };
                return Some(token.is_some_and(plain));
            }
            _ => return Some(false),
        }
    }
}

/// The `passcode` header of CONNECT or STOMP (STOMP 1.2, "CONNECT or STOMP Frame").
fn stomp(head: &[u8]) -> Option<bool> {
    if !["CONNECT", "STOMP"].iter().any(|word| starts(head, word)) {
        return if head.len() < 7 { None } else { Some(false) };
    }
    let end = [b"\n\n".as_slice(), b"\n\r\n"].iter().filter_map(|end| behind(head, end)).map(<[u8]>::len).max()?;
    let mut headers = head.get(..head.len() - end)?.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    Some(headers.any(|line| line.strip_prefix(b"passcode:").is_some_and(|value| !value.is_empty())))
}

/// The options of CONNECT: `pass` beside a user, or `auth_token` (NATS client protocol, "CONNECT").
fn nats(head: &[u8]) -> Option<bool> {
    let options = behind(head, b"CONNECT ")?;
    let end = options.iter().position(|byte| *byte == b'\n')?;
    let options: serde_json::Value = serde_json::from_slice(options.get(..end)?).unwrap_or_default();
    let filled = |key| options.get(key).and_then(serde_json::Value::as_str).is_some_and(|value| !value.is_empty());
    Some(filled("pass") || filled("auth_token"))
}

/// SASL in the binary protocol: the mechanism is the key, its message the value (memcached wiki "SASLAuthProtocol").
fn memcached(head: &[u8]) -> Option<bool> {
    const LIST: usize = 0x20;
    const AUTHENTICATE: usize = 0x21;
    let mut bytes = Bytes(head);
    loop {
        if bytes.number(1)? != 0x80 {
            return Some(false);
        }
        let (operation, key, extras) = (bytes.number(1)?, bytes.number(2)?, bytes.number(1)?);
        bytes.take(3)?;
        let len = bytes.number(4)?;
        bytes.take(12)?;
        let mut body = Bytes(bytes.take(len)?);
        match operation {
            LIST => {}
            AUTHENTICATE => {
                body.take(extras);
                return Some(body.take(key) == Some(b"PLAIN") && plain(body.0));
            }
            _ => return Some(false),
        }
    }
}

/// Start-Ok with PLAIN or AMQPLAIN (AMQP 0-9-1, connection.start-ok; RabbitMQ "Access Control"), or the SASL init of 1.0
/// (OASIS AMQP 1.0 section 5.3.3.2).
fn amqp(head: &[u8]) -> Option<bool> {
    let mut bytes = Bytes(head);
    match bytes.take(8)? {
        b"AMQP\x00\x00\x09\x01" | b"AMQP\x01\x01\x00\x09" | b"AMQP\x01\x01\x08\x00" | b"AMQP\x01\x01\x09\x01" => {
            bytes.take(3)?;
            let mut method = Bytes(bytes.counted(4)?);
            if method.take(4) != Some(&[0, 10, 0, 11]) {
                return Some(false);
            }
            method.counted(4);
            Some(match (method.counted(1), method.counted(4)) {
                (Some(b"PLAIN"), Some(response)) => plain(response),
                (Some(b"AMQPLAIN"), Some(table)) => {
                    behind(table, b"\x08PASSWORDS").and_then(|value| Bytes(value).number(4)).is_some_and(|len| len > 0)
                }
                _ => false,
            })
        }
        b"AMQP\x03\x01\x00\x00" => {
            let len = bytes.number(4)?.checked_sub(4)?;
            let init = bytes.take(len)?;
            // The mechanism is a symbol, its message binary, short or long.
            let response = behind(init, b"\xa3\x05PLAIN").and_then(|rest| {
                let mut rest = Bytes(rest);
                match rest.number(1)? {
                    0xa0 => rest.counted(1),
                    0xb0 => rest.counted(4),
                    _ => None,
                }
            });
            Some(response.is_some_and(plain))
        }
        _ => Some(false),
    }
}

/// `Authorization: Basic` in any of the requests of RTSP (RFC 2326 section 12.5), SIP (only before RFC 3261 section 22), or
/// Icecast.
fn basic_field(head: &[u8]) -> Option<bool> {
    let lines = head.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let mut values = lines.filter_map(|line| {
        let names = ["Authorization:", "Proxy-Authorization:"];
        let name = names.iter().find(|name| starts(line, name))?;
        line.get(name.len()..)
    });
    values.any(basic).then_some(true)
}

/// A bind: system and password (SMPP 3.4 section 4.1).
fn smpp(head: &[u8]) -> Option<bool> {
    let mut bytes = Bytes(head);
    bytes.take(4)?;
    let command = bytes.number(4)?;
    if !matches!(command, 1 | 2 | 9) {
        return Some(false);
    }
    bytes.take(8)?;
    bytes.text()?;
    Some(!bytes.text()?.is_empty())
}

/// SECCHK with SECMEC 3, user and password, and a PASSWORD (DRDA volume 3, SECCHK, USRIDPWD).
fn drda(head: &[u8]) -> Option<bool> {
    const CHECK: usize = 0x106e;
    const MECHANISM: usize = 0x11a2;
    const PASSWORD: usize = 0x11a1;
    let mut bytes = Bytes(head);
    loop {
        let len = bytes.number(2)?.checked_sub(2)?;
        let mut object = Bytes(bytes.take(len)?.get(4..)?);
        object.take(2);
        if object.number(2) != Some(CHECK) {
            continue;
        }
        let (mut clear, mut password) = (false, false);
        while let (Some(len), Some(point)) = (object.number(2), object.number(2)) {
            let Some(value) = len.checked_sub(4).and_then(|len| object.take(len)) else { break };
            clear |= point == MECHANISM && value == [0, 3];
            password |= point == PASSWORD && !value.is_empty();
        }
        return Some(clear && password);
    }
}

/// `addauth digest user:password`, a request of type 100 (ZooKeeper jute AuthPacket).
fn zookeeper(head: &[u8]) -> Option<bool> {
    let mut bytes = Bytes(head);
    bytes.counted(4)?;
    loop {
        let mut request = Bytes(bytes.counted(4)?);
        if request.take(4).is_some() && request.number(4) == Some(100) && request.take(4).is_some() {
            let digest = request.counted(4) == Some(b"digest");
            let secret = request.counted(4).and_then(|pair| behind(pair, b":"));
            return Some(digest && secret.is_some_and(|secret| !secret.is_empty()));
        }
    }
}

/// A login whose body is not obfuscated: the password of PAP in START, that of an ASCII login in CONTINUE (RFC 8907 sections
/// 4.1, 5.1, 5.3, 5.4.2).
fn tacacs(head: &[u8]) -> Option<bool> {
    const UNENCRYPTED: usize = 1;
    let mut bytes = Bytes(head);
    // Whose CONTINUE holds the password: the first, or the second where the user name was asked for.
    let mut expected = None;
    loop {
        bytes.take(1)?;
        let (kind, sequence, flags) = (bytes.number(1)?, bytes.number(1)?, bytes.number(1)?);
        bytes.take(4)?;
        let mut body = Bytes(bytes.counted(4)?);
        if kind != 1 || flags & UNENCRYPTED == 0 {
            return Some(false);
        }
        if sequence == 1 {
            let fields: Option<Vec<usize>> = (0..8).map(|_| body.number(1)).collect();
            let Some([action, _, method, _, user, _, _, data]) = fields.as_deref() else { return Some(false) };
            match (action, method) {
                (1, 1) => expected = Some(if *user > 0 { 3 } else { 5 }),
                (1, 2) => return Some(*data > 0),
                _ => return Some(false),
            }
        } else if expected == Some(sequence) {
            return Some(body.number(2).is_some_and(|len| len > 0));
        }
    }
}

/// A password under the fixed table of pserver: root, user, then `A` and the password (CVS client/server protocol,
/// "Password scrambling").
fn cvs(head: &[u8]) -> Option<bool> {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let password = lines.nth(3)?;
    Some(password.starts_with(b"A") && password.trim_ascii().len() > 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// A field behind its length of two bytes.
    fn counted(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u16).to_be_bytes(), text].concat()
    }

    /// A message behind its length of four bytes.
    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&(body.len() as u32).to_be_bytes(), body.as_slice()].concat()
    }

    fn mqtt_connect(level: u8, flags: u8, fields: &[&[u8]]) -> Vec<u8> {
        let mut body = [b"\0\x04MQTT".as_slice(), &[level, flags, 0, 60]].concat();
        if level == 5 {
            body.push(0);
        }
        body.extend(fields.iter().flat_map(|field| counted(field)));
        [&[0x10, body.len() as u8], body.as_slice()].concat()
    }

    fn mongodb_start(mechanism: &str, payload: &[u8]) -> Vec<u8> {
        let body = [
            &[0, 0, 0, 0, 0][..],
            b"\x60\0\0\0\x10saslStart\0\x01\0\0\0\x02mechanism\0",
            &(mechanism.len() as u32 + 1).to_le_bytes(),
            mechanism.as_bytes(),
            b"\0\x05payload\0",
            &(payload.len() as u32).to_le_bytes(),
            b"\0",
            payload,
            b"\0",
        ]
        .concat();
        let head = [16 + body.len() as u32, 1, 0, 2013].map(u32::to_le_bytes).concat();
        [head, body].concat()
    }

    fn cassandra_frame(version: u8, operation: u8, body: &[u8]) -> Vec<u8> {
        let head: &[u8] = if version < 3 { &[version, 0, 0, operation] } else { &[version, 0, 0, 0, operation] };
        [head, &framed(&[body])].concat()
    }

    fn kafka_request(api: u16, version: u16, body: &[u8]) -> Vec<u8> {
        framed(&[&api.to_be_bytes(), &version.to_be_bytes(), b"\0\0\0\x01", &counted(b"office"), body])
    }

    fn memcached_login(mechanism: &str, message: &[u8]) -> Vec<u8> {
        let len = (mechanism.len() + message.len()) as u32;
        let head = [&[0x80, 0x21, 0, mechanism.len() as u8, 0, 0, 0, 0][..], &len.to_be_bytes(), &[0; 12]].concat();
        [&head, mechanism.as_bytes(), message].concat()
    }

    fn amqp_start_ok(mechanism: &str, response: &[u8]) -> Vec<u8> {
        let mechanism = [&[mechanism.len() as u8], mechanism.as_bytes()].concat();
        let method = [b"\0\x0a\0\x0b\0\0\0\0", mechanism.as_slice(), &framed(&[response]), b"\x05en_US"].concat();
        [b"AMQP\0\0\x09\x01\x01\0\0".as_slice(), &framed(&[&method]), b"\xce"].concat()
    }

    fn amqp_init(mechanism: &str, response: &[u8]) -> Vec<u8> {
        let body = [
            b"\x02\x01\0\0\0\x53\x41\xc0\x20\x03\xa3".as_slice(),
            &[mechanism.len() as u8],
            mechanism.as_bytes(),
            &[0xa0, response.len() as u8],
            response,
        ]
        .concat();
        [b"AMQP\x03\x01\0\0".as_slice(), &(body.len() as u32 + 4).to_be_bytes(), &body].concat()
    }

    fn smpp_bind(password: &str) -> Vec<u8> {
        [b"\0\0\0\x20\0\0\0\x09\0\0\0\0\0\0\0\x01clerk\0", password.as_bytes(), b"\0\0\x34\0\0\0"].concat()
    }

    fn drda_check(mechanism: u8, password: &[u8]) -> Vec<u8> {
        let password = [&(password.len() as u16 + 4).to_be_bytes(), &[0x11, 0xa1], password].concat();
        let body = [b"\x10\x6e\0\x06\x11\xa2\0".as_slice(), &[mechanism], &password].concat();
        let inner = [&(body.len() as u16 + 2).to_be_bytes(), body.as_slice()].concat();
        let first = b"\0\x0a\xd0\x41\0\x01\0\x04\x10\x6d";
        [first, (inner.len() as u16 + 6).to_be_bytes().as_slice(), b"\xd0\x01\0\x02", &inner].concat()
    }

    fn zookeeper_auth(scheme: &[u8], secret: &[u8]) -> Vec<u8> {
        let login = [b"\xff\xff\xff\xfc\0\0\0\x64\0\0\0\0".as_slice(), &framed(&[scheme]), &framed(&[secret])].concat();
        [framed(&[&[0; 44]]), framed(&[&login])].concat()
    }

    fn tacacs_start(flags: u8, method: u8, user: &str, data: &str) -> Vec<u8> {
        let body =
            [&[1, 1, method, 1, user.len() as u8, 0, 0, data.len() as u8], user.as_bytes(), data.as_bytes()].concat();
        [&[0xc0, 1, 1, flags, 0, 0, 0, 7], framed(&[&body]).as_slice()].concat()
    }

    fn tacacs_continue(sequence: u8, message: &str) -> Vec<u8> {
        let body = [&counted(message.as_bytes())[..2], &[0, 0, 0], message.as_bytes()].concat();
        [&[0xc0, 1, sequence, 1, 0, 0, 0, 7], framed(&[&body]).as_slice()].concat()
    }

    const PLAIN: &[u8] = b"\0clerk\0office";
    const NO_PASSWORD: &[u8] = b"\0clerk\0";

    fn redis_array(words: &[&str]) -> Vec<u8> {
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        format!("*{}\r\n{}", words.len(), words.collect::<String>()).into_bytes()
    }

    #[test]
    fn passwords() {
        let startup = |version| cassandra_frame(version, 1, b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0");
        let token = |message: &[u8]| framed(&[message]);
        let handshake = |version, mechanism: &[u8]| kafka_request(17, version, &counted(mechanism));
        let compact = [&[0, PLAIN.len() as u8 + 1], PLAIN].concat();
        let text = |text: &str| text.as_bytes().to_vec();
        let amqplain = |password: &str| {
            [b"\x05LOGINS\0\0\0\x05clerk\x08PASSWORDS".as_slice(), &framed(&[password.as_bytes()])].concat()
        };
        #[rustfmt::skip]
        let cases: &[(&str, &str, Vec<u8>, Option<bool>)] = &[
            ("mqtt", "user and password", mqtt_connect(4, 0xc2, &[b"id", b"clerk", b"office"]), Some(true)),
            ("mqtt", "with a will", mqtt_connect(4, 0xc6, &[b"id", b"topic", b"gone", b"clerk", b"office"]), Some(true)),
            ("mqtt", "version 5, password alone", mqtt_connect(5, 0x42, &[b"id", b"office"]), Some(true)),
            ("mqtt", "anonymous", mqtt_connect(4, 0x02, &[b"id"]), Some(false)),
            ("mqtt", "user alone", mqtt_connect(4, 0x82, &[b"id", b"clerk"]), Some(false)),
            ("mqtt", "an empty password", mqtt_connect(4, 0xc2, &[b"id", b"clerk", b""]), Some(false)),
            ("redis", "password", redis_array(&["AUTH", "office"]), Some(true)),
            ("redis", "user and password, later", [redis_array(&["PING"]), redis_array(&["auth", "clerk", "office"])].concat(), Some(true)),
            ("redis", "with HELLO", redis_array(&["HELLO", "3", "AUTH", "clerk", "office"]), Some(true)),
            ("redis", "inline", text("AUTH office\r\n"), Some(true)),
            ("redis", "HELLO alone", redis_array(&["HELLO", "3"]), None),
            ("redis", "an empty password", redis_array(&["AUTH", ""]), Some(false)),
            ("redis", "a value that is called so", redis_array(&["SET", "AUTH", "office"]), None),
            ("mongodb", "PLAIN", mongodb_start("PLAIN", PLAIN), Some(true)),
            ("mongodb", "an empty password", mongodb_start("PLAIN", NO_PASSWORD), Some(false)),
            ("mongodb", "SCRAM", mongodb_start("SCRAM-SHA-256", b"n,,n=clerk,r=x"), Some(false)),
            ("mongodb", "certificate", mongodb_start("MONGODB-X509", b""), Some(false)),
            ("cassandra", "PLAIN", [startup(4), cassandra_frame(4, 0x0f, &token(PLAIN))].concat(), Some(true)),
            ("cassandra", "PLAIN, version 5", [startup(5), vec![0x20, 0, 2, 9, 9, 9], cassandra_frame(5, 0x0f, &token(PLAIN))].concat(), Some(true)),
            ("cassandra", "version 1", [startup(1), cassandra_frame(1, 4, &[b"\0\x02".as_slice(), &counted(b"username"), &counted(b"clerk"), &counted(b"password"), &counted(b"office")].concat())].concat(), Some(true)),
            ("cassandra", "a ticket", [startup(4), cassandra_frame(4, 0x0f, &token(b"\x60\x82\0clerk\0x"))].concat(), Some(false)),
            ("cassandra", "an empty password", [startup(4), cassandra_frame(4, 0x0f, &token(NO_PASSWORD))].concat(), Some(false)),
            ("cassandra", "no login", [startup(4), cassandra_frame(4, 7, b"\0\0\0\x01x")].concat(), Some(false)),
            ("kafka", "PLAIN", [handshake(1, b"PLAIN"), kafka_request(36, 1, &token(PLAIN))].concat(), Some(true)),
            ("kafka", "PLAIN, flexible", [kafka_request(18, 3, b""), handshake(1, b"PLAIN"), kafka_request(36, 2, &compact)].concat(), Some(true)),
            ("kafka", "PLAIN, bare", [handshake(0, b"PLAIN"), token(PLAIN)].concat(), Some(true)),
            ("kafka", "SCRAM", [handshake(1, b"SCRAM-SHA-512"), kafka_request(36, 1, &token(b"n,,n=clerk,r=x"))].concat(), Some(false)),
            ("kafka", "an empty password", [handshake(1, b"PLAIN"), kafka_request(36, 1, &token(NO_PASSWORD))].concat(), Some(false)),
            ("kafka", "no login", kafka_request(3, 1, b"\xff\xff\xff\xff"), Some(false)),
            ("stomp", "passcode", text("CONNECT\nlogin:clerk\npasscode:office\n\n\0"), Some(true)),
            ("stomp", "none", text("STOMP\naccept-version:1.2\nlogin:clerk\n\n\0"), Some(false)),
            ("stomp", "an empty one", text("CONNECT\r\nlogin:clerk\r\npasscode:\r\n\r\n\0"), Some(false)),
            ("stomp", "in a body", text("CONNECT\nlogin:clerk\n\npasscode:office\n\n\0"), Some(false)),
            ("nats", "user and password", text("CONNECT {\"user\":\"clerk\",\"pass\":\"office\"}\r\n"), Some(true)),
            ("nats", "token", text("PING\r\nCONNECT {\"auth_token\":\"office\"}\r\n"), Some(true)),
            ("nats", "signed challenge", text("CONNECT {\"nkey\":\"UABC\",\"sig\":\"x\"}\r\n"), Some(false)),
            ("nats", "an empty password", text("CONNECT {\"user\":\"clerk\",\"pass\":\"\"}\r\n"), Some(false)),
            ("memcached", "PLAIN", memcached_login("PLAIN", PLAIN), Some(true)),
            ("memcached", "CRAM-MD5", memcached_login("CRAM-MD5", b""), Some(false)),
            ("memcached", "an empty password", memcached_login("PLAIN", NO_PASSWORD), Some(false)),
            ("memcached", "text", text("get office\r\n"), Some(false)),
            ("amqp", "PLAIN", amqp_start_ok("PLAIN", PLAIN), Some(true)),
            ("amqp", "AMQPLAIN", amqp_start_ok("AMQPLAIN", &amqplain("office")), Some(true)),
            ("amqp", "AMQPLAIN, an empty password", amqp_start_ok("AMQPLAIN", &amqplain("")), Some(false)),
            ("amqp", "EXTERNAL", amqp_start_ok("EXTERNAL", b""), Some(false)),
            ("amqp", "1.0", amqp_init("PLAIN", PLAIN), Some(true)),
            ("amqp", "1.0, anonymous", amqp_init("ANONYMOUS", b"clerk"), Some(false)),
            ("amqp", "1.0, an empty password", amqp_init("PLAIN", NO_PASSWORD), Some(false)),
            ("rtsp", "Basic", text("DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Basic Y2xlcms6b2ZmaWNl\r\n\r\n"), Some(true)),
            ("rtsp", "Digest", text("DESCRIBE rtsp://a/ RTSP/1.0\r\nAuthorization: Digest username=\"clerk\"\r\n\r\n"), None),
            ("rtsp", "an empty password", text("DESCRIBE rtsp://a/ RTSP/1.0\r\nAuthorization: Basic Y2xlcms6\r\n\r\n"), None),
            ("sip", "Basic", text("REGISTER sip:a SIP/2.0\r\nProxy-Authorization: Basic Y2xlcms6b2ZmaWNl\r\n\r\n"), Some(true)),
            ("icy", "Basic", text("GET /radio HTTP/1.0\r\nAuthorization: Basic Y2xlcms6b2ZmaWNl\r\n\r\n"), Some(true)),
            ("smpp", "bind", smpp_bind("office"), Some(true)),
            ("smpp", "an empty password", smpp_bind(""), Some(false)),
            ("smpp", "a keep-alive", b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x01".to_vec(), Some(false)),
            ("drda", "user and password", drda_check(3, b"office"), Some(true)),
            ("drda", "encrypted password", drda_check(9, b"\x01\x02\x03"), Some(false)),
            ("drda", "an empty password", drda_check(3, b""), Some(false)),
            ("zookeeper", "digest", zookeeper_auth(b"digest", b"clerk:office"), Some(true)),
            ("zookeeper", "an empty password", zookeeper_auth(b"digest", b"clerk:"), Some(false)),
            ("zookeeper", "ticket", zookeeper_auth(b"sasl", b"clerk:office"), Some(false)),
            ("tacacs", "PAP", tacacs_start(1, 2, "clerk", "office"), Some(true)),
            ("tacacs", "PAP, an empty password", tacacs_start(1, 2, "clerk", ""), Some(false)),
            ("tacacs", "PAP, obfuscated", tacacs_start(0, 2, "clerk", "office"), Some(false)),
            ("tacacs", "CHAP", tacacs_start(1, 3, "clerk", "digest"), Some(false)),
            ("tacacs", "ASCII", [tacacs_start(1, 1, "clerk", ""), tacacs_continue(3, "office")].concat(), Some(true)),
            ("tacacs", "ASCII, user asked for", [tacacs_start(1, 1, "", ""), tacacs_continue(3, "clerk"), tacacs_continue(5, "office")].concat(), Some(true)),
            ("tacacs", "ASCII, user alone", [tacacs_start(1, 1, "", ""), tacacs_continue(3, "clerk")].concat(), None),
            ("cvs", "pserver", text("BEGIN AUTH REQUEST\n/cvs\nclerk\nA:yZZ30\nEND AUTH REQUEST\n"), Some(true)),
            ("cvs", "an empty password", text("BEGIN AUTH REQUEST\n/cvs\nanonymous\nA\nEND AUTH REQUEST\n"), Some(false)),
        ];
        for (protocol, name, bytes, want) in cases {
            let (known, reader) = READERS.iter().find(|row| row.0 == *protocol).unwrap();
            assert_eq!(reader(bytes), *want, "{protocol}: {name}");
            // A part says the same as the whole, or nothing yet.
            for cut in 0..bytes.len() {
                let part = reader(&bytes[..cut]);
                assert!(part.is_none() || part == *want, "{protocol}: {name}, cut at {cut}");
            }
            let mut session = session(Protocol(known)).unwrap();
            let moment = Moment { time_ns: 0, wire_len: 0 };
            let pieces = bytes.chunks(1).all(|piece| matches!(session.feed(true, piece, moment), Step::Continue));
            assert_eq!(pieces, want.is_none(), "{protocol}: {name}");
            let mut facts = Facts::default();
            session.finish(&mut Found::plaintext(Protocol(known)), &mut facts);
            assert_eq!(facts.password_in_clear.is_some(), *want == Some(true), "{protocol}: {name}");
        }
        for (protocol, _) in READERS {
            let mut seen = cases.iter().filter(|case| case.0 == *protocol).map(|case| case.3);
            assert!(seen.any(|want| want == Some(true)), "{protocol} has no case");
        }
    }

    /// Bytes that say nothing are not kept, and a silent client is not waited for.
    #[test]
    fn ends() {
        let moment = Moment { time_ns: 0, wire_len: 0 };
        for (protocol, _) in READERS {
            for seed in 0..50 {
                let noise = super::super::trial::random(seed, 20_000);
                let mut session = session(Protocol(protocol)).unwrap();
                let done = noise.chunks(700).any(|piece| {
                    assert!(session.memory() <= 2 * MAX_HEAD + 1024, "{protocol}");
                    !matches!(session.feed(true, piece, moment), Step::Continue)
                });
                assert!(done, "{protocol}");
            }
            let mut session = session(Protocol(protocol)).unwrap();
            let mut silent = (0..100).map(|_| session.feed(false, &[0; 1000], moment));
            assert!(silent.any(|step| matches!(step, Step::Done)), "{protocol}");
        }
    }
}
