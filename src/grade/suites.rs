//! Judging suites and groups taken alone, and comparing policies by them.

use super::condition::{Flag, Seen, place};
use super::registry::{self, Suite};
use super::{Level, Policy, Verdict};
use crate::error::{Error, Result};

/// The suite that a user means by an IANA name, an OpenSSL name or a code point; the error names the nearest.
pub fn find_suite(text: &str) -> Result<&'static Suite> {
    let hint = |text: &str| match (registry::parse_code(text), registry::nearest_suite(text)) {
        (Some(code), _) => format!("no cipher suite has the code {}", registry::hex(code)),
        (None, Some(near)) => format!("not a known cipher suite; did you mean {near}?"),
        (None, None) => "not a known cipher suite; expected an IANA or OpenSSL name, or a code like 0x1301".to_owned(),
    };
    registry::suite_by_name(text).ok_or_else(|| Error::usage(text, hint(text)))
}

/// The level of a suite taken alone, in a full handshake with nothing else wrong and no `encrypt_then_mac`.
///
/// `version` is 0x0300 to 0x0304; `None` is the highest that can negotiate the suite. A signalling value, which can
/// never be negotiated, is ungraded, and so is a pair of version and suite that cannot be.
#[must_use]
pub fn grade_suite(policy: &Policy, suite: &Suite, version: Option<u16>) -> Verdict {
    let best = if suite.is_tls13() { 0x0304 } else { 0x0303 };
    let version = version.unwrap_or(best);
    if suite.is_signal() || (version == 0x0304) != suite.is_tls13() {
        return Verdict { level: Level::Ungraded, rules: Vec::new() };
    }
    let mut seen =
        Seen { protocol: Some("tls"), version: Some(version), suite: Some(place(suite.code)), ..Seen::default() };
    for flag in [Flag::EncryptThenMac, Flag::TruncatedHmac, Flag::Compression, Flag::Resumed, Flag::PskOnly] {
        seen.set(flag, false);
    }
    policy.judge(&seen)
}

/// The level of a group taken alone: only rules that ask about nothing but the group can match.
#[must_use]
pub fn grade_group(policy: &Policy, code: u16) -> Verdict {
    policy.judge(&Seen { protocol: Some("tls"), group: Some(code), ..Seen::default() })
}

/// What is judged: a cipher suite or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// A cipher suite.
    Suite,
    /// A named group.
    Group,
}

/// A suite or group on which two policies differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteDifference {
    /// Suite or group.
    pub what: Judged,
    /// Code point.
    pub code: u16,
    /// Its name.
    pub name: &'static str,
    /// Verdict of the first policy.
    pub first: Verdict,
    /// Verdict of the second policy.
    pub second: Verdict,
}

/// All registered suites, then all groups, that get another level from `b` than from `a`.
#[must_use]
pub fn diff(a: &Policy, b: &Policy) -> Vec<SuiteDifference> {
    let suites = registry::suites().iter().filter(|suite| suite.registered).map(|suite| {
        let verdict = |policy| grade_suite(policy, suite, None);
        SuiteDifference {
            what: Judged::Suite,
            code: suite.code,
            name: suite.name,
            first: verdict(a),
            second: verdict(b),
        }
    });
    let groups = registry::groups().iter().map(|group| {
        let verdict = |policy| grade_group(policy, group.code);
        SuiteDifference {
            what: Judged::Group,
            code: group.code,
            name: group.name,
            first: verdict(a),
            second: verdict(b),
        }
    });
    suites.chain(groups).filter(|row| row.first.level != row.second.level).collect()
}
