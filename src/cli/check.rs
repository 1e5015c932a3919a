//! `tlscov check`: a report against thresholds and a baseline; exit status 1 when one fails.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::output::AtomicFile;
use super::reports::read;
use crate::error::{Error, Result};
use crate::report::check::{self, CheckRules, CheckUnit, Percent, junit, sarif};

/// Hold a report against thresholds and a baseline: exit status 1 when one fails
///
/// A gate must not pass on what it could not see. So --min-encrypted judges the lower bound of the encrypted share, where all
/// unknown traffic counts as not encrypted. --max-plaintext judges what was recognised in clear, and --max-unknown limits the
/// rest; --max-weak judges (weak + broken) / graded, and --max-ungraded limits the rest of the encrypted traffic. A figure
/// that does not exist, because there was no traffic or none was graded, fails its rule. Shares are compared exactly, before
/// rounding.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// A report as `scan --format json` writes it; `-` for standard input
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// Fail when the lower bound of the encrypted share is below this
    #[arg(long, value_name = "PERCENT")]
    min_encrypted: Option<Percent>,
    /// Fail when more than this was recognised in clear
    #[arg(long, value_name = "PERCENT")]
    max_plaintext: Option<Percent>,
    /// Fail when more than this is unknown
    #[arg(long, value_name = "PERCENT")]
    max_unknown: Option<Percent>,
    /// Fail when more of the graded traffic than this is weak or broken
    #[arg(long, value_name = "PERCENT")]
    max_weak: Option<Percent>,
    /// Fail when more of the encrypted traffic than this could not be graded
    #[arg(long, value_name = "PERCENT")]
    max_ungraded: Option<Percent>,
    /// Fail when this was found; `any` for every finding but notes, which are no weakness
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    no_finding: Vec<String>,
    /// Fail when one of these protocols was seen in clear; `any` for every protocol
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    no_plaintext: Vec<String>,
    /// Fail when a share is worse than in this report, or something new is found or in clear
    #[arg(long, value_name = "REPORT")]
    baseline: Option<PathBuf>,
    /// Percentage points by which a share may be worse than the baseline's [default: 0%]
    #[arg(long, value_name = "PERCENT")]
    tolerance: Option<Percent>,
    /// Unit of the shares [default: wire_bytes]
    #[arg(long, value_name = "UNIT")]
    unit: Option<CheckUnit>,
    /// Judge strength under this policy alone [default: every policy of the report]
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Take rules from this TOML file as well; options go before it, lists are joined
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Write the results as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the failures as SARIF 2.1.0 to this file
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Show failures only
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  tlscov check report.json --min-encrypted 72% --max-weak 1%
  tlscov scan test.pcap --format json | tlscov check - --no-plaintext http,telnet --junit tlscov.xml
  tlscov check report.json --baseline main.json --tolerance 0.5% --sarif tlscov.sarif
  tlscov check report.json --rules encryption.toml

A rule file holds the same, for example:
  min_encrypted = \"72%\"
  no_plaintext = [\"http\", \"telnet\"]
`tlscov schema check` describes it.";

impl Check {
    pub fn run(self) -> Result<Outcome> {
        let Self { report: path, rules, junit: junit_path, sarif: sarif_path, quiet, .. } = &self;
        let asked = CheckRules {
            unit: self.unit,
            min_encrypted: self.min_encrypted,
            max_plaintext: self.max_plaintext,
            max_unknown: self.max_unknown,
            max_weak: self.max_weak,
            max_ungraded: self.max_ungraded,
            policy: self.policy.clone(),
            no_finding: self.no_finding.clone(),
            no_plaintext: self.no_plaintext.clone(),
            baseline: self.baseline.clone(),
            tolerance: self.tolerance,
        };
        let from_file = rules.as_deref().map(CheckRules::load).transpose()?.unwrap_or_default();
        let asked = asked.over(from_file);
        if asked.is_empty() {
            return Err(Error::usage("check", "no rule was given; see --help, for example --min-encrypted 72%"));
        }
        let baseline = asked.baseline.as_deref().map(read).transpose()?;
        let checked = check::check(&read(path)?, &asked, baseline.as_ref())?;
        let name = path.to_string_lossy();
        if let Some(file) = junit_path {
            let mut file = AtomicFile::create(file)?;
            junit::write(&checked, &name, &mut file)?;
            file.finish()?;
        }
        if let Some(file) = sarif_path {
            let mut file = AtomicFile::create(file)?;
            sarif::write(&checked, &name, &mut file)?;
            file.finish()?;
        }
        super::to_stdout(|out| {
            for rule in checked.iter().filter(|rule| !rule.passed || !quiet) {
                let verdict = if rule.passed { "ok" } else { "FAILED" };
                writeln!(out, "{verdict:<7} {}: {}", rule.name(), super::printable(&rule.line))?;
            }
            Ok(std::process::ExitCode::SUCCESS)
        })?;
        let failed = checked.iter().any(|rule| !rule.passed);
        Ok(if failed { Outcome::CheckFailed } else { Outcome::Done })
    }
}
