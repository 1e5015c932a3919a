//! The flow record as a table: one column a field, under the dotted name that it has in the JSON record.
//!
//! CSV, Parquet and the Arrow tables of the Python package are all written from [`columns`]; tests hold it against the JSON
//! record and its schema, where each field is described. Lists are one column; the verdict of each policy follows at the end.

use std::borrow::Cow;
use std::net::IpAddr;

use super::time::{Nanoseconds, Seconds};
use super::{FlowRecord, flow_record};

/// A column of the table of flow records.
#[derive(Clone)]
pub struct Column {
    /// Name, with dots between the keys of the JSON record.
    pub name: Cow<'static, str>,
    field: Field,
}

/// What type a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, UTF-8.
    Text,
    /// A count; none reaches half of 2^64.
    Integer,
    /// Yes or no.
    Boolean,
    /// Nanoseconds since 1970 UTC.
    Time,
    /// Whole seconds of the years 0 to 9999.
    Date,
    /// Any number of texts.
    List,
}

/// A cell; what was not seen is `None`, of a list that it is empty.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    /// Of [`Kind::Text`].
    Text(Option<Cow<'a, str>>),
    /// Of [`Kind::Integer`].
    Integer(Option<u64>),
    /// Of [`Kind::Boolean`].
    Boolean(Option<bool>),
    /// Of [`Kind::Time`].
    Time(Nanoseconds),
    /// Of [`Kind::Date`].
    Date(Option<Seconds>),
    /// Of [`Kind::List`].
    List(Vec<&'a str>),
}

/// All columns, for records graded under these policies.
#[must_use]
pub fn columns(policies: &[String]) -> Vec<Column> {
    let fields = FIELDS.iter().map(|(name, field)| Column { name: (*name).into(), field: field.clone() });
    let verdicts = policies.iter().flat_map(|policy| {
        [
            Column { name: format!("strength.{policy}.level").into(), field: Field::Level(policy.clone()) },
            Column { name: format!("strength.{policy}.rules").into(), field: Field::Rules(policy.clone()) },
        ]
    });
    fields.chain(verdicts).collect()
}

impl Column {
    /// The type of its cells.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.field {
            Field::Text(_) | Field::Address(_) | Field::Level(_) => Kind::Text,
            Field::Port(_) | Field::Count(_) | Field::Size(_) => Kind::Integer,
            Field::Flag(_) => Kind::Boolean,
            Field::Time(_) => Kind::Time,
            Field::Date(_) => Kind::Date,
            Field::List(_) | Field::Rules(_) => Kind::List,
        }
    }

    /// Its cell of a flow, of this column's kind.
    #[must_use]
    pub fn value<'a>(&self, flow: &'a FlowRecord<'_>) -> Value<'a> {
        match &self.field {
            Field::Text(text) => Value::Text(text(flow).map(Cow::Borrowed)),
            Field::Address(ip) => Value::Text(Some(ip(flow).to_string().into())),
            Field::Port(port) => Value::Integer(Some(port(flow).into())),
            Field::Count(count) => Value::Integer(Some(count(flow))),
            Field::Size(size) => Value::Integer(size(flow).map(u64::from)),
            Field::Flag(flag) => Value::Boolean(flag(flow)),
            Field::Time(time) => Value::Time(time(flow)),
            Field::Date(date) => Value::Date(date(flow)),
            Field::List(list) => Value::List(list(flow)),
            Field::Level(policy) => Value::Text(flow.strength.get(policy).map(|verdict| verdict.level.into())),
            Field::Rules(policy) => {
                Value::List(flow.strength.get(policy).map(|verdict| verdict.rules.clone()).unwrap_or_default())
            }
        }
    }
}

/// Where a cell comes from.
#[derive(Clone)]
enum Field {
    Text(for<'a> fn(&'a FlowRecord<'_>) -> Option<&'a str>),
    Address(fn(&FlowRecord<'_>) -> IpAddr),
    Port(fn(&FlowRecord<'_>) -> u16),
    Count(fn(&FlowRecord<'_>) -> u64),
    Size(fn(&FlowRecord<'_>) -> Option<u16>),
    Flag(fn(&FlowRecord<'_>) -> Option<bool>),
    Time(fn(&FlowRecord<'_>) -> Nanoseconds),
    Date(fn(&FlowRecord<'_>) -> Option<Seconds>),
    List(for<'a> fn(&'a FlowRecord<'_>) -> Vec<&'a str>),
    /// Level under this policy.
    Level(String),
    /// Rules of this policy.
    Rules(String),
}

type Certificate<'a> = flow_record::CertificateRecord<'a>;

fn certificate<'a, 'b>(flow: &'a FlowRecord<'b>) -> Option<&'a Certificate<'b>> {
    flow.tls.as_ref()?.certificate.as_ref()
}

/// In the order of the JSON record.
static FIELDS: &[(&str, Field)] = &[
    ("capture", Field::Text(|flow| Some(flow.capture))),
    ("start", Field::Time(|flow| flow.start)),
    ("end", Field::Time(|flow| flow.end)),
    ("network.type", Field::Text(|flow| Some(flow.network.kind))),
    ("network.transport", Field::Text(|flow| Some(&flow.network.transport))),
    ("network.protocol", Field::Text(|flow| Some(flow.network.protocol))),
    ("network.application", Field::Text(|flow| flow.network.application)),
    ("network.upgraded_from", Field::Text(|flow| flow.network.upgraded_from)),
    ("client.ip", Field::Address(|flow| flow.client.ip)),
    ("client.port", Field::Port(|flow| flow.client.port)),
    ("client.packets", Field::Count(|flow| flow.client.packets)),
    ("client.bytes", Field::Count(|flow| flow.client.bytes)),
    ("client.payload_bytes", Field::Count(|flow| flow.client.payload_bytes)),
    ("server.ip", Field::Address(|flow| flow.server.ip)),
    ("server.port", Field::Port(|flow| flow.server.port)),
    ("server.packets", Field::Count(|flow| flow.server.packets)),
    ("server.bytes", Field::Count(|flow| flow.server.bytes)),
    ("server.payload_bytes", Field::Count(|flow| flow.server.payload_bytes)),
    ("class", Field::Text(|flow| Some(flow.class))),
    ("evidence", Field::Text(|flow| Some(flow.evidence))),
    ("plaintext_bytes", Field::Count(|flow| flow.plaintext_bytes)),
    ("retransmitted_bytes", Field::Count(|flow| flow.retransmitted_bytes)),
    ("tunnel", Field::List(|flow| flow.tunnel.clone())),
    ("tls.version", Field::Text(|flow| flow.tls.as_ref()?.version.as_deref())),
    ("tls.draft", Field::Size(|flow| flow.tls.as_ref()?.draft.map(u16::from))),
    ("tls.offered_versions", Field::List(|flow| list(flow.tls.as_ref().map(|tls| &*tls.offered_versions)))),
    ("tls.cipher", Field::Text(|flow| flow.tls.as_ref()?.cipher.as_deref())),
    ("tls.cipher_code", Field::Text(|flow| flow.tls.as_ref()?.cipher_code.as_deref())),
    ("tls.curve", Field::Text(|flow| flow.tls.as_ref()?.curve.as_deref())),
    ("tls.dh_bits", Field::Size(|flow| flow.tls.as_ref()?.dh_bits)),
    ("tls.signature", Field::Text(|flow| flow.tls.as_ref()?.signature.as_deref())),
    ("tls.server_name", Field::Text(|flow| flow.tls.as_ref()?.server_name)),
    ("tls.next_protocol", Field::Text(|flow| flow.tls.as_ref()?.next_protocol)),
    ("tls.offered_protocols", Field::List(|flow| list(flow.tls.as_ref().map(|tls| tls.offered_protocols)))),
    ("tls.srtp_profile", Field::Text(|flow| flow.tls.as_ref()?.srtp_profile.as_deref())),
    ("tls.resumed", Field::Flag(|flow| flow.tls.as_ref()?.resumed)),
    ("tls.established", Field::Flag(|flow| flow.tls.as_ref()?.established)),
    ("tls.hello_retry", Field::Flag(|flow| Some(flow.tls.as_ref()?.hello_retry))),
    ("tls.ech_offered", Field::Flag(|flow| Some(flow.tls.as_ref()?.ech_offered))),
    ("tls.ech_real", Field::Flag(|flow| Some(flow.tls.as_ref()?.ech_real))),
    ("tls.ja3", Field::Text(|flow| flow.tls.as_ref()?.ja3)),
    ("tls.ja3s", Field::Text(|flow| flow.tls.as_ref()?.ja3s)),
    ("tls.ja4", Field::Text(|flow| flow.tls.as_ref()?.ja4)),
    ("tls.certificate.key", Field::Text(|flow| Some(certificate(flow)?.key))),
    ("tls.certificate.signature", Field::Text(|flow| Some(certificate(flow)?.signature))),
    ("tls.certificate.not_before", Field::Date(|flow| certificate(flow)?.not_before)),
    ("tls.certificate.not_after", Field::Date(|flow| certificate(flow)?.not_after)),
    ("tls.certificate.self_signed", Field::Flag(|flow| Some(certificate(flow)?.self_signed))),
    ("tls.certificate.name_matches", Field::Flag(|flow| certificate(flow)?.name_matches)),
    ("quic.version", Field::Text(|flow| Some(&flow.quic.as_ref()?.version))),
    ("ssh.kex", Field::Text(|flow| flow.ssh.as_ref()?.kex)),
    ("ssh.host_key", Field::Text(|flow| flow.ssh.as_ref()?.host_key)),
    ("ssh.client_cipher", Field::Text(|flow| flow.ssh.as_ref()?.client_cipher)),
    ("ssh.server_cipher", Field::Text(|flow| flow.ssh.as_ref()?.server_cipher)),
    ("ssh.client_mac", Field::Text(|flow| flow.ssh.as_ref()?.client_mac)),
    ("ssh.server_mac", Field::Text(|flow| flow.ssh.as_ref()?.server_mac)),
    ("ssh.strict_kex", Field::Flag(|flow| Some(flow.ssh.as_ref()?.strict_kex))),
    ("ssh.established", Field::Flag(|flow| flow.ssh.as_ref()?.established)),
    ("algorithms.kex", Field::Text(|flow| flow.algorithms.as_ref()?.kex)),
    ("algorithms.cipher", Field::Text(|flow| flow.algorithms.as_ref()?.cipher)),
    ("algorithms.mac", Field::Text(|flow| flow.algorithms.as_ref()?.mac)),
    ("upgrade.protocol", Field::Text(|flow| Some(flow.upgrade.as_ref()?.protocol))),
    ("upgrade.outcome", Field::Text(|flow| Some(flow.upgrade.as_ref()?.outcome))),
    ("flags", Field::List(|flow| flow.flags.to_vec())),
];

fn list<T: AsRef<str>>(texts: Option<&[T]>) -> Vec<&str> {
    texts.unwrap_or_default().iter().map(AsRef::as_ref).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use serde_json::{Map, Value as Json, json};

    use super::super::flow_zeek::{CONN, Field as ZeekField, SSL};
    use super::*;
    use crate::grade::Policy;
    use crate::tally::testing::office;

    /// Path, kind and description of the fields of the JSON record, in order, as its schema has them.
    fn described() -> Vec<(String, Kind, String)> {
        let schema = serde_json::to_value(super::super::schema::<FlowRecord<'_>>()).unwrap();
        let mut found = Vec::new();
        walk(&schema, &schema, "", "", &mut found);
        found
    }

    fn walk(root: &Json, node: &Json, path: &str, about: &str, found: &mut Vec<(String, Kind, String)>) {
        let about = node["description"].as_str().unwrap_or(about);
        if let Some(options) = node["anyOf"].as_array() {
            return walk(root, &options[0], path, about, found);
        }
        if let Some(target) = node["$ref"].as_str() {
            return walk(root, root.pointer(target.trim_start_matches('#')).unwrap(), path, about, found);
        }
        let kind = match node["type"].as_array().map_or(&node["type"], |types| &types[0]).as_str().unwrap() {
            "object" => {
                for (name, inner) in node["properties"].as_object().into_iter().flatten() {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(root, inner, &format!("{path}{dot}{name}"), "", found);
                }
                return;
            }
            "integer" => Kind::Integer,
            "boolean" => Kind::Boolean,
            "array" => Kind::List,
            _ if ["start", "end"].contains(&path) => Kind::Time,
            _ if ["not_before", "not_after"].iter().any(|name| path.ends_with(name)) => Kind::Date,
            _ => Kind::Text,
        };
        found.push((path.to_owned(), kind, about.to_owned()));
    }

    #[test]
    fn columns_are_the_fields_of_the_json_record() {
        let want: Vec<_> = described().into_iter().map(|(path, kind, _)| (path, kind)).collect();
        let have: Vec<_> = columns(&[]).iter().map(|column| (column.name.to_string(), column.kind())).collect();
        assert_eq!(have, want);
        let with_policy: Vec<_> = columns(&["ours".to_owned()]).iter().map(|column| column.name.to_string()).collect();
        assert_eq!(with_policy[have.len()..], ["strength.ours.level", "strength.ours.rules"]);
    }

    fn flatten(object: &Map<String, Json>, path: &str, flat: &mut Map<String, Json>) {
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                Json::Object(inner) => flatten(inner, &path, flat),
                value => drop(flat.insert(path, value.clone())),
            }
        }
    }

    #[test]
    fn cells_are_those_of_the_json_record() {
        let policies: Vec<Policy> = Policy::builtin("bcp195").into_iter().collect();
        let columns = columns(&["bcp195".to_owned()]);
        let mut seen = std::collections::BTreeSet::new();
        for flow in office() {
            let verdicts: Vec<_> =
                policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect();
            let record = FlowRecord::new("a.pcap", &flow, &verdicts, &policies);
            let mut want = Map::new();
            flatten(serde_json::to_value(&record).unwrap().as_object().unwrap(), "", &mut want);
            for column in &columns {
                let have = match column.value(&record) {
                    Value::Text(text) => json!(text),
                    Value::Integer(number) => json!(number),
                    Value::Boolean(flag) => json!(flag),
                    Value::Time(time) => json!(time),
                    Value::Date(date) => json!(date),
                    Value::List(texts) => json!(texts),
                };
                match want.remove(&*column.name) {
                    Some(want) => {
                        assert_eq!(have, want, "{}", column.name);
                        seen.insert(column.name.clone());
                    }
                    // The JSON record leaves out what says nothing.
                    None => assert!(
                        [json!(null), json!(0), json!(false), json!([])].contains(&have),
                        "{}: {have}",
                        column.name
                    ),
                }
            }
            assert_eq!(want, Map::new(), "no column holds these");
        }
        assert!(seen.len() > 40, "too few columns were tried: {seen:?}");
    }

    #[test]
    fn the_documentation_lists_every_column() {
        let rows = described().into_iter().map(|(name, kind, about)| {
            let kind = match kind {
                Kind::Text => "text",
                Kind::Integer => "integer",
                Kind::Boolean => "boolean",
                Kind::Time => "time, nanoseconds",
                Kind::Date => "time, seconds",
                Kind::List => "list of texts",
            };
            [format!("`{name}`"), kind.to_owned(), about.replace('\n', " ")]
        });
        in_documentation(&table(["column", "type", "meaning"], rows));
        for fields in [CONN, SSL] {
            let rows = fields
                .iter()
                .map(|field: &ZeekField| [format!("`{}`", field.name), field.kind.to_owned(), field.from.to_owned()]);
            in_documentation(&table(["Zeek", "type", "from"], rows));
        }
        let names: Vec<_> = columns(&[]).iter().map(|column| column.name.to_string()).collect();
        for field in CONN.iter().chain(SSL) {
            let known = field.from.split(", ").any(|name| names.iter().any(|have| have == name));
            assert!(known || ["uid", "duration"].contains(&field.name), "{} comes from no column", field.name);
        }
    }

    fn table(heading: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
        let mut table = format!("| {} |\n|---|---|---|\n", heading.join(" | "));
        for row in rows {
            table.push_str(&format!("| {} |\n", row.map(|cell| cell.replace('|', "\\|")).join(" | ")));
        }
        table
    }

    fn in_documentation(table: &str) {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flow-records.md")).unwrap();
        assert!(text.contains(table), "docs/flow-records.md should hold this table:\n{table}");
    }
}
