//! Flow records under the names of Zeek's `conn.log` and `ssl.log`, so that what reads those reads these.
//!
//! [`CONN`] and [`SSL`] are the mapping. A field of Zeek that the record has no answer for is unset, never guessed
//! (`conn_state`, `history`, `orig_ip_bytes` ...: left out altogether). What Zeek has no name for, and what the shares are
//! worked out from, stands under `tlscov.`: `bytes` of Zeek are payload, `tlscov.orig_bytes` wire bytes.
//!
//! Sources: Zeek documentation, "Conn::Info", "SSL::Info", "Log formats" (JSON: epoch seconds, dotted keys; `_path` as in
//! Corelight's json-streaming-logs; TSV: heading lines, `-` for unset, `\x` escapes).

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::FlowRecord;
use super::flow_record::TlsRecord;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeekFormat {
    /// One JSON object a line, with `_path` naming the log.
    Json,
    /// Tab-separated, with heading lines.
    Tsv,
}

/// Writes flow records as Zeek's logs.
pub struct FlowZeek<W: Write> {
    conn: W,
    /// `None` when both logs go into one.
    ssl: Option<W>,
    format: ZeekFormat,
    policies: Vec<String>,
    flows: u64,
}

impl<W: Write> FlowZeek<W> {
    /// Both logs in one stream of JSON, told apart by `_path`.
    #[must_use]
    pub fn stream(out: W, policies: &[String]) -> Self {
        Self { conn: out, ssl: None, format: ZeekFormat::Json, policies: policies.to_vec(), flows: 0 }
    }

    /// `conn.log` and `ssl.log`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn logs(mut conn: W, mut ssl: W, format: ZeekFormat, policies: &[String]) -> io::Result<Self> {
        if format == ZeekFormat::Tsv {
            heading("conn", CONN, policies, &mut conn)?;
            heading("ssl", SSL, &[], &mut ssl)?;
        }
        Ok(Self { conn, ssl: Some(ssl), format, policies: policies.to_vec(), flows: 0 })
    }

    /// Adds a flow: a line of `conn`, and one of `ssl` when a TLS handshake was seen.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> io::Result<()> {
        self.flows += 1;
        let row = Row { flow, uid: uid(self.flows, flow) };
        let mut cells: Vec<_> = CONN.iter().map(|field| (Cow::Borrowed(field.name), (field.value)(&row))).collect();
        for policy in &self.policies {
            let level = flow.strength.get(policy).map(|verdict| verdict.level);
            cells.push((level_name(policy).into(), text(level)));
        }
        line(self.format, "conn", &cells, &mut self.conn)?;
        if flow.tls.is_some() {
            let cells: Vec<_> = SSL.iter().map(|field| (Cow::Borrowed(field.name), (field.value)(&row))).collect();
            line(self.format, "ssl", &cells, self.ssl.as_mut().unwrap_or(&mut self.conn))?;
        }
        Ok(())
    }

    /// Gives back what was written to: one stream, or `conn.log` and `ssl.log`.
    pub fn finish(self) -> impl Iterator<Item = W> {
        std::iter::once(self.conn).chain(self.ssl)
    }
}

/// A field of a log.
pub(super) struct Field {
    /// Zeek's name.
    pub name: &'static str,
    /// Zeek's type.
    pub kind: &'static str,
    /// The column of the flow record that it comes from, or how it is made.
    #[cfg(test)]
    pub from: &'static str,
    value: for<'a> fn(&'a Row<'_>) -> Cell<'a>,
}

/// What fields are taken from.
struct Row<'a> {
    flow: &'a FlowRecord<'a>,
    uid: String,
}

enum Cell<'a> {
    Unset,
    Text(Cow<'a, str>),
    Count(u64),
    Flag(bool),
    /// Nanoseconds, written as seconds.
    Seconds(i64),
}

/// One row of a log's table.
macro_rules! field {
    ($name:literal, $kind:literal, $from:literal, $value:expr) => {
        Field {
            name: $name,
            kind: $kind,
            #[cfg(test)]
            from: $from,
            value: $value,
        }
    };
}

/// `conn.log`; the level under each policy follows as `tlscov.strength.POLICY`.
pub(super) static CONN: &[Field] = &[
    field!("ts", "time", "start", |row| Cell::Seconds(row.flow.start.0)),
    field!("uid", "string", "made of the fields that tell flows apart", |row| text(Some(&row.uid))),
    field!("id.orig_h", "addr", "client.ip", |row| address(row.flow.client.ip)),
    field!("id.orig_p", "port", "client.port", |row| Cell::Count(row.flow.client.port.into())),
    field!("id.resp_h", "addr", "server.ip", |row| address(row.flow.server.ip)),
    field!("id.resp_p", "port", "server.port", |row| Cell::Count(row.flow.server.port.into())),
    field!("proto", "enum", "network.transport", |row| text(Some(transport(row.flow)))),
    field!("service", "string", "network.upgraded_from, network.protocol", |row| service(row.flow)),
    field!("duration", "interval", "end - start", |row| Cell::Seconds(row.flow.end.0.saturating_sub(row.flow.start.0))),
    field!("orig_bytes", "count", "client.payload_bytes", |row| Cell::Count(row.flow.client.payload_bytes)),
    field!("resp_bytes", "count", "server.payload_bytes", |row| Cell::Count(row.flow.server.payload_bytes)),
    field!("orig_pkts", "count", "client.packets", |row| Cell::Count(row.flow.client.packets)),
    field!("resp_pkts", "count", "server.packets", |row| Cell::Count(row.flow.server.packets)),
    field!("tlscov.class", "string", "class", |row| text(Some(row.flow.class))),
    field!("tlscov.evidence", "string", "evidence", |row| text(Some(row.flow.evidence))),
    field!("tlscov.orig_bytes", "count", "client.bytes", |row| Cell::Count(row.flow.client.bytes)),
    field!("tlscov.resp_bytes", "count", "server.bytes", |row| Cell::Count(row.flow.server.bytes)),
    field!("tlscov.plaintext_bytes", "count", "plaintext_bytes", |row| Cell::Count(row.flow.plaintext_bytes)),
];

/// `ssl.log`: a line for each flow with TLS, DTLS, or the TLS of QUIC.
pub(super) static SSL: &[Field] = &[
    field!("ts", "time", "start", |row| Cell::Seconds(row.flow.start.0)),
    field!("uid", "string", "as in `conn.log`", |row| text(Some(&row.uid))),
    field!("id.orig_h", "addr", "client.ip", |row| address(row.flow.client.ip)),
    field!("id.orig_p", "port", "client.port", |row| Cell::Count(row.flow.client.port.into())),
    field!("id.resp_h", "addr", "server.ip", |row| address(row.flow.server.ip)),
    field!("id.resp_p", "port", "server.port", |row| Cell::Count(row.flow.server.port.into())),
    field!("version", "string", "tls.version, tls.draft", |row| version(row.flow)),
    field!("cipher", "string", "tls.cipher", |row| text(tls(row).and_then(|tls| tls.cipher.as_deref()))),
    field!("curve", "string", "tls.curve", |row| text(tls(row).and_then(|tls| tls.curve.as_deref()))),
    field!("server_name", "string", "tls.server_name", |row| text(tls(row).and_then(|tls| tls.server_name))),
    field!("resumed", "bool", "tls.resumed", |row| flag(tls(row).and_then(|tls| tls.resumed))),
    field!("next_protocol", "string", "tls.next_protocol", |row| text(tls(row).and_then(|tls| tls.next_protocol))),
    field!("established", "bool", "tls.established", |row| flag(tls(row).and_then(|tls| tls.established))),
    field!("sni_matches_cert", "bool", "tls.certificate.name_matches", |row| flag(
        tls(row).and_then(|tls| tls.certificate.as_ref()?.name_matches)
    )),
    field!("ja3", "string", "tls.ja3", |row| text(tls(row).and_then(|tls| tls.ja3))),
    field!("ja3s", "string", "tls.ja3s", |row| text(tls(row).and_then(|tls| tls.ja3s))),
    field!("ja4", "string", "tls.ja4", |row| text(tls(row).and_then(|tls| tls.ja4))),
];

fn level_name(policy: &str) -> String {
    format!("tlscov.strength.{policy}")
}

fn tls<'a>(row: &'a Row<'_>) -> Option<&'a TlsRecord<'a>> {
    row.flow.tls.as_ref()
}

fn text(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Unset, |text| Cell::Text(text.into()))
}

fn flag(flag: Option<bool>) -> Cell<'static> {
    flag.map_or(Cell::Unset, Cell::Flag)
}

fn address(ip: IpAddr) -> Cell<'static> {
    Cell::Text(ip.to_string().into())
}

/// A value of Zeek's `transport_proto`.
fn transport(flow: &FlowRecord<'_>) -> &'static str {
    match &*flow.network.transport {
        "tcp" => "tcp",
        "udp" => "udp",
        _ => "unknown_transport",
    }
}

/// Analyzers by Zeek's names, joined by commas, in the order in which they came to it.
fn service<'a>(flow: &'a FlowRecord<'_>) -> Cell<'a> {
    let known = Some(flow.network.protocol).filter(|name| *name != "unknown");
    let inner = (flow.network.protocol == "quic" && flow.tls.is_some()).then_some("ssl");
    let names = flow.network.upgraded_from.into_iter().chain(known).map(|name| analyzer(name, transport(flow)));
    let names: Vec<&str> = names.chain(inner).collect();
    if names.is_empty() { Cell::Unset } else { Cell::Text(names.join(",").into()) }
}

/// Zeek's name of a protocol, where it differs from ours.
fn analyzer<'a>(protocol: &'a str, transport: &str) -> &'a str {
    match (protocol, transport) {
        ("tls", _) => "ssl",
        ("mdns" | "llmnr" | "nbns", _) => "dns",
        ("dcerpc", _) => "dce_rpc",
        ("vnc", _) => "rfb",
        ("kerberos", "tcp") => "krb_tcp",
        ("kerberos", _) => "krb",
        ("ldap", "tcp") => "ldap_tcp",
        ("ldap", _) => "ldap_udp",
        ("dnp3", "tcp") => "dnp3_tcp",
        ("dnp3", _) => "dnp3_udp",
        _ => protocol,
    }
}

/// `TLSv12`, `DTLSv12`, `SSLv3`, `TLSv13-draft18`; `unknown-N` for a number without a name.
fn version<'a>(flow: &'a FlowRecord<'_>) -> Cell<'a> {
    let Some((tls, version)) = flow.tls.as_ref().and_then(|tls| Some((tls, tls.version.as_deref()?))) else {
        return Cell::Unset;
    };
    if let Some(number) = version.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
        return Cell::Text(format!("unknown-{number}").into());
    }
    if let Some(number) = version.strip_prefix("ssl") {
        return Cell::Text(format!("SSLv{number}").into());
    }
    let family = if flow.network.protocol == "dtls" { "DTLS" } else { "TLS" };
    let draft = tls.draft.map(|draft| format!("-draft{draft}")).unwrap_or_default();
    Cell::Text(format!("{family}v{}{draft}", version.replace('.', "")).into())
}

/// `C` and 17 letters, as Zeek has it: the same flow of the same captures gets the same one each time.
fn uid(number: u64, flow: &FlowRecord<'_>) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let ends = [&flow.client, &flow.server].map(|peer| (peer.ip, peer.port));
    let key = format!("{number} {} {} {} {ends:?}", flow.capture, flow.start, flow.network.transport);
    let digest = Sha256::digest(key.as_bytes());
    let mut rest = digest.iter().take(12).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut uid = String::from("C");
    for _ in 0..17 {
        uid.push(char::from(LETTERS[(rest % 62) as usize]));
        rest /= 62;
    }
    uid
}

fn heading(path: &str, fields: &[Field], policies: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}")?;
    let levels: Vec<_> = policies.iter().map(|policy| level_name(policy)).collect();
    let names: Vec<_> = fields.iter().map(|field| field.name).chain(levels.iter().map(String::as_str)).collect();
    let kinds: Vec<_> = fields.iter().map(|field| field.kind).chain(policies.iter().map(|_| "string")).collect();
    writeln!(out, "#fields\t{}\n#types\t{}", names.join("\t"), kinds.join("\t"))
}

fn line(format: ZeekFormat, path: &str, cells: &[(Cow<'_, str>, Cell<'_>)], out: &mut impl Write) -> io::Result<()> {
    match format {
        ZeekFormat::Json => {
            let mut object = Map::from_iter([("_path".to_owned(), path.into())]);
            object.extend(cells.iter().filter_map(|(name, cell)| Some((name.to_string(), json(cell)?))));
            serde_json::to_writer(&mut *out, &object)?;
        }
        ZeekFormat::Tsv => {
            let texts: Vec<_> = cells.iter().map(|(_, cell)| tsv(cell)).collect();
            out.write_all(texts.join("\t").as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

fn json(cell: &Cell<'_>) -> Option<Value> {
    Some(match cell {
        Cell::Unset => return None,
        Cell::Text(text) => (&**text).into(),
        Cell::Count(count) => (*count).into(),
        Cell::Flag(flag) => (*flag).into(),
        // A double holds the microseconds of this century.
        Cell::Seconds(nanoseconds) => (nanoseconds.div_euclid(1_000) as f64 / 1e6).into(),
    })
}

fn tsv(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Unset => "-".to_owned(),
        Cell::Text(text) => escape(text),
        Cell::Count(count) => count.to_string(),
        Cell::Flag(flag) => if *flag { "T" } else { "F" }.to_owned(),
        Cell::Seconds(nanoseconds) => {
            let sign = if *nanoseconds < 0 { "-" } else { "" };
            let microseconds = nanoseconds.div_euclid(1_000).unsigned_abs();
            format!("{sign}{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
        }
    }
}

/// A text that cannot be taken for a separator, for unset or for empty.
fn escape(text: &str) -> String {
    match text {
        "" => "(empty)".to_owned(),
        "-" => "\\x2d".to_owned(),
        "(empty)" => "\\x28empty)".to_owned(),
        _ => {
            let mut escaped = String::with_capacity(text.len());
            for letter in text.chars() {
                match letter {
                    '\\' => escaped.push_str("\\\\"),
                    control if control.is_ascii_control() => {
                        escaped.push_str(&format!("\\x{:02x}", u32::from(control)));
                    }
                    _ => escaped.push(letter),
                }
            }
            escaped
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::FlowSummary;
    use crate::tally::testing::office;

    fn records(flows: &[FlowSummary]) -> Vec<FlowRecord<'_>> {
        flows.iter().map(|flow| FlowRecord::new("a.pcap", flow, &[], &[])).collect()
    }

    fn stream(records: &[FlowRecord<'_>]) -> Vec<Value> {
        let mut logs = FlowZeek::stream(Vec::new(), &["bcp195".to_owned()]);
        records.iter().for_each(|record| logs.write(record).unwrap());
        let text = logs.finish().next().unwrap();
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn json_has_a_line_a_flow_and_one_a_handshake() {
        let flows = office();
        let records = records(&flows);
        let lines = stream(&records);
        let [conn, ssl] =
            ["conn", "ssl"].map(|path| lines.iter().filter(|line| line["_path"] == path).collect::<Vec<_>>());
        assert_eq!(conn.len(), flows.len());
        assert_eq!(ssl.len(), records.iter().filter(|record| record.tls.is_some()).count());
        let uids: BTreeSet<&str> = conn.iter().map(|line| line["uid"].as_str().unwrap()).collect();
        assert_eq!(uids.len(), conn.len(), "every flow has its own");
        assert!(uids.iter().all(|uid| uid.len() == 18 && uid.starts_with('C')));
        assert!(ssl.iter().all(|line| uids.contains(line["uid"].as_str().unwrap())));
        assert_eq!(lines, stream(&records), "the same flows have the same uids");

        let web = conn[0];
        assert_eq!(web["ts"].to_string(), "1533081600.000001");
        assert_eq!((&web["id.orig_h"], &web["id.orig_p"]), (&"10.0.0.1".into(), &50_000.into()));
        assert_eq!((&web["proto"], &web["service"]), (&"tcp".into(), &"ssl".into()));
        assert_eq!((&web["orig_bytes"], &web["tlscov.orig_bytes"]), (&500.into(), &1000.into()));
        assert_eq!((&ssl[0]["version"], &ssl[0]["cipher"]), (&"TLSv13".into(), &"TLS_AES_128_GCM_SHA256".into()));
        let mail = conn[3];
        assert_eq!(mail["service"], "smtp,ssl");
        assert!(conn.iter().any(|line| line.get("service").is_none()), "an unknown protocol has no service");
    }

    #[test]
    fn tsv_has_zeeks_heading_and_a_field_for_each_name() {
        let flows = office();
        let records = records(&flows);
        let policies = ["bcp195".to_owned()];
        let mut logs = FlowZeek::logs(Vec::new(), Vec::new(), ZeekFormat::Tsv, &policies).unwrap();
        records.iter().for_each(|record| logs.write(record).unwrap());
        for (path, text) in ["conn", "ssl"].iter().zip(logs.finish()) {
            let text = String::from_utf8(text).unwrap();
            let heading: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
            assert_eq!(
                heading[..4],
                ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-"]
            );
            assert_eq!(heading[4], format!("#path\t{path}"));
            let count = heading[5].split('\t').count();
            assert!(heading[5].starts_with("#fields\tts\tuid\tid.orig_h\t"), "{}", heading[5]);
            assert_eq!(heading[6].split('\t').count(), count);
            let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(rows.len() > 3 && rows.iter().all(|row| row.split('\t').count() == count - 1), "{text}");
            assert!(rows[0].starts_with("1533081600.000001\tC"), "{}", rows[0]);
        }
    }

    #[test]
    fn texts_of_the_capture_do_not_break_a_line() {
        let cases = [
            ("example.org", "example.org"),
            ("", "(empty)"),
            ("-", "\\x2d"),
            ("--", "--"),
            ("(empty)", "\\x28empty)"),
            ("a\tb\nc\u{1b}", "a\\x09b\\x0ac\\x1b"),
            ("a\\x09", "a\\\\x09"),
            ("bücher", "bücher"),
        ];
        for (text, want) in cases {
            assert_eq!(escape(text), want, "{text:?}");
        }
    }

    #[test]
    fn versions_have_zeeks_names() {
        let flows = office();
        let mut record = FlowRecord::new("a.pcap", &flows[0], &[], &[]);
        let cases = [
            ("tls", Some("1.3"), None, Some("TLSv13")),
            ("tls", Some("1.3"), Some(18), Some("TLSv13-draft18")),
            ("quic", Some("1.3"), None, Some("TLSv13")),
            ("dtls", Some("1.2"), None, Some("DTLSv12")),
            ("tls", Some("ssl3"), None, Some("SSLv3")),
            ("tls", Some("0xfafa"), None, Some("unknown-64250")),
            ("tls", None, None, None),
        ];
        for (protocol, number, draft, want) in cases {
            record.network.protocol = protocol;
            let tls = record.tls.as_mut().unwrap();
            (tls.version, tls.draft) = (number.map(Cow::Borrowed), draft);
            let have = match version(&record) {
                Cell::Text(text) => Some(text.into_owned()),
                _ => None,
            };
            assert_eq!(have.as_deref(), want, "{protocol} {number:?}");
        }
    }
}
