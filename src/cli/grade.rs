//! `tlscov grade`: a cipher suite under each policy, with the reasons.

use std::io::Write;
use std::process::ExitCode;

use jiff::civil::Date;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::grade::registry::{self, Suite};
use crate::grade::{Policy, Rule, Verdict, builtin_names, find_suite, grade_suite};

/// Grade cipher suites taken alone
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Suites: IANA name, OpenSSL name, or code point (0x1301)
    #[arg(required = true, value_name = "SUITE")]
    suites: Vec<String>,
    /// Policy to grade by: a built-in name or a file; may be repeated [default: all built in]
    #[arg(long, value_name = "NAME|FILE")]
    policy: Vec<String>,
    /// Grade by the rules in force on this day (YYYY-MM-DD)
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// TLS version that negotiates the suite: 1.0, 1.1, 1.2, 1.3 or ssl3 [default: the highest that can]
    #[arg(long, value_name = "VERSION")]
    tls: Option<String>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Runs `tlscov grade`.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let version = args.tls.as_deref().map(read_version).transpose()?;
    let date = args.as_of.as_deref().map(read_date).transpose()?;
    let names: Vec<&str> =
        if args.policy.is_empty() { builtin_names() } else { args.policy.iter().map(String::as_str).collect() };
    let policies = names.into_iter().map(|name| load(name, date)).collect::<Result<Vec<_>>>()?;
    let suites = args.suites.iter().map(|text| find_suite(text)).collect::<Result<Vec<_>>>()?;
    for suite in &suites {
        check_version(suite, version)?;
    }
    let graded: Vec<GradedSuite> = suites.iter().map(|suite| GradedSuite::new(suite, &policies, version)).collect();
    match args.format {
        Format::Json => write_json(out, &graded)?,
        Format::Text => graded.iter().try_for_each(|suite| suite.write(out))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A policy by name or path, as of `date` if there is one.
pub(super) fn load(name: &str, date: Option<Date>) -> Result<Policy> {
    let policy = Policy::load(name)?;
    Ok(match date {
        Some(date) => policy.as_of(date),
        None => policy,
    })
}

/// The value of `--as-of`.
pub(super) fn read_date(text: &str) -> Result<Date> {
    text.parse().map_err(|_| Error::usage("--as-of", format!("`{text}` is no date; write it as 2026-07-01")))
}

/// Writes `value` as indented JSON and a line end.
pub(super) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

fn read_version(text: &str) -> Result<u16> {
    let codes = [0x0300, 0x0301, 0x0302, 0x0303, 0x0304];
    let found = codes.into_iter().find(|code| registry::version_name(*code) == Some(text));
    found.ok_or_else(|| Error::usage("--tls", format!("`{text}` is not one of ssl3, 1.0, 1.1, 1.2, 1.3")))
}

fn check_version(suite: &Suite, version: Option<u16>) -> Result<()> {
    let what = match version {
        Some(0x0304) if !suite.is_tls13() => "cannot be negotiated in TLS 1.3",
        Some(0x0300..=0x0303) if suite.is_tls13() => "can be negotiated in TLS 1.3 only",
        _ => return Ok(()),
    };
    Err(Error::usage("--tls", format!("{} {what}", suite.name)))
}

#[derive(Serialize)]
struct GradedSuite {
    suite: &'static str,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    openssl: Option<&'static str>,
    kex: &'static str,
    auth: &'static str,
    cipher: &'static str,
    mode: &'static str,
    bits: u16,
    mac: &'static str,
    forward_secrecy: bool,
    recommended: &'static str,
    verdicts: Vec<PolicyVerdict>,
}

/// One policy's verdict, as it is written.
#[derive(Serialize)]
pub(super) struct PolicyVerdict {
    policy: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    level: &'static str,
    rules: Vec<WrittenRule>,
}

/// A rule, as it is written.
#[derive(Serialize)]
pub(super) struct WrittenRule {
    id: String,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirement: Option<String>,
    reason: String,
    source: String,
}

impl GradedSuite {
    fn new(suite: &Suite, policies: &[Policy], version: Option<u16>) -> Self {
        let verdict = |policy: &Policy| PolicyVerdict::new(policy, &grade_suite(policy, suite, version));
        Self {
            suite: suite.name,
            code: registry::hex(suite.code),
            openssl: registry::openssl_name(suite.code),
            kex: suite.kex,
            auth: suite.auth,
            cipher: suite.cipher,
            mode: suite.mode,
            bits: suite.bits,
            mac: suite.mac,
            forward_secrecy: suite.forward_secrecy,
            recommended: suite.recommended,
            verdicts: policies.iter().map(verdict).collect(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let also = self.openssl.map(|name| format!(", OpenSSL {name}")).unwrap_or_default();
        writeln!(out, "{} ({}{also})", self.suite, self.code)?;
        let secrecy = if self.forward_secrecy { "forward secrecy" } else { "no forward secrecy" };
        writeln!(
            out,
            "  key exchange {}, authentication {}, {} {} {} bits, MAC {}, {secrecy}, IANA recommended {}",
            self.kex, self.auth, self.cipher, self.mode, self.bits, self.mac, self.recommended
        )?;
        self.verdicts.iter().try_for_each(|verdict| verdict.write(out))
    }
}

impl PolicyVerdict {
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "  {:<21} {:<10} {}", self.policy, self.level, self.version)?;
        self.rules.iter().try_for_each(|rule| rule.write(out, "      "))
    }

    pub(super) fn new(policy: &Policy, verdict: &Verdict) -> Self {
        let rules = verdict.rules.iter().filter_map(|place| policy.rules().get(usize::from(*place)));
        Self {
            policy: policy.label(),
            version: policy.version().to_owned(),
            date: policy.date().map(|date| date.to_string()),
            level: verdict.level.name(),
            rules: rules.map(WrittenRule::new).collect(),
        }
    }
}

impl WrittenRule {
    pub(super) fn new(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            level: rule.level_word(),
            requirement: rule.requirement.clone(),
            reason: rule.reason.clone(),
            source: rule.source.clone(),
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write, indent: &str) -> Result<()> {
        let requirement = self.requirement.as_ref().map(|word| format!(", {word}")).unwrap_or_default();
        writeln!(out, "{indent}{} ({}{requirement}): {}", self.id, self.level, self.reason)?;
        Ok(writeln!(out, "{indent}  {}", self.source)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn answer(words: &[&str]) -> Result<String> {
        let program = Program::try_parse_from(std::iter::once("grade").chain(words.iter().copied())).unwrap();
        let mut out = Vec::new();
        run(&program.args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn dates_change_the_answer_and_its_source() {
        let ask = |date| {
            answer(&["TLS_RSA_WITH_AES_128_GCM_SHA256", "--policy", "bcp195", "--as-of", date, "--format", "json"])
                .unwrap()
        };
        let (before, after) = (ask("2026-06-01"), ask("2026-08-01"));
        assert!(before.contains("\"SHOULD NOT\"") && before.contains("RFC 9325 section 4.1"), "{before}");
        assert!(after.contains("\"MUST NOT\"") && after.contains("RFC 10015"), "{after}");
    }

    #[test]
    fn text_names_the_suite_and_every_policy() {
        let text = answer(&["ECDHE-RSA-AES128-GCM-SHA256"]).unwrap();
        assert!(
            text.starts_with("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (0xc02f, OpenSSL ECDHE-RSA-AES128-GCM-SHA256)\n")
        );
        for name in builtin_names() {
            assert!(text.contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn mistakes_are_one_line() {
        let cases: &[(&[&str], &str)] = &[
            (&["TLS_RSA_WITH_AES_128_GCM_SHA265"], "did you mean TLS_RSA_WITH_AES_128_GCM_SHA256?"),
            (&["0x1399"], "0x1399: no cipher suite has the code 0x1399"),
            (&["0x1301", "--tls", "1.2"], "--tls: TLS_AES_128_GCM_SHA256 can be negotiated in TLS 1.3 only"),
            (&["0xc02f", "--tls", "1.3"], "cannot be negotiated in TLS 1.3"),
            (&["0xc02f", "--tls", "2"], "--tls: `2` is not one of ssl3, 1.0, 1.1, 1.2, 1.3"),
            (&["0xc02f", "--as-of", "yesterday"], "--as-of: `yesterday` is no date"),
            (&["0xc02f", "--policy", "bcp-195"], "did you mean bcp195?"),
        ];
        for (words, want) in cases {
            let error = answer(words).unwrap_err().to_string();
            assert!(error.contains(want) && !error.contains('\n'), "{words:?}: {error}");
        }
    }
}
