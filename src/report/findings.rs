//! What weakens encryption in these captures, in plain words, with what to do about it.
//!
//! Findings are worked out from the sums of the report alone. Those that a policy decides are its rules and stand under
//! `strength`; here are the ones that hold under any policy.

use super::layout::{Finding, Report};
use crate::model::Units;
use crate::tally::Tally;

/// The findings of `report`, worst first.
pub(super) fn of(report: &Report) -> Vec<Finding> {
    let mut findings = all(report);
    findings.retain(|finding| finding.totals != Units::default());
    findings
}

/// The identifiers of all findings that there are.
pub(super) fn ids() -> Vec<String> {
    all(&Report::new(&Tally::default())).into_iter().map(|finding| finding.id).collect()
}

/// Every finding, with empty totals where it was not found.
fn all(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |id: &str, severity: &str, totals: Units, what: &str, advice: &str| {
        let [id, severity, what, advice] = [id, severity, what, advice].map(str::to_owned);
        findings.push(Finding { id, severity, what, advice, totals });
    };
    let in_clear = |names: &[&str]| {
        let rows = report.protocols.iter().filter(|row| row.class == "plaintext" && names.contains(&row.name.as_str()));
        sum(rows.map(|row| row.totals))
    };
    let upgrades = |part: fn(&super::UpgradeRow) -> Units| sum(report.upgrades.iter().map(part));
    add(
        "encryption_in_name_only",
        "high",
        in_clear(&IN_NAME_ONLY),
        "an encrypting protocol was used without encryption (NULL cipher or integrity only)",
        "take NULL and integrity-only suites out of the configuration of both ends",
    );
    add(
        "login_in_clear",
        "high",
        in_clear(&LOGIN_PROTOCOLS),
        "protocols that carry passwords ran in clear",
        "move them to their encrypted form (SSH, SFTP, IMAPS, POP3S, LDAPS) and close the old ports",
    );
    add(
        "upgrade_refused",
        "high",
        upgrades(|row| row.refused),
        "clients asked for encryption and the server refused",
        "switch STARTTLS on at the server; if it is on, look for a device in between that strips it",
    );
    add(
        "upgrade_failed",
        "high",
        upgrades(|row| row.failed),
        "encryption was agreed and did not follow",
        "look at the server's certificate and TLS settings, and for a device that interferes",
    );
    add(
        "upgrade_unused",
        "medium",
        upgrades(|row| row.offered),
        "the server offered encryption and the client did not take it",
        "make encryption mandatory at the clients or the server (MTA-STS, DANE, \"require TLS\")",
    );
    add(
        "web_in_clear",
        "medium",
        report.coverage.web_share.cleartext,
        "web pages and APIs were fetched over HTTP in clear",
        "redirect to HTTPS and send Strict-Transport-Security (RFC 6797)",
    );
    add(
        "names_in_clear",
        "low",
        in_clear(&["dns"]),
        "names were looked up in clear",
        "use DNS over TLS, HTTPS or QUIC (RFC 7858, RFC 8484, RFC 9250) to the resolver",
    );
    findings
}

/// Protocols that encrypt by nature: in clear they protect in name only.
pub(super) const IN_NAME_ONLY: [&str; 6] = ["tls", "dtls", "ssh", "esp", "ah", "macsec"];

/// Protocols whose logins are readable when they run in clear.
const LOGIN_PROTOCOLS: [&str; 8] = ["telnet", "ftp", "pop3", "imap", "ldap", "rlogin", "vnc", "snmp"];

fn sum(units: impl Iterator<Item = Units>) -> Units {
    let mut total = Units::default();
    for more in units {
        total.merge(&more);
    }
    total
}
