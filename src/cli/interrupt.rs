//! Ctrl-C: reading stops, and what was read up to then is reported, marked as partial.
//!
//! The same goes for SIGTERM and SIGHUP. A second signal ends the program at once; then an output file may be left under
//! its first name (`NAME.PID.part`), never half a file under its own.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit status after an interrupt: 128 and the number of SIGINT, as shells have it.
pub(super) const STATUS: u8 = 130;

/// What the first signal sets.
pub(super) fn stop() -> Arc<AtomicBool> {
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let stop = STOP.get_or_init(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&stop);
        let told = ctrlc::set_handler(move || {
            if set.swap(true, Ordering::Relaxed) {
                process::exit(i32::from(STATUS));
            }
        });
        if told.is_err() {
            super::warn("signals cannot be caught: Ctrl-C ends the program without a report");
        }
        stop
    });
    Arc::clone(stop)
}
