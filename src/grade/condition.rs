//! What a rule asks of a flow, and the answer: yes, no, or not seen.
//!
//! A condition is a list of tests that must all hold. What was not seen answers neither yes nor no, so that it fulfils
//! no rule, and also does not count as an exception that failed to apply.

use super::registry::{self, Suite};
use crate::model::{Algorithms, CertificateFacts, Facts, SshFacts};

/// Room for all suites of [`registry::suites`]; a test holds the tables to it.
const SUITE_WORDS: usize = 8;

/// A set of positions in [`registry::suites`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SuiteSet([u64; SUITE_WORDS]);

impl SuiteSet {
    pub(super) fn of(mut member: impl FnMut(&Suite) -> bool) -> Self {
        let mut set = Self::default();
        for (index, _) in registry::suites().iter().enumerate().filter(|(_, suite)| member(suite)) {
            if let Some(word) = set.0.get_mut(index / 64) {
                *word |= 1 << (index % 64);
            }
        }
        set
    }

    fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// A suite as it was seen: where it stands in the registry, or that it stands nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenSuite {
    At(usize),
    Unlisted,
}

/// All that rules can ask about; `None` is not seen.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen<'a> {
    pub protocol: Option<&'a str>,
    pub version: Option<u16>,
    pub suite: Option<SeenSuite>,
    pub group: Option<u16>,
    pub dh_bits: Option<u16>,
    pub signature: Option<u16>,
    pub certificate: Option<&'a CertificateFacts>,
    pub flags: [Option<bool>; Flag::COUNT],
    pub ssh: Option<&'a SshFacts>,
    pub other: Option<&'a Algorithms>,
    pub carrier_version: Option<u32>,
    pub srtp_profile: Option<u16>,
}

/// What is only there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    EncryptThenMac,
    ExtendedMasterSecret,
    SecureRenegotiation,
    TruncatedHmac,
    Compression,
    Resumed,
    PskOnly,
    SshStrictKex,
}

impl Flag {
    const COUNT: usize = 8;
}

impl<'a> Seen<'a> {
    /// What `facts` tell of a flow of `protocol`.
    pub(super) fn new(protocol: &'a str, facts: Option<&'a Facts>) -> Self {
        let mut seen = Self { protocol: Some(protocol), ..Self::default() };
        if let Some(tls) = facts.and_then(|facts| facts.tls.as_deref()) {
            seen.version = tls.version;
            seen.suite = tls.cipher.map(place);
            seen.group = tls.group;
            seen.dh_bits = tls.dh_bits;
            seen.signature = tls.signature;
            seen.srtp_profile = tls.srtp_profile;
            seen.certificate = tls.certificate.as_deref();
            seen.set(Flag::EncryptThenMac, tls.encrypt_then_mac);
            seen.set(Flag::ExtendedMasterSecret, tls.extended_master_secret);
            seen.set(Flag::SecureRenegotiation, tls.secure_renegotiation);
            seen.set(Flag::TruncatedHmac, tls.truncated_hmac);
            seen.set(Flag::Resumed, tls.resumed);
            seen.set(Flag::PskOnly, tls.psk_only);
            if let Some(method) = tls.compression {
                seen.set(Flag::Compression, method != 0);
            }
        }
        seen.other = facts.and_then(|facts| facts.algorithms.as_deref());
        seen.carrier_version = facts.and_then(|facts| facts.carrier_version);
        if let Some(ssh) = facts.and_then(|facts| facts.ssh.as_deref()) {
            seen.ssh = Some(ssh);
            seen.set(Flag::SshStrictKex, ssh.strict_kex);
        }
        seen
    }

    pub(super) fn set(&mut self, flag: Flag, value: bool) {
        self.flags[flag as usize] = Some(value);
    }
}

/// Where a suite stands in the registry.
pub(super) fn place(code: u16) -> SeenSuite {
    registry::suite_index(code).map_or(SeenSuite::Unlisted, SeenSuite::At)
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The least number in it.
    pub min: u16,
    /// The least number above it.
    pub below: u16,
}

impl Span {
    pub(super) fn has(self, number: u16) -> bool {
        (self.min..self.below).contains(&number)
    }
}

/// A word, or the part of one that a `*` at its start or end (or both) leaves fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    fixed: String,
    open_start: bool,
    open_end: bool,
}

impl Pattern {
    /// `None` when a `*` stands elsewhere than at an end.
    pub(super) fn new(text: &str) -> Option<Self> {
        let (open_start, rest) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
        let (open_end, fixed) = rest.strip_suffix('*').map_or((false, rest), |fixed| (true, fixed));
        let plain = !fixed.is_empty() && !fixed.contains('*');
        plain.then(|| Self { fixed: fixed.to_owned(), open_start, open_end })
    }

    fn fits(&self, word: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => word == self.fixed,
            (true, false) => word.ends_with(&self.fixed),
            (false, true) => word.starts_with(&self.fixed),
            (true, true) => word.contains(&self.fixed),
        }
    }
}

/// One test.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Protocol(Vec<String>),
    Version(Vec<u16>),
    /// The suite is in the set. `by_name` when the set lists names, so that a suite without a name is not in it;
    /// otherwise the set follows from properties, which such a suite keeps to itself.
    Suite {
        set: Box<SuiteSet>,
        by_name: bool,
    },
    Group(Vec<u16>),
    GroupFamily(Vec<String>),
    GroupRecommended(Vec<String>),
    GroupBits(Span),
    DhBits(Span),
    Signature(Vec<u16>),
    SignatureHash(Vec<String>),
    CertificateKey(Vec<Pattern>),
    CertificateRsaBits(Span),
    CertificateSignature(Vec<Pattern>),
    Flag(Flag, bool),
    /// Protocol and its version.
    CarrierVersion(Vec<(&'static str, u32)>),
    SrtpProfile(Vec<u16>),
    OtherKex(Vec<Pattern>),
    OtherCipher(Vec<Pattern>),
    OtherMac(Vec<Pattern>),
    SshKex(Vec<Pattern>),
    SshHostKey(Vec<Pattern>),
    /// Cipher and MAC of the same direction, either direction. An empty list asks nothing.
    SshTransport {
        ciphers: Vec<Pattern>,
        macs: Vec<Pattern>,
    },
}

impl Test {
    fn answer(&self, seen: &Seen<'_>) -> Option<bool> {
        match self {
            Self::Protocol(names) => seen.protocol.map(|protocol| names.iter().any(|name| name == protocol)),
            Self::Version(versions) => seen.version.map(|version| versions.contains(&version)),
            Self::Suite { set, by_name } => match seen.suite? {
                SeenSuite::At(index) => Some(set.has(index)),
                SeenSuite::Unlisted => by_name.then_some(false),
            },
            Self::Group(codes) => seen.group.map(|code| codes.contains(&code)),
            Self::GroupFamily(names) => {
                let group = registry::group(seen.group?)?;
                Some(names.iter().any(|name| name == group.family))
            }
            Self::GroupRecommended(marks) => {
                let group = registry::group(seen.group?)?;
                Some(marks.iter().any(|mark| mark == group.recommended))
            }
            Self::GroupBits(span) => {
                registry::group(seen.group?).filter(|group| group.bits > 0).map(|group| span.has(group.bits))
            }
            Self::DhBits(span) => seen.dh_bits.map(|bits| span.has(bits)),
            Self::Signature(codes) => seen.signature.map(|code| codes.contains(&code)),
            Self::SignatureHash(names) => {
                let (_, hash) = registry::signature(seen.signature?)?;
                Some(names.iter().any(|name| name == hash))
            }
            Self::CertificateKey(patterns) => seen.certificate.map(|leaf| fits(patterns, &leaf.key)),
            Self::CertificateRsaBits(span) => {
                let bits = seen.certificate?.key.strip_prefix("rsa-");
                Some(bits.is_some_and(|bits| bits.parse().is_ok_and(|bits| span.has(bits))))
            }
            Self::CertificateSignature(patterns) => seen.certificate.map(|leaf| fits(patterns, &leaf.signature)),
            Self::Flag(flag, wanted) => seen.flags[*flag as usize].map(|value| value == *wanted),
            Self::CarrierVersion(versions) => {
                let found = (seen.protocol?, seen.carrier_version?);
                Some(versions.contains(&found))
            }
            Self::SrtpProfile(codes) => seen.srtp_profile.map(|code| codes.contains(&code)),
            Self::OtherKex(_) | Self::OtherCipher(_) | Self::OtherMac(_) if seen.suite.is_some() => Some(false),
            Self::OtherKex(patterns) => seen.other?.kex.as_ref().map(|name| fits(patterns, name)),
            Self::OtherCipher(patterns) => seen.other?.cipher.as_ref().map(|name| fits(patterns, name)),
            Self::OtherMac(patterns) => seen.other?.mac.as_ref().map(|name| fits(patterns, name)),
            // Where a suite was seen there are no SSH algorithms, which is more than not having seen them.
            Self::SshKex(_) | Self::SshHostKey(_) | Self::SshTransport { .. } if seen.suite.is_some() => Some(false),
            Self::SshKex(patterns) => seen.ssh?.kex.as_ref().map(|name| fits(patterns, name)),
            Self::SshHostKey(patterns) => seen.ssh?.host_key.as_ref().map(|name| fits(patterns, name)),
            Self::SshTransport { ciphers, macs } => {
                let ssh = seen.ssh?;
                let one = |patterns: &[Pattern], name: &Option<String>| {
                    patterns.is_empty() || name.as_ref().is_some_and(|name| fits(patterns, name))
                };
                let mut both = ssh.cipher.iter().zip(&ssh.mac);
                Some(both.any(|(cipher, mac)| one(ciphers, cipher) && one(macs, mac)))
            }
        }
    }
}

fn fits(patterns: &[Pattern], word: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(word))
}

/// All tests that must hold, and what is excepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub when: Vec<Test>,
    /// The exception holds when all of these do; none when empty.
    pub unless: Vec<Test>,
}

impl Condition {
    /// Whether the rule matches; `None` when that hangs on something not seen.
    pub(super) fn answer(&self, seen: &Seen<'_>) -> Option<bool> {
        let when = all(&self.when, seen);
        if when == Some(false) || self.unless.is_empty() {
            return when;
        }
        match (when, all(&self.unless, seen)) {
            (_, Some(true)) => Some(false),
            (Some(true), Some(false)) => Some(true),
            _ => None,
        }
    }
}

fn all(tests: &[Test], seen: &Seen<'_>) -> Option<bool> {
    let mut answer = Some(true);
    for test in tests {
        match test.answer(seen) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => answer = None,
        }
    }
    answer
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_every_suite() {
        assert!(registry::suites().len() <= SUITE_WORDS * 64);
        let set = SuiteSet::of(|suite| suite.code == 0x1301 || suite.cipher == "rc4");
        for (index, suite) in registry::suites().iter().enumerate() {
            assert_eq!(set.has(index), suite.code == 0x1301 || suite.cipher == "rc4", "{}", suite.name);
        }
    }

    #[test]
    fn patterns() {
        let cases = [
            ("aes128-cbc", "aes128-cbc", true),
            ("*-cbc", "aes128-cbc", true),
            ("*-cbc", "aes128-ctr", false),
            ("rsa-*", "rsa-2048", true),
            ("*-etm@*", "hmac-sha1-etm@openssh.com", true),
            ("hmac-sha1", "hmac-sha1-96", false),
        ];
        for (pattern, word, want) in cases {
            assert_eq!(Pattern::new(pattern).unwrap().fits(word), want, "{pattern} {word}");
        }
        assert!(Pattern::new("a*b").is_none() && Pattern::new("*").is_none());
    }

    #[test]
    fn not_seen_is_neither_yes_nor_no() {
        let static_rsa = || Test::Suite { set: Box::new(SuiteSet::of(|suite| suite.kex == "rsa")), by_name: false };
        let group = || Test::Group(vec![29]);
        let seen = |suite: Option<u16>, group| Seen { suite: suite.map(place), group, ..Seen::default() };
        let unless = Condition { when: vec![static_rsa()], unless: vec![group()] };
        let cases = [
            (
                "both",
                Condition { when: vec![static_rsa(), group()], unless: vec![] },
                seen(Some(0x009c), Some(29)),
                Some(true),
            ),
            (
                "one no",
                Condition { when: vec![static_rsa(), group()], unless: vec![] },
                seen(None, Some(30)),
                Some(false),
            ),
            (
                "one not seen",
                Condition { when: vec![static_rsa(), group()], unless: vec![] },
                seen(None, Some(29)),
                None,
            ),
            ("no name", Condition { when: vec![static_rsa()], unless: vec![] }, seen(Some(0x1399), None), None),
            ("excepted", unless.clone(), seen(Some(0x009c), Some(29)), Some(false)),
            ("not excepted", unless.clone(), seen(Some(0x009c), Some(30)), Some(true)),
            ("exception not seen", unless, seen(Some(0x009c), None), None),
        ];
        for (name, condition, seen, want) in cases {
            assert_eq!(condition.answer(&seen), want, "{name}");
        }
    }
}
