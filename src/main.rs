//! temporary
#![allow(clippy::print_stdout)]
use std::sync::Arc;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args[0].clone();
    let inputs = tlscov::capture::expand(&args[1..2]).inputs;
    let policies = Arc::new(vec![tlscov::grade::Policy::builtin("bcp195").unwrap()]);
    let options = tlscov::pipeline::Options {
        jobs: std::env::var("JOBS").ok().and_then(|j| j.parse().ok()),
        max_memory: 1 << 30,
        strict: false,
        continued: false,
        policies: policies.clone(),
    };
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if mode == "flows" {
        let mut sink = |name: &str, flow: &tlscov::model::FlowSummary, verdicts: &[tlscov::grade::Verdict]| {
            let record = tlscov::report::FlowRecord::new(name, flow, verdicts, &policies);
            serde_json::to_writer(&mut out, &record).unwrap();
            out.write_all(b"\n")?;
            Ok(())
        };
        let scan = tlscov::pipeline::scan(&inputs, &options, &|_| {}, Some(&mut sink)).unwrap();
        for e in &scan.failed {
            eprintln!("{e}");
        }
        if !scan.failed.is_empty() {
            std::process::exit(2);
        }
    } else {
        let scan = tlscov::pipeline::scan(&inputs, &options, &|_| {}, None).unwrap();
        for e in &scan.failed {
            eprintln!("{e}");
        }
        let report = tlscov::report::Report::new(&scan.tally);
        serde_json::to_writer(&mut out, &report).unwrap();
        if !scan.failed.is_empty() {
            std::process::exit(2);
        }
    }
}
