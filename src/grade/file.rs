//! Policy files: TOML, read strictly. Every mistake is told with file, line and column, and what was expected.
//!
//! ```toml
//! name = "house"
//! inherits = "bcp195"          # a built-in policy, or a file beside this one
//!
//! [[edition]]
//! version = "2026-09"
//! from = "2026-09-01"
//!
//! [[rule]]
//! id = "no-cbc"
//! level = "weak"               # strong, acceptable, weak, broken; note says something and changes no level
//! when = { mode = ["cbc"] }    # all keys must hold; a list holds when one of its words does
//! unless = { encrypt_then_mac = true }
//! reason = "CBC needs encrypt-then-MAC in this house."
//! source = "House rules, section 3"
//! from = "2026-09-01"          # first day; without it the rule holds from the start
//! ```

use std::ops::Range;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::Level;
use super::condition::{Condition, Flag, Pattern, Span, SuiteSet, Test};
use super::registry::{self, Suite};

/// A policy file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Short name, as in reports: lower case letters, digits, dots and hyphens.
    #[schemars(with = "String")]
    name: Spanned<String>,
    /// Name of a built-in policy, or path of a file beside this one, whose rules come first. A rule with the same id
    /// replaces the inherited one.
    #[schemars(with = "Option<String>")]
    inherits: Option<Spanned<String>>,
    /// What the policy is, and what it does not cover.
    #[serde(default)]
    about: String,
    /// Protocols that the policy speaks about; flows of others are ungraded. Default: those of the inherited policy,
    /// else tls, dtls and quic.
    #[schemars(with = "Option<Vec<String>>")]
    protocols: Words,
    /// Level of what no rule speaks of: `acceptable` (default) or `ungraded`.
    #[schemars(with = "Option<String>")]
    silent: Option<Spanned<String>>,
    /// Editions, oldest first. The last is the one in use unless a date is asked for.
    edition: Vec<EditionEntry>,
    /// Rules.
    #[serde(default)]
    rule: Vec<RuleEntry>,
}

/// One edition of a policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EditionEntry {
    /// What it is called.
    version: String,
    /// First day (YYYY-MM-DD); without it, from the start.
    #[schemars(with = "Option<String>")]
    from: Option<Spanned<String>>,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    /// Unique in the policy: lower case letters, digits, dots and hyphens.
    #[schemars(with = "String")]
    id: Spanned<String>,
    /// What it makes of a flow.
    level: RuleLevel,
    /// The word of the source: `MUST NOT`, `SHOULD NOT`, `recommended` ...
    requirement: Option<String>,
    /// All of these must hold.
    when: Option<When>,
    /// The rule does not apply where all of these hold.
    unless: Option<When>,
    /// Why, in one sentence.
    #[schemars(with = "String")]
    reason: Spanned<String>,
    /// Document and section.
    #[schemars(with = "String")]
    source: Spanned<String>,
    /// First day (YYYY-MM-DD) on which it holds; without it, from the start.
    #[schemars(with = "Option<String>")]
    from: Option<Spanned<String>>,
    /// First day on which it no longer holds.
    #[schemars(with = "Option<String>")]
    until: Option<Spanned<String>>,
}

/// What a rule makes of a flow that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RuleLevel {
    Strong,
    Acceptable,
    Weak,
    Broken,
    /// Says something in the list of rules and changes no level.
    Note,
}

impl RuleLevel {
    const fn level(self) -> Level {
        match self {
            Self::Strong => Level::Strong,
            Self::Acceptable => Level::Acceptable,
            Self::Weak => Level::Weak,
            Self::Broken => Level::Broken,
            Self::Note => Level::Ungraded,
        }
    }
}

/// A list of words.
type Words = Option<Spanned<Vec<Spanned<String>>>>;

/// What can be asked of a flow. A list holds when one of its words does; all keys given must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct When {
    /// Protocols: tls, dtls, quic, ssh, wireguard, openvpn (its TLS), isakmp (IKE), smb, rdp (its own security).
    #[schemars(with = "Option<Vec<String>>")]
    protocol: Words,
    /// Negotiated versions: ssl2, ssl3, tls1.0 to tls1.3, dtls1.0, dtls1.2, dtls1.3.
    #[schemars(with = "Option<Vec<String>>")]
    version: Words,
    /// Suites, by IANA name.
    #[schemars(with = "Option<Vec<String>>")]
    suite: Words,
    /// Key exchange of the suite.
    #[schemars(with = "Option<Vec<String>>")]
    kex: Words,
    /// Authentication of the suite.
    #[schemars(with = "Option<Vec<String>>")]
    auth: Words,
    /// Cipher of the suite.
    #[schemars(with = "Option<Vec<String>>")]
    cipher: Words,
    /// Mode of the cipher.
    #[schemars(with = "Option<Vec<String>>")]
    mode: Words,
    /// Hash of the suite.
    #[schemars(with = "Option<Vec<String>>")]
    hash: Words,
    /// MAC of the suite: its hash, or `aead`.
    #[schemars(with = "Option<Vec<String>>")]
    mac: Words,
    /// Mark of the suite in the IANA registry: Y, N, D.
    #[schemars(with = "Option<Vec<String>>")]
    recommended: Words,
    /// Effective key length of the cipher.
    #[schemars(with = "Option<RangeEntry>")]
    bits: Option<Spanned<RangeEntry>>,
    /// Suite with encryption and integrity in one algorithm.
    aead: Option<bool>,
    /// Export suite.
    export: Option<bool>,
    /// Suite with forward secrecy.
    forward_secrecy: Option<bool>,
    /// Suite that RFC 10015 forbids in (D)TLS 1.2.
    rfc10015: Option<bool>,
    /// Groups by name in lower case.
    #[schemars(with = "Option<Vec<String>>")]
    group: Words,
    /// Family of the group: prime, binary, montgomery, gost, ffdhe, kem, hybrid, explicit.
    #[schemars(with = "Option<Vec<String>>")]
    group_family: Words,
    /// Mark of the group in the IANA registry: Y, N, D.
    #[schemars(with = "Option<Vec<String>>")]
    group_recommended: Words,
    /// Size of the group.
    #[schemars(with = "Option<RangeEntry>")]
    group_bits: Option<Spanned<RangeEntry>>,
    /// Size of the finite-field DH prime (TLS 1.2 and earlier).
    #[schemars(with = "Option<RangeEntry>")]
    dh_bits: Option<Spanned<RangeEntry>>,
    /// Signature scheme of ServerKeyExchange (TLS 1.2).
    #[schemars(with = "Option<Vec<String>>")]
    signature: Words,
    /// Hash of that scheme.
    #[schemars(with = "Option<Vec<String>>")]
    signature_hash: Words,
    /// Key of the server's certificate: `rsa-2048`, `ec-*` ...
    #[schemars(with = "Option<Vec<String>>")]
    certificate_key: Words,
    /// Size of the RSA key in the server's certificate.
    #[schemars(with = "Option<RangeEntry>")]
    certificate_rsa_bits: Option<Spanned<RangeEntry>>,
    /// Signature on the server's certificate: `rsa-sha256`, `*-sha1` ...
    #[schemars(with = "Option<Vec<String>>")]
    certificate_signature: Words,
    /// RFC 7366 negotiated.
    encrypt_then_mac: Option<bool>,
    /// RFC 7627 negotiated.
    extended_master_secret: Option<bool>,
    /// RFC 5746 negotiated.
    secure_renegotiation: Option<bool>,
    /// truncated_hmac (RFC 6066) negotiated.
    truncated_hmac: Option<bool>,
    /// TLS compression negotiated.
    compression: Option<bool>,
    /// Session resumed.
    resumed: Option<bool>,
    /// TLS 1.3 with a pre-shared key and no key share (psk_ke).
    psk_only: Option<bool>,
    /// Versions of carriers: ssh1, ssh2, ike1, ike2, smb3.0, smb3.0.2, smb3.1.1.
    #[schemars(with = "Option<Vec<String>>")]
    carrier_version: Words,
    /// Profile of SRTP that DTLS negotiated, by IANA name.
    #[schemars(with = "Option<Vec<String>>")]
    srtp_profile: Words,
    /// Key exchange of IKE: `modp2048`, `ecp256`, `curve25519` ...; `*` may stand at the start or end.
    #[schemars(with = "Option<Vec<String>>")]
    other_kex: Words,
    /// Cipher of IKE (`aes-cbc-128`, `3des` ...), of SMB 3 (`aes-128-gcm` ...) or of RDP's own security (`rc4-128`, `3des`).
    #[schemars(with = "Option<Vec<String>>")]
    other_cipher: Words,
    /// Integrity of IKE (`hmac-sha1-96`; version 1: `md5`, `sha1` ...) or signing of SMB 3.1.1.
    #[schemars(with = "Option<Vec<String>>")]
    other_mac: Words,
    /// SSH key exchange; `*` may stand at the start or end.
    #[schemars(with = "Option<Vec<String>>")]
    ssh_kex: Words,
    /// SSH host key algorithm.
    #[schemars(with = "Option<Vec<String>>")]
    ssh_host_key: Words,
    /// SSH cipher of either direction.
    #[schemars(with = "Option<Vec<String>>")]
    ssh_cipher: Words,
    /// SSH MAC of either direction; with `ssh_cipher`, of the same one.
    #[schemars(with = "Option<Vec<String>>")]
    ssh_mac: Words,
    /// Both sides of SSH offered strict key exchange.
    ssh_strict_kex: Option<bool>,
}

/// A range of numbers: `{ min = 112 }`, `{ below = 2048 }` or both.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RangeEntry {
    /// The least number in it.
    min: Option<u16>,
    /// The least number above it.
    below: Option<u16>,
}

/// The JSON Schema of policy files.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(PolicyFile)
}

/// A file that was read and found right.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: String,
    pub inherits: Option<Spanned<String>>,
    pub about: String,
    pub protocols: Option<Vec<String>>,
    pub silent: Option<Level>,
    pub editions: Vec<Edition>,
    pub rules: Vec<DatedRule>,
}

/// One edition.
#[derive(Clone, Debug)]
pub(super) struct Edition {
    pub version: String,
    pub from: Option<Date>,
}

/// A rule and when it holds.
#[derive(Clone, Debug)]
pub(super) struct DatedRule {
    pub rule: super::Rule,
    pub condition: Condition,
    pub from: Option<Date>,
    pub until: Option<Date>,
}

/// A mistake and where it stands in the text.
#[derive(Debug)]
pub(super) struct Mistake {
    at: Option<usize>,
    what: String,
}

impl Mistake {
    pub(super) fn at(span: Range<usize>, what: impl Into<String>) -> Self {
        Self { at: Some(span.start), what: what.into() }
    }

    /// `line 3, column 5: ...`.
    pub(super) fn locate(self, text: &str) -> String {
        let Some(before) = self.at.and_then(|at| text.get(..at)) else { return self.what };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", self.what)
    }
}

type Checked<T> = Result<T, Mistake>;

/// Reads the text of a policy file.
pub(super) fn read(text: &str) -> Checked<Draft> {
    let file: PolicyFile = toml::from_str(text).map_err(|error| Mistake {
        at: error.span().map(|span| span.start),
        what: error.message().trim_end().replace('\n', "; "),
    })?;
    let name = identifier(&file.name, "name")?;
    let silent = file.silent.as_ref().map(silent_level).transpose()?;
    let protocols = file.protocols.as_ref().map(|names| words(names, "protocols", PROTOCOLS)).transpose()?;
    let editions = read_editions(&file)?;
    let mut rules: Vec<DatedRule> = Vec::with_capacity(file.rule.len());
    for entry in &file.rule {
        let rule = read_rule(entry)?;
        if rules.iter().any(|other| other.rule.id == rule.rule.id) {
            return Err(Mistake::at(entry.id.span(), format!("two rules have the id `{}`", rule.rule.id)));
        }
        rules.push(rule);
    }
    if rules.len() > MAX_RULES {
        return Err(Mistake { at: None, what: format!("{} rules; at most {MAX_RULES} are possible", rules.len()) });
    }
    Ok(Draft { name, inherits: file.inherits, about: file.about, protocols, silent, editions, rules })
}

/// Rules in one file. With all that it may inherit they still have numbers of 16 bits.
const MAX_RULES: usize = 4096;

const PROTOCOLS: &[&str] = &["tls", "dtls", "quic", "ssh", "wireguard", "openvpn", "isakmp", "smb", "rdp"];

fn silent_level(word: &Spanned<String>) -> Checked<Level> {
    match word.as_ref().as_str() {
        "acceptable" => Ok(Level::Acceptable),
        "ungraded" => Ok(Level::Ungraded),
        other => Err(Mistake::at(word.span(), format!("silent: `{other}` is not `acceptable` or `ungraded`"))),
    }
}

fn read_editions(file: &PolicyFile) -> Checked<Vec<Edition>> {
    let mut editions: Vec<Edition> = Vec::with_capacity(file.edition.len());
    for entry in &file.edition {
        let from = entry.from.as_ref().map(|day| date(day, "from")).transpose()?;
        if let (Some(span), Some(last)) = (entry.from.as_ref().map(Spanned::span), editions.last())
            && from < last.from
        {
            return Err(Mistake::at(span, "editions must stand in order, oldest first"));
        }
        editions.push(Edition { version: entry.version.clone(), from });
    }
    if editions.is_empty() {
        return Err(Mistake::at(file.name.span(), "a policy needs at least one [[edition]]"));
    }
    Ok(editions)
}

fn read_rule(entry: &RuleEntry) -> Checked<DatedRule> {
    let id = identifier(&entry.id, "id")?;
    for (text, key) in [(&entry.reason, "reason"), (&entry.source, "source")] {
        if text.as_ref().trim().is_empty() {
            return Err(Mistake::at(text.span(), format!("rule `{id}`: {key} is empty")));
        }
    }
    let when = entry.when.as_ref().map(tests).transpose()?.unwrap_or_default();
    let unless = entry.unless.as_ref().map(tests).transpose()?.unwrap_or_default();
    if when.is_empty() {
        return Err(Mistake::at(entry.id.span(), format!("rule `{id}` asks nothing: it needs `when`")));
    }
    if entry.unless.is_some() && unless.is_empty() {
        return Err(Mistake::at(entry.id.span(), format!("rule `{id}`: `unless` asks nothing")));
    }
    let from = entry.from.as_ref().map(|day| date(day, "from")).transpose()?;
    let until = entry.until.as_ref().map(|day| date(day, "until")).transpose()?;
    if let (Some(from), Some(until), Some(span)) = (from, until, entry.until.as_ref().map(Spanned::span))
        && until <= from
    {
        return Err(Mistake::at(span, format!("rule `{id}` ends on {until}, before it begins on {from}")));
    }
    let rule = super::Rule {
        id,
        level: entry.level.level(),
        requirement: entry.requirement.clone(),
        reason: entry.reason.as_ref().clone(),
        source: entry.source.as_ref().clone(),
    };
    Ok(DatedRule { rule, condition: Condition { when, unless }, from, until })
}

fn identifier(word: &Spanned<String>, key: &str) -> Checked<String> {
    let text = word.as_ref();
    let right = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '.');
    if text.is_empty() || text.len() > 80 || !text.chars().all(right) {
        let what = format!("{key}: `{text}` must be 1 to 80 lower case letters, digits, dots and hyphens");
        return Err(Mistake::at(word.span(), what));
    }
    Ok(text.clone())
}

fn date(word: &Spanned<String>, key: &str) -> Checked<Date> {
    let text = word.as_ref();
    text.parse().map_err(|_| Mistake::at(word.span(), format!("{key}: `{text}` is no date; write it as 2026-07-01")))
}

/// The tests of one table; those about the suite become one.
fn tests(when: &When) -> Checked<Vec<Test>> {
    let mut tests = Vec::new();
    if let Some(names) = &when.protocol {
        tests.push(Test::Protocol(words(names, "protocol", PROTOCOLS)?));
    }
    if let Some(names) = &when.version {
        tests.push(Test::Version(each(names, "version", VERSIONS.iter().map(|row| row.0), |name| {
            VERSIONS.iter().find(|row| row.0 == name).map(|row| row.1)
        })?));
    }
    tests.extend(suite_test(when)?);
    group_tests(when, &mut tests)?;
    authentication_tests(when, &mut tests)?;
    let flags = [
        (when.encrypt_then_mac, Flag::EncryptThenMac),
        (when.extended_master_secret, Flag::ExtendedMasterSecret),
        (when.secure_renegotiation, Flag::SecureRenegotiation),
        (when.truncated_hmac, Flag::TruncatedHmac),
        (when.compression, Flag::Compression),
        (when.resumed, Flag::Resumed),
        (when.psk_only, Flag::PskOnly),
        (when.ssh_strict_kex, Flag::SshStrictKex),
    ];
    tests.extend(flags.into_iter().filter_map(|(wanted, flag)| wanted.map(|wanted| Test::Flag(flag, wanted))));
    carrier_tests(when, &mut tests)?;
    ssh_tests(when, &mut tests)?;
    Ok(tests)
}

/// Versions of what is not TLS, by protocol: SSH by the version line, IKE by its header, SMB by its dialect.
const CARRIER_VERSIONS: &[(&str, (&str, u32))] = &[
    ("ssh1", ("ssh", 1)),
    ("ssh2", ("ssh", 2)),
    ("ike1", ("isakmp", 1)),
    ("ike2", ("isakmp", 2)),
    ("smb3.0", ("smb", 0x0300)),
    ("smb3.0.2", ("smb", 0x0302)),
    ("smb3.1.1", ("smb", 0x0311)),
];

fn carrier_tests(when: &When, tests: &mut Vec<Test>) -> Checked<()> {
    if let Some(names) = &when.carrier_version {
        let known = CARRIER_VERSIONS.iter().map(|row| row.0);
        let find = |name: &str| CARRIER_VERSIONS.iter().find(|row| row.0 == name).map(|row| row.1);
        tests.push(Test::CarrierVersion(each(names, "carrier_version", known, find)?));
    }
    if let Some(names) = &when.srtp_profile {
        let known = registry::SRTP_PROFILES.iter().map(|row| row.1);
        let find = |name: &str| registry::SRTP_PROFILES.iter().find(|row| row.1 == name).map(|row| row.0);
        tests.push(Test::SrtpProfile(each(names, "srtp_profile", known, find)?));
    }
    if let Some(names) = &when.other_kex {
        tests.push(Test::OtherKex(patterns(names, "other_kex")?));
    }
    if let Some(names) = &when.other_cipher {
        tests.push(Test::OtherCipher(patterns(names, "other_cipher")?));
    }
    if let Some(names) = &when.other_mac {
        tests.push(Test::OtherMac(patterns(names, "other_mac")?));
    }
    Ok(())
}

const VERSIONS: &[(&str, u16)] = &[
    ("ssl2", 0x0002),
    ("ssl3", 0x0300),
    ("tls1.0", 0x0301),
    ("tls1.1", 0x0302),
    ("tls1.2", 0x0303),
    ("tls1.3", 0x0304),
    ("dtls1.0", 0xfeff),
    ("dtls1.2", 0xfefd),
    ("dtls1.3", 0xfefc),
];

/// The suites that have all the properties asked for, as one set.
fn suite_test(when: &When) -> Checked<Option<Test>> {
    type Part = fn(&Suite) -> &'static str;
    let parts: [(&Words, &str, Part); 8] = [
        (&when.suite, "suite", |suite| suite.name),
        (&when.kex, "kex", |suite| suite.kex),
        (&when.auth, "auth", |suite| suite.auth),
        (&when.cipher, "cipher", |suite| suite.cipher),
        (&when.mode, "mode", |suite| suite.mode),
        (&when.hash, "hash", |suite| suite.hash),
        (&when.mac, "mac", |suite| suite.mac),
        (&when.recommended, "recommended", |suite| suite.recommended),
    ];
    type Has = fn(&Suite) -> bool;
    let flags: [(Option<bool>, Has); 4] = [
        (when.aead, |suite| suite.aead),
        (when.export, |suite| suite.export),
        (when.forward_secrecy, |suite| suite.forward_secrecy),
        (when.rfc10015, |suite| suite.rfc10015),
    ];
    let mut asked: Vec<(Vec<String>, Part)> = Vec::new();
    for (list, key, part) in parts {
        if let Some(list) = list {
            let known = || registry::suites().iter().map(part);
            let find = |word: &str| known().any(|known| known == word).then(|| word.to_owned());
            asked.push((each(list, key, known(), find)?, part));
        }
    }
    let bits = when.bits.as_ref().map(|range| span(range, "bits")).transpose()?;
    let by_flag = flags.iter().any(|(wanted, _)| wanted.is_some());
    if asked.is_empty() && bits.is_none() && !by_flag {
        return Ok(None);
    }
    let set = SuiteSet::of(|suite| {
        asked.iter().all(|(list, part)| list.iter().any(|word| word == part(suite)))
            && bits.is_none_or(|bits| bits.has(suite.bits))
            && flags.iter().all(|(wanted, part)| wanted.is_none_or(|wanted| part(suite) == wanted))
            && !suite.is_signal()
    });
    if set == SuiteSet::default() {
        let at = parts.iter().find_map(|(list, ..)| list.as_ref()).map(|list| list.span().start);
        return Err(Mistake { at, what: "no cipher suite fulfils all of this".to_owned() });
    }
    Ok(Some(Test::Suite { set: Box::new(set), by_name: when.suite.is_some() }))
}

fn group_tests(when: &When, tests: &mut Vec<Test>) -> Checked<()> {
    let known = || registry::groups().iter();
    if let Some(names) = &when.group {
        let code = |name: &str| known().find(|group| group.name == name).map(|group| group.code);
        tests.push(Test::Group(each(names, "group", known().map(|group| group.name), code)?));
    }
    if let Some(names) = &when.group_family {
        let families: Vec<&str> = known().map(|group| group.family).collect();
        tests.push(Test::GroupFamily(words(names, "group_family", &families)?));
    }
    if let Some(marks) = &when.group_recommended {
        tests.push(Test::GroupRecommended(words(marks, "group_recommended", &["Y", "N", "D"])?));
    }
    if let Some(range) = &when.group_bits {
        tests.push(Test::GroupBits(span(range, "group_bits")?));
    }
    if let Some(range) = &when.dh_bits {
        tests.push(Test::DhBits(span(range, "dh_bits")?));
    }
    Ok(())
}

fn authentication_tests(when: &When, tests: &mut Vec<Test>) -> Checked<()> {
    if let Some(names) = &when.signature {
        let all = (0..=u16::MAX).filter_map(registry::signature_name);
        tests.push(Test::Signature(each(names, "signature", all, registry::signature_by_name)?));
    }
    if let Some(names) = &when.signature_hash {
        let hashes: Vec<&str> = registry::signature_hashes().collect();
        tests.push(Test::SignatureHash(words(names, "signature_hash", &hashes)?));
    }
    if let Some(names) = &when.certificate_key {
        tests.push(Test::CertificateKey(patterns(names, "certificate_key")?));
    }
    if let Some(range) = &when.certificate_rsa_bits {
        tests.push(Test::CertificateRsaBits(span(range, "certificate_rsa_bits")?));
    }
    if let Some(names) = &when.certificate_signature {
        tests.push(Test::CertificateSignature(patterns(names, "certificate_signature")?));
    }
    Ok(())
}

fn ssh_tests(when: &When, tests: &mut Vec<Test>) -> Checked<()> {
    if let Some(names) = &when.ssh_kex {
        tests.push(Test::SshKex(patterns(names, "ssh_kex")?));
    }
    if let Some(names) = &when.ssh_host_key {
        tests.push(Test::SshHostKey(patterns(names, "ssh_host_key")?));
    }
    let list = |names: &Words, key| names.as_ref().map(|names| patterns(names, key)).transpose();
    let (ciphers, macs) = (list(&when.ssh_cipher, "ssh_cipher")?, list(&when.ssh_mac, "ssh_mac")?);
    if ciphers.is_some() || macs.is_some() {
        let (ciphers, macs) = (ciphers.unwrap_or_default(), macs.unwrap_or_default());
        tests.push(Test::SshTransport { ciphers, macs });
    }
    Ok(())
}

fn span(entry: &Spanned<RangeEntry>, key: &str) -> Checked<Span> {
    let range = entry.as_ref();
    let span = Span { min: range.min.unwrap_or(0), below: range.below.unwrap_or(u16::MAX) };
    if span.min >= span.below || (range.min, range.below) == (None, None) {
        let what = format!("{key}: the range needs `min`, or `below`, with min less than below");
        return Err(Mistake::at(entry.span(), what));
    }
    Ok(span)
}

/// Words that must each be one of `known`.
fn words(list: &Spanned<Vec<Spanned<String>>>, key: &str, known: &[&str]) -> Checked<Vec<String>> {
    each(list, key, known.iter().copied(), |word| known.contains(&word).then(|| word.to_owned()))
}

fn patterns(list: &Spanned<Vec<Spanned<String>>>, key: &str) -> Checked<Vec<Pattern>> {
    filled(list, key)?;
    let read = |word: &Spanned<String>| {
        let what = || format!("{key}: `{}` is no pattern; `*` may stand at the start or the end only", word.as_ref());
        Pattern::new(word.as_ref()).ok_or_else(|| Mistake::at(word.span(), what()))
    };
    list.as_ref().iter().map(read).collect()
}

/// What `find` makes of each word; a word that it does not know is a mistake, with the nearest that `known` has.
fn each<'a, T>(
    list: &Spanned<Vec<Spanned<String>>>,
    key: &str,
    known: impl Iterator<Item = &'a str>,
    find: impl Fn(&str) -> Option<T>,
) -> Checked<Vec<T>> {
    filled(list, key)?;
    let mut found = Vec::with_capacity(list.as_ref().len());
    for word in list.as_ref() {
        match find(word.as_ref()) {
            Some(value) => found.push(value),
            None => return Err(Mistake::at(word.span(), unknown(key, word.as_ref(), known))),
        }
    }
    Ok(found)
}

fn filled(list: &Spanned<Vec<Spanned<String>>>, key: &str) -> Checked<()> {
    if list.as_ref().is_empty() { Err(Mistake::at(list.span(), format!("{key}: the list is empty"))) } else { Ok(()) }
}

/// That `word` is not known, with the whole list where it is short and the nearest word where it is long.
fn unknown<'a>(key: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    if known.len() <= 24 {
        return format!("{key}: `{word}` is not known; expected one of {}", known.join(", "));
    }
    match registry::nearest(word, known.into_iter()) {
        Some(near) => format!("{key}: `{word}` is not known; did you mean {near}?"),
        None => format!("{key}: `{word}` is not known"),
    }
}
