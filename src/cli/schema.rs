//! `tlscov schema`: what is written and read, as JSON Schema.

use std::io;

use clap::{Args, ValueEnum};

use super::Outcome;
use crate::error::Result;
use crate::report::{self, FlowRecord, Report};

/// Print the JSON Schema of a report, a flow record, a policy file or a rule file
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schema {
    /// What to describe
    of: Of,
}

const EXAMPLES: &str = "\
Examples:
  tlscov schema report > report.schema.json
  tlscov schema flow | jq '.properties | keys'";

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// What `scan` and `merge` write
    Report,
    /// One line of `flows`
    Flow,
    /// A policy file, as `--policy FILE` reads it
    Policy,
    /// A rule file, as `check --rules FILE` reads it
    Check,
}

impl Schema {
    pub fn run(&self) -> Result<Outcome> {
        let schema = match self.of {
            Of::Report => report::schema::<Report>(),
            Of::Flow => report::schema::<FlowRecord<'_>>(),
            Of::Policy => crate::grade::file::schema(),
            Of::Check => report::check::CheckRules::schema(),
        };
        super::to_stdout(|out| {
            serde_json::to_writer_pretty(&mut *out, &schema).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            Ok(std::process::ExitCode::SUCCESS)
        })?;
        Ok(Outcome::Done)
    }
}
