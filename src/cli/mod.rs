//! The command line: arguments in, exit status out.
//!
//! `stdout` is the report, `stderr` is for people. Exit status 0: done, 1: a check failed, 2: an error of use or input, 130:
//! interrupted, and the report holds what was read up to then. A closed pipe is no error.

mod check;
mod compare;
pub mod embed;
mod explain;
mod flow_sink;
mod flows;
mod grade;
mod interrupt;
#[cfg(feature = "live")]
mod live;
mod manual;
mod memory;
mod output;
mod part;
mod plan;
mod policies;
mod progress;
mod read;
mod reports;
mod scan;
mod schema;
mod trend;
mod watch;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};

/// How much of a packet capture is encrypted, how well, and why.
#[derive(Parser)]
#[command(name = "tlscov", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Scan(Box<scan::Scan>),
    Flows(flows::Flows),
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(explain::Args),
    Plan(plan::Plan),
    Watch(Box<watch::Watch>),
    #[cfg(feature = "live")]
    Live(Box<live::Live>),
    Merge(reports::Merge),
    Render(reports::Render),
    Check(Box<check::Check>),
    Trend(trend::Trend),
    Compare(compare::Compare),
    #[command(after_help = GRADE_EXAMPLES)]
    Grade(grade::Args),
    #[command(after_help = POLICIES_EXAMPLES)]
    Policies(policies::Args),
    Schema(schema::Schema),
    Completions(manual::Completions),
    Man(manual::Man),
}

const EXAMPLES: &str = "\
Examples:
  tlscov scan capture.pcapng                 a summary on the terminal
  tlscov scan captures/ -o report.json       all captures of a folder, one report
  tlscov scan a.pcap | jq .coverage.encrypted_share
  tlscov flows capture.pcapng > flows.jsonl  one line of JSON a flow
  tlscov merge monday.json tuesday.json -o both.json
  tlscov check report.json --min-encrypted 72%

Exit status: 0 done, 1 a check failed, 2 an error of use or input, 130 interrupted (the report says partial).";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  tlscov explain capture.pcap --flow 3
  tlscov explain capture.pcap --policy bcp195 --policy bcp195@2018-08-01
  tlscov explain capture.pcap --format json | jq '.[] | select(.flow.class == \"unknown\") | .recognised'";

const GRADE_EXAMPLES: &str = "\
Examples:
  tlscov grade TLS_RSA_WITH_RC4_128_SHA
  tlscov grade ECDHE-RSA-AES128-GCM-SHA256 0x1301 --policy bcp195 --as-of 2018-08-01";

const POLICIES_EXAMPLES: &str = "\
Examples:
  tlscov policies
  tlscov policies bcp195 --as-of 2018-08-01
  tlscov policies diff bcp195 mozilla-modern";

/// What a command that did its work has to say.
enum Outcome {
    /// Everything was done.
    Done,
    /// Some or all inputs could not be read; they have been named on stderr.
    SomeFailed,
    /// A rule of `check` does not hold; it has been named on stdout.
    CheckFailed,
    /// The user stopped reading; the output holds what was read up to then.
    Interrupted,
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            if error.use_stderr() {
                say("error", &one_line(&error));
                return ExitCode::from(2);
            }
            // Help or the version, on stdout; a closed pipe is no error.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    match execute(arguments.command) {
        Ok(status) => status,
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    let outcome = match command {
        Command::Scan(command) => command.run(),
        Command::Flows(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Watch(command) => command.run(),
        #[cfg(feature = "live")]
        Command::Live(command) => command.run(),
        Command::Merge(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Trend(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Explain(arguments) => return to_stdout(|out| explain::run(&arguments, out)),
        Command::Grade(arguments) => return to_stdout(|out| grade::run(&arguments, out)),
        Command::Policies(arguments) => return to_stdout(|out| policies::run(&arguments, out)),
    }?;
    Ok(match outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::CheckFailed => ExitCode::FAILURE,
        Outcome::SomeFailed => ExitCode::from(2),
        Outcome::Interrupted => ExitCode::from(interrupt::STATUS),
    })
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<ExitCode>) -> Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let status = write(&mut out)?;
    out.flush()?;
    Ok(status)
}

/// What is wrong with the arguments, and where to read on.
fn one_line(error: &clap::Error) -> String {
    format!("{}; see --help", first_line(error))
}

/// What is wrong with the arguments.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.strip_prefix("error:").unwrap_or(first).split_whitespace().collect();
    words.join(" ")
}

/// One line on stderr about an error.
fn complain(error: &Error) {
    say("error", &error.to_string());
}

/// One line on stderr about something that did not stop the work.
fn warn(warning: &str) {
    say("warning", warning);
}

/// Control characters (from a file's name) are shown as `?`, so that a message stays one line.
fn say(kind: &str, message: &str) {
    // There is nobody left to tell when stderr is closed.
    let _ = writeln!(anstream::stderr(), "tlscov: {kind}: {}", printable(message));
}

/// A text as one line that steers no terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
