//! What unknown content is like. Information only: it moves no bound.

/// `looks_random`, `looks_text`, or `None` when undetermined.
#[must_use]
pub fn look(_bytes: &[u8]) -> Option<&'static str> {
    None
}
