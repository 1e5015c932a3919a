//! Progress by bytes read, on stderr: a bar on a terminal, lines elsewhere when they are asked for.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far reading has come.
pub(super) enum Progress {
    /// Nothing is shown.
    Silent,
    /// A bar, or a running count when the total is not known.
    Bar(ProgressBar),
    /// A line for every tenth.
    Lines {
        /// Bytes to read.
        total: u64,
        /// Bytes read.
        read: AtomicU64,
    },
}

impl Progress {
    /// Progress towards `total` bytes (`None`: not known). `quiet` shows nothing, `always` also where no terminal is.
    pub fn new(total: Option<u64>, quiet: bool, always: bool) -> Self {
        match (quiet, io::stderr().is_terminal(), always, total) {
            (false, true, _, _) => Self::Bar(bar(total)),
            (false, false, true, Some(total)) if total > 0 => Self::Lines { total, read: AtomicU64::new(0) },
            _ => Self::Silent,
        }
    }

    /// `bytes` more have been read.
    pub fn advance(&self, bytes: u64) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => bar.inc(bytes),
            Self::Lines { total, read } => {
                let before = read.fetch_add(bytes, Ordering::Relaxed).min(*total);
                let after = before.saturating_add(bytes).min(*total);
                let tenth = |bytes: u64| u128::from(bytes) * 10 / u128::from(*total);
                if tenth(after) > tenth(before) {
                    super::say("progress", &format!("{}0%", tenth(after)));
                }
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    const KNOWN: &str =
        "{bar:32} {percent:>3}%  {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
    const UNKNOWN: &str = "{spinner} {decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}";
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), KNOWN),
        None => (ProgressBar::new_spinner(), UNKNOWN),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
}
