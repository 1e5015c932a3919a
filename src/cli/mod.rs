//! Arguments in, exit status out.

pub mod grade;
pub mod policies;
