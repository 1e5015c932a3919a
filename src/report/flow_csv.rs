//! Flow records as CSV: the fields that fit a column, one flow a row, under the names of the JSON record.
//!
//! Lists are joined by spaces; what was not seen is empty. One pair of columns for each policy follows at the end.

use std::io::{self, Write};

use super::FlowRecord;

/// Writes flow records as CSV, the heading first.
pub struct FlowCsv<W: Write> {
    table: csv::Writer<W>,
    policies: Vec<String>,
}

impl<W: Write> FlowCsv<W> {
    /// Starts a table with columns for the policies of these names.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W, policies: Vec<String>) -> io::Result<Self> {
        let mut table = csv::Writer::from_writer(out);
        let verdicts =
            policies.iter().flat_map(|name| [format!("strength.{name}.level"), format!("strength.{name}.rules")]);
        table.write_record(COLUMNS.iter().map(|column| (*column).to_owned()).chain(verdicts))?;
        Ok(Self { table, policies })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> io::Result<()> {
        for field in fields(flow) {
            self.table.write_field(field)?;
        }
        for policy in &self.policies {
            let verdict = flow.strength.get(policy.as_str());
            self.table.write_field(verdict.map_or("", |verdict| verdict.level))?;
            self.table.write_field(verdict.map(|verdict| verdict.rules.join(" ")).unwrap_or_default())?;
        }
        self.table.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is still held back, and gives back what was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.table.into_inner().map_err(|error| error.into_error())
    }
}

const COLUMNS: [&str; 39] = [
    "capture",
    "start",
    "end",
    "network.type",
    "network.transport",
    "network.protocol",
    "network.application",
    "network.upgraded_from",
    "client.ip",
    "client.port",
    "client.packets",
    "client.bytes",
    "client.payload_bytes",
    "server.ip",
    "server.port",
    "server.packets",
    "server.bytes",
    "server.payload_bytes",
    "class",
    "evidence",
    "plaintext_bytes",
    "retransmitted_bytes",
    "tunnel",
    "tls.version",
    "tls.cipher",
    "tls.cipher_code",
    "tls.curve",
    "tls.server_name",
    "tls.next_protocol",
    "tls.resumed",
    "tls.established",
    "tls.ja3",
    "tls.ja3s",
    "tls.ja4",
    "tls.certificate.key",
    "tls.certificate.signature",
    "upgrade.protocol",
    "upgrade.outcome",
    "flags",
];

fn fields(flow: &FlowRecord<'_>) -> [String; COLUMNS.len()] {
    let tls = flow.tls.as_ref();
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let flag = |value: Option<bool>| value.map(|flag| flag.to_string()).unwrap_or_default();
    let certificate = tls.and_then(|tls| tls.certificate.as_ref());
    [
        flow.capture.to_owned(),
        flow.start.clone(),
        flow.end.clone(),
        flow.network.kind.to_owned(),
        flow.network.transport.to_string(),
        flow.network.protocol.to_owned(),
        text(flow.network.application),
        text(flow.network.upgraded_from),
        flow.client.ip.to_string(),
        flow.client.port.to_string(),
        flow.client.packets.to_string(),
        flow.client.bytes.to_string(),
        flow.client.payload_bytes.to_string(),
        flow.server.ip.to_string(),
        flow.server.port.to_string(),
        flow.server.packets.to_string(),
        flow.server.bytes.to_string(),
        flow.server.payload_bytes.to_string(),
        flow.class.to_owned(),
        flow.evidence.to_owned(),
        flow.plaintext_bytes.to_string(),
        flow.retransmitted_bytes.to_string(),
        flow.tunnel.join(" "),
        text(tls.and_then(|tls| tls.version.as_deref())),
        text(tls.and_then(|tls| tls.cipher.as_deref())),
        text(tls.and_then(|tls| tls.cipher_code.as_deref())),
        text(tls.and_then(|tls| tls.curve.as_deref())),
        text(tls.and_then(|tls| tls.server_name)),
        text(tls.and_then(|tls| tls.next_protocol)),
        flag(tls.and_then(|tls| tls.resumed)),
        flag(tls.and_then(|tls| tls.established)),
        text(tls.and_then(|tls| tls.ja3)),
        text(tls.and_then(|tls| tls.ja3s)),
        text(tls.and_then(|tls| tls.ja4)),
        text(certificate.map(|certificate| certificate.key)),
        text(certificate.map(|certificate| certificate.signature)),
        text(flow.upgrade.as_ref().map(|upgrade| upgrade.protocol)),
        text(flow.upgrade.as_ref().map(|upgrade| upgrade.outcome)),
        flow.flags.join(" "),
    ]
}
