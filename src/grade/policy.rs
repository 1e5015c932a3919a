//! A policy in force on a day: its rules, and the verdict on a flow.
//!
//! Level: the worst of the rules that match. `strong` needs a rule that says so. A flow that no rule matches is
//! `acceptable`, or `ungraded` where the policy is silent on purpose. There is no verdict (`ungraded`)
//! - unless the handshake was seen to complete, both sides of it, with version and suite (for SSH and IKE, key exchange
//!   and cipher): mid-stream, one-sided and failed flows;
//! - on a suite that has no name here, unless some rule is against it anyway;
//! - on protocols that show nothing (ESP, OpenVPN data, unknown QUIC versions) or that the policy does not speak about.
//!
//! A resumed session of TLS 1.2 and earlier shows version and suite; its key exchange took place earlier, and the rules
//! on group, DH size, signature and certificate find nothing to match.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::civil::Date;

use super::condition::{Condition, Seen, SeenSuite};
use super::file::{self, DatedRule, Draft, Edition, Mistake};
use super::{Level, builtin, registry};
use crate::error::{Error, Result};
use crate::model::{Facts, FlowSummary, Handshake, Protocol};

/// Policies inherit one from another no deeper than this.
const MAX_DEPTH: usize = 8;
/// A policy file larger than this is a mistake. Unit: bytes.
const MAX_FILE_LEN: u64 = 4 << 20;

/// Versions that nearly all flows negotiate.
const VERSIONS: [u16; 4] = [0x0301, 0x0302, 0x0303, 0x0304];

/// A rule, without its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Identifier, unique within the policy.
    pub id: String,
    /// The level that it sets; `Ungraded` for a note, which is listed and changes no level.
    pub level: Level,
    /// The word of the source (`MUST NOT`, `SHOULD NOT`, `recommended`); `None` where it has none.
    pub requirement: Option<String>,
    /// Why, in one sentence.
    pub reason: String,
    /// The document and section that says so.
    pub source: String,
}

impl Rule {
    /// The word for its level, as in policy files: `note` for a note.
    #[must_use]
    pub const fn level_word(&self) -> &'static str {
        match self.level {
            Level::Ungraded => "note",
            level => level.name(),
        }
    }
}

/// A policy, as of a day.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
    about: String,
    protocols: Vec<String>,
    silent: Level,
    editions: Vec<Edition>,
    /// Rules of all days.
    all: Vec<DatedRule>,
    date: Option<Date>,
    version: String,
    /// The day that a `@DATE` behind its name chose.
    dated: Option<Date>,
    /// Rules in force, and beside each its condition.
    rules: Vec<Rule>,
    conditions: Vec<Condition>,
    /// For each suite of the registry with each of [`VERSIONS`], the rules that may match, found when it is first asked for:
    /// a capture shows few of the suites. Then those for all else.
    by_suite: Vec<[OnceLock<Box<[u16]>>; VERSIONS.len()]>,
    others: OnceLock<Box<[u16]>>,
}

/// The level of one flow under one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The level.
    pub level: Level,
    /// The rules that say so, as places in [`Policy::rules`]: all that are against it, or else those that set the
    /// level; and notes.
    pub rules: Vec<u16>,
}

impl Verdict {
    const UNGRADED: Self = Self { level: Level::Ungraded, rules: Vec::new() };
}

impl Policy {
    /// A built-in policy, as of its latest edition; `None` for a name that is none.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        builtin::policy(name)
    }

    /// A built-in policy by name, or a policy file by path, as of its latest edition or of the day behind an `@`
    /// (`bcp195@2018-08-01`).
    ///
    /// A word with a path separator or the ending `.toml` is a path; any other is a name.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let dated = name_or_path.rsplit_once('@').and_then(|(name, date)| Some((name, date.parse::<Date>().ok()?)));
        let load =
            |name| builtin::policy(name).map_or_else(|| Self::load_within(name, None, 0).map(Self::compiled), Ok);
        let Some((name, date)) = dated else { return load(name_or_path) };
        let mut policy = load(name)?.as_of(date);
        policy.dated = Some(date);
        Ok(policy)
    }

    /// Reads the text of a policy file that came from `path`; what it inherits from is looked up beside that.
    ///
    /// # Errors
    /// When it is no policy: with the path, and the line.
    pub fn from_text(text: &str, path: &Path) -> Result<Self> {
        Self::parse(text, path, 0).map(Self::compiled)
    }

    /// Reads a policy whose rules in force are yet to be picked.
    fn load_within(name_or_path: &str, folder: Option<&Path>, depth: usize) -> Result<Self> {
        if let Some(text) = builtin::text(name_or_path) {
            return Self::parse(text, Path::new(name_or_path), depth);
        }
        let path = folder.map_or_else(|| PathBuf::from(name_or_path), |folder| folder.join(name_or_path));
        let meant_as_path = name_or_path.contains(['/', '\\']) || name_or_path.ends_with(".toml");
        if !meant_as_path && !path.is_file() {
            return Err(Error::usage("--policy", builtin::unknown(name_or_path)));
        }
        let problem = |error: std::io::Error| Error::file(&path, format!("cannot read this policy file: {error}"));
        // Not by the size that the file system tells: a device has none, and never ends.
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(problem)?;
        file.take(MAX_FILE_LEN + 1).read_to_string(&mut text).map_err(problem)?;
        if text.len() as u64 > MAX_FILE_LEN {
            return Err(Error::file(&path, format!("larger than {MAX_FILE_LEN} bytes; a policy file was expected")));
        }
        Self::parse(&text, &path, depth)
    }

    /// Reads `text`, which came from `path`. The rules in force are yet to be picked.
    fn parse(text: &str, path: &Path, depth: usize) -> Result<Self> {
        let draft = file::read(text).map_err(|mistake| Error::file(path, mistake.locate(text)))?;
        let parent = match &draft.inherits {
            Some(parent) => {
                let mistake = |what: String| {
                    Error::file(path, Mistake::at(parent.span(), format!("inherits: {what}")).locate(text))
                };
                if depth >= MAX_DEPTH {
                    return Err(mistake(format!("more than {MAX_DEPTH} policies deep; do they inherit in a circle?")));
                }
                let found = Self::load_within(parent.as_ref(), path.parent(), depth + 1);
                Some(found.map_err(|error| match error {
                    Error::Usage { what, .. } => mistake(what),
                    error => error,
                })?)
            }
            None => None,
        };
        Ok(Self::join(draft, parent))
    }

    fn join(draft: Draft, parent: Option<Self>) -> Self {
        let (protocols, silent, mut all, parent_date) = match parent {
            Some(parent) => (parent.protocols, parent.silent, parent.all, parent.date),
            None => (["tls", "dtls", "quic"].map(str::to_owned).to_vec(), Level::Acceptable, Vec::new(), None),
        };
        all.retain(|old| draft.rules.iter().all(|new| new.rule.id != old.rule.id));
        all.extend(draft.rules);
        let date = draft.editions.last().and_then(|edition| edition.from).max(parent_date);
        Self {
            name: draft.name,
            about: draft.about,
            protocols: draft.protocols.unwrap_or(protocols),
            silent: draft.silent.unwrap_or(silent),
            editions: draft.editions,
            all,
            date,
            version: String::new(),
            dated: None,
            rules: Vec::new(),
            conditions: Vec::new(),
            by_suite: Vec::new(),
            others: OnceLock::new(),
        }
    }

    /// The same policy by the rules of another day. A day chosen behind its name stays.
    #[must_use]
    pub fn as_of(mut self, date: Date) -> Self {
        let date = self.dated.unwrap_or(date);
        self.date = Some(date);
        self.compiled()
    }

    /// Picks the rules in force.
    fn compiled(mut self) -> Self {
        let date = self.date.unwrap_or(Date::MAX);
        let edition = self.editions.iter().rev().find(|edition| edition.from.is_none_or(|from| from <= date));
        let in_force = |rule: &&DatedRule| {
            edition.is_some()
                && rule.from.is_none_or(|from| from <= date)
                && rule.until.is_none_or(|until| date < until)
        };
        let rules: Vec<&DatedRule> = self.all.iter().filter(in_force).collect();
        self.version = edition.map_or_else(|| "not yet in force".to_owned(), |edition| edition.version.clone());
        self.rules = rules.iter().map(|rule| rule.rule.clone()).collect();
        self.conditions = rules.iter().map(|rule| rule.condition.clone()).collect();
        self.by_suite = vec![[const { OnceLock::new() }; VERSIONS.len()]; registry::suites().len()];
        self.others = OnceLock::new();
        self
    }

    /// The rules that may match a flow with this suite and version.
    fn candidates(&self, suite: Option<SeenSuite>, version: Option<u16>) -> &[u16] {
        let by_version = match suite {
            Some(SeenSuite::At(index)) => self.by_suite.get(index),
            _ => None,
        };
        let place = VERSIONS.iter().position(|known| Some(*known) == version);
        let (kept, suite, version) = match by_version.zip(place) {
            Some((by_version, place)) => (&by_version[place], suite, version),
            None => (&self.others, None, None),
        };
        kept.get_or_init(|| {
            let seen = Seen { suite, version, ..Seen::default() };
            let possible = self.conditions.iter().map(|condition| condition.answer(&seen) != Some(false));
            (0..).zip(possible).filter(|(_, possible)| *possible).map(|(place, _)| place).collect()
        })
    }

    /// Short name, as in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, and the day where one was chosen with it: `bcp195@2018-08-01`. Tells a policy from itself at another date.
    #[must_use]
    pub fn label(&self) -> String {
        self.dated.map_or_else(|| self.name.clone(), |date| format!("{}@{date}", self.name))
    }

    /// The edition in force.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the policy is and what it does not cover.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The day whose rules are applied: that of the latest edition of the policy or of one it inherits from, unless
    /// [`Policy::as_of`] chose another; `None` when no edition has a date.
    #[must_use]
    pub fn date(&self) -> Option<Date> {
        self.date
    }

    /// The protocols that the policy speaks about.
    #[must_use]
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The rules in force, in the order of the files, inherited ones first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The verdict on a flow. Meant to be called once for each closed flow.
    #[must_use]
    pub fn grade(&self, protocol: Protocol, facts: Option<&Facts>) -> Verdict {
        let protocol = carrier(protocol, facts);
        let speaks = self.protocols.iter().any(|name| name == protocol);
        if !speaks || !is_visible(protocol, facts) {
            return Verdict::UNGRADED;
        }
        let verdict = self.judge(&Seen::new(protocol, facts));
        // The data of OpenVPN has its keys from this TLS: it is no stronger, and how strong it is cannot be seen.
        if protocol == "openvpn" && verdict.level < Level::Weak { Verdict::UNGRADED } else { verdict }
    }

    /// The verdict on what was seen, whatever it is.
    pub(super) fn judge(&self, seen: &Seen<'_>) -> Verdict {
        if self.rules.is_empty() {
            return Verdict::UNGRADED;
        }
        let mut matching = Vec::new();
        let mut worst = None;
        for &place in self.candidates(seen.suite, seen.version) {
            let index = usize::from(place);
            if self.conditions[index].answer(seen) == Some(true) {
                matching.push(place);
                worst = worst.max(Some(self.rules[index].level).filter(|level| *level != Level::Ungraded));
            }
        }
        let mut level = worst.unwrap_or(self.silent);
        if seen.suite == Some(SeenSuite::Unlisted) && level < Level::Weak {
            level = Level::Ungraded;
        }
        matching.retain(|place| speaks_for(self.rules[usize::from(*place)].level, level));
        Verdict { level, rules: matching }
    }
}

/// Whether a rule of `level` is a reason for a verdict: bad marks for a bad one, else the marks that set it; notes always.
fn speaks_for(level: Level, verdict: Level) -> bool {
    match level {
        Level::Ungraded => true,
        Level::Weak | Level::Broken => verdict != Level::Ungraded,
        Level::Strong | Level::Acceptable => level == verdict,
    }
}

/// The name under which rules know the protocol: TLS is TLS whatever it carries or came from.
fn carrier(protocol: Protocol, facts: Option<&Facts>) -> &'static str {
    match protocol.name() {
        // The TLS of OpenVPN protects its control channel; the cipher of the data is not visible.
        name @ ("dtls" | "quic" | "ssh" | "wireguard" | "openvpn") => name,
        _ if facts.is_some_and(|facts| facts.tls.is_some()) => "tls",
        name => name,
    }
}

/// Why no policy can grade an encrypted flow, in a word for reports; `None` when its algorithms are visible.
///
/// `completed` is `Some(false)` when its handshake is known to have failed.
#[must_use]
pub fn why_hidden(flow: &FlowSummary, completed: Option<bool>) -> Option<&'static str> {
    let facts = flow.facts.as_deref();
    if completed == Some(false) {
        return Some("handshake_not_completed");
    }
    if is_visible(carrier(flow.protocol, facts), facts) {
        return None;
    }
    let handshake = facts.and_then(|facts| match (&facts.tls, &facts.ssh) {
        (Some(tls), _) => Some(tls.handshake),
        (None, ssh) => ssh.as_ref().map(|ssh| ssh.handshake),
    });
    Some(match handshake {
        Some(Handshake::OneSided) => "one_sided",
        Some(Handshake::NotSeen) => "midstream",
        Some(_) => "handshake_partly_seen",
        None if flow.flags.contains(&"midstream") => "midstream",
        None => "algorithms_not_shown",
    })
}

fn is_visible(protocol: &str, facts: Option<&Facts>) -> bool {
    let algorithms = facts.and_then(|facts| facts.algorithms.as_ref());
    match protocol {
        "wireguard" => true,
        "isakmp" => algorithms.is_some_and(|found| found.kex.is_some() && found.cipher.is_some()),
        "rdp" | "smb" => algorithms.is_some_and(|found| found.cipher.is_some()),
        "ssh" => facts.and_then(|facts| facts.ssh.as_ref()).is_some_and(|ssh| {
            ssh.handshake == Handshake::Completed && ssh.kex.is_some() && ssh.cipher.iter().any(Option::is_some)
        }),
        _ => facts
            .and_then(|facts| facts.tls.as_deref())
            .is_some_and(|tls| tls.handshake == Handshake::Completed && tls.version.is_some() && tls.cipher.is_some()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::grade::{find_suite, grade_suite};
    use crate::model::{CertificateFacts, SshFacts, TlsFacts};

    const SSH: Protocol = Protocol(&"ssh");

    fn ids(policy: &Policy, verdict: &Verdict) -> Vec<String> {
        verdict.rules.iter().map(|place| policy.rules()[usize::from(*place)].id.clone()).collect()
    }

    fn tls(version: u16, cipher: u16) -> TlsFacts {
        TlsFacts {
            version: Some(version),
            cipher: Some(cipher),
            handshake: Handshake::Completed,
            extended_master_secret: true,
            secure_renegotiation: true,
            ..TlsFacts::default()
        }
    }

    fn ssh(kex: &str, cipher: &str, mac: Option<&str>, strict_kex: bool) -> SshFacts {
        SshFacts {
            kex: Some(kex.to_owned()),
            host_key: Some("ssh-ed25519".to_owned()),
            cipher: [Some(cipher.to_owned()), Some(cipher.to_owned())],
            mac: [mac.map(str::to_owned), mac.map(str::to_owned)],
            strict_kex,
            handshake: Handshake::Completed,
            ..SshFacts::default()
        }
    }

    #[test]
    fn tls_flows() {
        use Level::{Acceptable, Broken, Strong, Ungraded, Weak};
        let base = || tls(0x0303, 0xc02f);
        let cases: Vec<(&str, Protocol, TlsFacts, Level, &[&str])> = vec![
            ("recommended", Protocol::TLS, base(), Strong, &["recommended-tls1.2"]),
            ("DTLS", Protocol::DTLS, tls(0xfefd, 0xc02f), Strong, &["recommended-tls1.2"]),
            ("QUIC", Protocol::QUIC, tls(0x0304, 0x1301), Strong, &["recommended-tls1.3"]),
            ("TLS of another name", Protocol(&"https"), tls(0x0304, 0x1301), Strong, &["recommended-tls1.3"]),
            ("silent", Protocol::TLS, tls(0x0303, 0xcca8), Acceptable, &[]),
            (
                "old version",
                Protocol::TLS,
                tls(0x0301, 0xc014),
                Weak,
                &["tls1.0-tls1.1", "cbc-without-encrypt-then-mac"],
            ),
            ("CBC", Protocol::TLS, tls(0x0303, 0xc027), Weak, &["cbc-without-encrypt-then-mac"]),
            (
                "CBC, MAC outside",
                Protocol::TLS,
                TlsFacts { encrypt_then_mac: true, ..tls(0x0303, 0xc027) },
                Acceptable,
                &[],
            ),
            ("RC4", Protocol::TLS, tls(0x0303, 0x0005), Broken, &["rc4", "static-rsa"]),
            (
                "SSL 3",
                Protocol::TLS,
                tls(0x0300, 0x002f),
                Broken,
                &["ssl3", "static-rsa", "cbc-without-encrypt-then-mac"],
            ),
            (
                "small DH",
                Protocol::TLS,
                TlsFacts { dh_bits: Some(1024), ..tls(0x0303, 0x009e) },
                Weak,
                &["ffdhe", "dh-below-2048"],
            ),
            (
                "tiny DH",
                Protocol::TLS,
                TlsFacts { dh_bits: Some(512), ..tls(0x0303, 0x009e) },
                Broken,
                &["ffdhe", "dh-below-1024"],
            ),
            (
                "SHA-1 signature",
                Protocol::TLS,
                TlsFacts { signature: Some(0x0201), ..base() },
                Weak,
                &["signature-sha1-md5"],
            ),
            (
                "SHA-256 signature",
                Protocol::TLS,
                TlsFacts { signature: Some(0x0401), ..base() },
                Strong,
                &["recommended-tls1.2"],
            ),
            ("small curve", Protocol::TLS, TlsFacts { group: Some(19), ..base() }, Weak, &["curve-below-224"]),
            ("good curve", Protocol::TLS, TlsFacts { group: Some(29), ..base() }, Strong, &["recommended-tls1.2"]),
            (
                "FFDHE in TLS 1.3",
                Protocol::TLS,
                TlsFacts { group: Some(256), ..tls(0x0304, 0x1301) },
                Strong,
                &["recommended-tls1.3"],
            ),
            ("compression", Protocol::TLS, TlsFacts { compression: Some(1), ..base() }, Weak, &["compression"]),
            (
                "no compression",
                Protocol::TLS,
                TlsFacts { compression: Some(0), ..base() },
                Strong,
                &["recommended-tls1.2"],
            ),
            ("truncated_hmac", Protocol::TLS, TlsFacts { truncated_hmac: true, ..base() }, Weak, &["truncated-hmac"]),
            (
                "no extended master secret",
                Protocol::TLS,
                TlsFacts { extended_master_secret: false, ..base() },
                Acceptable,
                &["no-extended-master-secret"],
            ),
            (
                "no secure renegotiation",
                Protocol::TLS,
                TlsFacts { secure_renegotiation: false, ..base() },
                Weak,
                &["no-secure-renegotiation"],
            ),
            (
                "resumed",
                Protocol::TLS,
                TlsFacts { resumed: true, ..base() },
                Strong,
                &["key-exchange-inherited", "recommended-tls1.2"],
            ),
            (
                "resumed, static RSA before",
                Protocol::TLS,
                TlsFacts { resumed: true, ..tls(0x0303, 0x009c) },
                Weak,
                &["key-exchange-inherited", "static-rsa"],
            ),
            (
                "resumed TLS 1.3",
                Protocol::TLS,
                TlsFacts { resumed: true, ..tls(0x0304, 0x1301) },
                Strong,
                &["recommended-tls1.3"],
            ),
            ("psk_ke", Protocol::TLS, TlsFacts { psk_only: true, ..tls(0x0304, 0x1301) }, Acceptable, &["psk-only"]),
            ("no name", Protocol::TLS, tls(0x0303, 0x1399), Ungraded, &[]),
            ("no name, old version", Protocol::TLS, tls(0x0302, 0x1399), Weak, &["tls1.0-tls1.1"]),
            ("mid-stream", Protocol::TLS, TlsFacts::default(), Ungraded, &[]),
            ("one side", Protocol::TLS, TlsFacts { handshake: Handshake::OneSided, ..base() }, Ungraded, &[]),
            ("opened", Protocol::TLS, TlsFacts { handshake: Handshake::Opened, ..base() }, Ungraded, &[]),
            ("failed", Protocol::TLS, TlsFacts { handshake: Handshake::Failed, ..base() }, Ungraded, &[]),
            ("no suite", Protocol::TLS, TlsFacts { cipher: None, ..base() }, Ungraded, &[]),
            ("no version", Protocol::TLS, TlsFacts { version: None, ..base() }, Ungraded, &[]),
            ("OpenVPN", Protocol(&"openvpn"), base(), Ungraded, &[]),
            (
                "OpenVPN with weak TLS",
                Protocol(&"openvpn"),
                tls(0x0301, 0xc014),
                Weak,
                &["tls1.0-tls1.1", "cbc-without-encrypt-then-mac"],
            ),
        ];
        let policy = Policy::load("bcp195").unwrap();
        for (name, protocol, tls, level, rules) in cases {
            let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
            let verdict = policy.grade(protocol, Some(&facts));
            assert_eq!(
                (verdict.level, ids(&policy, &verdict)),
                (level, rules.iter().map(|id| id.to_string()).collect()),
                "{name}"
            );
        }
    }

    #[test]
    fn certificates() {
        let policy = Policy::load("bcp195").unwrap();
        let cases = [
            ("rsa-2048", "rsa-sha256", Level::Strong),
            ("rsa-1024", "rsa-sha256", Level::Weak),
            ("rsa-512", "rsa-sha256", Level::Broken),
            ("ec-p256", "ecdsa-sha256", Level::Strong),
            ("rsa-2048", "rsa-sha1", Level::Weak),
        ];
        for (key, signature, level) in cases {
            let leaf = CertificateFacts { key: key.into(), signature: signature.into(), ..CertificateFacts::default() };
            let tls = TlsFacts { certificate: Some(leaf.into()), ..tls(0x0303, 0xc02f) };
            let facts = Facts { tls: Some(Box::new(tls)), ..Facts::default() };
            assert_eq!(policy.grade(Protocol::TLS, Some(&facts)).level, level, "{key} {signature}");
        }
    }

    #[test]
    fn ike_and_rdp_flows() {
        let policy = Policy::builtin("bcp195").unwrap();
        let facts = |kex: Option<&str>, cipher: &str| {
            let kex = kex.map(str::to_owned);
            let algorithms = crate::model::Algorithms {
                kex,
                cipher: Some(cipher.to_owned()),
                ..crate::model::Algorithms::default()
            };
            Facts { algorithms: Some(Box::new(algorithms)), ..Facts::default() }
        };
        let (ike, rdp) = (Protocol(&"isakmp"), Protocol(&"rdp"));
        let cases: &[(&str, Protocol, Facts, Level, &[&str])] = &[
            ("recommended", ike, facts(Some("curve25519"), "aes-gcm-16-256"), Level::Strong, &["ike-recommended"]),
            ("other group", ike, facts(Some("modp4096"), "aes-gcm-16-256"), Level::Acceptable, &[]),
            ("small group", ike, facts(Some("modp1024"), "aes-cbc-128"), Level::Weak, &["ike-group-should-not"]),
            ("DES", ike, facts(Some("modp2048"), "des"), Level::Broken, &["ike-des"]),
            ("no proposal seen", ike, Facts::default(), Level::Ungraded, &[]),
            ("RDP's own", rdp, facts(None, "rc4-128"), Level::Broken, &["rdp-own-security"]),
        ];
        for (name, protocol, facts, level, rules) in cases {
            let verdict = policy.grade(*protocol, Some(facts));
            assert_eq!(
                (verdict.level, ids(&policy, &verdict)),
                (*level, rules.iter().map(|id| (*id).to_owned()).collect()),
                "{name}"
            );
        }
    }

    #[test]
    fn ssh_flows() {
        use Level::{Acceptable, Broken, Strong, Ungraded, Weak};
        let (curve, chacha, etm) =
            ("curve25519-sha256", "chacha20-poly1305@openssh.com", Some("hmac-sha2-256-etm@openssh.com"));
        let sha1_host = SshFacts { host_key: Some("ssh-rsa".into()), ..ssh(curve, "aes128-ctr", etm, true) };
        let cases: Vec<(&str, SshFacts, Level, &[&str])> = vec![
            ("strict", ssh(curve, chacha, None, true), Strong, &["ssh-recommended"]),
            ("Terrapin", ssh(curve, chacha, None, false), Weak, &["terrapin-chacha20"]),
            ("GCM without strict", ssh(curve, "aes256-gcm@openssh.com", None, false), Strong, &["ssh-recommended"]),
            ("CBC with EtM", ssh(curve, "aes128-cbc", etm, false), Weak, &["ssh-cbc", "terrapin-cbc-etm"]),
            ("CBC with EtM, strict", ssh(curve, "aes128-cbc", etm, true), Weak, &["ssh-cbc"]),
            ("CBC, MAC inside", ssh(curve, "aes128-cbc", Some("hmac-sha2-256"), false), Weak, &["ssh-cbc"]),
            ("old group", ssh("diffie-hellman-group1-sha1", "aes128-ctr", etm, true), Weak, &["ssh-kex-sha1"]),
            ("may", ssh("diffie-hellman-group14-sha1", "aes128-ctr", etm, true), Acceptable, &[]),
            ("RC4", ssh(curve, "arcfour128", Some("hmac-sha1"), true), Broken, &["ssh-rc4"]),
            ("SHA-1 host key", sha1_host, Weak, &["ssh-host-key-sha1"]),
            ("failed", SshFacts { handshake: Handshake::Failed, ..ssh(curve, chacha, None, true) }, Ungraded, &[]),
            ("kex only", SshFacts { cipher: [None, None], ..ssh(curve, chacha, None, true) }, Ungraded, &[]),
        ];
        let policy = Policy::load("bcp195").unwrap();
        let silent = Policy::load("mozilla-modern").unwrap();
        for (name, ssh, level, rules) in cases {
            let facts = Facts { ssh: Some(Box::new(ssh)), ..Facts::default() };
            let verdict = policy.grade(SSH, Some(&facts));
            assert_eq!(
                (verdict.level, ids(&policy, &verdict)),
                (level, rules.iter().map(|id| id.to_string()).collect()),
                "{name}"
            );
            assert_eq!(silent.grade(SSH, Some(&facts)), Verdict::UNGRADED, "{name}: not a matter of this policy");
        }
    }

    #[test]
    fn flows_without_facts() {
        let policy = Policy::load("bcp195").unwrap();
        let cases = [
            ("wireguard", Protocol(&"wireguard"), Level::Strong),
            ("esp", Protocol(&"esp"), Level::Ungraded),
            ("tls", Protocol::TLS, Level::Ungraded),
            ("quic", Protocol::QUIC, Level::Ungraded),
            ("unknown", Protocol::UNKNOWN, Level::Ungraded),
        ];
        for (name, protocol, level) in cases {
            assert_eq!(policy.grade(protocol, None).level, level, "{name}");
        }
    }

    #[test]
    fn bcp195_by_date() {
        let suite = find_suite("TLS_RSA_WITH_AES_128_GCM_SHA256").unwrap();
        let cases = [
            ("2014-01-01", Level::Ungraded, None, "not yet in force"),
            (
                "2018-08-01",
                Level::Weak,
                Some("RFC 9325 section 4.1 (before 2022-11: RFC 7525 section 4.1)"),
                "RFC 7525 (2015-05)",
            ),
            (
                "2026-06-01",
                Level::Weak,
                Some("RFC 9325 section 4.1 (before 2022-11: RFC 7525 section 4.1)"),
                "RFC 9325 with RFC 8996 (2022-11)",
            ),
            (
                "2026-08-01",
                Level::Weak,
                Some("RFC 10015, section \"RSA\""),
                "RFC 9325 with RFC 8996 and RFC 10015 (2026-07)",
            ),
        ];
        for (date, level, source, version) in cases {
            let policy = Policy::load("bcp195").unwrap().as_of(date.parse().unwrap());
            let verdict = grade_suite(&policy, suite, None);
            let first = verdict.rules.first().map(|place| policy.rules()[usize::from(*place)].source.as_str());
            assert_eq!((verdict.level, first, policy.version()), (level, source, version), "{date}");
        }
        assert_eq!(Policy::load("bcp195").unwrap().date(), Some("2026-07-01".parse().unwrap()), "latest, not today");
    }

    /// The short list of rules for each suite and version leaves out none that could match.
    #[test]
    fn short_lists_lose_nothing() {
        for name in builtin::builtin_names() {
            let policy = Policy::load(name).unwrap();
            let mut whole = policy.clone();
            let all: Box<[u16]> = (0..whole.rules.len() as u16).collect();
            whole.by_suite.fill(std::array::from_fn(|_| OnceLock::from(all.clone())));
            whole.others = OnceLock::from(all);
            for suite in registry::suites() {
                for version in [0x0300, 0x0301, 0x0303, 0x0304, 0xfefd] {
                    let facts = TlsFacts { group: Some(29), dh_bits: Some(1024), ..tls(version, suite.code) };
                    let facts = Facts { tls: Some(Box::new(facts)), ..Facts::default() };
                    let verdicts = [&policy, &whole].map(|policy| policy.grade(Protocol::TLS, Some(&facts)));
                    assert_eq!(verdicts[0], verdicts[1], "{name} {} {version:x}", suite.name);
                }
            }
        }
    }
}
