//! Outputs that follow a standard, held against the standard's own schema or a parser of its format.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use crate::common::captures;

fn tlscov() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tlscov"))
}

fn standard(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/standards").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn scanned(folder: &Path, capture: &Path) -> PathBuf {
    let report = folder.join("report <&\"ä\".json");
    tlscov().args(["scan", "-q"]).arg(capture).arg("-o").arg(&report).assert().success();
    report
}

fn errors(schema: &Validator, value: &Value) -> Vec<String> {
    schema.iter_errors(value).take(3).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn checks_are_sarif_and_junit() {
    let mut schema = standard("sarif-2.1.0.schema.json");
    // As published it has a bracket too many, which JavaScript alone takes; no output has these keys.
    for part in ["run", "toolComponent"] {
        schema["definitions"][part]["properties"]["language"]["pattern"] = json!("^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
    }
    let sarif = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [xml, log] = ["checks.xml", "checks.sarif"].map(|name| folder.path().join(name));
    let mut failures = 0;
    for capture in captures() {
        let report = scanned(folder.path(), &capture);
        let rules = ["--min-encrypted", "72%", "--max-weak", "1%", "--no-finding", "any", "--no-plaintext", "http,any"];
        let output = tlscov()
            .arg("check")
            .arg(&report)
            .args(rules)
            .arg("--baseline")
            .arg(&report)
            .arg("--junit")
            .arg(&xml)
            .arg("--sarif")
            .arg(&log)
            .output()
            .unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let failed = lines.lines().filter(|line| line.starts_with("FAILED")).count();
        failures += failed;

        let value: Value = serde_json::from_slice(&fs::read(&log).unwrap()).unwrap();
        assert_eq!(errors(&sarif, &value), [""; 0], "{}", capture.display());
        assert_eq!(value["runs"][0]["results"].as_array().unwrap().len(), failed);

        let text = fs::read_to_string(&xml).unwrap();
        let tree = roxmltree::Document::parse(&text).unwrap();
        let of = |name: &str| tree.descendants().filter(|node| node.has_tag_name(name)).collect::<Vec<_>>();
        assert_eq!(tree.root_element().tag_name().name(), "testsuites");
        assert_eq!((of("testcase").len(), of("failure").len()), (lines.lines().count(), failed));
        let suite = of("testsuite")[0];
        let counts = ["tests", "failures"].map(|name| suite.attribute(name).unwrap().parse::<usize>().unwrap());
        assert_eq!(counts, [lines.lines().count(), failed]);
        assert_eq!(suite.attribute("name"), Some(report.to_str().unwrap()), "what XML escapes comes back");
    }
    assert!(failures > 20, "{failures} failures were looked at");
    let near = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {}}}]});
    assert!(!sarif.is_valid(&near), "a driver needs a name");
}

#[test]
fn a_cbom_is_cyclonedx() {
    const AT: &str = "http://cyclonedx.org/schema/";
    let others =
        ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json", "cryptography-defs.SNAPSHOT.schema.json"];
    let registry = others.iter().fold(Registry::new(), |registry, name| {
        registry.add(format!("{AT}{name}"), standard(name)).expect("an address")
    });
    let registry = registry.prepare().unwrap();
    let schema = standard("bom-1.7.SNAPSHOT.schema.json");
    let schema = jsonschema::options().with_registry(&registry).should_validate_formats(true).build(&schema).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut components = 0;
    for capture in captures() {
        let report = scanned(folder.path(), &capture);
        let output = tlscov().arg("render").arg(&report).args(["--format", "cbom"]).assert().success();
        let mut value: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(errors(&schema, &value), [""; 0], "{}", capture.display());
        components += value["components"].as_array().map_or(0, Vec::len);
        value["specVersion"] = json!(1.7);
        assert!(!schema.is_valid(&value), "a near miss is seen");
    }
    assert!(components > 50, "{components} components were looked at");
}
