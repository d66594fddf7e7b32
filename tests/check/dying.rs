//! A panic under a panic: the language ends the process then, and the first one is told all the same.

use std::time::Duration;

use proactor::check::{Checker, Sim};

use crate::replaying::child;

/// Panics whatever happens: not even another panic keeps it from that.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the bomb of {}", self.0);
    }
}

#[test]
#[ignore = "it ends the process: a test runs it in one of its own"]
fn under_a_panic() {
    let _ = Checker::new().run(|sim: &Sim| {
        let _bomb = Bomb("a handler that panics");
        sim.proactor().post(|| panic!("the first of two panics"));
        sim.proactor().run().unwrap();
    });
}

#[test]
#[ignore = "it ends the process: a test runs it in one of its own"]
fn under_a_drop() {
    let _ = Checker::new().run(|sim: &Sim| {
        let bomb = Bomb("a model that is left");
        let sleep = sim.proactor().sleep(Duration::from_millis(1));
        sleep.then(|_| ());
        sim.proactor().run().unwrap();
        std::mem::forget(bomb);
    });
}

#[test]
fn the_first_panic_is_told_before_the_process_ends() {
    let (passes, said) = child("dying::under_a_panic", "");
    assert!(!passes, "{said}");
    let first = said.find("the first of two panics");
    let second = said.find("the bomb of a handler that panics");
    assert!(first.is_some() && first < second, "{said}");
    assert!(
        said.contains("proactor: before that, at tests/check/dying.rs:"),
        "{said}"
    );
}

#[test]
fn who_panics_while_the_model_is_left_is_told_why_it_was() {
    let (passes, said) = child("dying::under_a_drop", "");
    assert!(!passes, "{said}");
    assert!(said.contains("the bomb of a model that is left"), "{said}");
    assert!(
        said.contains("left the model, to drop its proactor") && said.contains("drops(false)"),
        "{said}"
    );
}
