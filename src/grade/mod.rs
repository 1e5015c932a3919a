//! Strength of an encrypted flow under a policy: from what was negotiated, never from what was only offered.

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
