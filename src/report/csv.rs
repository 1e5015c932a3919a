//! Tidy CSV: one figure a row, so that a spreadsheet or data frame needs no unpacking.
//!
//! The columns are `section,name,detail,unit,value`: where in the report the figure stands, what it is about, and the
//! number itself.

use std::io::{self, Write};

use serde_json::Value;

use super::Report;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut table = ::csv::Writer::from_writer(out);
    table.write_record(["section", "name", "detail", "unit", "value"])?;
    let report = serde_json::to_value(report)?;
    for section in SECTIONS {
        if let Some(value) = report.get(section) {
            rows(&mut table, section, &mut Vec::new(), value)?;
        }
    }
    table.flush()
}

/// Sections with figures; the others describe.
const SECTIONS: [&str; 11] = [
    "captures",
    "coverage",
    "strength",
    "tls",
    "post_quantum",
    "protocols",
    "upgrades",
    "findings",
    "timeline",
    "breakdowns",
    "quality",
];

/// Keys that name a row of a list.
const NAMING: [&str; 12] = [
    "start",
    "by",
    "name",
    "class",
    "upgraded_from",
    "floor",
    "policy",
    "version",
    "rule",
    "protocol",
    "id",
    "evidence",
];

type Table<'a> = ::csv::Writer<&'a mut dyn Write>;

/// Writes every number inside `value`; `path` is what leads to it.
fn rows(table: &mut Table<'_>, section: &str, path: &mut Vec<String>, value: &Value) -> io::Result<()> {
    match value {
        Value::Number(number) => row(table, section, path, &number.to_string()),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(place, item)| {
            if section == "captures" && !item.is_object() {
                return Ok(()); // link types are numbers, and no figures
            }
            path.push(title(item).unwrap_or_else(|| ["lower", "upper"].get(place).unwrap_or(&"").to_string()));
            rows(table, section, path, item)?;
            path.pop();
            Ok(())
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| {
            path.push(key.clone());
            rows(table, section, path, item)?;
            path.pop();
            Ok(())
        }),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// What names an item of a list: its naming fields, joined.
fn title(item: &Value) -> Option<String> {
    let fields = item.as_object()?;
    let words: Vec<&str> = NAMING.iter().filter_map(|key| fields.get(*key)?.as_str()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The last step of the path is the unit where it is one, the first the name, and what is between them the detail.
fn row(table: &mut Table<'_>, section: &str, path: &[String], value: &str) -> io::Result<()> {
    const UNITS: [&str; 6] =
        ["flows", "packets", "wire_bytes", "payload_bytes", "captured_bytes", "retransmitted_bytes"];
    let unit_at = path.iter().rposition(|step| UNITS.contains(&step.as_str()));
    let unit = unit_at.map_or("", |place| path[place].as_str());
    let rest: Vec<&str> =
        path.iter().enumerate().filter(|(place, _)| Some(*place) != unit_at).map(|(_, step)| step.as_str()).collect();
    let (name, detail) = rest.split_first().map_or(("", String::new()), |(first, more)| (*first, more.join(" ")));
    table.write_record([section, name, &detail, unit, value])?;
    Ok(())
}
