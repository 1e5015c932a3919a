//! Writes an attack on memory or time, one of those of the tests, to standard output:
//! `cargo run --release --example attack -- NAME [FRAMES]`; without a name it lists them. Same arguments, same bytes.

#[path = "../tests/suite/attacks.rs"]
mod attacks;
#[allow(dead_code, reason = "attacks need little of it")]
#[path = "../tests/suite/common.rs"]
mod common;

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut out = io::stdout().lock();
    let Some(name) = args.next() else {
        return attacks::ATTACKS
            .iter()
            .try_for_each(|attack| writeln!(out, "{} {}", attack.name, attack.tells.join(",")));
    };
    let usage = || io::Error::other("usage: attack [NAME [FRAMES]]");
    let attack = attacks::ATTACKS.iter().find(|attack| attack.name == name).ok_or_else(usage)?;
    let frames = args.next().map_or(Ok(60_000), |text| text.parse()).map_err(|_| usage())?;
    io::copy(&mut (attack.make)(frames), &mut out)?;
    out.flush()
}
