//! Everything that was seen less well than the wire carried it, each with a reason. Nothing is lost in silence.

/// One reason for a loss entry of the report (`quality.losses`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Loss {
    /// Frames whose link type is not read. They are outside every share. Unit: frames.
    UnsupportedLink,
    /// Frames with a header that contradicts itself or stops short. They are outside every share. Unit: frames.
    MalformedHeader,
    /// Frames cut by the snap length before the transport header ended. They are outside every share. Unit: frames.
    HeaderCutShort,
    /// Frames that the capture kept only in part (snap length). Unit: frames.
    FramesCutShort,
    /// Flows whose handshake or first bytes were cut by the snap length. Unit: flows.
    HandshakeCutShort,
    /// Gaps in TCP sequence numbers that were never filled. Unit: gaps.
    MissingSegments,
    /// IP fragments that found no partner; counted as `unknown`. Unit: frames.
    UnmatchedFragments,
    /// TCP segments that repeat sequence numbers with other bytes. Unit: segments.
    ConflictingSegments,
    /// Tunnels nested deeper than is followed. Unit: frames.
    TunnelsTooDeep,
    /// Flows closed early to stay below `--max-memory`. Unit: flows.
    EvictedFlows,
    /// TCP flows with packets of one direction only. Unit: flows.
    OneSidedFlows,
    /// TCP flows already running when the capture began. Unit: flows.
    MidstreamFlows,
    /// Packets dropped by the capturing interface (pcapng statistics). Unit: packets.
    InterfaceDrops,
    /// Steps back in time between frames by more than one second. Unit: steps.
    ClockJumps,
    /// Frames without a time stamp (pcapng simple packets). Unit: frames.
    WithoutTimestamp,
    /// Captures cut short: the rest after a broken record was not read. Unit: captures.
    CaptureCutShort,
    /// Blocks or records that were skipped because their content was not understood. Unit: blocks.
    SkippedBlocks,
    /// Inputs that were not read to their end because the user stopped the program. Unit: captures.
    Interrupted,
    /// Announcements of other flows (FTP data, media) beyond the number that is kept. Unit: announcements.
    ForgottenAnnouncements,
    /// Flows whose server's public value was not compared with those of others, for want of memory. Unit: flows.
    UnwatchedShares,
    /// Inputs that were still being read when the report was written (`--every`): it holds what came before. Unit: captures.
    Unfinished,
}

impl Loss {
    /// All reasons, in the order of the report.
    pub const ALL: [Self; 21] = [
        Self::UnsupportedLink,
        Self::MalformedHeader,
        Self::HeaderCutShort,
        Self::FramesCutShort,
        Self::HandshakeCutShort,
        Self::MissingSegments,
        Self::UnmatchedFragments,
        Self::ConflictingSegments,
        Self::TunnelsTooDeep,
        Self::EvictedFlows,
        Self::OneSidedFlows,
        Self::MidstreamFlows,
        Self::InterfaceDrops,
        Self::ClockJumps,
        Self::WithoutTimestamp,
        Self::CaptureCutShort,
        Self::SkippedBlocks,
        Self::Interrupted,
        Self::ForgottenAnnouncements,
        Self::UnwatchedShares,
        Self::Unfinished,
    ];

    /// The key in the report; its unit is its last word or in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnsupportedLink => "unsupported_link_frames",
            Self::MalformedHeader => "malformed_header_frames",
            Self::HeaderCutShort => "header_cut_short_frames",
            Self::FramesCutShort => "cut_short_frames",
            Self::HandshakeCutShort => "handshake_cut_short_flows",
            Self::MissingSegments => "missing_segment_gaps",
            Self::UnmatchedFragments => "unmatched_fragment_frames",
            Self::ConflictingSegments => "conflicting_segments",
            Self::TunnelsTooDeep => "tunnels_too_deep_frames",
            Self::EvictedFlows => "evicted_flows",
            Self::OneSidedFlows => "one_sided_flows",
            Self::MidstreamFlows => "midstream_flows",
            Self::InterfaceDrops => "interface_dropped_packets",
            Self::ClockJumps => "clock_jumps",
            Self::WithoutTimestamp => "untimed_frames",
            Self::CaptureCutShort => "captures_cut_short",
            Self::SkippedBlocks => "skipped_blocks",
            Self::Interrupted => "interrupted_captures",
            Self::ForgottenAnnouncements => "forgotten_announcements",
            Self::UnwatchedShares => "unwatched_share_flows",
            Self::Unfinished => "unfinished_captures",
        }
    }
}
