//! Every solution passes, every planted mistake is rejected for its reason, and the exercises come unsolved.
//!
//! What the learner has made of `examples/ex*.rs` is not looked at here: `cargo test` is green with it and
//! without it. That the exercises of a fresh copy are the stubs, and that each says "not written yet", an ignored
//! test asks, which `.ci/run` runs by its name.

mod command;
mod solutions;
mod stubs;
mod wrong;

use std::time::Duration;

use proactor::sim::Invariant;
use proactor_course::{Check, Verdict};

/// A check takes less than a second. So much is for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// A mistake that learners make, and what they are to be told.
struct Mistake {
    what: &'static str,
    check: fn() -> Check,
    invariant: Invariant,
    /// Words of the story.
    told: &'static str,
}

#[track_caller]
fn rejected(exercise: &str, mistakes: &[Mistake]) {
    assert!(
        mistakes.len() >= 3,
        "{exercise} has too few planted mistakes"
    );
    for Mistake {
        what,
        check,
        invariant,
        told,
    } in mistakes
    {
        match check().within(PATIENCE) {
            Verdict::Wrong(found, story) => {
                assert_eq!(found, *invariant, "{exercise}, {what}:\n{story}");
                assert!(
                    story.contains(told),
                    "{exercise}, {what}: not told of {told:?}:\n{story}"
                );
                assert!(
                    story.contains("Repeat it:"),
                    "{exercise}, {what}: can't be repeated:\n{story}"
                );
            }
            other => panic!("{exercise}, {what}: {other:?}"),
        }
    }
}

#[track_caller]
fn passes(exercise: &str, check: Check) {
    let verdict = check.within(PATIENCE);
    assert!(
        matches!(verdict, Verdict::Passes(_)),
        "{exercise}: {verdict}"
    );
}
