//! What is said of each capture that was read.

/// One capture. Its order (name first) is the order of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaptureEntry {
    /// Name as the user gave it, or `-`.
    pub name: String,
    /// Time of the earliest frame, nanoseconds since 1970 UTC; `None` when no frame has a time.
    pub first_ns: Option<i64>,
    /// Time of the latest frame.
    pub last_ns: Option<i64>,
    /// Container and compression, for example `pcapng+zstd`.
    pub format: String,
    /// Link types seen (LINKTYPE_ values), ascending.
    pub link_types: Vec<u16>,
    /// Frames.
    pub packets: u64,
    /// Original lengths. Unit: bytes.
    pub wire_bytes: u64,
    /// Lengths that the capture kept. Unit: bytes.
    pub captured_bytes: u64,
    /// SHA-256 of the file as stored, hexadecimal; `None` when it was not asked for.
    pub sha256: Option<String>,
}
