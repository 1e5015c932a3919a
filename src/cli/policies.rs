//! `tlscov policies`: what is built in, the rules of one, and where two differ.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::grade::{Format, WrittenRule, load, read_date, write_json};
use crate::error::Result;
use crate::grade::{Judged, Policy, builtin_names, diff, registry};

/// Show policies, or compare two
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Policy whose rules to show: a built-in name or a file [default: list what is built in]
    #[arg(value_name = "NAME|FILE")]
    name: Option<String>,
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// By the rules in force on this day (YYYY-MM-DD)
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List suites and groups that two policies judge differently
    Diff {
        /// One policy: a built-in name or a file
        a: String,
        /// The other
        b: String,
        #[command(flatten)]
        choice: Choice,
    },
}

/// Runs `tlscov policies`.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    match (&args.command, &args.name) {
        (Some(Command::Diff { a, b, choice }), _) => compare(a, b, choice, out)?,
        (None, Some(name)) => show(name, &args.choice, out)?,
        (None, None) => list(&args.choice, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Listed {
    policy: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    about: String,
    protocols: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<WrittenRule>,
}

impl Listed {
    fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.name().to_owned(),
            version: policy.version().to_owned(),
            date: policy.date().map(|date| date.to_string()),
            about: policy.about().to_owned(),
            protocols: policy.protocols().to_vec(),
            rules: Vec::new(),
        }
    }
}

fn list(choice: &Choice, out: &mut dyn Write) -> Result<()> {
    let date = choice.as_of.as_deref().map(read_date).transpose()?;
    let policies = builtin_names().into_iter().map(|name| load(name, date)).collect::<Result<Vec<_>>>()?;
    let listed: Vec<Listed> = policies.iter().map(Listed::new).collect();
    if choice.format == Format::Json {
        return write_json(out, &listed);
    }
    for policy in listed {
        writeln!(out, "{:<21} {}\n    {}", policy.policy, policy.version, policy.about)?;
    }
    Ok(())
}

fn show(name: &str, choice: &Choice, out: &mut dyn Write) -> Result<()> {
    let policy = load(name, choice.as_of.as_deref().map(read_date).transpose()?)?;
    let mut shown = Listed::new(&policy);
    shown.rules = policy.rules().iter().map(WrittenRule::new).collect();
    if choice.format == Format::Json {
        return write_json(out, &shown);
    }
    let date = shown.date.map(|date| format!(", as of {date}")).unwrap_or_default();
    writeln!(
        out,
        "{} {}{date}\n{}\nSpeaks about {}.",
        shown.policy,
        shown.version,
        shown.about,
        shown.protocols.join(", ")
    )?;
    shown.rules.iter().try_for_each(|rule| rule.write(out, "  "))
}

#[derive(Serialize)]
struct Difference {
    kind: &'static str,
    name: &'static str,
    code: String,
    levels: [&'static str; 2],
}

fn compare(a: &str, b: &str, choice: &Choice, out: &mut dyn Write) -> Result<()> {
    let date = choice.as_of.as_deref().map(read_date).transpose()?;
    let (a, b) = (load(a, date)?, load(b, date)?);
    let rows = diff(&a, &b).into_iter().map(|row| Difference {
        kind: if row.what == Judged::Suite { "suite" } else { "group" },
        name: row.name,
        code: registry::hex(row.code),
        levels: [row.first.level.name(), row.second.level.name()],
    });
    let rows: Vec<Difference> = rows.collect();
    if choice.format == Format::Json {
        return write_json(out, &rows);
    }
    writeln!(out, "{:<5} {:<6} {:<48} {:<21} {}", "", "", "", a.label(), b.label())?;
    for row in &rows {
        let [first, second] = row.levels;
        writeln!(out, "{:<5} {:<6} {:<48} {first:<21} {second}", row.kind, row.code, row.name)?;
    }
    Ok(writeln!(out, "{} suites and groups judged differently", rows.len())?)
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

    fn answer(words: &[&str]) -> String {
        let program = Program::try_parse_from(std::iter::once("policies").chain(words.iter().copied())).unwrap();
        let mut out = Vec::new();
        run(&program.args, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn listing() {
        let text = answer(&[]);
        assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), builtin_names().len());
        let json: serde_json::Value = serde_json::from_str(&answer(&["--format", "json"])).unwrap();
        assert_eq!(json[0]["policy"], "bcp195");
    }

    #[test]
    fn rules_of_one() {
        let json: serde_json::Value = serde_json::from_str(&answer(&["bcp195", "--format", "json"])).unwrap();
        let rules = json["rules"].as_array().unwrap();
        assert!(rules.iter().any(|rule| rule["id"] == "static-rsa" && rule["requirement"] == "MUST NOT"));
        assert!(rules.iter().all(|rule| rule["id"] != "static-rsa-should-not"), "no longer in force");
        assert!(answer(&["bcp195", "--as-of", "2020-01-01"]).contains("static-rsa-should-not"));
    }

    #[test]
    fn differences() {
        let text = answer(&["diff", "mozilla-modern", "mozilla-intermediate"]);
        assert!(text.ends_with("6 suites and groups judged differently\n"), "{text}");
        assert!(
            text.contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256            weak                  strong"),
            "{text}"
        );
        let before = answer(&["diff", "mozilla-modern", "mozilla-intermediate", "--as-of", "2026-01-01"]);
        assert!(before.ends_with("9 suites and groups judged differently\n"), "{before}");
    }
}
