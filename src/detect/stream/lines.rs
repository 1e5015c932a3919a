//! Upgrades of line protocols: one reader, and a row with two functions for each protocol.
//!
//! Replies are matched to requests by number (SMTP, FTP, NNTP, POP3, ManageSieve answer every line once, after a
//! greeting) or by tag (IMAP), so pipelined commands and missing capability lines do no harm. Where lines were lost, a
//! server that answers the request with a TLS record counts as agreed.
//!
//! Sources: RFC 3207 (SMTP), RFC 2595 (POP3, IMAP), RFC 5804 section 2.2 (ManageSieve), RFC 4217 (FTP), RFC 4642
//! (NNTP), IRCv3 `tls` (IRC), RFC 6120 section 5 (XMPP); data endpoints RFC 959 and RFC 2428.
//! Not handled: an upgrade after mail was sent (DATA) or a mailbox was opened.

use std::net::{IpAddr, Ipv4Addr};

use super::super::Session;
use super::text::{base64, holds, plain_base64, starts};
use super::upgrade::{Negotiation, Read, Sealing, Stage, Talk, Upgrading};
use crate::model::{Endpoint, Protocol};

/// How one protocol talks about TLS.
pub(super) struct Dialect {
    protocol: Protocol,
    /// The byte that ends a line.
    end: u8,
    client: fn(&mut Count, &[u8]) -> Said,
    server: fn(&mut Count, &[u8]) -> Said,
    /// See [`Negotiation::bound`].
    bound: usize,
}

/// Commands and replies so far.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Count {
    commands: u32,
    replies: u32,
    greeted: bool,
    /// Number of the command that asked to switch.
    asked: Option<u32>,
    /// The client sent a password that can be read.
    password: bool,
    /// The user name given is one for everybody (FTP).
    anonymous: bool,
    /// Tag of that command (IMAP); or whether an XML element is open (XMPP).
    tag: Vec<u8>,
    /// What the client's next line is.
    login: Login,
}

/// How far a login of several lines is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Login {
    #[default]
    None,
    /// The message of PLAIN (RFC 4616) comes next.
    Plain,
    /// The user name of LOGIN comes next.
    User,
    /// The password of LOGIN comes next.
    Password,
    /// User name and perhaps password as they stand, behind a literal (RFC 9051 section 4.3).
    LiteralUser,
    /// A password as it stands, behind a literal.
    LiteralPassword,
}

impl Count {
    /// Whether the reply just counted answers the request to switch.
    fn answers(&self) -> bool {
        self.asked.is_some_and(|asked| self.replies >= asked)
    }

    /// Counts a reply; the first one is a greeting when `greeting`.
    fn reply(&mut self, greeting: bool) {
        if !self.greeted && greeting {
            self.greeted = true;
        } else {
            self.greeted = true;
            self.replies += 1;
        }
    }

    /// Counts a command; `asks` when it is the request to switch.
    fn command(&mut self, asks: bool) -> Said {
        self.commands += 1;
        if asks {
            self.asked = Some(self.commands);
            return Said::Asks;
        }
        Said::Other
    }

    /// A login by SASL: the mechanism, and perhaps its first message. A request alone shows nothing; the server may refuse.
    fn log_in(&mut self, words: &[u8]) {
        let mechanism = word(words);
        let message = unquoted(argument(words));
        // A literal announces that the message is the next line; `=` is an empty message.
        let here = !message.is_empty() && !message.starts_with(b"{");
        self.login = match () {
            () if unquoted(mechanism).eq_ignore_ascii_case(b"PLAIN") => {
                self.password |= here && plain_base64(message);
                if here { Login::None } else { Login::Plain }
            }
            () if unquoted(mechanism).eq_ignore_ascii_case(b"LOGIN") => {
                if here {
                    Login::Password
                } else {
                    Login::User
                }
            }
            () => Login::None,
        };
    }

    /// Takes a line that belongs to a login; whether it did.
    fn goes_on(&mut self, line: &[u8]) -> bool {
        let text = unquoted(line);
        let said = || base64(text).and_then(|said| String::from_utf8(said).ok());
        let readable = || said().is_some_and(|said| !said.is_empty() && !said.contains(char::is_control));
        let (taken, next) = match self.login {
            Login::None => return false,
            // A literal of its own, or the first element in an element of XML.
            login if text.is_empty() || text.starts_with(b"{") => (true, login),
            Login::Plain => {
                self.password |= plain_base64(text);
                (base64(text).is_some(), Login::None)
            }
            // A command after a refusal, such as QUIT, may be Base64, too, but not of text.
            Login::User => (readable(), if readable() { Login::Password } else { Login::None }),
            Login::Password => {
                self.password |= readable();
                (readable(), Login::None)
            }
            Login::LiteralUser => (true, self.second_word(line)),
            Login::LiteralPassword => {
                self.password = true;
                (true, Login::None)
            }
        };
        self.login = next;
        self.commands += u32::from(taken);
        taken
    }

    /// Looks at the password behind a user name, neither of them in Base64.
    fn second_word(&mut self, line: &[u8]) -> Login {
        let password = line.get(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len())..).unwrap_or_default();
        match unquoted(password.trim_ascii()) {
            b"{0}" | b"{0+}" | b"" => Login::None,
            [b'{', .., b'}'] => Login::LiteralPassword,
            _ => {
                self.password = true;
                Login::None
            }
        }
    }
}

/// A string without the quotes around it.
fn unquoted(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(word)
}

/// What a line means for the switch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Other,
    Offers,
    /// An offer that something on the way has made unreadable.
    Overwritten,
    Asks,
    Accepts,
    Refuses,
    Over,
    /// What follows is protected by the protocol itself.
    Sealed,
    /// A data connection will use this endpoint.
    Announces(Endpoint),
}

/// RFC 5321, RFC 3207.
pub(super) static SMTP: Dialect =
    Dialect { protocol: Protocol(&"smtp"), end: b'\n', client: smtp_client, server: smtp_server, bound: 64 << 10 };
/// RFC 2033.
pub(super) static LMTP: Dialect = Dialect { protocol: Protocol(&"lmtp"), ..SMTP };
/// RFC 1939, RFC 2595 section 4.
pub(super) static POP3: Dialect =
    Dialect { protocol: Protocol(&"pop3"), end: b'\n', client: pop3_client, server: pop3_server, bound: 64 << 10 };
/// RFC 9051 section 6.2.1.
pub(super) static IMAP: Dialect =
    Dialect { protocol: Protocol(&"imap"), end: b'\n', client: imap_client, server: imap_server, bound: 64 << 10 };
/// RFC 5804.
pub(super) static MANAGESIEVE: Dialect = Dialect {
    protocol: Protocol(&"managesieve"),
    end: b'\n',
    client: sieve_client,
    server: sieve_server,
    bound: 64 << 10,
};
/// RFC 959, RFC 4217. Data connections are announced all along, hence the higher bound.
pub(super) static FTP: Dialect =
    Dialect { protocol: Protocol(&"ftp"), end: b'\n', client: ftp_client, server: ftp_server, bound: 4 << 20 };
/// RFC 3977, RFC 4642.
pub(super) static NNTP: Dialect =
    Dialect { protocol: Protocol(&"nntp"), end: b'\n', client: nntp_client, server: nntp_server, bound: 64 << 10 };
/// RFC 2812, IRCv3 `tls` capability.
pub(super) static IRC: Dialect =
    Dialect { protocol: Protocol(&"irc"), end: b'\n', client: irc_client, server: irc_server, bound: 64 << 10 };
/// RFC 6120 section 5.
pub(super) static XMPP: Dialect =
    Dialect { protocol: Protocol(&"xmpp"), end: b'>', client: xmpp_client, server: xmpp_server, bound: 64 << 10 };

/// Longest line that is waited for. Unit: bytes.
const MAX_LINE: usize = 16 * 1024;

#[derive(serde::Serialize, serde::Deserialize)]
struct Lines {
    #[serde(with = "by_name")]
    dialect: &'static Dialect,
    count: Count,
}

/// All dialects, to find one again by its name.
static DIALECTS: [&Dialect; 9] = [&SMTP, &LMTP, &POP3, &IMAP, &MANAGESIEVE, &FTP, &NNTP, &IRC, &XMPP];

/// A dialect is written to a state file as the name of its protocol.
mod by_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{DIALECTS, Dialect};

    pub(super) fn serialize<S: Serializer>(dialect: &&'static Dialect, serializer: S) -> Result<S::Ok, S::Error> {
        dialect.protocol.name().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Dialect, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = DIALECTS.into_iter().find(|dialect| dialect.protocol.name() == name);
        found.ok_or_else(|| serde::de::Error::custom("a line protocol that is not known"))
    }
}

/// The session of one dialect.
pub(super) fn session(dialect: &'static Dialect) -> Box<dyn Session> {
    Upgrading::open(dialect.protocol, Lines { dialect, count: Count::default() })
}

#[typetag::serde(name = "stream/lines/Lines")]
impl Negotiation for Lines {
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read {
        if !from_client && talk.stage == Stage::Asked && unread.starts_with(&[0x16, 3]) {
            talk.stage = Stage::Agreed;
            return Read::Wait;
        }
        let Some(end) = unread.iter().position(|byte| *byte == self.dialect.end) else {
            return if unread.len() > MAX_LINE { Read::Over } else { Read::Wait };
        };
        let line = unread.get(..end).unwrap_or_default();
        let line = if self.dialect.end == b'\n' { line.trim_ascii_end() } else { line };
        let read = if from_client { self.dialect.client } else { self.dialect.server };
        // In XML a line ends with the next tag; IRC puts a word in front of what SASL says.
        let text = match () {
            () if self.dialect.end == b'>' => text_before_tag(line),
            () if says(line, &["AUTHENTICATE"]) => argument(line),
            () => line,
        };
        let said = if from_client && self.count.goes_on(text) { Said::Other } else { read(&mut self.count, line) };
        talk.password |= self.count.password;
        match said {
            Said::Other => {}
            Said::Offers => talk.offered(),
            Said::Overwritten => talk.overwritten = true,
            Said::Asks => talk.stage = Stage::Asked,
            Said::Accepts => talk.stage = Stage::Agreed,
            Said::Refuses => {
                self.count.asked = None;
                talk.refused();
            }
            Said::Over => return Read::Over,
            Said::Sealed => return Read::Sealed(Sealing::Unclear),
            Said::Announces(endpoint) => talk.announce(endpoint, Protocol(&"ftp-data")),
        }
        Read::Take(end + 1)
    }

    fn bound(&self) -> usize {
        self.dialect.bound
    }

    fn survives_gap(&self) -> bool {
        true
    }
}

/// The text in front of a tag.
fn text_before_tag(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'<').next().unwrap_or_default().trim_ascii()
}

/// The first word of a line.
fn word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Whether the first word is one of `words`, in upper or lower case.
fn says(line: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| word(line).eq_ignore_ascii_case(known.as_bytes()))
}

/// The code of a numeric reply line and whether it is the last of its reply.
fn code(line: &[u8]) -> Option<([u8; 3], bool)> {
    let code = *line.first_chunk::<3>()?;
    code.iter().all(u8::is_ascii_digit).then_some(())?;
    match line.get(3) {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

/// The server's answer to a request to switch, in the protocols with numeric replies.
fn numeric(count: &mut Count, line: &[u8], greetings: &[&str], accept: &[u8; 3]) -> Said {
    let Some((code, true)) = code(line) else { return Said::Other };
    count.reply(greetings.iter().any(|greeting| greeting.as_bytes() == code));
    match code {
        code if count.answers() && code == *accept => Said::Accepts,
        [b'4' | b'5', ..] if count.answers() => Said::Refuses,
        _ => Said::Other,
    }
}

/// What follows the first word of a line.
fn argument(line: &[u8]) -> &[u8] {
    line.get(word(line).len() + 1..).unwrap_or_default().trim_ascii()
}

fn smtp_client(count: &mut Count, line: &[u8]) -> Said {
    if says(line, &["AUTH"]) {
        count.log_in(argument(line));
    }
    if says(line, &["DATA", "BDAT"]) {
        return Said::Over;
    }
    count.command(line.eq_ignore_ascii_case(b"STARTTLS"))
}

fn smtp_server(count: &mut Count, line: &[u8]) -> Said {
    let offers = starts(line, "250") && line.get(4..).is_some_and(|rest| rest.eq_ignore_ascii_case(b"STARTTLS"));
    let overwritten = starts(line, "250") && line.get(4..).is_some_and(is_overwritten);
    match numeric(count, line, &["220", "554"], b"220") {
        Said::Other if offers => Said::Offers,
        Said::Other if overwritten => Said::Overwritten,
        said => said,
    }
}

/// A word as long as STARTTLS, of the letter X but perhaps for the last: devices that strip STARTTLS leave the length of
/// the line as it was and put this in its place.
fn is_overwritten(word: &[u8]) -> bool {
    word.len() == "STARTTLS".len() && word.iter().take("STARTTLS".len() - 1).all(|byte| *byte == b'X')
}

fn pop3_client(count: &mut Count, line: &[u8]) -> Said {
    if says(line, &["AUTH"]) {
        count.log_in(argument(line));
    }
    count.password |= says(line, &["PASS"]) && !argument(line).is_empty();
    if says(line, &["STAT", "LIST", "RETR", "DELE", "TOP", "UIDL"]) {
        return Said::Over;
    }
    count.command(line.eq_ignore_ascii_case(b"STLS"))
}

fn pop3_server(count: &mut Count, line: &[u8]) -> Said {
    if line.eq_ignore_ascii_case(b"STLS") {
        return Said::Offers;
    }
    let (yes, no) = (line.starts_with(b"+OK"), line.starts_with(b"-ERR"));
    if yes || no || line == b"+" || line.starts_with(b"+ ") {
        count.reply(yes || no);
        match (count.answers(), yes, no) {
            (true, true, _) => return Said::Accepts,
            (true, _, true) => return Said::Refuses,
            _ => {}
        }
    }
    Said::Other
}

fn imap_client(count: &mut Count, line: &[u8]) -> Said {
    let tag = word(line);
    let command = line.get(tag.len() + 1..).unwrap_or_default();
    if says(command, &["SELECT", "EXAMINE", "LIST", "LSUB", "STATUS", "APPEND", "IDLE"]) {
        return Said::Over;
    }
    if says(command, &["AUTHENTICATE"]) {
        count.log_in(argument(command));
    }
    if says(command, &["LOGIN"]) {
        let literal = argument(command).starts_with(b"{");
        count.login = if literal { Login::LiteralUser } else { count.second_word(argument(command)) };
    }
    let asks = command.eq_ignore_ascii_case(b"STARTTLS");
    if asks {
        count.tag = tag.to_vec();
    }
    count.command(asks)
}

fn imap_server(count: &mut Count, line: &[u8]) -> Said {
    if holds(line, "CAPABILITY") && holds(line, "STARTTLS") {
        return Said::Offers;
    }
    if holds(line, "CAPABILITY") && line.split(|byte| matches!(byte, b' ' | b']')).any(is_overwritten) {
        return Said::Overwritten;
    }
    if count.asked.is_some() && word(line) == count.tag {
        let answer = line.get(count.tag.len() + 1..).unwrap_or_default();
        return if says(answer, &["OK"]) { Said::Accepts } else { Said::Refuses };
    }
    Said::Other
}

fn sieve_client(count: &mut Count, line: &[u8]) -> Said {
    if says(line, &["AUTHENTICATE"]) {
        count.log_in(argument(line));
    }
    if says(line, &["PUTSCRIPT", "GETSCRIPT", "LISTSCRIPTS", "HAVESPACE", "CHECKSCRIPT"]) {
        return Said::Over;
    }
    count.command(line.eq_ignore_ascii_case(b"STARTTLS"))
}

fn sieve_server(count: &mut Count, line: &[u8]) -> Said {
    if line.eq_ignore_ascii_case(b"\"STARTTLS\"") {
        return Said::Offers;
    }
    let (yes, no) = (says(line, &["OK"]), says(line, &["NO", "BYE"]));
    if yes || no {
        count.reply(yes);
        match (count.answers(), yes) {
            (true, true) => return Said::Accepts,
            (true, false) => return Said::Refuses,
            _ => {}
        }
    }
    Said::Other
}

fn ftp_client(count: &mut Count, line: &[u8]) -> Said {
    // Commands wrapped by GSSAPI (RFC 2228 section 3): the inside cannot be seen.
    if says(line, &["ENC", "CONF"]) {
        return Said::Sealed;
    }
    let argument = argument(line);
    if says(line, &["USER"]) {
        count.anonymous = ["anonymous", "ftp"].iter().any(|name| argument.eq_ignore_ascii_case(name.as_bytes()));
    }
    count.password |= says(line, &["PASS"]) && !argument.is_empty() && !count.anonymous;
    let tls = ["TLS", "TLS-C", "TLS-P", "SSL"].iter().any(|name| argument.eq_ignore_ascii_case(name.as_bytes()));
    let said = count.command(says(line, &["AUTH"]) && tls);
    let endpoint = match () {
        () if says(line, &["PORT"]) => six_numbers(argument),
        () if says(line, &["EPRT"]) => extended_port(argument),
        () => None,
    };
    endpoint.map_or(said, Said::Announces)
}

fn ftp_server(count: &mut Count, line: &[u8]) -> Said {
    if line.starts_with(b"1") && code(line).is_some() {
        return Said::Other;
    }
    let said = numeric(count, line, &["220", "421"], b"234");
    match code(line) {
        _ if said != Said::Other => said,
        Some(([b'2', b'2', b'7'], true)) => passive(line).map_or(Said::Other, Said::Announces),
        Some(([b'2', b'2', b'9'], true)) => extended_passive(line).map_or(Said::Other, Said::Announces),
        _ if holds(line, "AUTH ") && (holds(line, "TLS") || holds(line, "SSL")) => Said::Offers,
        _ => Said::Other,
    }
}

/// `h1,h2,h3,h4,p1,p2` of PORT and of the reply to PASV (RFC 959 section 3.3).
fn six_numbers(text: &[u8]) -> Option<Endpoint> {
    let mut numbers = [0_u8; 6];
    let mut parts = std::str::from_utf8(text).ok()?.split(',');
    for number in &mut numbers {
        *number = parts.next()?.trim().parse().ok()?;
    }
    let [a, b, c, d, high, low] = numbers;
    let port = u16::from_be_bytes([high, low]);
    (parts.next().is_none() && port > 0).then_some(Endpoint { ip: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port })
}

/// The reply to PASV: the six numbers, in brackets or not (RFC 1123 section 4.1.2.6).
fn passive(line: &[u8]) -> Option<Endpoint> {
    let text = line.get(3..)?;
    let comma = text.iter().position(|byte| *byte == b',')?;
    let start = text.get(..comma)?.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let rest = text.get(start..)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit() && !matches!(byte, b',' | b' ')).unwrap_or(rest.len());
    six_numbers(rest.get(..end)?.trim_ascii_end())
}

/// `|1|132.235.1.2|6275|` of EPRT (RFC 2428 section 2).
fn extended_port(text: &[u8]) -> Option<Endpoint> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split(text.chars().next()?).skip(2);
    Some(Endpoint { ip: parts.next()?.parse().ok()?, port: parts.next()?.parse().ok()? })
}

/// `229 ... (|||6446|)` (RFC 2428 section 3): the server's own address, so none is named.
fn extended_passive(line: &[u8]) -> Option<Endpoint> {
    let text = std::str::from_utf8(line).ok()?;
    let inside = text.split_once('(')?.1;
    let mut parts = inside.split(inside.chars().next()?).skip(3);
    Some(Endpoint { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: parts.next()?.parse().ok()? })
}

fn nntp_client(count: &mut Count, line: &[u8]) -> Said {
    let login = argument(line);
    if says(line, &["AUTHINFO"]) && says(login, &["SASL"]) {
        count.log_in(argument(login));
    }
    count.password |= says(line, &["AUTHINFO"]) && says(login, &["PASS"]) && !argument(login).is_empty();
    if says(line, &["GROUP", "LISTGROUP", "ARTICLE", "HEAD", "BODY", "POST", "IHAVE", "CHECK", "TAKETHIS"]) {
        return Said::Over;
    }
    count.command(line.eq_ignore_ascii_case(b"STARTTLS"))
}

fn nntp_server(count: &mut Count, line: &[u8]) -> Said {
    if line.eq_ignore_ascii_case(b"STARTTLS") {
        return Said::Offers;
    }
    numeric(count, line, &["200", "201"], b"382")
}

fn irc_client(count: &mut Count, line: &[u8]) -> Said {
    if says(line, &["AUTHENTICATE"]) {
        count.log_in(argument(line));
    }
    let password = if says(line, &["OPER"]) { argument(argument(line)) } else { argument(line) };
    count.password |= says(line, &["PASS", "OPER"]) && !matches!(password, b"" | b":");
    count.command(line.eq_ignore_ascii_case(b"STARTTLS"))
}

fn irc_server(count: &mut Count, line: &[u8]) -> Said {
    let rest = if line.starts_with(b":") { line.get(word(line).len() + 1..).unwrap_or_default() } else { line };
    match word(rest) {
        b"670" if count.asked.is_some() => Said::Accepts,
        b"691" | b"421" if count.asked.is_some() && (word(rest) == b"691" || holds(rest, "STARTTLS")) => Said::Refuses,
        b"001" => Said::Over,
        b"CAP" if rest.split(|byte| matches!(byte, b' ' | b':')).any(|name| name == b"tls") => Said::Offers,
        _ => Said::Other,
    }
}

fn xmpp_client(count: &mut Count, tag: &[u8]) -> Said {
    let closed = tag.ends_with(b"/");
    if holds(tag, "<starttls") && !closed {
        count.tag = b"open".to_vec();
        return Said::Other;
    }
    // RFC 6120 section 6.4.2, XEP-0388; the password of XEP-0078 and XEP-0077.
    let logs_in = holds(tag, "<auth ") || holds(tag, "<authenticate ");
    if logs_in && (holds(tag, "'PLAIN'") || holds(tag, "\"PLAIN\"")) && !closed {
        count.login = Login::Plain;
        return Said::Other;
    }
    count.password |= holds(tag, "</password") && !text_before_tag(tag).is_empty();
    if logs_in || ["<bind ", "<presence", "<message "].iter().any(|begun| holds(tag, begun)) {
        return Said::Over;
    }
    count.command(holds(tag, "<starttls") || holds(tag, "</starttls") && !count.tag.is_empty())
}

fn xmpp_server(count: &mut Count, tag: &[u8]) -> Said {
    let asked = count.asked.is_some();
    match () {
        () if asked && (holds(tag, "<proceed") && tag.ends_with(b"/") || holds(tag, "</proceed")) => Said::Accepts,
        () if asked && holds(tag, "<failure") => Said::Refuses,
        () if holds(tag, "<starttls") => Said::Offers,
        () => Said::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::upgrade::trial::{HELLO, run};
    use super::*;
    use crate::detect::{Found, Moment};
    use crate::model::{Facts, Sign, UpgradeOutcome, UpgradeOutcome::*};

    const C: bool = true;
    const S: bool = false;
    type Case = (&'static str, &'static Dialect, Vec<(bool, Vec<u8>)>, (Option<UpgradeOutcome>, Option<usize>));

    fn talk(pieces: &[(bool, &str)]) -> Vec<(bool, Vec<u8>)> {
        pieces.iter().map(|(side, text)| (*side, text.as_bytes().to_vec())).collect()
    }

    /// The talk, then a ClientHello.
    fn then_hello(pieces: &[(bool, &str)]) -> Vec<(bool, Vec<u8>)> {
        let mut pieces = talk(pieces);
        pieces.push((C, HELLO.to_vec()));
        pieces
    }

    /// A password that can be read is told; its bytes are kept nowhere.
    #[test]
    fn passwords() {
        let cases: &[(&str, &'static Dialect, &[&str], bool)] = &[
            ("smtp plain", &SMTP, &["EHLO a\r\n", "AUTH PLAIN AGEAYg==\r\n"], true),
            ("smtp plain, later", &SMTP, &["AUTH PLAIN\r\n", "AGEAYg==\r\n"], true),
            ("smtp plain, refused", &SMTP, &["AUTH PLAIN\r\n", "QUIT\r\n"], false),
            ("smtp plain, taken back", &SMTP, &["AUTH PLAIN\r\n", "*\r\n"], false),
            ("smtp plain, no password", &SMTP, &["AUTH PLAIN AGEA\r\n"], false),
            ("smtp login", &SMTP, &["EHLO a\r\n", "auth login\r\n", "Y2xlcms=\r\n", "b2ZmaWNl\r\n"], true),
            ("smtp login, user at once", &SMTP, &["AUTH LOGIN Y2xlcms=\r\n", "b2ZmaWNl\r\n"], true),
            ("smtp login, user refused", &SMTP, &["AUTH LOGIN\r\n", "Y2xlcms=\r\n", "QUIT\r\n"], false),
            ("smtp login, refused", &SMTP, &["AUTH LOGIN\r\n", "RSET\r\n", "QUIT\r\n"], false),
            ("smtp challenge", &SMTP, &["EHLO a\r\n", "AUTH CRAM-MD5\r\n", "Y2xlcmsgZGlnZXN0\r\n"], false),
            ("smtp certificate", &SMTP, &["AUTH EXTERNAL Y2xlcms=\r\n"], false),
            ("smtp other", &SMTP, &["EHLO a\r\n", "AUTH PLAIN-X AGEAYg==\r\n"], false),
            ("pop3", &POP3, &["USER a\r\n", "PASS b\r\n"], true),
            ("pop3 plain", &POP3, &["AUTH PLAIN\r\n", "AGEAYg==\r\n"], true),
            ("pop3 without a password", &POP3, &["USER a\r\n", "PASS \r\n"], false),
            ("pop3 digest", &POP3, &["APOP a c4c9334bac560ecc979e58001b3e22fb\r\n"], false),
            ("imap", &IMAP, &["a1 LOGIN a b\r\n"], true),
            ("imap quoted", &IMAP, &["a1 LOGIN \"a\" \"b c\"\r\n"], true),
            ("imap literals", &IMAP, &["a1 LOGIN {1}\r\n", "a {1}\r\n", "b\r\n"], true),
            ("imap literal user", &IMAP, &["a1 LOGIN {1}\r\n", "a b\r\n"], true),
            ("imap empty password", &IMAP, &["a1 LOGIN a \"\"\r\n"], false),
            ("imap empty literal", &IMAP, &["a1 LOGIN a {0}\r\n", "\r\n"], false),
            ("imap plain", &IMAP, &["a1 AUTHENTICATE PLAIN\r\n", "AGEAYg==\r\n"], true),
            ("imap plain at once", &IMAP, &["a1 AUTHENTICATE PLAIN AGEAYg==\r\n"], true),
            ("imap plain refused", &IMAP, &["a1 AUTHENTICATE PLAIN\r\n", "a2 LOGOUT\r\n"], false),
            ("imap ticket", &IMAP, &["a1 AUTHENTICATE GSSAPI\r\n", "YII=\r\n"], false),
            ("imap anonymous", &IMAP, &["a1 AUTHENTICATE ANONYMOUS\r\n", "Y2xlcms=\r\n"], false),
            ("imap text", &IMAP, &["a1 NOOP\r\n"], false),
            ("sieve", &MANAGESIEVE, &["AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n"], true),
            ("sieve literal", &MANAGESIEVE, &["AUTHENTICATE \"PLAIN\" {8+}\r\n", "AGEAYg==\r\n"], true),
            ("sieve challenge", &MANAGESIEVE, &["AUTHENTICATE \"DIGEST-MD5\"\r\n", "\"Y2xlcms=\"\r\n"], false),
            ("ftp", &FTP, &["USER a\r\n", "PASS b\r\n"], true),
            ("ftp without a password", &FTP, &["USER a\r\n", "PASS\r\n"], false),
            ("ftp for everybody", &FTP, &["USER anonymous\r\n", "PASS a@\r\n"], false),
            ("nntp", &NNTP, &["AUTHINFO USER a\r\n", "AUTHINFO PASS b\r\n"], true),
            ("nntp plain", &NNTP, &["AUTHINFO SASL PLAIN AGEAYg==\r\n"], true),
            ("nntp user only", &NNTP, &["AUTHINFO USER a\r\n"], false),
            ("nntp challenge", &NNTP, &["AUTHINFO SASL CRAM-MD5\r\n", "Y2xlcms=\r\n"], false),
            ("irc", &IRC, &["PASS b\r\n", "NICK a\r\n"], true),
            ("irc without a password", &IRC, &["PASS\r\n", "NICK a\r\n"], false),
            ("irc plain", &IRC, &["AUTHENTICATE PLAIN\r\n", "AUTHENTICATE AGEAYg==\r\n"], true),
            ("irc certificate", &IRC, &["AUTHENTICATE EXTERNAL\r\n", "AUTHENTICATE +\r\n"], false),
            ("irc operator", &IRC, &["OPER a b\r\n"], true),
            ("xmpp", &XMPP, &["<auth xmlns='x' mechanism='PLAIN'>", "AGEAYg==</auth>"], true),
            (
                "xmpp, SASL 2",
                &XMPP,
                &["<authenticate mechanism='PLAIN'><initial-response>AGEAYg==</initial-response>"],
                true,
            ),
            ("xmpp, the old way", &XMPP, &["<iq type='set'><query><username>a</username><password>b</password>"], true),
            (
                "xmpp, the old way, digest",
                &XMPP,
                &["<iq type='set'><query><username>a</username><digest>b</digest>"],
                false,
            ),
            ("xmpp without a message", &XMPP, &["<auth xmlns='x' mechanism='PLAIN'/>"], false),
            ("xmpp challenge", &XMPP, &["<auth xmlns='x' mechanism='SCRAM-SHA-1'>", "biwsbj1h</auth>"], false),
            ("xmpp certificate", &XMPP, &["<auth xmlns='x' mechanism='EXTERNAL'>", "AGEAYg==</auth>"], false),
        ];
        for (name, dialect, lines, want) in cases {
            let mut session = session(dialect);
            for line in *lines {
                session.feed(C, line.as_bytes(), Moment { time_ns: 0, wire_len: 0 });
            }
            let mut facts = Facts::default();
            session.finish(&mut Found::plaintext(dialect.protocol), &mut facts);
            assert_eq!(facts.password_in_clear.is_some(), *want, "{name}");
        }
    }

    #[test]
    fn upgrades() {
        let used = (Some(Used), Some(HELLO.len()));
        let smtp = [(S, "220 a ESMTP\r\n"), (C, "EHLO b\r\n"), (S, "250-a\r\n250 STARTTLS\r\n"), (C, "STARTTLS\r\n")];
        let with = |base: &[(bool, &'static str)], more: &[(bool, &'static str)]| [base, more].concat();
        let mut glued = talk(&with(&smtp, &[(S, "220 go\r\n")]));
        glued.push((C, [HELLO, b"more"].concat()));
        let mut pipelined = talk(&smtp[..3]);
        pipelined.push((C, [b"STARTTLS\r\n", HELLO].concat()));
        pipelined.push((S, b"220 go\r\n".to_vec()));
        let mut heads_first = talk(&[(C, "EHLO b\r\nSTARTTLS\r\n"), (S, "220 a\r\n250 a\r\n220 go\r\n")]);
        heads_first.push((C, HELLO.to_vec()));
        let mut lost_reply = talk(&[(C, "STARTTLS\r\n")]);
        lost_reply.push((C, HELLO.to_vec()));
        lost_reply.push((S, b"\x16\x03\x03\x00\x50\x02".to_vec()));
        let mut in_bits = talk(&with(&smtp, &[(S, "22"), (S, "0 go\r\n")]));
        in_bits.push((C, HELLO[..3].to_vec()));
        in_bits.push((C, HELLO[3..].to_vec()));
        let cases: Vec<Case> = vec![
            ("smtp used", &SMTP, then_hello(&with(&smtp, &[(S, "220 go\r\n")])), used),
            ("smtp used, more behind", &SMTP, glued, (Some(Used), Some(HELLO.len() + 4))),
            ("smtp pipelined hello", &SMTP, pipelined, (Some(Used), Some(0))),
            ("smtp heads first", &SMTP, heads_first, used),
            ("smtp in small pieces", &SMTP, in_bits, (Some(Used), Some(HELLO.len() - 3))),
            ("smtp without the reply", &SMTP, lost_reply, (Some(Used), Some(6))),
            ("smtp offered", &SMTP, talk(&smtp[..3]), (Some(Offered), None)),
            (
                "smtp refused",
                &SMTP,
                then_hello(&with(&smtp, &[(S, "454 no\r\n"), (C, "MAIL FROM:<a>\r\n")])),
                (Some(Refused), None),
            ),
            (
                "smtp failed",
                &SMTP,
                talk(&with(&smtp, &[(S, "220 go\r\n"), (C, "EHLO again\r\n")])),
                (Some(Failed), None),
            ),
            (
                "smtp never offered",
                &SMTP,
                talk(&[(S, "220 a\r\n"), (C, "HELO b\r\n"), (S, "250 a\r\n"), (C, "DATA\r\n")]),
                (None, None),
            ),
            ("smtp greeting is no answer", &SMTP, then_hello(&[(C, "STARTTLS\r\n"), (S, "220 a\r\n")]), (None, None)),
            (
                "pop3",
                &POP3,
                then_hello(&[
                    (S, "+OK hi\r\n"),
                    (C, "CAPA\r\n"),
                    (S, "+OK\r\nSTLS\r\n.\r\n"),
                    (C, "STLS\r\n"),
                    (S, "+OK\r\n"),
                ]),
                used,
            ),
            (
                "pop3 refused",
                &POP3,
                talk(&[(S, "+OK hi\r\n"), (C, "STLS\r\n"), (S, "-ERR no\r\n")]),
                (Some(Refused), None),
            ),
            ("imap", &IMAP, then_hello(&[(S, "* OK\r\n"), (C, "a1 STARTTLS\r\n"), (S, "* x\r\na1 OK go\r\n")]), used),
            (
                "imap offered",
                &IMAP,
                talk(&[(S, "* OK [CAPABILITY IMAP4 STARTTLS]\r\n"), (C, "a SELECT x\r\n")]),
                (Some(Offered), None),
            ),
            ("imap other tag", &IMAP, then_hello(&[(C, "a1 NOOP\r\na2 STARTTLS\r\n"), (S, "a1 OK\r\n")]), (None, None)),
            (
                "sieve",
                &MANAGESIEVE,
                then_hello(&[(S, "\"STARTTLS\"\r\nOK\r\n"), (C, "STARTTLS\r\n"), (S, "OK\r\n")]),
                used,
            ),
            ("ftp", &FTP, then_hello(&[(S, "220 a\r\n"), (C, "AUTH TLS\r\n"), (S, "234 go\r\n")]), used),
            (
                "ftp refused",
                &FTP,
                talk(&[(S, "220 a\r\n"), (C, "AUTH SSL\r\n"), (S, "530 no\r\n")]),
                (Some(Refused), None),
            ),
            (
                "ftp offered",
                &FTP,
                talk(&[(S, "220 a\r\n"), (C, "FEAT\r\n"), (S, "211-x\r\n AUTH TLS\r\n211 end\r\n")]),
                (Some(Offered), None),
            ),
            (
                "ftp sealed by gssapi",
                &FTP,
                then_hello(&[(S, "220 a\r\n"), (C, "AUTH GSSAPI\r\nENC Fw==\r\n")]),
                (None, None),
            ),
            ("ftp gssapi", &FTP, talk(&[(S, "220 a\r\n"), (C, "AUTH GSSAPI\r\n"), (S, "334 go\r\n")]), (None, None)),
            (
                "nntp",
                &NNTP,
                then_hello(&[
                    (S, "200 a\r\n"),
                    (C, "CAPABILITIES\r\n"),
                    (S, "101 x\r\nSTARTTLS\r\n.\r\n"),
                    (C, "STARTTLS\r\n"),
                    (S, "382 go\r\n"),
                ]),
                used,
            ),
            ("irc", &IRC, then_hello(&[(C, "STARTTLS\r\n"), (S, ":a 670 * :go\r\n")]), used),
            ("irc refused", &IRC, talk(&[(C, "STARTTLS\r\n"), (S, ":a 691 * :no\r\n")]), (Some(Refused), None)),
            (
                "xmpp",
                &XMPP,
                then_hello(&[
                    (C, "<?xml version='1.0'?><stream:stream to='a'>"),
                    (S, "<stream:stream><stream:features><starttls xmlns='t'><required/></starttls></stream:features>"),
                    (C, "<starttls xmlns='t'/>"),
                    (S, "<proceed xmlns='t'/>"),
                ]),
                used,
            ),
            (
                "xmpp long form",
                &XMPP,
                then_hello(&[(C, "<starttls xmlns='t'></starttls>"), (S, "<proceed xmlns='t'></proceed>")]),
                used,
            ),
            (
                "xmpp refused",
                &XMPP,
                talk(&[(C, "<starttls xmlns='t'/>"), (S, "<failure xmlns='t'/>")]),
                (Some(Refused), None),
            ),
        ];
        for (name, dialect, pieces, want) in cases {
            let pieces: Vec<(bool, &[u8])> = pieces.iter().map(|(side, bytes)| (*side, bytes.as_slice())).collect();
            assert_eq!(run(session(dialect), &pieces), want, "{name}");
        }
    }

    #[test]
    fn data_endpoints() {
        let cases: &[(&str, bool, &str, Option<&str>)] = &[
            ("port", C, "PORT 10,0,0,1,4,1\r\n", Some("10.0.0.1:1025")),
            ("pasv", S, "227 Entering Passive Mode (10,0,0,2,195,80).\r\n", Some("10.0.0.2:50000")),
            ("pasv without brackets", S, "227 Passive 10,0,0,2,195,80\r\n", Some("10.0.0.2:50000")),
            ("eprt", C, "EPRT |2|2001:db8::1|5282|\r\n", Some("[2001:db8::1]:5282")),
            ("epsv", S, "229 Extended (|||6446|)\r\n", Some("0.0.0.0:6446")),
            ("too large", C, "PORT 10,0,0,256,4,1\r\n", None),
            ("too many", C, "PORT 10,0,0,1,4,1,5\r\n", None),
            ("no port", S, "227 Passive (10,0,0,2,0,0)\r\n", None),
            ("cut", S, "229 Extended (\r\n", None),
        ];
        for (name, side, text, want) in cases {
            let mut session = session(&FTP);
            let _ = session.feed(*side, text.as_bytes(), Moment { time_ns: 0, wire_len: 0 });
            let mut facts = Facts::default();
            session.finish(&mut Found::plaintext(FTP.protocol), &mut facts);
            let seen = facts.announced.first().map(|(sign, _)| match sign {
                Sign::End(end) => std::net::SocketAddr::new(end.ip, end.port).to_string(),
                Sign::Connection(_) => "a connection ID".to_owned(),
            });
            assert_eq!(seen.as_deref(), *want, "{name}");
        }
    }
}
