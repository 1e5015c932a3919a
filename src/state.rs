//! State files: what is open between two parts of a capture, and whose it is.
//!
//! A state goes on only where it fits: the same link, the same program, the same options that change results. All else
//! would give figures that no scan of the whole gives, so it is refused, with the reason.
//!
//! Layout: the line `tlscov state 1` (the number of the format), one line of JSON ([`Header`]), the content (postcard), and
//! the SHA-256 of all before it. The sum finds damage, not forgery: a state is trusted like the memory of the program. It
//! holds addresses and the first bytes of open flows, and is readable for its owner only.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::pipeline::Options;

/// Number of the format of state files.
const FORMAT: u32 = 1;

/// What a state file begins with, before the number of its format.
const MAGIC: &str = "tlscov state ";

/// The program as far as states are concerned.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), ", build ", env!("TLSCOV_BUILD"));

/// Whose state it is: only a scan with an equal owner may go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The link that the capture is of.
    pub link: String,
    /// The options that change results, as the user types them, and their values.
    pub options: BTreeMap<String, String>,
}

/// The second line of a state file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    program: String,
    #[serde(flatten)]
    owner: Owner,
    /// Length of the content. Unit: bytes.
    bytes: u64,
}

impl Owner {
    /// The owner of a scan of `link` with `options`.
    #[must_use]
    pub fn new(link: String, options: &Options) -> Self {
        let policies = options.policies.iter().map(|policy| {
            let digest = hex(&Sha256::digest(format!("{policy:?}")), 4);
            format!("{} {} ({digest})", policy.label(), policy.version())
        });
        let mut known = BTreeMap::from([
            ("--policy".to_owned(), policies.collect::<Vec<_>>().join(", ")),
            ("--max-memory".to_owned(), options.max_memory.to_string()),
            ("--interval".to_owned(), format!("{:?}", options.steps).to_lowercase()),
        ]);
        if let Some(plan) = &options.plan {
            known.insert(
                "--by, --local, --labels, --asn, --country".to_owned(),
                hex(&Sha256::digest(plan.describe()), 8),
            );
        }
        Self { link, options: known }
    }
}

/// The bytes of a state file.
#[must_use]
pub fn encode(owner: &Owner, content: &[u8]) -> Vec<u8> {
    encode_as(FORMAT, PROGRAM, owner, content)
}

fn encode_as(format: u32, program: &str, owner: &Owner, content: &[u8]) -> Vec<u8> {
    let header = Header { program: program.to_owned(), owner: owner.clone(), bytes: content.len() as u64 };
    let header = serde_json::to_string(&header).unwrap_or_default();
    let mut bytes = format!("{MAGIC}{format}\n{header}\n").into_bytes();
    bytes.extend_from_slice(content);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// The content of the state file `path`, whose bytes are `bytes`, for a scan of `owner`.
///
/// # Errors
/// Why this scan cannot go on with it.
pub fn decode(path: &Path, bytes: &[u8], owner: &Owner) -> Result<Vec<u8>> {
    content(bytes, owner).map(<[u8]>::to_vec).map_err(|what| Error::file(path, what))
}

fn content<'a>(bytes: &'a [u8], owner: &Owner) -> std::result::Result<&'a [u8], String> {
    let (first, rest) = line(bytes).ok_or("no state file of tlscov: its first line is missing")?;
    let format = first.strip_prefix(MAGIC).ok_or("no state file of tlscov: it begins otherwise")?;
    if format != FORMAT.to_string() {
        return Err(format!("a state of format {format:?}; this program reads format {FORMAT}"));
    }
    const SUM: usize = 32;
    let damaged = |what: &str| format!("the state is damaged: {what}; go on with the state before it, or begin anew");
    let (all, sum) = bytes.split_last_chunk::<SUM>().ok_or_else(|| damaged("it is cut short"))?;
    if Sha256::digest(all).as_slice() != sum {
        return Err(damaged("its check sum does not fit its content, or it is cut short"));
    }
    let rest = rest.get(..rest.len().saturating_sub(SUM)).unwrap_or_default();
    let (header, content) = line(rest).ok_or_else(|| damaged("its header is missing"))?;
    let header: Header = serde_json::from_str(header).map_err(|error| damaged(&error.to_string()))?;
    if header.program != PROGRAM {
        return Err(format!(
            "a state of tlscov {}; this is tlscov {PROGRAM}: go on with that program, or begin anew",
            header.program
        ));
    }
    if content.len() as u64 != header.bytes {
        return Err(damaged("its length is not the one it tells"));
    }
    if header.owner.link != owner.link {
        return Err(format!(
            "a state of the link {:?}; these files are of the link {:?} (--link says of which link files are)",
            header.owner.link, owner.link
        ));
    }
    let differs = |name: &&String| header.owner.options.get(*name) != owner.options.get(*name);
    if let Some(name) = header.owner.options.keys().chain(owner.options.keys()).find(differs) {
        let value = |of: &Owner| of.options.get(name).map_or("nothing".to_owned(), |value| format!("{value:?}"));
        return Err(format!(
            "{name}: the state was written with {}, this scan has {}; all parts of a capture need the same",
            value(&header.owner),
            value(owner)
        ));
    }
    Ok(content)
}

/// The first line as text, and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(line).ok()?, rest.get(1..)?))
}

/// The first `count` bytes as hexadecimal digits.
fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::grade::Policy;
    use crate::model::Steps;
    use crate::tally::Plan;
    use std::sync::Arc;

    fn owner(change: impl FnOnce(&mut Options)) -> Owner {
        let mut options = Options::default();
        change(&mut options);
        Owner::new("box1:eth0".to_owned(), &options)
    }

    fn refusal(bytes: &[u8], owner: &Owner) -> String {
        decode(Path::new("s"), bytes, owner).unwrap_err().to_string()
    }

    #[test]
    fn comes_back_for_its_owner() {
        let owner = owner(|_| ());
        for content in [&b""[..], b"abc\n\0\xff"] {
            assert_eq!(decode(Path::new("s"), &encode(&owner, content), &owner).unwrap(), content);
        }
        let jobs = self::owner(|options| options.jobs = Some(7));
        assert_eq!(jobs, owner, "threads change no result");
    }

    #[test]
    fn is_refused_for_others() {
        let mine = owner(|_| ());
        let cases: &[(&str, Owner, &str)] = &[
            ("link", Owner { link: "box2:eth0".to_owned(), ..mine.clone() }, "the link \"box1:eth0\""),
            ("memory", owner(|options| options.max_memory = 5), "--max-memory: the state was written with"),
            ("interval", owner(|options| options.steps = Steps::Every(60)), "--interval: the state was written with"),
            ("policy", owner(|options| options.policies = Arc::default()), "--policy: the state was written with"),
            (
                "another policy",
                owner(|options| options.policies = Arc::new(Policy::builtin("iana").into_iter().collect())),
                "--policy: the state was written with",
            ),
            (
                "breakdown",
                owner(|options| options.plan = Some(Arc::new(Plan { by_service: true, ..Plan::default() }))),
                "--asn, --country: the state was written with nothing",
            ),
        ];
        for (name, other, want) in cases {
            let said = refusal(&encode(&mine, b"abc"), other);
            assert!(said.contains(want), "{name}: {said}");
        }
    }

    #[test]
    fn other_formats_and_programs_are_refused() {
        let owner = owner(|_| ());
        let cases: &[(&str, Vec<u8>, &str)] = &[
            ("format", encode_as(2, PROGRAM, &owner, b"abc"), "a state of format \"2\"; this program reads format 1"),
            ("program", encode_as(FORMAT, "0.0.9, build 1", &owner, b"abc"), "a state of tlscov 0.0.9, build 1"),
            ("nothing", Vec::new(), "no state file"),
            ("something else", b"{\"schema_version\": 1}\n".to_vec(), "no state file"),
            ("first line alone", b"tlscov state 1\n".to_vec(), "damaged"),
        ];
        for (name, bytes, want) in cases {
            let said = refusal(bytes, &owner);
            assert!(said.contains(want), "{name}: {said}");
        }
    }

    #[test]
    fn every_damage_is_found() {
        let owner = owner(|_| ());
        let whole = encode(&owner, b"some content of a state");
        for end in 0..whole.len() {
            let said = refusal(&whole[..end], &owner);
            assert!(said.contains("damaged") || said.contains("no state file"), "cut at {end}: {said}");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            refusal(&damaged, &owner);
        }
    }
}
