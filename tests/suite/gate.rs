//! The example for GitHub Actions, run here step by step: green for a capture of TLS alone, red when HTTP comes into it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{pcap, records};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The commands of the step called `name`.
fn step(workflow: &str, name: &str) -> String {
    let after = workflow.split_once(&format!("- name: {name}\n")).unwrap_or_else(|| panic!("no step {name}")).1;
    let body = after.split_once("run: |\n").unwrap_or_else(|| panic!("{name} runs nothing")).1;
    let own = body.lines().take_while(|line| line.starts_with("          ") || line.is_empty());
    own.map(|line| format!("{}\n", line.trim())).collect()
}

/// Runs the steps after the recording, as the runner does: `bash -e`, and all of them to the end of the job.
fn gate(folder: &Path) -> (Output, Output) {
    let workflow = fs::read_to_string(Path::new(ROOT).join("examples/github-actions.yml")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tlscov")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let run = |name: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-eo", "pipefail", "-c", &step(&workflow, name)]).current_dir(folder);
        shell.env("PATH", &path).env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).output().unwrap()
    };
    (run("Scan"), run("Check"))
}

#[test]
fn a_plaintext_flow_turns_the_gate_red_and_is_named() {
    let testdata = Path::new(ROOT).join("testdata");
    let tls = records(&testdata.join("https.pcap"), usize::MAX);
    let mut mixed = tls.clone();
    mixed.extend(records(&testdata.join("http.pcap"), usize::MAX));
    for (name, frames, green) in [("TLS alone", tls, true), ("HTTP as well", mixed, false)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test-run.pcap"), pcap(&frames)).unwrap();
        let (scanned, checked) = gate(folder.path());
        assert!(scanned.status.success(), "{name}: {}", String::from_utf8_lossy(&scanned.stderr));
        let said = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(checked.status.code(), Some(if green { 0 } else { 1 }), "{name}: {said}");
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
        assert_eq!(failed.is_empty(), green, "{name}: {said}");

        let read =
            |file: &str| fs::read_to_string(folder.path().join(file)).unwrap_or_else(|_| panic!("{name}: {file}"));
        let (junit, sarif) = (read("tlscov.xml"), read("tlscov.sarif"));
        let sarif: Value = serde_json::from_str(&sarif).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!((junit.contains("<failure"), results.is_empty()), (!green, green), "{name}");
        assert!(read("summary.md").contains("of the traffic is encrypted"), "{name}");
        if !green {
            assert!(failed.iter().any(|line| line.contains("no-plaintext") && line.contains("http")), "{said}");
            assert!(results.iter().any(|result| result.to_string().contains("http")), "{results:?}");
        }
    }
}
