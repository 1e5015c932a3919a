//! CycloneDX 1.7 cryptography bill of materials: the protocols and algorithms that were negotiated, with how often.
//!
//! Source: CycloneDX 1.7 JSON schema, `cryptoProperties`. CycloneDX has no field for how often an asset was seen, so counts
//! stand in `properties` under `tlscov:`. There is no serial number and no time: the same report gives the same bytes.
//!
//! Not handled: which suite ran under which version (the report has no such sums), certificates.

use crate::grade::finding::protects_in_name_only;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::layout::*;
use super::{Report, json as json_format};
use crate::grade::registry::{self, Suite};
use crate::tally::Sum;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    json_format::write_pretty(&bom(report), out)
}

fn bom(report: &Report) -> Value {
    let mut components = protocols(report);
    components.extend(versions(report));
    components.extend(algorithms(report));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {
            // The inventory was taken from a running network.
            "lifecycles": [{"phase": "discovery"}],
            "tools": {"components": [
                {"type": "application", "name": report.tool.name, "version": report.tool.version}
            ]},
            "properties": [
                property("captures", report.captures.len()),
                property("wire_bytes", report.coverage.totals.all.wire_bytes),
            ],
        },
        "components": components,
    })
}

/// Encrypting protocols; the cipher suites stand with the first one that negotiates suites.
fn protocols(report: &Report) -> Vec<Value> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for row in &report.protocols {
        if row.class == "encrypted" || protects_in_name_only(&row.name) {
            add(sums.entry(&row.name).or_default(), row.totals.flows, row.totals.wire_bytes);
        }
    }
    let with_suites = ["tls", "quic", "dtls"].into_iter().find(|name| sums.contains_key(name));
    sums.iter()
        .map(|(name, sum)| {
            let mut properties = vec![property("flows", sum.flows), property("wire_bytes", sum.wire_bytes)];
            let mut protocol = json!({"type": protocol_type(name)});
            if Some(*name) == with_suites && !report.tls.cipher_suites.is_empty() {
                protocol["cipherSuites"] = report.tls.cipher_suites.iter().map(cipher_suite).collect();
                for row in &report.tls.cipher_suites {
                    properties.push(property(&format!("cipher_suite:{}:flows", row.name), row.flows));
                }
            }
            let crypto = json!({"assetType": "protocol", "protocolProperties": protocol});
            component(&format!("protocol:{name}"), name, crypto, properties)
        })
        .collect()
}

/// The word of CycloneDX for a protocol.
fn protocol_type(name: &str) -> &'static str {
    match name {
        "tls" => "tls",
        "dtls" => "dtls",
        "quic" => "quic",
        "ssh" => "ssh",
        "esp" | "esp-null" | "ah" => "ipsec",
        "ike" | "isakmp" => "ike",
        "sstp" => "sstp",
        _ => "other",
    }
}

fn cipher_suite(row: &CodeRow) -> Value {
    let mut suite = Map::new();
    suite.insert("name".to_owned(), json!(row.name));
    let code = registry::parse_code(&row.code);
    if let Some(code) = code {
        let identifiers = code.to_be_bytes().map(|byte| format!("0x{byte:02X}"));
        suite.insert("identifiers".to_owned(), json!(identifiers));
    }
    let algorithms: Vec<_> =
        code.and_then(registry::suite).into_iter().flat_map(parts).map(|part| part.reference()).collect();
    if !algorithms.is_empty() {
        suite.insert("algorithms".to_owned(), json!(algorithms));
    }
    Value::Object(suite)
}

/// Versions of TLS and DTLS.
fn versions(report: &Report) -> Vec<Value> {
    let version = |row: &CodeRow| {
        let (family, number) = row.name.split_once(' ').unwrap_or((row.name.as_str(), ""));
        let kind = if family == "DTLS" { "dtls" } else { "tls" };
        let mut protocol = json!({"type": kind});
        if !number.is_empty() {
            protocol["version"] = json!(number);
        }
        let crypto = json!({"assetType": "protocol", "protocolProperties": protocol});
        component(&format!("version:{}", row.code), &row.name, crypto, counts(row.flows, row.wire_bytes))
    };
    report.tls.versions.iter().map(version).collect()
}

/// The algorithms inside the suites, the groups and the signature schemes.
fn algorithms(report: &Report) -> Vec<Value> {
    let mut sums: BTreeMap<Algorithm, Sum> = BTreeMap::new();
    for row in &report.tls.cipher_suites {
        let suite = registry::parse_code(&row.code).and_then(registry::suite);
        for algorithm in suite.into_iter().flat_map(parts) {
            add(sums.entry(algorithm).or_default(), row.flows, row.wire_bytes);
        }
    }
    for row in &report.tls.groups {
        add(sums.entry(group(row)).or_default(), row.flows, row.wire_bytes);
    }
    for row in &report.tls.signature {
        let algorithm =
            Algorithm { kind: "signature", name: row.name.clone(), primitive: "signature", ..Algorithm::default() };
        add(sums.entry(algorithm).or_default(), row.flows, row.wire_bytes);
    }
    sums.iter().map(|(algorithm, sum)| algorithm.component(*sum)).collect()
}

/// One algorithm, told apart by all that is known of it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Algorithm {
    kind: &'static str,
    name: String,
    /// Word of CycloneDX.
    primitive: &'static str,
    /// Word of CycloneDX.
    mode: Option<&'static str>,
    /// Effective key length. Unit: bits.
    bits: Option<u16>,
}

impl Algorithm {
    fn reference(&self) -> String {
        format!("{}:{}", self.kind, self.name)
    }

    fn component(&self, sum: Sum) -> Value {
        let mut properties = json!({"primitive": self.primitive});
        if let Some(mode) = self.mode {
            properties["mode"] = json!(mode);
        }
        if let Some(bits) = self.bits {
            properties["classicalSecurityLevel"] = json!(bits);
        }
        let crypto = json!({"assetType": "algorithm", "algorithmProperties": properties});
        component(&self.reference(), &self.name, crypto, counts(sum.flows, sum.wire_bytes))
    }
}

/// Cipher, hash and key exchange of a suite; no algorithm for what it leaves open or does without.
fn parts(suite: &'static Suite) -> Vec<Algorithm> {
    let mut parts = vec![cipher(suite)];
    if !matches!(suite.hash, "" | "none" | "null") {
        let name = suite.hash.to_uppercase();
        parts.push(Algorithm { kind: "hash", name, primitive: "hash", ..Algorithm::default() });
    }
    let exchange = match suite.kex {
        "" | "none" | "null" | "tls13" => None,
        "rsa" => Some("pke"),
        "dh" | "dhe" | "ecdh" | "ecdhe" | "eccpwd" | "srp" => Some("key-agree"),
        _ => Some("other"),
    };
    parts.extend(exchange.map(|primitive| {
        let name = suite.kex.to_uppercase();
        Algorithm { kind: "key-exchange", name, primitive, ..Algorithm::default() }
    }));
    parts
}

fn cipher(suite: &Suite) -> Algorithm {
    let (primitive, mode) = match (suite.cipher, suite.mode) {
        ("null" | "none" | "", _) => ("other", None),
        (_, "gcm") => ("ae", Some("gcm")),
        (_, "ccm" | "ccm_8") => ("ae", Some("ccm")),
        (_, "cbc") => ("block-cipher", Some("cbc")),
        (_, "ctr" | "cnt") => ("block-cipher", Some("ctr")),
        (_, "stream") => ("stream-cipher", None),
        _ => ("ae", None),
    };
    let name = match (suite.cipher, suite.mode) {
        ("null" | "none" | "", _) => "NULL".to_owned(),
        // 3DES has 168 bits of key and 112 of strength: the name has neither.
        ("3des", mode) => format!("3DES-{}", mode.to_uppercase()),
        ("chacha20", _) => "ChaCha20-Poly1305".to_owned(),
        (cipher, mode) if mode == "stream" || mode == cipher => format!("{}-{}", cipher.to_uppercase(), suite.bits),
        (cipher, mode) => format!("{}-{}-{}", cipher.to_uppercase(), suite.bits, mode.to_uppercase().replace('_', "-")),
    };
    Algorithm { kind: "cipher", name, primitive, mode, bits: Some(suite.bits) }
}

fn group(row: &CodeRow) -> Algorithm {
    let family = registry::parse_code(&row.code).and_then(registry::group).map(|group| group.family);
    let primitive = match family {
        Some("kem") => "kem",
        Some("hybrid") => "combiner",
        Some(_) => "key-agree",
        None => "unknown",
    };
    Algorithm { kind: "group", name: row.name.clone(), primitive, ..Algorithm::default() }
}

fn component(reference: &str, name: &str, crypto: Value, properties: Vec<Value>) -> Value {
    json!({
        "type": "cryptographic-asset",
        "bom-ref": reference,
        "name": name,
        "cryptoProperties": crypto,
        "properties": properties,
    })
}

fn counts(flows: u64, wire_bytes: u64) -> Vec<Value> {
    vec![property("flows", flows), property("wire_bytes", wire_bytes)]
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({"name": format!("tlscov:{name}"), "value": value.to_string()})
}

fn add(sum: &mut Sum, flows: u64, wire_bytes: u64) {
    sum.flows += flows;
    sum.wire_bytes += wire_bytes;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tally::Tally;
    use crate::tally::testing::office_tally;

    #[test]
    fn every_component_has_what_the_standard_asks_for() {
        let bom = bom(&Report::new(&office_tally()));
        assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.7")));
        let components = bom["components"].as_array().unwrap();
        let references: BTreeSet<_> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(references.len(), components.len(), "each bom-ref once");
        let mut kinds = BTreeSet::new();
        for one in components {
            assert_eq!(one["type"], "cryptographic-asset");
            assert!(!one["name"].as_str().unwrap().is_empty());
            let crypto = &one["cryptoProperties"];
            match crypto["assetType"].as_str().unwrap() {
                "algorithm" => assert!(crypto["algorithmProperties"]["primitive"].is_string(), "{one}"),
                "protocol" => assert!(crypto["protocolProperties"]["type"].is_string(), "{one}"),
                other => panic!("{other}"),
            }
            kinds.insert(crypto["assetType"].as_str().unwrap());
            assert_eq!(one["properties"][0]["name"], "tlscov:flows");
            for suite in crypto["protocolProperties"]["cipherSuites"].as_array().into_iter().flatten() {
                for algorithm in suite["algorithms"].as_array().unwrap() {
                    assert!(references.contains(algorithm.as_str().unwrap()), "{algorithm} is no component");
                }
            }
        }
        assert_eq!(kinds.len(), 2);
    }

    #[test]
    fn names_of_ciphers() {
        let cases = [
            ("TLS_AES_128_GCM_SHA256", "AES-128-GCM", "ae", Some("gcm"), 128),
            ("TLS_RSA_WITH_AES_256_CCM_8", "AES-256-CCM-8", "ae", Some("ccm"), 256),
            ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "3DES-CBC", "block-cipher", Some("cbc"), 112),
            ("TLS_RSA_WITH_RC4_128_SHA", "RC4-128", "stream-cipher", None, 128),
            ("TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "ae", None, 256),
            ("TLS_RSA_WITH_NULL_SHA", "NULL", "other", None, 0),
        ];
        for (suite, name, primitive, mode, bits) in cases {
            let got = cipher(registry::suite_by_name(suite).unwrap());
            assert_eq!(
                (got.name.as_str(), got.primitive, got.mode, got.bits),
                (name, primitive, mode, Some(bits)),
                "{suite}"
            );
        }
    }

    #[test]
    fn an_empty_report_has_no_components() {
        assert_eq!(bom(&Report::new(&Tally::default()))["components"], json!([]));
    }
}
