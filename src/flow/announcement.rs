//! What flows say of other flows.

use crate::model::{Endpoint, Protocol, Sign};

/// What a flow announced about another one: how that is told from others, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Announcement {
    /// How the announced flow is told from others.
    pub by: Sign,
    /// What it carries.
    pub protocol: Protocol,
    /// Both ends of the flow that said so; one of them is an end of the announced flow as well.
    pub said_by: [Endpoint; 2],
    /// The shard of that flow, of [`super::SHARDS`], however many there are.
    pub shard: u8,
}
