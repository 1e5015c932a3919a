//! What the program promises, tried on the whole: one test program, a module for each promise.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[cfg(target_os = "linux")]
mod attacks;
mod attempts;
mod check;
mod cluster;
mod common;
mod connections;
#[cfg(target_os = "linux")]
mod docs;
#[cfg(target_os = "linux")]
mod exhaustion;
#[cfg(target_os = "linux")]
mod faults;
mod figures;
mod findings;
#[cfg(target_os = "linux")]
mod gate;
mod grade;
mod input;
mod laws;
mod mutations;
mod parts;
#[cfg(target_os = "linux")]
mod periodic;
mod privacy;
mod recorded;
mod reports;
mod schema;
mod standards;
mod timeline;
mod upgrades;
mod watch;
