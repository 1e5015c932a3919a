//! `tlscov explain`: of each flow, which bytes led to which class, and which rules to which level.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::grade::{Format, PolicyVerdict, load, read_date, write_json};
use crate::capture;
use crate::error::{Error, Result};
use crate::grade::{Policy, Verdict, builtin_names, finding};
use crate::model::{Class, FlowSummary, Trace};
use crate::pipeline;
use crate::report::FlowRecord;
use crate::tally::established;

/// Explain flow by flow why it has its class and its level
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One capture, or `-` for standard input
    #[arg(value_name = "CAPTURE")]
    capture: String,
    /// Only the flow of this number, counted from 1 in the order of first frames
    #[arg(long, value_name = "N")]
    flow: Option<usize>,
    /// Grade under this policy: a built-in name or a policy file, with @DATE by the rules of that day; may be repeated
    #[arg(long, value_name = "NAME|FILE[@DATE]", default_value = builtin_names()[0])]
    policy: Vec<String>,
    /// Grade by the rules in force on this day (YYYY-MM-DD) [default: the latest]
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Memory for the flows of the capture. Unit: bytes.
const MAX_MEMORY: u64 = 1 << 30;

/// Runs `tlscov explain`.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let date = args.as_of.as_deref().map(read_date).transpose()?;
    let policies = args.policy.iter().map(|name| load(name, date)).collect::<Result<Vec<_>>>()?;
    let found = capture::expand(std::slice::from_ref(&args.capture));
    if let Some(error) = found.errors.into_iter().next() {
        return Err(error);
    }
    let [input] = found.inputs.as_slice() else {
        return Err(Error::usage(&*args.capture, "one capture was expected, as a file or `-`"));
    };
    let options = pipeline::Options {
        trace: true,
        max_memory: MAX_MEMORY,
        strict: true,
        policies: Arc::new(policies),
        ..pipeline::Options::default()
    };
    let flows = pipeline::trace(input, &options)?;
    let numbered: Vec<_> = match args.flow {
        None => flows.iter().zip(1..).collect(),
        Some(number) => {
            let one = number.checked_sub(1).and_then(|place| flows.get(place));
            let missing = || Error::usage("--flow", format!("{number}: the capture has flows 1 to {}", flows.len()));
            vec![(one.ok_or_else(missing)?, number)]
        }
    };
    let explained: Vec<Explained<'_>> = numbered
        .into_iter()
        .map(|((flow, verdicts), number)| Explained::new(&args.capture, number, flow, verdicts, &options.policies))
        .collect();
    match args.format {
        Format::Json => write_json(out, &explained)?,
        Format::Text => explained.iter().try_for_each(|flow| flow.write(out))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Explained<'a> {
    number: usize,
    /// Frames are counted from 1, as Wireshark does.
    first_frame: u64,
    recognised: Recognised,
    /// What was read, as in a flow record.
    flow: FlowRecord<'a>,
    verdicts: Vec<PolicyVerdict>,
    findings: Vec<Found>,
}

/// How the flow came by its protocol and class.
#[derive(Serialize)]
struct Recognised {
    #[serde(skip_serializing_if = "Option::is_none")]
    dissector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_in: Option<String>,
    /// Packets of the flow after which it was recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<u64>,
    /// The frame that decided it, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    deciding_frame: Option<u64>,
    /// Class and evidence by these bytes alone, where reading on changed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_first: Option<String>,
    /// First bytes of each side that it looked at, in hex. Empty where a password may be among them.
    client_opening: String,
    server_opening: String,
    /// Why these bytes are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
    /// In words.
    why: &'static str,
}

/// Said instead of the first bytes of a flow with a password in clear: it is counted and never printed.
const WITHHELD: &str = "a password in clear may be among the first bytes";

#[derive(Serialize)]
struct Found {
    id: &'static str,
    severity: &'static str,
    what: &'static str,
    source: &'static str,
}

impl<'a> Explained<'a> {
    fn new(
        capture: &'a str,
        number: usize,
        flow: &'a FlowSummary,
        verdicts: &'a [Verdict],
        policies: &'a [Policy],
    ) -> Self {
        let trace = flow.facts.as_ref().and_then(|facts| facts.trace.as_deref());
        let verdicts_written =
            policies.iter().zip(verdicts).map(|(policy, verdict)| PolicyVerdict::new(policy, verdict));
        let findings = finding::of(flow, established(flow));
        Self {
            number,
            first_frame: flow.first_frame + 1,
            recognised: Recognised::new(flow, trace),
            flow: FlowRecord::new(capture, flow, verdicts, policies),
            verdicts: verdicts_written.collect(),
            findings: findings
                .map(|found| Found {
                    id: found.id,
                    severity: found.concern.name(),
                    what: found.what,
                    source: found.source,
                })
                .collect(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let (flow, how) = (&self.flow, &self.recognised);
        let sides = [("client", &flow.client), ("server", &flow.server)];
        let [client, server] = sides.map(|(_, peer)| match peer.ip {
            std::net::IpAddr::V6(ip) => format!("[{ip}]:{}", peer.port),
            std::net::IpAddr::V4(ip) => format!("{ip}:{}", peer.port),
        });
        writeln!(
            out,
            "flow {}: {client} -> {server} over {}, from frame {}",
            self.number, flow.network.transport, self.first_frame
        )?;
        let from = flow.network.upgraded_from.map(|from| format!(", after {from}")).unwrap_or_default();
        writeln!(out, "  {} {}{from}, evidence {}", flow.class, flow.network.protocol, flow.evidence)?;
        writeln!(out, "    {}", how.why)?;
        match (&how.dissector, &how.written_in) {
            (Some(name), Some(place)) => {
                let packets = how.packets.unwrap_or_default();
                let frame = how.deciding_frame.unwrap_or_default();
                writeln!(
                    out,
                    "    recognised by the dissector of {name} ({place}) at frame {frame}, packet {packets} of the flow"
                )?;
            }
            _ => writeln!(out, "    no dissector knows its first bytes")?,
        }
        if let Some(at_first) = &how.at_first {
            writeln!(out, "    by these bytes alone it was {at_first}; reading on said more")?;
        }
        for (side, bytes) in [("client", &how.client_opening), ("server", &how.server_opening)] {
            if !bytes.is_empty() {
                writeln!(out, "    {side} opens with {bytes}")?;
            }
        }
        if let Some(why) = how.withheld {
            writeln!(out, "    the first bytes are not shown: {why}")?;
        }
        if let Some(facts) = self.facts() {
            writeln!(out, "  read: {facts}")?;
        }
        if !flow.flags.is_empty() {
            writeln!(out, "  flags: {}", flow.flags.join(", "))?;
        }
        for verdict in &self.verdicts {
            verdict.write(out)?;
        }
        for found in &self.findings {
            writeln!(out, "  finding {} ({}): {}", found.id, found.severity, found.what)?;
            writeln!(out, "      {}", found.source)?;
        }
        Ok(writeln!(out)?)
    }

    /// The facts as the flow record has them, in one line of `key value`.
    fn facts(&self) -> Option<String> {
        let mut words = Vec::new();
        for (name, part) in [
            ("tls", serde_json::to_value(&self.flow.tls).ok()?),
            ("quic", serde_json::to_value(&self.flow.quic).ok()?),
            ("ssh", serde_json::to_value(&self.flow.ssh).ok()?),
            ("algorithms", serde_json::to_value(&self.flow.algorithms).ok()?),
            ("upgrade", serde_json::to_value(&self.flow.upgrade).ok()?),
        ] {
            for (key, value) in part.as_object().into_iter().flatten() {
                words.push(format!("{name}.{key} {}", plain(value)));
            }
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// A JSON value for people: no quotes, no control characters.
fn plain(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("/"),
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

impl Recognised {
    fn new(flow: &FlowSummary, trace: Option<&Trace>) -> Self {
        let secret = finding::of(flow, established(flow)).any(finding::Finding::shows_password);
        let openings = trace.filter(|_| !secret).map(|trace| &trace.openings);
        let opening = |side: usize| openings.and_then(|openings| openings.get(side)).map(|bytes| hex(bytes));
        let (dissector, written_in) = match trace.and_then(|trace| trace.dissector.as_ref()) {
            Some((protocol, place)) => (Some(protocol.name().to_owned()), Some(place.clone())),
            None => (None, None),
        };
        let said = trace.and_then(|trace| trace.said).filter(|said| *said != (flow.class, flow.evidence));
        Self {
            packets: dissector.as_ref().and(trace).map(|trace| trace.packets),
            deciding_frame: dissector.as_ref().and(trace).map(|trace| trace.frame + 1),
            dissector,
            written_in,
            at_first: said.map(|(class, evidence)| format!("{} by {}", class.name(), evidence.name())),
            client_opening: opening(0).unwrap_or_default(),
            server_opening: opening(1).unwrap_or_default(),
            withheld: secret.then_some(WITHHELD),
            why: why(flow),
        }
    }
}

/// What the evidence of the flow means.
fn why(flow: &FlowSummary) -> &'static str {
    use crate::model::Evidence::{Association, Framing, Handshake, None, OneSided, Signature, Verified};
    match (flow.class, flow.evidence) {
        (Class::Control, _) => "no payload byte was sent",
        (Class::Unknown, _) => "nothing that was seen is sufficient evidence of a protocol",
        (_, Verified) => "a cryptographic check passed",
        (_, Handshake) => "both sides of a handshake were seen",
        (_, OneSided) => "one side of a handshake was seen",
        (_, Framing) => "several records in a row fit together",
        (_, Signature) => "the payload has a pattern that only this protocol has",
        (_, Association) => "another flow announced it",
        (_, None) => "there is no evidence",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
