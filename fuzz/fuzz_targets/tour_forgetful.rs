//! The server of `examples/tour.rs` with the planted bug: libFuzzer is to find it within a minute.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use proactor::check::{Checker, Fuzz, Sim};

#[allow(dead_code)] // its `main`
#[path = "../../examples/tour.rs"]
mod tour;

thread_local! {
    static FUZZ: RefCell<Fuzz<fn(&Sim)>> =
        RefCell::new(Checker::new().name("tour/forgetful").fuzz(|sim| tour::world(sim, tour::forgetful)));
}

fuzz_target!(|choices: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.run(choices)));
