//! The policies that come with the program: the files in `policies/`.

use std::path::Path;
use std::sync::OnceLock;

use super::{Policy, registry};

/// Names and texts. The first is the default; those in [`PARTS`] are there to be inherited.
const POLICIES: &[(&str, &str)] = &[
    ("bcp195", include_str!("policies/bcp195.toml")),
    ("iana", include_str!("policies/iana.toml")),
    ("mozilla-modern", include_str!("policies/mozilla-modern.toml")),
    ("mozilla-intermediate", include_str!("policies/mozilla-intermediate.toml")),
    ("nist-800-52r2", include_str!("policies/nist-800-52r2.toml")),
    ("bsi-tr-02102-2", include_str!("policies/bsi-tr-02102-2.toml")),
    ("ncsc-nl-2025", include_str!("policies/ncsc-nl-2025.toml")),
    ("anssi", include_str!("policies/anssi.toml")),
    ("cnsa-1.0", include_str!("policies/cnsa-1.0.toml")),
    ("cnsa-2.0", include_str!("policies/cnsa-2.0.toml")),
    ("pci-dss-4", include_str!("policies/pci-dss-4.toml")),
    ("ciphersuite-info", include_str!("policies/ciphersuite-info.toml")),
    ("ssllabs-negotiated", include_str!("policies/ssllabs-negotiated.toml")),
];

/// Rules that several policies share.
const PARTS: &[(&str, &str)] = &[
    ("resumption", include_str!("policies/resumption.toml")),
    ("floor", include_str!("policies/floor.toml")),
    ("ssh", include_str!("policies/ssh.toml")),
    ("other", include_str!("policies/other.toml")),
];

/// The names of the built-in policies, the default first.
#[must_use]
pub fn builtin_names() -> Vec<&'static str> {
    POLICIES.iter().map(|(name, _)| *name).collect()
}

/// The text of a built-in policy or part.
pub(super) fn text(name: &str) -> Option<&'static str> {
    POLICIES.iter().chain(PARTS).find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A built-in policy or part as of its latest edition. It is read when it is first asked for and kept: a run asks for the
/// default several times. `None` for a name that is none.
pub(super) fn policy(name: &str) -> Option<Policy> {
    static READ: [OnceLock<Option<Policy>>; POLICIES.len() + PARTS.len()] =
        [const { OnceLock::new() }; POLICIES.len() + PARTS.len()];
    let (known, kept) = POLICIES.iter().chain(PARTS).zip(&READ).find(|((known, _), _)| *known == name)?;
    kept.get_or_init(|| Policy::from_text(known.1, Path::new(name)).ok()).clone()
}

/// What to say of a name that is none.
pub(super) fn unknown(name: &str) -> String {
    let names = builtin_names();
    let hint = registry::nearest(name, names.iter().copied()).map(|near| format!("; did you mean {near}?"));
    let hint = hint.unwrap_or_default();
    format!("`{name}` is no built-in policy and no file{hint} Built in: {}", names.join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::grade::Policy;

    #[test]
    fn every_policy_loads_under_its_name() {
        for (name, _) in POLICIES.iter().chain(PARTS) {
            let policy = Policy::load(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(policy.name(), *name);
            assert!(!policy.rules().is_empty() && !policy.about().is_empty(), "{name}");
        }
        assert_eq!(builtin_names().len(), 13);
        assert_eq!(builtin_names()[0], "bcp195");
    }

    #[test]
    fn unknown_names_get_a_hint() {
        let error = Policy::load("mozila-modern").unwrap_err().to_string();
        assert!(error.contains("did you mean mozilla-modern?") && error.contains("cnsa-2.0"), "{error}");
    }
}
