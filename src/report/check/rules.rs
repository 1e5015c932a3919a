//! Rules for `tlscov check`: TOML, read strictly, and the same on the command line.
//!
//! ```toml
//! unit = "wire_bytes"          # or payload_bytes, packets, flows
//! min_encrypted = "72%"        # of the lower bound: what is unknown counts against it
//! max_plaintext = "5%"         # recognised in clear
//! max_unknown = "10%"
//! max_weak = "1%"              # (weak + broken) / graded, under each policy of the report
//! max_ungraded = "20%"         # of encrypted
//! policy = "bcp195"            # only this policy
//! no_finding = ["login_in_clear"]
//! no_plaintext = ["http", "telnet"]
//! baseline = "main.json"       # beside this file
//! tolerance = "0.5%"           # percentage points by which a share may be worse than the baseline's
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::model::Units;
use crate::report::layout::ByUnit;

/// What a report must fulfil.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRules {
    /// Unit of every share. Default: wire_bytes.
    pub unit: Option<CheckUnit>,
    /// Least encrypted share. The lower bound is judged: what is unknown counts against it.
    pub min_encrypted: Option<Percent>,
    /// Largest share recognised in clear; what is unknown has a limit of its own.
    pub max_plaintext: Option<Percent>,
    /// Largest unknown share.
    pub max_unknown: Option<Percent>,
    /// Largest weak share: (weak + broken) / all graded.
    pub max_weak: Option<Percent>,
    /// Largest part of the encrypted traffic that could not be graded.
    pub max_ungraded: Option<Percent>,
    /// The policy whose grades count. Default: every policy of the report.
    pub policy: Option<String>,
    /// Findings that must not be there, by id; `any` stands for all but notes.
    #[serde(default)]
    pub no_finding: Vec<String>,
    /// Protocols that must not be seen in clear; `any` stands for all.
    #[serde(default)]
    pub no_plaintext: Vec<String>,
    /// A report that this one must not be worse than; a path beside the rule file.
    pub baseline: Option<PathBuf>,
    /// Percentage points by which a share may be worse than the baseline's. Default: 0%.
    pub tolerance: Option<Percent>,
}

/// Unit of the shares that are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum CheckUnit {
    /// Original frame lengths
    #[default]
    WireBytes,
    /// Transport payload
    PayloadBytes,
    /// Frames
    Packets,
    /// Flows
    Flows,
}

impl CheckUnit {
    /// The count of this unit.
    #[must_use]
    pub fn count(self, units: &Units) -> u64 {
        match self {
            Self::WireBytes => units.wire_bytes,
            Self::PayloadBytes => units.payload_bytes,
            Self::Packets => units.packets,
            Self::Flows => units.flows,
        }
    }

    pub(super) fn of<T>(self, by_unit: &ByUnit<T>) -> &T {
        match self {
            Self::WireBytes => &by_unit.wire_bytes,
            Self::PayloadBytes => &by_unit.payload_bytes,
            Self::Packets => &by_unit.packets,
            Self::Flows => &by_unit.flows,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::WireBytes => "wire bytes",
            Self::PayloadBytes => "payload bytes",
            Self::Packets => "packets",
            Self::Flows => "flows",
        }
    }
}

/// A percentage from 0% to 100%, exact to four decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(transparent)]
pub struct Percent(#[schemars(with = "String", regex(pattern = r"^[0-9]+(\.[0-9]{1,4})?%$"))] u32);

impl Percent {
    /// 100% in millionths.
    pub const WHOLE: u32 = 1_000_000;

    /// Millionths of the whole.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    pub(super) const fn of_millionths(millionths: u32) -> Self {
        Self(millionths)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected = || format!("`{text}` is no percentage; write it as 72% or 0.5%, with four decimals at most");
        let number = text.strip_suffix('%').ok_or_else(expected)?.trim_end();
        let (whole, decimals) = number.split_once('.').map_or((number, "0"), |parts| parts);
        let digits = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(expected());
        }
        let whole: u32 = whole.parse().map_err(|_| expected())?;
        let decimals: u32 = format!("{decimals:0<4}").parse().map_err(|_| expected())?;
        let millionths = whole * 10_000 + decimals;
        if millionths > Self::WHOLE {
            return Err(format!("`{text}` is more than 100%"));
        }
        Ok(Self(millionths))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % 10_000);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 10_000),
            decimals => write!(f, "{}.{decimals}%", self.0 / 10_000),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(source)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A rule file is a handful of lines.
const MAX_FILE_LEN: u64 = 1 << 20;

impl CheckRules {
    /// Reads the rule file `path`. A baseline that it names stands beside it.
    ///
    /// # Errors
    /// When it cannot be read; else the first mistake in it, with line and column.
    pub fn load(path: &Path) -> Result<Self> {
        let problem = |error: std::io::Error| Error::file(path, format!("cannot read this rule file: {error}"));
        if std::fs::metadata(path).map_err(problem)?.len() > MAX_FILE_LEN {
            return Err(Error::file(path, format!("larger than {MAX_FILE_LEN} bytes; a rule file was expected")));
        }
        let text = std::fs::read_to_string(path).map_err(problem)?;
        let mut rules = Self::parse(&text).map_err(|what| Error::file(path, what))?;
        rules.baseline = rules.baseline.map(|baseline| path.parent().unwrap_or(Path::new("")).join(baseline));
        Ok(rules)
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        crate::report::strict_toml(text)
    }

    /// These rules, with those of `other` where these say nothing; lists are joined.
    #[must_use]
    pub fn over(mut self, other: Self) -> Self {
        self.no_finding.extend(other.no_finding);
        self.no_plaintext.extend(other.no_plaintext);
        for list in [&mut self.no_finding, &mut self.no_plaintext] {
            list.sort();
            list.dedup();
        }
        Self {
            unit: self.unit.or(other.unit),
            min_encrypted: self.min_encrypted.or(other.min_encrypted),
            max_plaintext: self.max_plaintext.or(other.max_plaintext),
            max_unknown: self.max_unknown.or(other.max_unknown),
            max_weak: self.max_weak.or(other.max_weak),
            max_ungraded: self.max_ungraded.or(other.max_ungraded),
            policy: self.policy.or(other.policy),
            baseline: self.baseline.or(other.baseline),
            tolerance: self.tolerance.or(other.tolerance),
            ..self
        }
    }

    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let limits = [self.min_encrypted, self.max_plaintext, self.max_unknown, self.max_weak, self.max_ungraded];
        limits.iter().all(Option::is_none)
            && self.no_finding.is_empty()
            && self.no_plaintext.is_empty()
            && self.baseline.is_none()
    }

    /// The JSON Schema of rule files.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(CheckRules)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        let cases = [
            ("72%", Some(720_000), "72%"),
            ("0.5%", Some(5_000), "0.5%"),
            ("0.0001%", Some(1), "0.0001%"),
            ("100%", Some(1_000_000), "100%"),
            ("12.3450 %", Some(123_450), "12.345%"),
            ("100.0001%", None, ""),
            ("72", None, ""),
            ("0.72", None, ""),
            ("-1%", None, ""),
            (".5%", None, ""),
            ("1.%", None, ""),
            ("0.00001%", None, ""),
            ("99999%", None, ""),
        ];
        for (text, want, shown) in cases {
            let got = text.parse::<Percent>().ok();
            assert_eq!(got.map(Percent::millionths), want, "{text}");
            assert_eq!(got.map(|percent| percent.to_string()).unwrap_or_default(), shown, "{text}");
        }
    }

    #[test]
    fn mistakes_in_a_rule_file_are_placed() {
        let cases = [
            ("min_encrypted = \"72%\"\nmax_week = \"1%\"\n", "line 2, column 1: unknown field `max_week`"),
            ("min_encrypted = \"72\"\n", "line 1, column 17: `72` is no percentage"),
            ("\nmin_encrypted = 72\n", "line 2, column 17: invalid type: integer"),
            ("unit = \"bytes\"", "line 1, column 8: unknown variant `bytes`"),
            ("no_finding = \"x\"", "line 1, column 14: invalid type: string"),
            ("unit = ", "line 1, column 8"),
        ];
        for (text, want) in cases {
            let error = CheckRules::parse(text).unwrap_err();
            assert!(error.contains(want), "{text}\n  wanted {want}\n  got {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_command_line_goes_over_the_file() {
        let file = CheckRules::parse("min_encrypted = \"60%\"\nmax_weak = \"2%\"\nno_plaintext = [\"http\"]").unwrap();
        let line = CheckRules {
            min_encrypted: "72%".parse().ok(),
            no_plaintext: vec!["telnet".to_owned(), "http".to_owned()],
            ..CheckRules::default()
        };
        let rules = line.over(file);
        assert_eq!(rules.min_encrypted.unwrap().to_string(), "72%");
        assert_eq!(rules.max_weak.unwrap().to_string(), "2%");
        assert_eq!(rules.no_plaintext, ["http", "telnet"]);
        assert!(CheckRules::default().is_empty() && !rules.is_empty());
    }

    #[test]
    fn the_schema_takes_what_is_read() {
        let schema = serde_json::to_value(CheckRules::schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let valid = |text: &str| validator.is_valid(&toml::from_str::<serde_json::Value>(text).unwrap());
        assert!(valid("unit = \"flows\"\nmin_encrypted = \"72%\"\nno_finding = [\"any\"]"));
        assert!(!valid("min_encrypted = \"72\""));
        assert!(!valid("max_week = \"72%\""));
    }
}
