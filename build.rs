//! Gives the program a number that changes with every part of it that decides what a state file means.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files whose code is in state files: what is kept of open flows, and how it goes on.
const FILES: [&str; 2] = ["Cargo.lock", "src/pipeline.rs"];
const PARTS: [&str; 10] = [
    "src/capture",
    "src/detect",
    "src/flow",
    "src/link",
    "src/model",
    "src/net",
    "src/pipeline",
    "src/quic",
    "src/tally",
    "src/tls",
];

fn main() {
    let mut files = FILES.map(PathBuf::from).to_vec();
    for part in PARTS {
        println!("cargo::rerun-if-changed={part}");
        collect(Path::new(part), &mut files);
    }
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    files.sort();
    // FNV-1a, 64 bits: it tells builds apart, and defends against nobody.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in fs::read(file).unwrap_or_default() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=TLSCOV_BUILD={hash:016x}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
