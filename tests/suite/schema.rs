//! The schemas in `schema/` are what the program writes and reads, every output follows them, and within a major version
//! nothing that a reader relies on goes away.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::common::captures;

/// What there is a schema of, and whether the program writes it (else it reads it).
const SCHEMAS: [(&str, bool); 4] = [("report", true), ("flow", true), ("policy", false), ("check", false)];

fn run(arguments: &[&str], paths: &[PathBuf]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tlscov")).args(arguments).args(paths).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn committed(of: &str) -> Value {
    let text = fs::read_to_string(root().join(format!("schema/{of}-1.schema.json"))).expect("committed");
    serde_json::from_str(&text).expect("JSON")
}

fn generated(of: &str) -> Value {
    serde_json::from_str(&run(&["schema", of], &[])).expect("JSON")
}

/// What of `old` a reader (or, with `written` false, a writer) could rely on and does not find in `new`.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    written: bool,
    faults: Vec<String>,
    seen: Vec<(String, String)>,
}

impl<'a> Comparison<'a> {
    fn faults(old: &'a Value, new: &'a Value, written: bool) -> Vec<String> {
        let mut comparison = Self { old, new, written, faults: Vec::new(), seen: Vec::new() };
        comparison.part(old, new, "");
        comparison.faults
    }

    /// Follows `$ref`; what is no reference stays.
    fn resolved(root: &'a Value, part: &'a Value) -> (&'a Value, String) {
        match part["$ref"].as_str() {
            Some(place) => (root.pointer(place.trim_start_matches('#')).expect("of this schema"), place.to_owned()),
            None => (part, String::new()),
        }
    }

    fn part(&mut self, old: &'a Value, new: &'a Value, path: &str) {
        let ((old, old_name), (new, new_name)) = (Self::resolved(self.old, old), Self::resolved(self.new, new));
        if !old_name.is_empty() && self.seen.contains(&(old_name.clone(), new_name.clone())) {
            return;
        }
        self.seen.push((old_name, new_name));
        for word in ["type", "enum", "const", "pattern", "format"] {
            let same = match (&old[word], &new[word]) {
                // A writer of rules or policies may use every word that there was.
                (Value::Array(old), Value::Array(new)) if word == "enum" && !self.written => {
                    old.iter().all(|word| new.contains(word))
                }
                (old, new) => old == new,
            };
            if !same {
                self.faults.push(format!("{path}: `{word}` was {}, is {}", old[word], new[word]));
            }
        }
        for (key, value) in old["properties"].as_object().into_iter().flatten() {
            match new["properties"].get(key) {
                Some(now) => self.part(value, now, &format!("{path}/{key}")),
                None => self.faults.push(format!("{path}/{key}: disappeared")),
            }
        }
        let required = |schema: &Value| -> Vec<String> {
            schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|key| Some(key.as_str()?.to_owned()))
                .collect()
        };
        let (before, now) = (required(old), required(new));
        let (from, to, what) = match self.written {
            true => (before, now, "no longer always written"),
            false => (now, before, "has to be written now"),
        };
        for key in from.iter().filter(|key| !to.contains(key)) {
            self.faults.push(format!("{path}/{key}: {what}"));
        }
        for word in ["items", "additionalProperties"] {
            match (&old[word], &new[word]) {
                (old @ Value::Object(_), new @ Value::Object(_)) => self.part(old, new, &format!("{path}/*")),
                (old, new) if old != new => self.faults.push(format!("{path}: `{word}` changed")),
                _ => {}
            }
        }
        for word in ["anyOf", "oneOf", "allOf", "prefixItems"] {
            let lists = [old, new].map(|schema| schema[word].as_array().map_or(&[][..], Vec::as_slice));
            let enough = if self.written { lists[0].len() == lists[1].len() } else { lists[0].len() <= lists[1].len() };
            if !enough {
                self.faults.push(format!("{path}: `{word}` has {} ways, had {}", lists[1].len(), lists[0].len()));
            }
            for (place, (one, other)) in lists[0].iter().zip(lists[1]).enumerate() {
                self.part(one, other, &format!("{path}/{word}{place}"));
            }
        }
    }
}

#[test]
fn schemas_are_committed_and_keep_what_readers_rely_on() {
    for (of, written) in SCHEMAS {
        let (old, new) = (committed(of), generated(of));
        let faults = Comparison::faults(&old, &new, written);
        assert!(
            faults.is_empty(),
            "{of}: this needs a new major version (see schema/README.md):\n  {}",
            faults.join("\n  ")
        );
        assert_eq!(old, new, "{of} has more now: tlscov schema {of} > schema/{of}-1.schema.json");
    }
}

#[test]
fn what_breaks_a_reader_is_seen() {
    let old = committed("report");
    let edited = |pointer: &str, edit: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        edit(new.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")));
        new
    };
    let remove = |key: &'static str| move |value: &mut Value| drop(value.as_object_mut().unwrap().remove(key));
    type Case<'a> = (&'a str, Value, bool, Option<&'a str>);
    let cases: [Case<'_>; 8] = [
        ("the same", old.clone(), true, None),
        ("a key of the top is gone", edited("/properties", &remove("coverage")), true, Some("/coverage: disappeared")),
        (
            "a key far below is gone",
            edited("/$defs/Units/properties", &remove("wire_bytes")),
            true,
            Some("/wire_bytes: disappeared"),
        ),
        (
            "a number became a text",
            edited("/$defs/Units/properties/flows/type", &|value| *value = json!("string")),
            true,
            Some("`type` was \"integer\", is \"string\""),
        ),
        (
            "a key may be missing now",
            edited("/$defs/Units", &|value| value["required"].as_array_mut().unwrap().clear()),
            true,
            Some("no longer always written"),
        ),
        ("a new key", edited("/properties", &|value| value["new"] = json!({"type": "string"})), true, None),
        (
            "a new key that is always written",
            edited("", &|value| value["required"].as_array_mut().unwrap().push(json!("new"))),
            true,
            None,
        ),
        (
            "a new key that has to be written",
            edited("", &|value| value["required"].as_array_mut().unwrap().push(json!("new"))),
            false,
            Some("/new: has to be written now"),
        ),
    ];
    for (name, new, written, want) in cases {
        let faults = Comparison::faults(&old, &new, written).join("\n");
        match want {
            Some(want) => assert!(faults.contains(want), "{name}: {faults}"),
            None => assert_eq!(faults, "", "{name}"),
        }
    }
}

#[test]
fn every_output_follows_its_schema() {
    let report = jsonschema::validator_for(&committed("report")).unwrap();
    let flow = jsonschema::validator_for(&committed("flow")).unwrap();
    let follows = |schema: &jsonschema::Validator, value: &Value, name: &str| {
        assert!(schema.is_valid(value), "{name}: {:?}", schema.iter_errors(value).next());
    };
    let folder = tempfile::tempdir().unwrap();
    let mut merged = Vec::new();
    for capture in captures() {
        let name = capture.display().to_string();
        let kept = folder.path().join(format!("{}.json", merged.len()));
        let paths = std::slice::from_ref(&capture);
        run(&["scan", "-q", "-o", kept.to_str().unwrap()], paths);
        let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        follows(&report, &read(&kept), &name);
        let all = ["--by", "service,vlan", "--names", "--local", "10.0.0.0/8", "--interval", "1s"];
        let asked = run(&[&["scan", "-q", "--format", "json"], &all[..]].concat(), paths);
        follows(&report, &serde_json::from_str(&asked).unwrap(), &format!("{name} {all:?}"));
        let published = run(&["render", "--format", "json", "--publish"], std::slice::from_ref(&kept));
        follows(&report, &serde_json::from_str(&published).unwrap(), &format!("{name} published"));
        for line in run(&["flows", "-q"], paths).lines() {
            follows(&flow, &serde_json::from_str(line).unwrap(), &name);
        }
        merged.push(kept);
    }
    follows(&report, &serde_json::from_str(&run(&["merge", "--format", "json"], &merged)).unwrap(), "all merged");
}

#[test]
fn every_policy_follows_its_schema() {
    let policy = jsonschema::validator_for(&committed("policy")).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("src/grade/policies")).unwrap() {
        let path = entry.unwrap().path();
        let value: Value = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(policy.is_valid(&value), "{}: {:?}", path.display(), policy.iter_errors(&value).next());
        seen += 1;
    }
    assert!(seen > 10, "{seen} policies");
    let mistake = json!({"name": 5});
    assert!(!policy.is_valid(&mistake), "a near miss is seen");
}
