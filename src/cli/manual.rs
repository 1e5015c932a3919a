//! `tlscov completions` and `tlscov man`: what a package installs beside the program, made from its own arguments.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::AtomicFile;
use super::{Arguments, Outcome, to_stdout};
use crate::error::{Error, Result};

/// Print completions for a shell
#[derive(Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tlscov completions bash > ~/.local/share/bash-completion/completions/tlscov
  tlscov completions zsh > ~/.zfunc/_tlscov
  tlscov completions fish > ~/.config/fish/completions/tlscov.fish";

/// Print the manual page, or write it and those of all commands into a folder
#[derive(Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct Man {
    /// Write `tlscov.1`, `tlscov-scan.1` ... into this folder
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

const MAN_EXAMPLES: &str = "\
Examples:
  tlscov man | man -l -
  tlscov man -o /usr/local/share/man/man1";

impl Completions {
    pub fn run(&self) -> Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "tlscov", &mut text);
        print(&text)
    }
}

impl Man {
    pub fn run(&self) -> Result<Outcome> {
        match &self.output {
            None => print(&page(Arguments::command())?),
            Some(folder) => {
                fs::create_dir_all(folder)
                    .map_err(|error| Error::file(folder, format!("cannot be written: {error}")))?;
                for (name, text) in pages()? {
                    let mut file = AtomicFile::create(&folder.join(name))?;
                    std::io::Write::write_all(&mut file, &text)?;
                    file.finish()?;
                }
                Ok(Outcome::Done)
            }
        }
    }
}

fn print(text: &[u8]) -> Result<Outcome> {
    to_stdout(|out| {
        out.write_all(text)?;
        Ok(std::process::ExitCode::SUCCESS)
    })?;
    Ok(Outcome::Done)
}

/// The page of the program and of each command, by file name.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut program = Arguments::command();
    // Gives each command its full name, `tlscov-scan`, and its own help.
    program.build();
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    std::iter::once(Arguments::command())
        .chain(commands)
        .map(|command| {
            let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
            Ok((format!("{name}.1"), page(command)?))
        })
        .collect()
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let pages = pages().unwrap();
        let commands = Arguments::command().get_subcommands().count();
        assert_eq!(pages.len(), commands + 1);
        for (name, text) in pages {
            let text = String::from_utf8(text).unwrap();
            let command = name.trim_end_matches(".1");
            assert!(text.contains(&format!(".TH {command} 1")), "{name}: {text}");
            assert!(text.contains("Examples:"), "{name} has no examples");
        }
    }

    #[test]
    fn completions_name_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tlscov", &mut text);
            let text = String::from_utf8(text).unwrap();
            for command in Arguments::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
