//! The reader of replay strings: whatever stands there is replayed, told to be stale, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proactor::check::{Checker, FailureKind};

#[allow(dead_code)] // its `main`
#[path = "../../examples/tour.rs"]
mod tour;

fuzz_target!(|line: &str| {
    let replayed = Checker::new()
        .replay(line)
        .executions(1)
        .run(|sim| tour::world(sim, tour::mended));
    if let Err(failure) = replayed {
        let kind = failure.kind();
        assert!(
            matches!(kind, FailureKind::Refused | FailureKind::Stale),
            "{failure}"
        );
    }
});
