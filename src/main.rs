//! The program `tlscov`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tlscov::cli::run()
}
