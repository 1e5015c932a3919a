//! tlscov measures how much of a packet capture is encrypted, how well, and why.
//!
//! # Map
//! Data goes one way, and the folders follow it:
//!
//! | folder | takes | gives |
//! |---|---|---|
//! | [`capture`] | files, standard input, compressed or not | batches of frames with time, length, link type |
//! | [`link`] | a frame and its link type | the network packet inside |
//! | [`net`] | a network packet, tunnels opened | a decoded packet with flow key, or a reason why not |
//! | [`flow`] | decoded packets, sharded by a symmetric hash | closed flows |
//! | [`detect`] | the first bytes of both sides | protocol, class, evidence |
//! | [`tls`], [`quic`] | ordered bytes or datagrams of a recognised flow | handshake facts |
//! | [`grade`] | facts | strength under a policy, with rules and sources |
//! | [`tally`] | closed flows, losses | sums that merge |
//! | [`report`] | sums | ratios, JSON, text |
//! | [`state`] | what is open between two parts of a capture | a file, and back |
//! | [`cli`] | arguments | exit status |
//!
//! A stage uses the stages before it and [`model`], never later ones. [`pipeline`] alone joins them and alone knows
//! threads.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

pub mod capture;
pub mod cli;
pub mod detect;
pub mod error;
pub mod flow;
pub mod grade;
pub mod link;
pub mod model;
pub mod net;
pub mod pipeline;
pub mod quic;
pub mod report;
pub mod state;
pub mod tally;
pub mod tls;
