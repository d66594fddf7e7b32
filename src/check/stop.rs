//! A replay under a debugger: it is run once more, up to the failure or to a step, where a function for a
//! breakpoint is called.

use super::execution::Subject;
use super::replay::{Keyed, Replay};
use crate::sim::debugger::{Stop, stop};

/// The word for the failure itself.
const FAIL: &str = "fail";

/// Runs the execution, and calls the function for a breakpoint on the way.
pub(crate) fn stop_at<S: Subject>(subject: &S, replay: &Replay, step: &str) -> Result<(), String> {
    let traced = || subject.trace(Box::new(Keyed::new(&replay.deviations)), replay.seed);
    let wanted = if step == FAIL {
        Stop::AtFailure
    } else {
        let (_, _, story) = traced();
        let line = story.lines.iter().find(|line| line.name == step);
        Stop::AtStep(line.map(|line| line.event).ok_or_else(|| {
            format!(
                "PROACTOR_BREAK={step}: the execution has no step of this name. The report names them, `0.1^2` \
                 say; `{FAIL}` is where it fails."
            )
        })?)
    };
    stop(wanted);
    traced();
    stop(Stop::Nowhere);
    Ok(())
}

/// What lets cargo start the program in a debugger.
pub(crate) const RUNNER: &str = "--config 'target.\"cfg(all())\".runner=[\"rust-gdb\",\"-ex\",\
                                 \"break proactor_break\",\"-ex\",\"run\",\"--args\"]'";
