//! Which inputs are read side by side.

use std::fs::File;
use std::io::{self, Read as _};
use std::thread;

use rayon::prelude::*;

use super::budget::Budget;
use super::run::Read;
use super::worker::Closed;
use super::{Options, Scan};
use crate::capture::Input;
use crate::error::Result;

/// Inputs read before their flows are handed on.
const MOST_INPUTS: usize = 256;

/// The largest input that is read by one thread beside others; a larger one is worth all threads. Unit: bytes.
const LARGEST: u64 = 4 << 20;

/// Cuts the inputs into groups: runs of small ones, others alone (all, when `apart`), or everything when it is
/// one capture.
///
/// A frame of 60 bytes that is a flow of its own takes up to 20 times as much while the flow is open, so small is small.
pub(super) fn groups<'a>(inputs: &'a [Input], options: &Options, apart: bool) -> Vec<&'a [Input]> {
    match inputs {
        _ if options.continued => vec![inputs],
        [_] => vec![inputs],
        _ if apart => inputs.chunks(1).collect(),
        _ => {
            let bound = Budget::of(options.max_memory).side_by_side;
            let sizes: Vec<Option<u64>> =
                inputs.par_iter().map(|input| input.expanded_len(LARGEST.min(bound))).collect();
            runs(&sizes, bound).map(|run| &inputs[run]).collect()
        }
    }
}

/// Runs of inputs of these sizes that together stay within `bound`; those of no known size alone.
fn runs(sizes: &[Option<u64>], bound: u64) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = sizes.get(start..).filter(|rest| !rest.is_empty())?;
        let mut left = bound;
        let small = rest.iter().take(MOST_INPUTS).take_while(|size| {
            let fits = size.and_then(|size| left.checked_sub(size));
            left = fits.unwrap_or(left);
            fits.is_some()
        });
        let run = start..start + small.count().max(1);
        start = run.end;
        Some(run)
    })
}

/// Captures whose sums are added up together.
const SUMMED: usize = 16;

/// Reads inputs side by side. What they give comes in their order, with the sums of several already added up, since
/// that, done by one thread for all, would be what many threads wait for.
pub(super) fn read(
    inputs: &[Input],
    options: &Options,
    read_one: impl Fn(&Input) -> (Result<Read>, Vec<Closed>) + Sync + Send,
) -> Vec<(Scan, Vec<(String, Vec<Closed>)>)> {
    let results: Vec<(Result<Read>, Vec<Closed>)> = inputs.par_iter().map(read_one).collect();
    // With `strict` nothing that comes after a failure counts.
    let summed = if options.strict { 1 } else { SUMMED };
    let lenient = Options { strict: false, ..options.clone() };
    let sum_up = |results: Vec<(Result<Read>, Vec<Closed>)>| {
        let (mut scan, mut all) = (Scan::default(), Vec::new());
        for (read, closed) in results {
            if let (Ok(read), false) = (&read, closed.is_empty()) {
                all.push((read.name.clone(), closed));
            }
            if let Err(error) = scan.take(read, &lenient) {
                scan.failed.push(error);
            }
        }
        (scan, all)
    };
    results.into_par_iter().chunks(summed).map(sum_up).collect()
}

/// What is fetched of an input before its turn. Unit: bytes.
const FETCHED: u64 = 4 << 20;

/// Has the first bytes of what is read next fetched by the operating system, while something else is worked on: then a slow
/// disk, or a store across a network, is not waited for at the start of each file.
pub(super) fn fetch(next: &[Input]) {
    // Small inputs, which come in groups, were looked at already.
    let [Input::File(path)] = next else { return };
    let path = path.clone();
    let fetch = move || {
        // A pipe gives its bytes only once. Whatever fails here fails again, and is told, when the file is read.
        if path.is_file()
            && let Ok(file) = File::open(&path)
        {
            drop(io::copy(&mut file.take(FETCHED), &mut io::sink()));
        }
    };
    drop(thread::Builder::new().name("fetch".to_owned()).spawn(fetch));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_inputs_go_together() {
        const MIB: u64 = 1 << 20;
        let cases: &[(&str, &[Option<u64>], &[usize])] = &[
            ("nothing", &[], &[]),
            ("one", &[Some(1)], &[1]),
            ("small ones", &[Some(1), Some(0), Some(70_000)], &[3]),
            ("as much as the bound, and a byte more", &[Some(4 * MIB), Some(4 * MIB), Some(1)], &[2, 1]),
            ("a large one between", &[Some(1), None, Some(1), Some(1)], &[1, 1, 2]),
            ("large ones", &[None, None], &[1, 1]),
            ("more than the bound", &[Some(u64::MAX), Some(9 * MIB), Some(1)], &[1, 1, 1]),
            ("many", &[Some(0); 600], &[256, 256, 88]),
        ];
        for (name, sizes, want) in cases {
            let found: Vec<usize> = runs(sizes, 8 * MIB).map(|run| run.len()).collect();
            assert_eq!(&found[..], *want, "{name}");
        }
    }
}
