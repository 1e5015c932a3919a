//! The program `tlscov`; all of it is in the library.

use std::process::ExitCode;

/// Threads free what others have allocated, and most blocks are small: half the time of the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tlscov::cli::run()
}
