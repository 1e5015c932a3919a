//! Strength of an encrypted flow under a policy: from what was negotiated, never from what was only offered.
//!
//! Rules are data (`policies/*.toml`, or a file of the user's); this code knows how to read them ([`mod@file`]), what they
//! may ask ([`condition`]) and how they add up ([`policy`]). Names and properties of code points are in [`registry`].
//!
//! The level is the worst of the rules that match. A flow that no rule speaks of is `acceptable`, or `ungraded` where
//! the policy says so. What was not seen matches no rule, and without version and suite there is no verdict at all.

mod builtin;
mod condition;
pub mod file;
pub mod finding;
mod policy;
pub mod registry;
mod suites;

pub use builtin::builtin_names;
pub use policy::{Policy, Rule, Verdict, why_hidden};
pub use suites::{Judged, SuiteDifference, diff, find_suite, grade_group, grade_suite};

/// How strong the negotiated encryption is, worst last; `Ungraded` stands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Recommended by the policy.
    Strong,
    /// Neither recommended nor advised against.
    Acceptable,
    /// The policy advises against it.
    Weak,
    /// The policy forbids it, and it protects little or nothing.
    Broken,
    /// Not visible: mid-stream, one-sided, resumed without context, ESP, VPN data.
    Ungraded,
}

impl Level {
    /// All levels, in the order of the report.
    pub const ALL: [Self; 5] = [Self::Strong, Self::Acceptable, Self::Weak, Self::Broken, Self::Ungraded];

    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Acceptable => "acceptable",
            Self::Weak => "weak",
            Self::Broken => "broken",
            Self::Ungraded => "ungraded",
        }
    }
}
