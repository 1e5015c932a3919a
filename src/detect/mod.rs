//! What a flow is, from the first bytes of both sides. Never from ports: dissectors are not shown any (law 6).
//!
//! A [`Dissector`] is a pure function of [`Heads`]; it may be asked again as more bytes arrive. Once it says
//! [`Outcome::Found`], a [`Session`] may read on: to collect handshake facts, or to watch for an upgrade to TLS.

pub mod content;
pub mod datagram;
mod fixed;
pub mod sealed;
pub mod stream;

pub(crate) use sealed::varies;

use std::ops::RangeInclusive;

use crate::model::{Class, Evidence, Facts, Protocol, Transport};

/// All dissectors, group by group; within a transport the first that recognises a flow wins, so the surest stand first.
///
/// DNS over UDP stands before all: it is half of the flows of most networks, and its check walks the whole message.
pub static DISSECTORS: &[&[&dyn Dissector]] = &[
    &[&datagram::Dns],
    crate::tls::DISSECTORS,
    crate::quic::DISSECTORS,
    sealed::DISSECTORS,
    stream::DISSECTORS,
    datagram::DISSECTORS,
    &[&fixed::TCP, &fixed::UDP],
];

/// Names of the protocols that dissectors answer with, some of them more than once. Not among them: nearer names that a
/// few dissectors answer with instead, and what the link layer names.
pub fn protocols() -> impl Iterator<Item = &'static str> {
    let named = DISSECTORS.iter().flat_map(|group| group.iter()).map(|dissector| dissector.protocol());
    named.filter(|protocol| *protocol != Protocol::UNKNOWN).map(|protocol| protocol.name()).chain(fixed::names())
}

/// One UDP datagram (or one message of another packet transport) of a flow whose protocol is being looked for.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Sent by the presumed client.
    pub from_client: bool,
    /// Its captured payload.
    pub bytes: &'a [u8],
    /// Payload bytes on the wire; larger than `bytes.len()` when it was cut short.
    pub wire_len: usize,
}

/// The first bytes of both sides of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heads<'a> {
    /// TCP: stream bytes of the presumed client, in order, without gaps. Empty for other transports.
    pub client: &'a [u8],
    /// TCP: stream bytes of the presumed server.
    pub server: &'a [u8],
    /// Other transports: the first datagrams of both sides in order, at most [`MAX_DATAGRAMS`]. Empty for TCP.
    pub datagrams: &'a [Datagram<'a>],
    /// TCP: the heads start at the first byte of the connection (a SYN was seen). Always true for other transports.
    pub from_start: bool,
}

/// Datagrams of one flow that are kept for detection.
pub const MAX_DATAGRAMS: usize = 8;

/// Bytes of each side of a stream that are kept for detection.
pub const MAX_HEAD: usize = 48 * 1024;

/// What a dissector says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Not this protocol, whatever comes.
    No,
    /// Nothing against it so far, and not enough for it.
    NeedMore,
    /// Good enough if nothing more arrives (flow ends, limits reached); more bytes may strengthen or refute it.
    Likely(Found),
    /// It is this protocol.
    Found(Found),
}

/// A recognised protocol.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Found {
    /// The protocol.
    pub protocol: Protocol,
    /// What it means for a reader of the wire.
    pub class: Class,
    /// Why.
    pub evidence: Evidence,
    /// The bytes prove which side is the client: the presumed one.
    pub client_proven: bool,
}

impl Found {
    /// A protocol in clear, recognised by its pattern.
    #[must_use]
    pub const fn plaintext(protocol: Protocol) -> Self {
        Self { protocol, class: Class::Plaintext, evidence: Evidence::Signature, client_proven: false }
    }

    /// An encrypted protocol.
    #[must_use]
    pub const fn encrypted(protocol: Protocol, evidence: Evidence) -> Self {
        Self { protocol, class: Class::Encrypted, evidence, client_proven: false }
    }

    /// The same, with the presumed client proven to be the client.
    #[must_use]
    pub const fn from_client(self) -> Self {
        Self { client_proven: true, ..self }
    }
}

/// First bytes that a datagram may have for a dissector to be worth asking about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Openings([u64; 4]);

impl Openings {
    /// Whatever comes first.
    pub const ANY: Self = Self([u64::MAX; 4]);

    /// The bytes in any of `ranges`.
    #[must_use]
    pub const fn of(ranges: &[RangeInclusive<u8>]) -> Self {
        let mut bits = [0; 4];
        let mut range = 0;
        while range < ranges.len() {
            let mut byte = *ranges[range].start() as usize;
            while byte <= *ranges[range].end() as usize {
                bits[byte / 64] |= 1 << (byte % 64);
                byte += 1;
            }
            range += 1;
        }
        Self(bits)
    }

    /// Whether `byte` is one of them.
    #[must_use]
    pub const fn contains(self, byte: u8) -> bool {
        self.0[byte as usize / 64] >> (byte % 64) & 1 == 1
    }
}

/// Recognises one protocol. Implementations are stateless; each is one file and one row of `DISSECTORS`.
///
/// Laws, tested over the whole table: a prefix of an accepted input is never [`Outcome::No`] (stream dissectors);
/// no input panics.
pub trait Dissector: Sync {
    /// The protocol it recognises (a dissector may answer with another, nearer one).
    fn protocol(&self) -> Protocol;

    /// The transport it runs on.
    fn transport(&self) -> Transport;

    /// Looks at the heads, presuming that the client is the side that is called so. When the answer is `No` and no SYN
    /// told who the client is, the caller asks again with the sides exchanged.
    fn probe(&self, heads: Heads<'_>) -> Outcome;

    /// Datagrams: what they may open with. When none of them does so, the answer is [`Outcome::No`]; those of fewer than
    /// five bytes count as fitting. Saying so spares most flows the question; streams need not, for it follows from the
    /// law of prefixes.
    fn openings(&self) -> Openings {
        Openings::ANY
    }

    /// Whether the answer may depend on which side is the client.
    fn has_sides(&self) -> bool {
        true
    }

    /// Streams: whether one side may say enough for the other, which does not fit, to be forgiven. Then no first byte
    /// rules it out.
    fn forgives_a_side(&self) -> bool {
        false
    }

    /// Streams without a start: whether it leaves the side that has spoken, and waits to hear the other one. Then it asks
    /// for more, whatever the first side says next, and need not be asked.
    fn waits_for_the_other(&self, _heads: Heads<'_>) -> bool {
        false
    }

    /// Where it is written, for people who want to read it.
    fn source(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// What reads on once the protocol is found; `None` when nothing more is wanted.
    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        None
    }
}

/// Where the packet in hand stands, for sessions that need it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Time of the packet, nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Bytes of this packet's payload on the wire (datagrams).
    pub wire_len: usize,
}

/// What a session says after each piece.
pub enum Step {
    /// Go on feeding.
    Continue,
    /// Nothing more is wanted; the session is finished.
    Done,
    /// This datagram (only it) is readable although the flow is encrypted, for example STUN beside SRTP.
    Readable,
    /// From here on the flow is another protocol: what was fed up to now, less `rest` bytes at the end of this piece,
    /// went in clear. `next` reads what follows in both directions, starting with those `rest` bytes.
    Upgrade {
        /// The protocol that follows.
        found: Found,
        /// Bytes at the end of this piece that belong to it already.
        rest: usize,
        /// What reads on.
        next: Box<dyn Session>,
    },
}

/// Reads a recognised flow on: ordered stream bytes (first the heads, then as they arrive), or whole datagrams.
#[typetag::serde]
pub trait Session: Send {
    /// The next bytes of one side.
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step;

    /// Stream bytes of one side are missing (never captured) or this session was fed the last there is of them.
    /// Returns whether it wants to go on.
    fn gap(&mut self, _from_client: bool) -> bool {
        false
    }

    /// Ends the session: writes what it knows into `facts`, and may correct class and evidence in `found` (a NULL
    /// suite is plaintext; both hellos are stronger than one).
    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts);

    /// Heap bytes held, roughly; counted against `--max-memory`.
    fn memory(&self) -> usize;
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    pub(crate) use super::sealed::tests::noise;
    use super::*;

    /// What dissectors have answered in this thread, each by its name, transport and source: accepted, refused.
    type Asked = BTreeMap<(&'static str, Option<&'static str>, String), [bool; 2]>;

    thread_local! {
        static ASKED: std::cell::RefCell<Asked> = const { std::cell::RefCell::new(Asked::new()) };
    }

    fn identity(dissector: &dyn Dissector) -> (&'static str, Option<&'static str>, String) {
        (dissector.protocol().name(), dissector.transport().name(), dissector.source())
    }

    /// Holds a dissector to what it says of itself, by which it is spared questions.
    fn keeps_its_word(dissector: &dyn Dissector, heads: Heads<'_>, outcome: Outcome) {
        let opens = |datagram: &Datagram<'_>| match datagram.bytes {
            [first, _, _, _, _, ..] => dissector.openings().contains(*first),
            _ => true,
        };
        if !heads.datagrams.is_empty() && !heads.datagrams.iter().any(opens) {
            assert_eq!(outcome, Outcome::No, "{} opens otherwise: {heads:?}", dissector.source());
        }
        if dissector.waits_for_the_other(heads) {
            assert_eq!(outcome, Outcome::NeedMore, "{} waits: {heads:?}", dissector.source());
        }
        if !dissector.has_sides() {
            let mut datagrams = heads.datagrams.to_vec();
            datagrams.iter_mut().for_each(|sent| sent.from_client ^= true);
            let other = Heads { client: heads.server, server: heads.client, datagrams: &datagrams, ..heads };
            assert_eq!(outcome, dissector.probe(other), "{} has no sides: {heads:?}", dissector.source());
        }
    }

    /// Asks a dissector on behalf of a test, and keeps in mind what it said.
    pub(crate) fn ask(dissector: &dyn Dissector, heads: Heads<'_>) -> Outcome {
        let outcome = dissector.probe(heads);
        keeps_its_word(dissector, heads, outcome);
        let said = match outcome {
            Outcome::Found(_) | Outcome::Likely(_) => Some(0),
            Outcome::No => Some(1),
            Outcome::NeedMore => None,
        };
        if let Some(said) = said {
            ASKED.with_borrow_mut(|asked| asked.entry(identity(dissector)).or_default()[said] = true);
        }
        outcome
    }

    /// Asks a dissector about named pairs of streams, whole and in all their prefixes: no prefix of what is not refused is
    /// refused.
    pub(crate) fn probe_streams(dissector: &dyn Dissector, cases: &[(&str, &[u8], &[u8], Outcome)]) {
        for (name, client, server, want) in cases {
            let probe =
                |client, server| dissector.probe(Heads { client, server, from_start: true, ..Heads::default() });
            let heads = Heads { client, server, from_start: true, ..Heads::default() };
            assert_eq!(ask(dissector, heads), *want, "{name}");
            if *want == Outcome::No {
                continue;
            }
            for end in 0..=client.len() {
                let client = client.get(..end).unwrap_or_default();
                assert_ne!(probe(client, b""), Outcome::No, "{name}: client cut at {end}");
                assert_ne!(probe(client, server), Outcome::No, "{name}: client cut at {end}, with the server");
            }
            for end in 0..=server.len() {
                let server = server.get(..end).unwrap_or_default();
                assert_ne!(probe(client, server), Outcome::No, "{name}: server cut at {end}");
            }
        }
    }

    /// Every dissector has a test in which it accepts its own, and one in which it refuses a near miss. The rows of
    /// `fixed.json` have theirs made from them.
    #[test]
    fn every_dissector_has_a_test_and_a_near_miss() {
        let tests = [crate::tls::TESTS, crate::quic::TESTS, sealed::TESTS, stream::TESTS, datagram::TESTS]
            .into_iter()
            .flatten();
        tests.for_each(|test| test());
        let asked = ASKED.take();
        let fixed = |dissector: &&dyn Dissector| dissector.source().contains("fixed");
        let all = DISSECTORS.iter().copied().flatten().copied().filter(|dissector| !fixed(dissector));
        let missing: Vec<String> = all
            .filter_map(|dissector| match asked.get(&identity(dissector)) {
                Some([true, true]) => None,
                said => Some(format!("{:?} accepted, refused: {said:?}", identity(dissector))),
            })
            .collect();
        assert!(missing.is_empty(), "no test listed in TESTS has these:\n{}", missing.join("\n"));
    }

    /// Every file with a dissector says on what evidence and by what sources it answers.
    #[test]
    fn every_dissector_states_its_evidence_and_its_sources() {
        let mut files = 0;
        for folder in ["detect/stream", "detect/datagram", "detect/sealed", "tls", "quic"] {
            for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)).unwrap() {
                let path = file.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let row =
                    text.contains("impl Dissector for") || text.contains(": Framed =") || text.contains(": Shape =");
                // The two kinds of rows themselves are no protocols.
                if row && !path.ends_with("framed.rs") && !path.ends_with("shape.rs") {
                    let doc: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
                    for word in ["//! Sources: ", "//! Evidence: "] {
                        assert!(doc.iter().any(|line| line.starts_with(word)), "{}: {word}", path.display());
                    }
                    files += 1;
                }
            }
        }
        assert!(files > 60, "{files}");
    }

    /// Names of one group of the table with the transports that they run on.
    type Names = BTreeMap<&'static str, BTreeSet<&'static str>>;

    /// The page, made from the tables: every dissector and every row of `fixed.json`.
    fn page() -> String {
        let mut groups: [(&str, Names); 3] = [
            ("Encrypted, or sealed once both sides agree (`src/tls`, `src/quic`, `src/detect/sealed`)", Names::new()),
            ("In clear, by their structure (`src/detect/stream`, `src/detect/datagram`)", Names::new()),
            ("By fixed bytes (`src/detect/fixed.json`)", fixed::names_by_transport()),
        ];
        let sealed = [crate::tls::DISSECTORS, crate::quic::DISSECTORS, sealed::DISSECTORS];
        for (dissectors, group) in sealed.iter().map(|list| (*list, 0)).chain([
            ([&datagram::Dns as &dyn Dissector].as_slice(), 1),
            (stream::DISSECTORS, 1),
            (datagram::DISSECTORS, 1),
        ]) {
            for dissector in dissectors {
                let transport = dissector.transport().name().unwrap_or("ip");
                groups[group].1.entry(dissector.protocol().name()).or_default().insert(transport);
            }
        }
        let mut page = "# Protocols that are recognised\n\nMade from the tables of the program: `UPDATE_DOCS=1 cargo test --lib protocols` writes \
                        it, and `cargo test` fails when it is stale.\nNames are those of `network.protocol`. Ports play no part.\n"
            .to_owned();
        for (title, names) in &groups {
            page += &format!("\n## {title}\n\n{} names.\n\n", names.len());
            for (name, transports) in names {
                page += &format!("- {name} ({})\n", transports.iter().copied().collect::<Vec<_>>().join(", "));
            }
        }
        page
    }

    /// `docs/protocols.md` names every protocol of the tables, and no other.
    #[test]
    fn protocols_of_the_page_are_those_of_the_tables() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocols.md");
        let page = page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page, "UPDATE_DOCS=1 cargo test --lib protocols");
    }

    /// The protocols that the README names in its list stand on the page.
    #[test]
    fn protocols_of_the_readme_exist() {
        let readme = include_str!("../../README.md");
        let list = readme.split_once("<!-- protocols -->").unwrap().1.split_once("<!-- end -->").unwrap().0;
        let known = page();
        let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        assert!(named.len() >= 40, "{}", named.len());
        for name in named {
            assert!(known.contains(&format!("\n- {name} (")), "the README names {name}");
        }
        // The number that the README gives is no more than there are.
        let count = known.lines().filter(|line| line.starts_with("- ")).count();
        assert!(list.contains("More than two hundred") && count > 200, "{count} names");
    }
}
