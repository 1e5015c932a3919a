//! Protocols that are told by fixed bytes at the start of what a side sends: rows of `fixed.json`, no code.
//!
//! Sources: the `source` of each row.
//! Evidence: the fixed bits of a pattern. A full match of every side that has a pattern is `Found` from
//! [`SURE_BITS`] on, below that `Likely`; while a side with a pattern is silent the answer is at most `Likely`.
//! Not handled: patterns at a variable offset, checks over several messages (those are files of their own).
//!
//! # A row
//! | key | meaning |
//! |---|---|
//! | `name` | the protocol, as in reports |
//! | `transport` | `tcp` or `udp` |
//! | `class` | `plaintext` (when absent) or `encrypted` |
//! | `client`, `server` | patterns, any of which must match at the start; empty or absent: that side may send anything |
//! | `min_len` | bytes a side (TCP) or datagram (UDP) must have before a match counts |
//! | `length` | where the length of the first message stands, for example `u16be@2+4`: 16 bits, big endian, at offset 2, to which 4 is added for the whole message; UDP: the datagram must have just that length |
//! | `datagrams` | UDP: matching datagrams needed for `Found` (1 when absent); fewer are `Likely` |
//! | `source` | where the bytes are written down |
//!
//! # A pattern
//! Bytes with spaces between them: `1f` a byte in hex, `??` any byte, `4?` or `?4` half of one, `##` an ASCII digit,
//! `'text'` as it stands, `i'text'` in upper or lower case. Example: `"13 'BitTorrent protocol'"`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::stream::logins;
use super::{Datagram, Dissector, Found, Heads, Outcome, Session};
use crate::model::{Class, Evidence, Protocol, Transport};

/// Rows over TCP.
pub(super) static TCP: Fixed = Fixed(Transport::TCP);
/// Rows over UDP.
pub(super) static UDP: Fixed = Fixed(Transport::UDP);

/// Fixed bits that make a full match certain: random bytes match one row in 2^32 flows.
const SURE_BITS: u32 = 32;

/// All rows of one transport as one dissector; it answers with the protocol of the row.
pub(super) struct Fixed(Transport);

impl Dissector for Fixed {
    fn protocol(&self) -> Protocol {
        Protocol::UNKNOWN
    }

    fn transport(&self) -> Transport {
        self.0
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        if self.0 == Transport::TCP { STREAMS.ask(heads) } else { DATAGRAMS.ask(heads) }
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        if self.0 == Transport::TCP { logins::session(found.protocol) } else { None }
    }
}

/// The rows of one transport, by what a side may open with: all others say no.
struct Table {
    /// For each first byte of the client, then of the server, the rows with a pattern for that side that may open so.
    by_byte: [Vec<Vec<Candidate>>; 2],
    /// Rows with patterns for the client alone, then for the server alone.
    one_sided: [Vec<Candidate>; 2],
}

/// A row with what is soonest seen of it.
#[derive(Clone, Copy)]
struct Candidate {
    row: &'static Row,
    /// Its place among the rows: of equal answers the first counts.
    place: usize,
    /// What all patterns of the client, and of the server, pin down alike of the first eight bytes.
    openings: [Opening; 2],
}

impl Candidate {
    fn of(place: usize, row: &'static Row) -> Self {
        let openings = [&row.client, &row.server].map(|patterns| {
            let openings = patterns.iter().map(|pattern| pattern.opening);
            openings.reduce(Opening::common).unwrap_or_default()
        });
        Self { row, place, openings }
    }
}

/// Some bits of the first eight bytes of a side, and their values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Opening {
    mask: u64,
    value: u64,
}

impl Opening {
    /// What is known of `head`: as many of the eight bytes as there are.
    fn of(head: &[u8]) -> Self {
        match head.first_chunk() {
            Some(first) => Self { mask: u64::MAX, value: u64::from_be_bytes(*first) },
            None => head.iter().zip(0_u32..).fold(Self::default(), |known, (byte, place)| Self {
                mask: known.mask | 0xff << (56 - 8 * place),
                value: known.value | u64::from(*byte) << (56 - 8 * place),
            }),
        }
    }

    /// What it says of the first byte: mask and value.
    fn first(self) -> (u8, u8) {
        ((self.mask >> 56) as u8, (self.value >> 56) as u8)
    }

    /// What both pin down alike.
    fn common(self, other: Self) -> Self {
        let mask = self.mask & other.mask & !(self.value ^ other.value);
        Self { mask, value: self.value & mask }
    }

    /// Whether no bit that both know differs.
    fn agrees(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }
}

static STREAMS: LazyLock<Table> = LazyLock::new(|| Table::of(Transport::TCP));
static DATAGRAMS: LazyLock<Table> = LazyLock::new(|| Table::of(Transport::UDP));

impl Table {
    fn of(transport: Transport) -> Self {
        let rows = ROWS.iter().filter(|row| row.transport == transport);
        let all: Vec<Candidate> = rows.enumerate().map(|(place, row)| Candidate::of(place, row)).collect();
        let patterns = |row: &'static Row, side: usize| if side == 0 { &row.client } else { &row.server };
        let by_byte = |side: usize| {
            let mut rows = vec![Vec::new(); 256];
            for candidate in &all {
                let patterns = patterns(candidate.row, side);
                let firsts: Vec<(u8, u8)> = patterns.iter().map(|pattern| pattern.opening.first()).collect();
                for (byte, rows) in (0..=u8::MAX).zip(&mut rows) {
                    if firsts.iter().any(|(mask, value)| byte & mask == *value) {
                        rows.push(*candidate);
                    }
                }
            }
            rows
        };
        let alone = |side: usize| {
            all.iter().filter(|candidate| patterns(candidate.row, 1 - side).is_empty()).copied().collect()
        };
        Self { by_byte: [by_byte(0), by_byte(1)], one_sided: [alone(0), alone(1)] }
    }

    /// The surest answer of all rows.
    fn ask(&self, heads: Heads<'_>) -> Outcome {
        let sides: [&[u8]; 2] = match heads.datagrams {
            [first, ..] if first.from_client => [first.bytes, &[]],
            [first, ..] => [&[], first.bytes],
            [] => [heads.client, heads.server],
        };
        let [client, server] = [Opening::of(sides[0]), Opening::of(sides[1])];
        // While nobody speaks whom they know, rows of streams wait. Datagrams may follow.
        let streams = heads.datagrams.is_empty();
        let silent = sides.iter().zip(&self.one_sided).any(|(head, rows)| head.is_empty() && !rows.is_empty());
        let (mut best, mut best_place) = if streams && silent { (Outcome::NeedMore, 0) } else { (Outcome::No, 0) };
        let mut ask = |candidates: &[Candidate]| {
            for Candidate { row, place, openings: [asks, answers] } in candidates {
                if asks.agrees(client) && answers.agrees(server) {
                    let outcome = row.probe(heads);
                    if (sureness(outcome), best_place) > (sureness(best), *place) {
                        (best, best_place) = (outcome, *place);
                    }
                }
            }
        };
        for ((head, by_byte), one_sided) in sides.into_iter().zip(&self.by_byte).zip(&self.one_sided) {
            match head.first() {
                Some(first) => ask(by_byte.get(usize::from(*first)).map_or(&[], Vec::as_slice)),
                None if streams => {}
                None => ask(one_sided),
            }
        }
        best
    }
}

/// Names of all rows with the transports that they run on.
#[cfg(test)]
pub(super) fn names_by_transport() -> std::collections::BTreeMap<&'static str, std::collections::BTreeSet<&'static str>>
{
    let mut names = std::collections::BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for row in ROWS.iter() {
        names.entry(row.name).or_default().insert(row.transport.name().unwrap_or("ip"));
    }
    names
}

/// How sure an answer is.
const fn sureness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::No => 0,
        Outcome::NeedMore => 1,
        Outcome::Likely(_) => 2,
        Outcome::Found(_) => 3,
    }
}

/// Names of all rows.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    // The file is part of the program; the tests read every row.
    parse(include_str!("fixed.json")).unwrap_or_default()
});

/// A row, ready to be matched.
struct Row {
    name: &'static str,
    transport: Transport,
    class: Class,
    client: Vec<Pattern>,
    server: Vec<Pattern>,
    min_len: usize,
    length: Option<Length>,
    datagrams: usize,
}

/// A row as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    name: &'a str,
    transport: &'a str,
    #[serde(default)]
    class: Option<&'a str>,
    #[serde(default)]
    client: Vec<&'a str>,
    #[serde(default)]
    server: Vec<&'a str>,
    #[serde(default)]
    min_len: usize,
    #[serde(default)]
    length: Option<&'a str>,
    #[serde(default)]
    datagrams: Option<usize>,
    /// Kept for the reader of the file.
    source: &'a str,
}

/// How far a pattern or a side agrees with the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Fit {
    /// They differ.
    Differs,
    /// They agree as far as they go, and end too soon.
    Short,
    /// They agree in so many fixed bits.
    Fits(u32),
}

impl Row {
    fn found(&'static self, evidence: Evidence) -> Found {
        Found { protocol: Protocol(&self.name), class: self.class, evidence, client_proven: false }
    }

    /// The bytes of one side, or one datagram, against its patterns.
    fn fit(&self, patterns: &[Pattern], head: &[u8], len: usize) -> Fit {
        let best =
            patterns.iter().map(|pattern| pattern.fit(head)).fold(Fit::Differs, |a, b| if b > a { b } else { a });
        match best {
            Fit::Fits(_) if len < self.min_len => Fit::Short,
            _ => best,
        }
    }

    fn probe(&'static self, heads: Heads<'_>) -> Outcome {
        if self.transport == Transport::TCP { self.probe_stream(heads) } else { self.probe_datagrams(heads) }
    }

    fn probe_stream(&'static self, heads: Heads<'_>) -> Outcome {
        let side = |patterns: &[Pattern], head: &[u8]| -> Option<Fit> {
            if patterns.is_empty() {
                return None;
            }
            match (self.fit(patterns, head, head.len()), self.length) {
                (Fit::Fits(bits), Some(length)) => Some(match length.of(head) {
                    None => Fit::Short,
                    Some(Some(len)) if (length.end()..=MAX_MESSAGE).contains(&len) => Fit::Fits(bits),
                    Some(_) => Fit::Differs,
                }),
                (fit, _) => Some(fit),
            }
        };
        let found = self.found(Evidence::Signature);
        match (side(&self.client, heads.client), side(&self.server, heads.server)) {
            (Some(Fit::Differs), _) | (_, Some(Fit::Differs)) | (None, None) => Outcome::No,
            (Some(Fit::Fits(a)), Some(Fit::Fits(b))) if a + b >= SURE_BITS => Outcome::Found(found),
            (Some(Fit::Fits(a)), None) | (None, Some(Fit::Fits(a))) if a >= SURE_BITS => Outcome::Found(found),
            (Some(Fit::Fits(_)), None | Some(Fit::Fits(_))) | (None, Some(Fit::Fits(_))) => Outcome::Likely(found),
            (Some(Fit::Fits(bits)), _) | (_, Some(Fit::Fits(bits))) if bits >= SURE_BITS => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }

    fn probe_datagrams(&'static self, heads: Heads<'_>) -> Outcome {
        let (mut matched, mut bits) = (0, 0);
        for datagram in heads.datagrams {
            let patterns = if datagram.from_client { &self.client } else { &self.server };
            if patterns.is_empty() {
                continue;
            }
            match self.fit_datagram(patterns, *datagram) {
                Fit::Fits(more) => (matched, bits) = (matched + 1, bits + more),
                _ => return Outcome::No,
            }
        }
        let found = self.found(Evidence::Signature);
        match matched {
            0 => Outcome::NeedMore,
            _ if matched >= self.datagrams && bits >= SURE_BITS => Outcome::Found(found),
            _ => Outcome::Likely(found),
        }
    }

    fn fit_datagram(&self, patterns: &[Pattern], datagram: Datagram<'_>) -> Fit {
        let fit = self.fit(patterns, datagram.bytes, datagram.wire_len);
        match self.length {
            Some(length) if length.of(datagram.bytes) != Some(Some(datagram.wire_len)) => Fit::Differs,
            _ => fit,
        }
    }
}

/// Longest first message over a stream that a `length` may announce. Unit: bytes.
const MAX_MESSAGE: usize = 16 << 20;

/// Where a message says how long it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Length {
    offset: usize,
    size: usize,
    little: bool,
    add: usize,
}

impl Length {
    /// Reads `u16be@2+4`; `None` when it is written wrongly.
    fn parse(text: &str) -> Option<Self> {
        let (kind, place) = text.split_once('@')?;
        let (offset, add) = place.split_once('+').unwrap_or((place, "0"));
        let (size, little) = match kind {
            "u8" => (1, false),
            "u16be" => (2, false),
            "u16le" => (2, true),
            "u24be" => (3, false),
            "u32be" => (4, false),
            "u32le" => (4, true),
            _ => return None,
        };
        Some(Self { offset: offset.parse().ok()?, size, little, add: add.parse().ok()? })
    }

    /// First offset after the field.
    fn end(self) -> usize {
        self.offset + self.size
    }

    /// The length that `head` announces: `None` while it is too short to tell, `Some(None)` for an impossible one.
    fn of(self, head: &[u8]) -> Option<Option<usize>> {
        let field = head.get(self.offset..self.end())?;
        let fold = |value: usize, byte: &u8| value << 8 | usize::from(*byte);
        let value = if self.little { field.iter().rev().fold(0, fold) } else { field.iter().fold(0, fold) };
        Some(value.checked_add(self.add))
    }
}

/// One byte of a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece {
    /// The bits under the mask are these.
    Bits { value: u8, mask: u8 },
    /// A letter, upper or lower case (held in lower case).
    Letter(u8),
    /// An ASCII digit.
    Digit,
}

impl Piece {
    fn fits(self, byte: u8) -> bool {
        match self {
            Self::Bits { value, mask } => byte & mask == value,
            Self::Letter(letter) => byte.to_ascii_lowercase() == letter,
            Self::Digit => byte.is_ascii_digit(),
        }
    }

    /// Which bits a byte that fits has for certain, and their values.
    fn pinned(self) -> (u8, u8) {
        match self {
            Self::Bits { value, mask } => (mask, value),
            Self::Letter(letter) => (0xdf, letter.to_ascii_uppercase()),
            Self::Digit => (0xf0, 0x30),
        }
    }

    /// Bits that this piece pins down.
    fn bits(self) -> u32 {
        match self {
            Self::Bits { mask, .. } => mask.count_ones(),
            Self::Letter(_) => 7,
            Self::Digit => 4,
        }
    }
}

/// Bytes that a side starts with.
#[derive(Debug, PartialEq)]
struct Pattern {
    pieces: Vec<Piece>,
    bits: u32,
    /// Which bits of the first eight bytes are pinned down, and their values: what differs there differs.
    opening: Opening,
}

impl Pattern {
    fn fit(&self, head: &[u8]) -> Fit {
        if !self.pieces.iter().zip(head).all(|(piece, byte)| piece.fits(*byte)) {
            Fit::Differs
        } else if head.len() < self.pieces.len() {
            Fit::Short
        } else {
            Fit::Fits(self.bits)
        }
    }

    /// Reads a pattern as it stands in a row; `None` when it is written wrongly.
    fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let quoted =
                rest.strip_prefix("i'").map(|text| (true, text)).or(rest.strip_prefix('\'').map(|text| (false, text)));
            if let Some((any_case, text)) = quoted {
                let (text, after) = text.split_once('\'')?;
                pieces.extend(text.bytes().map(|byte| match byte {
                    byte if any_case && byte.is_ascii_alphabetic() => Piece::Letter(byte.to_ascii_lowercase()),
                    value => Piece::Bits { value, mask: 0xff },
                }));
                rest = after.trim_start();
            } else {
                pieces.push(Self::parse_byte(rest.get(..2)?)?);
                rest = rest.get(2..)?.trim_start();
            }
        }
        let bits = pieces.iter().map(|piece| piece.bits()).sum();
        let pinned = pieces.iter().map(|piece| piece.pinned()).chain(std::iter::repeat((0, 0))).take(8);
        let opening = pinned.fold(Opening::default(), |known, (mask, value)| Opening {
            mask: known.mask << 8 | u64::from(mask),
            value: known.value << 8 | u64::from(value),
        });
        (!pieces.is_empty()).then_some(Self { pieces, bits, opening })
    }

    fn parse_byte(text: &str) -> Option<Piece> {
        if text == "##" {
            return Some(Piece::Digit);
        }
        let (mut value, mut mask) = (0, 0);
        for digit in text.chars() {
            let (nibble, kept) = if digit == '?' { (0, 0) } else { (digit.to_digit(16)? as u8, 0xf) };
            (value, mask) = (value << 4 | nibble, mask << 4 | kept);
        }
        Some(Piece::Bits { value, mask })
    }
}

/// Reads the rows of a data file; the text says which row is written wrongly.
fn parse(text: &'static str) -> Result<Vec<Row>, String> {
    let written: Vec<Written<'static>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    written.into_iter().map(|row| row.read().ok_or_else(|| format!("row {} ({})", row.name, row.source))).collect()
}

impl Written<'static> {
    fn read(&self) -> Option<Row> {
        let transport = match self.transport {
            "tcp" => Transport::TCP,
            "udp" => Transport::UDP,
            _ => return None,
        };
        let class = match self.class {
            None | Some("plaintext") => Class::Plaintext,
            Some("encrypted") => Class::Encrypted,
            Some(_) => return None,
        };
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text)).collect::<Option<Vec<_>>>();
        let length = match self.length {
            None => None,
            Some(text) => Some(Length::parse(text)?),
        };
        let (client, server) = (patterns(&self.client)?, patterns(&self.server)?);
        let datagrams = self.datagrams.unwrap_or(1);
        let (name, min_len) = (self.name, self.min_len);
        (!client.is_empty() || !server.is_empty()).then_some(Row {
            name,
            transport,
            class,
            client,
            server,
            min_len,
            length,
            datagrams,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_reads_and_has_a_source() {
        let rows = parse(include_str!("fixed.json")).expect("rows");
        assert!(!rows.is_empty());
        let written: Vec<Written<'_>> = serde_json::from_str(include_str!("fixed.json")).unwrap();
        for row in &written {
            assert!(row.source.len() > 3, "{}", row.name);
            assert_eq!(row.name, row.name.to_ascii_lowercase());
        }
    }

    /// The shortest bytes that a pattern of `row` fits, any byte being zero, with a length that is right.
    fn example(row: &Row, pattern: &Pattern) -> Vec<u8> {
        let mut bytes: Vec<u8> = pattern
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Bits { value, .. } => *value,
                Piece::Letter(letter) => *letter,
                Piece::Digit => b'0',
            })
            .collect();
        let len = bytes.len().max(row.min_len).max(row.length.map_or(0, Length::end));
        bytes.resize(len, 0);
        let Some(length) = row.length else { return bytes };
        // A pattern may pin parts of the length: then the message is as long as they say.
        let fits = |bytes: &[u8]| pattern.fit(bytes) != Fit::Differs;
        let with = |len: usize| {
            let mut bytes = bytes.clone();
            let value = u32::try_from(len - length.add.min(len)).unwrap().to_be_bytes();
            let mut field = value[4 - length.size..].to_vec();
            if length.little {
                field.reverse();
            }
            bytes.get_mut(length.offset..length.end()).unwrap().copy_from_slice(&field);
            bytes.resize(len.max(bytes.len()), 0);
            bytes
        };
        (len.max(length.add)..5000).map(with).find(|bytes| fits(bytes)).expect("a length that fits")
    }

    /// What `row` says of one message of each side.
    fn says(row: &'static Row, client: &[u8], server: &[u8]) -> Outcome {
        if row.transport == Transport::TCP {
            return row.probe_stream(Heads { client, server, from_start: true, ..Heads::default() });
        }
        // A second datagram of each side that differs in length, where the row has none.
        let datagrams: Vec<_> = [(true, client), (false, server), (true, client), (false, server)]
            .into_iter()
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(from_client, bytes)| Datagram { from_client, bytes, wire_len: bytes.len() })
            .collect();
        row.probe_datagrams(Heads { datagrams: &datagrams, ..Heads::default() })
    }

    /// Each pattern of each row is recognised; with any of its fixed bits turned over, that row says no.
    #[test]
    fn every_row_knows_its_bytes_and_its_near_misses() {
        for row in ROWS.iter() {
            let first =
                |patterns: &[Pattern]| patterns.first().map(|pattern| example(row, pattern)).unwrap_or_default();
            let (client, server) = (first(&row.client), first(&row.server));
            let sides = [(true, &row.client), (false, &row.server)];
            for (from_client, patterns) in sides {
                for pattern in patterns {
                    let own = example(row, pattern);
                    let say = |bytes: &[u8]| {
                        if from_client { says(row, bytes, &server) } else { says(row, &client, bytes) }
                    };
                    let outcome = say(&own);
                    assert!(matches!(outcome, Outcome::Found(_) | Outcome::Likely(_)), "{}: {outcome:?}", row.name);
                    for cut in 0..own.len() {
                        let head = own.get(..cut).unwrap();
                        let refused = row.transport == Transport::TCP && say(head) == Outcome::No;
                        assert!(!refused, "{} cut at {cut}", row.name);
                    }
                    for (at, piece) in pattern.pieces.iter().enumerate().filter(|(_, piece)| piece.bits() > 0) {
                        let mut near = own.clone();
                        near[at] ^= match piece {
                            Piece::Bits { mask, .. } => 1 << mask.trailing_zeros(),
                            Piece::Letter(_) | Piece::Digit => 0x80,
                        };
                        // It may be what another pattern of the row means.
                        if patterns.iter().all(|other| other.fit(&near) == Fit::Differs) {
                            assert_eq!(say(&near), Outcome::No, "{} with another byte {at}", row.name);
                        }
                    }
                }
            }
        }
    }

    /// The row that the README shows, taken from there.
    #[test]
    fn the_row_of_the_readme() {
        let readme = include_str!("../../README.md");
        let row = readme.lines().find(|line| line.contains("\"name\": \"nemo\"")).expect("the example").trim();
        let text: &'static str = Box::leak(format!("[{row}]").into_boxed_str());
        let rows: &'static Vec<Row> = Box::leak(Box::new(parse(text).expect("a row")));
        let cases: &[(&str, &[u8], &[u8], char)] = &[
            ("both sides", b"NEMO1\0\0\0\x02hi", b"OMEN1\0\0\0\0", 'f'),
            ("server silent", b"NEMO1\0\0\0\x02hi", b"", 'l'),
            ("no version", b"NEMO \0\0\0\x02hi", b"OMEN1\0\0\0\0", 'n'),
            ("another answer", b"NEMO1\0\0\0\x02hi", b"OPEN1\0\0\0\0", 'n'),
        ];
        for (name, client, server, want) in cases {
            let outcome = says(&rows[0], client, server);
            let letter = match outcome {
                Outcome::Found(_) => 'f',
                Outcome::Likely(_) => 'l',
                Outcome::NeedMore => 'm',
                Outcome::No => 'n',
            };
            assert_eq!(letter, *want, "{name}: {outcome:?}");
        }
    }

    /// What opens like a row and goes on encrypted, or is another protocol.
    #[test]
    fn near_misses_of_meaning() {
        let zmtp = |mechanism: &[u8]| [&b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00"[..], mechanism, &[0; 48]].concat();
        let cases: &[(&str, Vec<u8>, Vec<u8>, Option<&str>)] = &[
            ("ZeroMQ in clear", zmtp(b"NULL"), zmtp(b"NULL"), Some("zmtp")),
            ("ZeroMQ under CURVE", zmtp(b"CURVE"), zmtp(b"CURVE"), None),
            ("TACACS+ in clear", b"\xc0\x01\x01\x01abcd\0\0\0\x10".to_vec(), vec![], Some("tacacs")),
            ("TACACS+ obfuscated", b"\xc0\x01\x01\x00abcd\0\0\0\x10".to_vec(), vec![], None),
            ("KNX secured", b"\x06\x10\x09\x50\0\x20".to_vec(), b"\x06\x10\x09\x50\0\x20".to_vec(), None),
            ("PCEP asks for TLS", b"\x20\x0d\0\x04".to_vec(), b"\x20\x0d\0\x04".to_vec(), None),
            ("libp2p, which goes on under Noise", b"\x13/multistream/1.0.0\n".to_vec(), vec![], None),
        ];
        for (name, client, server, want) in cases {
            let heads = Heads { client, server, from_start: true, ..Heads::default() };
            let found = match TCP.probe(heads) {
                Outcome::Found(found) | Outcome::Likely(found) => Some(found.protocol.name()),
                Outcome::No | Outcome::NeedMore => None,
            };
            assert_eq!(found, *want, "{name}");
        }
    }

    #[test]
    fn patterns() {
        let cases: &[(&str, &str, &[u8], Fit)] = &[
            ("bytes", "16 03", b"\x16\x03\x01", Fit::Fits(16)),
            ("too short", "16 03", b"\x16", Fit::Short),
            ("nothing yet", "16 03", b"", Fit::Short),
            ("another byte", "16 03", b"\x16\x02", Fit::Differs),
            ("half a byte", "4?", b"\x4f", Fit::Fits(4)),
            ("other half", "?4", b"\x4f", Fit::Differs),
            ("any byte", "?? 01", b"\xaa\x01", Fit::Fits(8)),
            ("text", "'RFB ' ## 0a", b"RFB 7\n", Fit::Fits(44)),
            ("case matters", "'abc'", b"ABC", Fit::Differs),
            ("case does not", "i'aB1'", b"Ab1", Fit::Fits(22)),
        ];
        for (name, pattern, head, want) in cases {
            assert_eq!(Pattern::parse(pattern).expect(name).fit(head), *want, "{name}");
        }
        for wrong in ["", "1", "zz", "'open", "1 2"] {
            assert_eq!(Pattern::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lengths() {
        let cases: &[(&str, &[u8], Option<usize>)] = &[
            ("u16be@2+4", b"\0\0\x01\x02", Some(262)),
            ("u16le@0", b"\x01\x02", Some(513)),
            ("u24be@0+1", b"\0\0\x07", Some(8)),
            ("u32le@0", b"\x01\0\0", None),
        ];
        for (text, head, want) in cases {
            assert_eq!(Length::parse(text).expect(text).of(head).flatten(), *want, "{text}");
        }
        assert_eq!(Length::parse("u64be@0"), None);
    }
}
