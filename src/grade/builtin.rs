//! The policies that come with the program: the files in `policies/`.

use super::registry;

/// Names and texts. The first is the default; those in [`PARTS`] are there to be inherited.
const POLICIES: &[(&str, &str)] = &[("bcp195", include_str!("policies/bcp195.toml"))];

/// Rules that several policies share.
const PARTS: &[(&str, &str)] = &[
    ("resumption", include_str!("policies/resumption.toml")),
    ("floor", include_str!("policies/floor.toml")),
    ("ssh", include_str!("policies/ssh.toml")),
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

/// What to say of a name that is none.
pub(super) fn unknown(name: &str) -> String {
    let names = builtin_names();
    let hint = registry::nearest(name, names.iter().copied()).map(|near| format!("; did you mean {near}?"));
    let hint = hint.unwrap_or_default();
    format!("`{name}` is no built-in policy and no file{hint} Built in: {}", names.join(", "))
}
