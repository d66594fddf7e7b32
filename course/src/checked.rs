//! Grading by the crate's checker: an answer is a handler, and a model of a small world runs it.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use proactor::check::{Checker, Failure, FailureKind, Sim, Summary};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Invariant;
use proactor::{Proactor, compose};

use crate::silence::is_todo;
use crate::verdict::{Check, Verdict};

/// A world that an answer has to live in.
pub(crate) struct World {
    name: String,
    checker: Checker,
    model: Arc<dyn Fn(&Sim) + Send + Sync>,
}

impl World {
    /// A world in which the kernel may do everything. `name` is the exercise's, for replays.
    pub(crate) fn new(name: &str, model: impl Fn(&Sim) + Send + Sync + 'static) -> World {
        World {
            name: name.to_owned(),
            // Small worlds: the answer is to come within a second, and a handler that goes on and on is
            // to be told from one that needs a little longer.
            checker: Checker::new()
                .name(name)
                .executions(10_000)
                .max_steps(5_000),
            model: Arc::new(model),
        }
    }

    /// A handler may take so long.
    pub(crate) fn budget(self, budget: Duration) -> World {
        World {
            checker: self.checker.handler_budget(budget),
            ..self
        }
    }

    /// So many executions are enough here.
    pub(crate) fn at_most(self, executions: u64) -> World {
        World {
            checker: self.checker.executions(executions),
            ..self
        }
    }

    /// Refusals, resets and short transfers don't happen here: only orders and delays.
    pub(crate) fn without_faults(self) -> World {
        World {
            checker: self.checker.faults_per_operation(0),
            ..self
        }
    }
}

/// An answer passes if it passes in all these worlds.
pub(crate) fn in_all(worlds: Vec<World>) -> Check {
    Check::new(move |ended| {
        let mut shown = Vec::new();
        for World {
            name,
            checker,
            model,
        } in worlds
        {
            let ended = ended.clone();
            let checked = checker.run(move |sim| ended.count(|| model(sim)));
            match checked {
                Err(failure) => return judged(&failure),
                Ok(summary) => shown.push(passed(&name, &summary)),
            }
        }
        Verdict::Passes(shown.join("\n"))
    })
}

/// What was shown of an answer in one world.
fn passed(name: &str, summary: &Summary) -> String {
    let Some(bound) = summary.proved() else {
        // A replay: one execution, or none of this world.
        let said = summary.to_string();
        return format!("  {}", said.lines().last().unwrap_or_default().trim());
    };
    let random = summary.random_executions();
    let bounded: u64 = (0..=bound)
        .map(|deviations| summary.executions_with(deviations))
        .sum();
    let deviations = if bound == 1 {
        "deviation"
    } else {
        "deviations"
    };
    format!(
        "  {name:<28} all {bounded} executions with at most {bound} {deviations}, and {random} random ones"
    )
}

fn judged(failure: &Failure) -> Verdict {
    let story = failure.to_string();
    let message = failure.message().unwrap_or_default();
    if is_todo(message) {
        let place = story.lines().find_map(|line| line.strip_prefix("  at "));
        let mut said = format!("  The todo!() at {}", place.unwrap_or("an unknown place"));
        if !failure.deviations().is_empty() {
            said += " is where this leads:";
        }
        for deviation in failure.deviations() {
            said += "\n  - ";
            said += deviation;
        }
        return Verdict::NotYet(said);
    }
    let invariant = match failure.kind() {
        // Nobody was ever served.
        FailureKind::Unreached => Invariant::I7,
        _ => failure.invariant().unwrap_or(Invariant::Panic),
    };
    Verdict::Wrong(invariant, story)
}

/// Where the server of a world listens.
pub(crate) const ADDRESS: &str = "10.0.0.1:7";

/// Accepts one client for this handler, and listens no more.
pub(crate) fn serve_one(proactor: &Proactor, serve: fn(TcpStream)) {
    let listener = TcpListener::bind(proactor, ADDRESS);
    let listener = listener.unwrap_or_else(|error| panic!("nobody else is here: {error}"));
    listener.accept().then(move |accepted| {
        drop(listener);
        if let Ok((stream, _)) = accepted {
            serve(stream);
        }
    });
}

/// A client's whole conversation: what it says, piece by piece, ended by its half of the connection; and what it
/// hears until the end.
pub(crate) async fn converse(proactor: &Proactor, says: &'static [&str]) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(proactor, ADDRESS).await?;
    for piece in says {
        compose::write_all(&stream, *piece).await.0?;
    }
    stream.shutdown(Shutdown::Write).await?;
    let (heard, answer) = compose::read_to_end(&stream, Vec::new(), 1 << 10).await;
    heard.map(|_| answer)
}

/// A promise of the exercise, which is to be kept by now: broken, it is a finding of its own ([`Invariant::Always`]), and
/// not a panic, which is the learner's. `said` tells what is so instead.
#[track_caller]
pub(crate) fn promise(sim: &Sim, holds: bool, promise: &str, said: impl FnOnce() -> String) {
    if !holds {
        sim.always(&format!("{promise} ({})", said()), || false);
    }
}

/// In any world an end means that all was said.
pub(crate) const WHOLE: &str = "who sees the end has heard everything";
/// In a world without faults there is no excuse for a connection that breaks.
pub(crate) const UNBROKEN: &str = "nothing has failed, so the connection is not broken";

/// What a client has to have heard.
pub(crate) fn expect(sim: &Sim, heard: io::Result<Vec<u8>>, expected: &[u8], is_quiet: bool) {
    match heard {
        Ok(heard) => promise(sim, heard == expected, WHOLE, || {
            format!(
                "the client has heard {:?} instead of {:?}",
                String::from_utf8_lossy(&heard),
                String::from_utf8_lossy(expected)
            )
        }),
        Err(error) => promise(sim, !is_quiet, UNBROKEN, || error.to_string()),
    }
}
