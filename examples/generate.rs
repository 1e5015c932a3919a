//! Writes a large capture out of the test captures: `cargo run --release --example generate -- OUT SIZE_MIB [MIX] [SEED]`.
//!
//! MIX is `office` (default), `handshakes`, `small` or `settled`. Same arguments, same bytes.

#[path = "../benches/common/mod.rs"]
mod common;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use common::Mix;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = || io::Error::other("usage: generate OUT SIZE_MIB [office|handshakes|small|settled] [SEED]");
    let path = args.next().ok_or_else(usage)?;
    let size: u64 = args.next().and_then(|size| size.parse().ok()).ok_or_else(usage)?;
    let mix = match args.next().as_deref() {
        None | Some("office") => Mix::Office,
        Some("handshakes") => Mix::Handshakes,
        Some("small") => Mix::Small,
        Some("settled") => Mix::Settled,
        Some(_) => return Err(usage()),
    };
    let seed = args.next().map_or(Some(1), |seed| seed.parse().ok()).ok_or_else(usage)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    common::generate(mix, size << 20, seed, &mut out)?;
    out.flush()
}
