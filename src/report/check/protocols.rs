//! Names of protocols that can be seen in clear, so that a mistyped one is a mistake and no rule that always holds.

use std::collections::BTreeSet;

use crate::detect;

/// Nearer names that dissectors answer with instead of their own, and data in clear at the link layer and below flows.
const MORE: [&str; 34] = [
    "ah",
    "aoe",
    "bacnet",
    "dtls",
    "esp-null",
    "ethercat",
    "ftp-data",
    "gnutella",
    "goose",
    "gquic",
    "http",
    "http2",
    "lat",
    "llmnr",
    "lmtp",
    "macsec",
    "mdns",
    "nbns",
    "netbios",
    "powerlink",
    "profinet",
    "proxy-protocol",
    "quic",
    "rtcp",
    "rtp",
    "sampled-values",
    "sercos",
    "sip",
    "srtcp",
    "srtp",
    "t38",
    "tailscale-disco",
    "tls",
    "utp",
];

/// All names, in order.
pub(super) fn known() -> BTreeSet<&'static str> {
    detect::protocols().chain(MORE).collect()
}

/// The names most like `name`, the nearest first: those at most two changes away or that begin with it, three at most.
pub(super) fn nearest(name: &str, known: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let name = name.to_ascii_lowercase();
    let far = |other: &str| match other.starts_with(&name) || name.starts_with(other) {
        true => 1,
        false => distance(&name, other),
    };
    let mut near: Vec<_> = known.iter().map(|other| (far(other), *other)).filter(|(far, _)| *far <= 2).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, other)| other).collect()
}

/// Letters to insert, delete, replace or exchange with their neighbour: the optimal string alignment distance.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), other.chars().collect());
    let mut before_last = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = last[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn distances() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("htpp", "http", 1),
            ("tlenet", "telnet", 1),
            ("ftp", "sftp", 1),
            ("", "ab", 2),
            ("dns", "smb", 3),
        ];
        for (one, other, want) in cases {
            assert_eq!(distance(one, other), want, "{one} {other}");
            assert_eq!(distance(other, one), want, "{other} {one}");
        }
    }

    #[test]
    fn the_nearest_names() {
        let known = known();
        assert!(known.len() > 130, "{} names", known.len());
        let cases = [
            ("htpp", "http"),
            ("HTTP", "http"),
            ("tlenet", "telnet"),
            ("postgres", "postgresql"),
            ("ftps", "ftp"),
            ("mqqt", "mqtt"),
        ];
        for (name, want) in cases {
            assert_eq!(nearest(name, &known).first(), Some(&want), "{name}: {:?}", nearest(name, &known));
        }
        assert!(nearest("zzzzzzzzzz", &known).is_empty());
    }

    /// Every name that stands in the source as that of a protocol in clear is known.
    #[test]
    fn no_name_of_the_source_is_missing() {
        fn files(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => files(&path, found),
                    false if path.extension().is_some_and(|end| end == "rs") => {
                        let text = std::fs::read_to_string(&path).unwrap();
                        // Tests name protocols that there are not.
                        found.push(text.split("mod tests {").next().unwrap_or_default().to_owned());
                    }
                    false => {}
                }
            }
        }
        let mut texts = Vec::new();
        for folder in ["detect", "link", "net", "quic", "tls", "model"] {
            files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut texts);
        }
        let known = known();
        let mut seen = 0;
        for text in &texts {
            for start in ["Protocol(&\"", "Self(&\"", "Step::Plain(\""] {
                for rest in text.split(start).skip(1) {
                    let name = rest.split('"').next().unwrap_or_default();
                    seen += 1;
                    assert!(known.contains(name) || name == "unknown", "{name} is missing");
                }
            }
        }
        assert!(seen > 60, "{seen} names");
    }
}
