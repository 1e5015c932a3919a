//! By what traffic is broken down, and the names that the user gives to networks and domains.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use super::geo::Geo;
use super::label::server_port;
use crate::error::{Error, Result};
use crate::model::{FlowSummary, Transport};

/// What to break down by.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By the server's port, as the service that is registered for it.
    pub by_service: bool,
    /// By the VLAN of the first frame.
    pub by_vlan: bool,
    /// By the registrable domain of the server name in the ClientHello.
    pub by_name: bool,
    /// By direction, seen from these networks.
    pub local: Option<Networks>,
    /// By the names that the user gave.
    pub labels: Option<Labels>,
    /// By the autonomous system of the server, from this database.
    pub systems: Option<Geo>,
    /// By the country of the server, from this database.
    pub countries: Option<Geo>,
}

/// One kind of breakdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum By {
    /// Server port. It says where traffic went, and nothing about its class.
    Service,
    /// Into, out of, within or past the local networks.
    Direction,
    /// The user's names.
    Label,
    /// The outermost VLAN of the first frame.
    Vlan,
    /// The autonomous system of the server; of the client when the database knows only that.
    System,
    /// The country of the server; of the client when the database knows only that.
    Country,
    /// Public suffix and one label of the server name.
    ServerName,
}

impl By {
    /// All kinds, in the order of the report.
    pub const ALL: [Self; 7] =
        [Self::Service, Self::Direction, Self::Label, Self::Vlan, Self::System, Self::Country, Self::ServerName];

    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Direction => "direction",
            Self::Label => "label",
            Self::Vlan => "vlan",
            Self::System => "asn",
            Self::Country => "country",
            Self::ServerName => "server_name",
        }
    }
}

/// What neither address of a flow is listed as in a database.
const UNLISTED: &str = "not listed";

impl Plan {
    /// All that it says, in one text that is equal for equal plans.
    #[must_use]
    pub fn describe(&self) -> String {
        let networks = |networks: &Networks| {
            let mut rows: Vec<_> = networks.numbers.iter().collect();
            rows.sort_unstable();
            format!("{rows:?}")
        };
        let labels = self.labels.as_ref().map(|labels| {
            let mut suffixes: Vec<_> = labels.suffixes.iter().collect();
            suffixes.sort_unstable();
            format!("{:?} {} {suffixes:?}", labels.names, networks(&labels.networks))
        });
        let Self { by_service, by_vlan, by_name, local, systems, countries, .. } = self;
        let local = local.as_ref().map(networks);
        format!("{by_service} {by_vlan} {by_name} {local:?} {labels:?} {systems:?} {countries:?}")
    }

    /// Whether there is nothing to break down by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { by_service, by_vlan, by_name, local, labels, systems, countries } = self;
        !by_service
            && !by_vlan
            && !by_name
            && local.is_none()
            && labels.is_none()
            && systems.is_none()
            && countries.is_none()
    }

    /// Where `flow` belongs in each breakdown.
    pub(super) fn places<'a>(&'a self, flow: &FlowSummary) -> impl Iterator<Item = (By, Cow<'a, str>)> {
        let client = flow.key.endpoint(flow.client).ip;
        let server = flow.key.endpoint(flow.client.other()).ip;
        let service = self.by_service.then(|| service(flow.key.transport(), server_port(flow)).into());
        let direction = self.local.as_ref().map(|local| {
            let word = match (local.contains(client), local.contains(server)) {
                (true, true) => "internal",
                (true, false) => "outbound",
                (false, true) => "inbound",
                (false, false) => "external",
            };
            word.into()
        });
        let label = self.labels.as_ref().map(|labels| labels.of(flow, client, server).into());
        let vlan = self.by_vlan.then(|| match flow.vlan {
            0 => "untagged".into(),
            vlan => vlan.to_string().into(),
        });
        let listed = |database: &Geo, look: fn(&Geo, IpAddr) -> Option<String>| {
            let found = look(database, server).or_else(|| look(database, client));
            found.map_or(Cow::Borrowed(UNLISTED), Cow::Owned)
        };
        let system = self.systems.as_ref().map(|database| listed(database, Geo::system));
        let country = self.countries.as_ref().map(|database| listed(database, Geo::country));
        let name = self.by_name.then(|| domain(server_name(flow)).map_or(Cow::Borrowed("no name"), Cow::Owned));
        let words = [service, direction, label, vlan, system, country, name];
        By::ALL.into_iter().zip(words).filter_map(|(by, word)| Some((by, word?)))
    }
}

/// The server name that the client asked for.
fn server_name(flow: &FlowSummary) -> Option<&str> {
    flow.facts.as_ref()?.tls.as_deref()?.server_name.as_deref()
}

/// The registrable domain of a server name: its public suffix and the label before; `None` when the name is no domain name
/// (RFC 1035 section 2.3.1, underscores allowed), or nothing but a public suffix.
///
/// Source: the Public Suffix List, <https://publicsuffix.org/list/>. A suffix that is not on the list is one label.
fn domain(name: Option<&str>) -> Option<String> {
    let name = name?.trim_end_matches('.').to_ascii_lowercase();
    let letters = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    let is_name = name.len() <= 253 && name.split('.').all(letters) && name.parse::<IpAddr>().is_err();
    psl::domain_str(&name).filter(|_| is_name).map(str::to_owned)
}

/// Networks, each with a number; the longest prefix decides.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Prefix lengths in use, longest first.
    lengths: Vec<u32>,
    numbers: HashMap<(u32, u128), usize>,
}

impl Networks {
    /// The networks in a list such as `10.0.0.0/8,2001:db8::/32`.
    ///
    /// # Errors
    /// Which of them is no network.
    pub fn parse(list: &str) -> std::result::Result<Self, String> {
        let mut networks = Self::default();
        for text in list.split(',') {
            let (bits, len) = prefix(text.trim()).ok_or_else(|| {
                format!(
                    "`{text}` is no network; write it as 10.0.0.0/8 or 2001:db8::/32, without bits beyond the prefix"
                )
            })?;
            networks.add(bits, len, 0);
        }
        Ok(networks)
    }

    fn add(&mut self, bits: u128, len: u32, number: usize) {
        self.numbers.entry((len, bits)).or_insert(number);
        if let Err(place) = self.lengths.binary_search_by(|other| len.cmp(other)) {
            self.lengths.insert(place, len);
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.number(address).is_some()
    }

    fn number(&self, address: IpAddr) -> Option<usize> {
        let bits = bits(address);
        self.lengths.iter().find_map(|len| self.numbers.get(&(*len, bits & mask(*len))).copied())
    }
}

/// Names for networks and domains.
///
/// The server name of the ClientHello decides first (longest suffix), then the client's address, then the server's
/// (longest prefix).
#[derive(Clone, Debug, Default)]
pub struct Labels {
    names: Vec<String>,
    networks: Networks,
    suffixes: HashMap<String, usize>,
}

/// What no label speaks of.
const UNLABELLED: &str = "unlabelled";

/// Names in a file of labels: each costs memory for its sums.
const MAX_NAMES: usize = 1_000;

impl Labels {
    /// The labels in the CSV file `path`: a network or a domain suffix, a comma, a name. Lines that begin with `#` are
    /// left out.
    ///
    /// # Errors
    /// When it cannot be read; else the first line that is no label.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::file(path, format!("cannot read this file of labels: {error}")))?;
        Self::parse(&text).map_err(|what| Error::file(path, what))
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut labels = Self::default();
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text.as_bytes());
        for row in rows.records() {
            let row = row.map_err(|error| error.to_string().replace('\n', " "))?;
            let line = row.position().map_or(0, csv::Position::line);
            let [what, name] = [row.get(0), row.get(1)].map(Option::unwrap_or_default);
            if row.len() != 2 || name.is_empty() {
                return Err(format!("line {line}: expected a network or domain, a comma, and a name"));
            }
            labels.add(what, name).map_err(|what| format!("line {line}: {what}"))?;
        }
        Ok(labels)
    }

    fn add(&mut self, what: &str, name: &str) -> std::result::Result<(), String> {
        let number = self.names.iter().position(|other| other == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        if self.names.len() > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} different names"));
        }
        if let Some((bits, len)) = prefix(what) {
            self.networks.add(bits, len, number);
            return Ok(());
        }
        let suffix = what.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        let letters = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if suffix.is_empty() || !letters || !suffix.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Err(format!("`{what}` is neither a network such as 10.0.0.0/8 nor a domain such as example.org"));
        }
        self.suffixes.entry(suffix).or_insert(number);
        Ok(())
    }

    fn of(&self, flow: &FlowSummary, client: IpAddr, server: IpAddr) -> &str {
        let number = server_name(flow)
            .and_then(|name| self.suffix(name))
            .or_else(|| self.networks.number(client))
            .or_else(|| self.networks.number(server));
        number.and_then(|number| self.names.get(number)).map_or(UNLABELLED, String::as_str)
    }

    fn suffix(&self, name: &str) -> Option<usize> {
        if self.suffixes.is_empty() {
            return None;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = name.as_str();
        loop {
            if let Some(number) = self.suffixes.get(rest) {
                return Some(*number);
            }
            rest = rest.split_once('.')?.1;
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(len: u32) -> u128 {
    u128::MAX.checked_shl(128 - len.min(128)).unwrap_or(0)
}

/// The bits and length of a network; IPv4 as mapped into IPv6.
fn prefix(text: &str) -> Option<(u128, u32)> {
    let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
    let address: IpAddr = address.parse().ok()?;
    let (most, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let len = len.map_or(Some(most), |len| len.parse::<u32>().ok())?;
    let bits = bits(address);
    (len <= most && bits & !mask(len + before) == 0).then_some((bits, len + before))
}

/// The service that is registered for a port.
///
/// Source: IANA "Service Name and Transport Protocol Port Number Registry", a small choice of it.
fn service(transport: Transport, port: u16) -> &'static str {
    let found = SERVICES.binary_search_by_key(&port, |(number, _)| *number).ok().map(|place| SERVICES[place].1);
    match (transport, found) {
        (Transport::TCP | Transport::UDP | Transport::SCTP, Some(name)) => name,
        (Transport::TCP, None) => "other tcp port",
        (Transport::UDP, None) => "other udp port",
        _ => "no port",
    }
}

/// Ports and services, in order of port.
const SERVICES: [(u16, &str); 52] = [
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "domain"),
    (67, "bootps"),
    (68, "bootpc"),
    (69, "tftp"),
    (80, "http"),
    (88, "kerberos"),
    (110, "pop3"),
    (111, "sunrpc"),
    (119, "nntp"),
    (123, "ntp"),
    (135, "epmap"),
    (137, "netbios-ns"),
    (138, "netbios-dgm"),
    (139, "netbios-ssn"),
    (143, "imap"),
    (161, "snmp"),
    (162, "snmptrap"),
    (179, "bgp"),
    (389, "ldap"),
    (443, "https"),
    (445, "microsoft-ds"),
    (465, "submissions"),
    (500, "isakmp"),
    (514, "syslog"),
    (554, "rtsp"),
    (587, "submission"),
    (631, "ipp"),
    (636, "ldaps"),
    (853, "domain-s"),
    (989, "ftps-data"),
    (990, "ftps"),
    (993, "imaps"),
    (995, "pop3s"),
    (1433, "ms-sql-s"),
    (1521, "ncube-lm"),
    (1883, "mqtt"),
    (3306, "mysql"),
    (3389, "ms-wbt-server"),
    (4500, "ipsec-nat-t"),
    (5060, "sip"),
    (5061, "sips"),
    (5222, "xmpp-client"),
    (5353, "mdns"),
    (5432, "postgresql"),
    (6379, "redis"),
    (8080, "http-alt"),
    (8883, "secure-mqtt"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::super::testing::{flow, tls13, with_tls};
    use super::*;
    use crate::model::{Class, Evidence, Protocol};

    #[test]
    fn services_are_in_order() {
        assert!(SERVICES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let cases = [
            (Transport::TCP, 443, "https"),
            (Transport::UDP, 443, "https"),
            (Transport::TCP, 444, "other tcp port"),
            (Transport::UDP, 50_000, "other udp port"),
            (Transport::ESP, 0, "no port"),
        ];
        for (transport, port, want) in cases {
            assert_eq!(service(transport, port), want);
        }
    }

    #[test]
    fn flows_have_one_place_in_each_breakdown() {
        // 10.0.0.1 asks 192.0.2.1 for example.org.
        let web = with_tls(flow(1, 443, Protocol::TLS, Class::Encrypted, Evidence::Handshake), tls13());
        let silent = flow(2, 443, Protocol::TLS, Class::Encrypted, Evidence::Framing);
        let labels = |text| Some(Labels::parse(text).unwrap());
        let local = |text| Some(Networks::parse(text).unwrap());
        let cases = [
            ("domain before network", labels("10.0.0.0/8,office\nexample.org,bank"), None, &web, "bank"),
            ("suffix", labels("ORG,world"), None, &web, "world"),
            ("no suffix in mid-word", labels("ample.org,bank"), None, &web, "unlabelled"),
            ("longest prefix", labels("10.0.0.0/8,all\n10.0.0.0/24,floor"), None, &silent, "floor"),
            ("client before server", labels("192.0.2.0/24,cloud\n10.0.0.2,desk"), None, &silent, "desk"),
            ("server", labels("# remark\n192.0.2.0/24, cloud\n"), None, &silent, "cloud"),
            ("nothing", labels("2001:db8::/32,lab"), None, &silent, "unlabelled"),
            ("outbound", None, local("10.0.0.0/8"), &web, "outbound"),
            ("inbound", None, local("192.0.2.1"), &web, "inbound"),
            ("internal", None, local("10.0.0.0/8, 192.0.2.0/24"), &web, "internal"),
            ("external", None, local("fe80::/10"), &web, "external"),
        ];
        for (name, labels, local, flow, want) in cases {
            let plan = Plan { local, labels, ..Plan::default() };
            assert_eq!(plan.places(flow).map(|(_, word)| word).collect::<Vec<_>>(), [want], "{name}");
        }
    }

    #[test]
    fn names_end_at_the_registrable_domain() {
        let cases = [
            ("www.Example.ORG", Some("example.org")),
            ("example.org.", Some("example.org")),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("someone.github.io", Some("someone.github.io")),
            ("co.uk", None),
            ("localhost", None),
            ("host.lan", Some("host.lan")),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("<b>.example.org", None),
            ("a..example.org", None),
            ("", None),
        ];
        for (name, want) in cases {
            assert_eq!(domain(Some(name)).as_deref(), want, "{name}");
        }
        assert_eq!(domain(Some(&format!("{}.org", "a".repeat(64)))), None);
        assert_eq!(domain(None), None);
        let plan = Plan { by_name: true, by_vlan: true, ..Plan::default() };
        let mut web = with_tls(flow(1, 443, Protocol::TLS, Class::Encrypted, Evidence::Handshake), tls13());
        web.vlan = 12;
        let places = |flow| plan.places(flow).map(|(_, word)| word.into_owned()).collect::<Vec<_>>();
        assert_eq!(places(&web), ["12", "example.org"]);
        assert_eq!(places(&flow(2, 443, Protocol::TLS, Class::Encrypted, Evidence::Framing)), ["untagged", "no name"]);
        assert!(!plan.is_empty() && Plan::default().is_empty());
    }

    #[test]
    fn what_is_no_network_or_label_is_refused() {
        for text in ["10.0.0.0/33", "10.0.0.1/8", "10.0.0", "", "::/129", "10.0.0.0/-1"] {
            assert!(Networks::parse(text).is_err(), "{text}");
        }
        assert!(Networks::parse("0.0.0.0/0").unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!(!Networks::parse("0.0.0.0/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        let cases = [
            ("10.0.0.0/8,a\n10.0.0.1/8,b", "line 2: `10.0.0.1/8` is neither"),
            ("example.org", "line 1: expected a network or domain"),
            ("a,b,c", "line 1: expected"),
            ("ex ample.org,bank", "line 1: `ex ample.org`"),
        ];
        for (text, want) in cases {
            let error = Labels::parse(text).unwrap_err();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }
}
