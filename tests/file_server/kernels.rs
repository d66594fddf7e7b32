//! The file server under the full kernel: both styles and three mistakes on every kind of kernel.
//!
//! In the real handlers the campaign finds nothing, on no kernel. In the mistakes it finds, shrunk to so many
//! deviations (`cargo test --test file_server kernels -- --nocapture` prints the reports; FOUND is this table, held
//! against them):
//!
//! | mistake | ring | port | readiness | any |
//! |---|---|---|---|---|
//! | a short write is taken for a whole one | 1 | – | 1 | 1 |
//! | a short read is taken for a whole one | 1 | 1 | 1 | 1 |
//! | after an error of a send it goes on with the next piece | 1 | 1 | 1 | 1 |
//!
//! A completion port never sends short: who moves that server there sees nothing, until it moves back. The third mistake
//! is one that resets don't show, since nothing that follows a reset arrives: it takes an operation that fails on a
//! connection that lives on, ENOBUFS, or ENOMEM from a ring (`reset: enobufs`, `reset: enomem`).

use proactor::check::Checker;
use proactor::sim::Personality;

use crate::conversation::Conversation;
use crate::model::{Ask, get};
use crate::planted::{going_on_after_an_error, ignoring_short_reads, ignoring_short_writes};
use crate::server::Serve;
use crate::{connection, connection_async};

const KERNELS: [Personality; 4] = [
    Personality::Ring,
    Personality::Port,
    Personality::Readiness,
    Personality::Any,
];

const CONVERSATION: Conversation = Conversation {
    asks: &[
        get("/docs/"),
        Ask {
            close: true,
            ..get("/poem.txt")
        },
    ],
    cuts: &[20],
};

/// How many deviations of each kernel show the mistake; nothing: none does.
type Found = [Option<usize>; 4];

const FOUND: [(&str, Serve, Found); 3] = [
    (
        "short-write",
        ignoring_short_writes,
        [Some(1), None, Some(1), Some(1)],
    ),
    ("short-read", ignoring_short_reads, [Some(1); 4]),
    ("goes-on", going_on_after_an_error, [Some(1); 4]),
];

fn check(name: &str, personality: Personality, executions: u64, serve: Serve) -> Option<usize> {
    let checked = Checker::new()
        .name(&format!("file_server/{name}/{personality}"))
        .personality(personality)
        .executions(executions)
        .run(move |sim| CONVERSATION.hold(sim.proactor(), sim.world(), serve));
    match checked {
        Ok(summary) => {
            println!("{summary}");
            None
        }
        Err(failure) => {
            println!("{failure}");
            Some(failure.deviations().len())
        }
    }
}

#[test]
fn the_real_handlers_hold_on_every_kernel() {
    for (style, serve) in [
        ("callback", connection::serve as Serve),
        ("async", connection_async::serve),
    ] {
        for personality in KERNELS {
            let found = check(style, personality, 3_000, serve);
            assert_eq!(found, None, "{style} on the {personality} kernel");
        }
    }
}

#[test]
fn each_mistake_is_found_on_the_kernels_that_show_it() {
    for (name, serve, expected) in FOUND {
        let found = KERNELS.map(|personality| check(name, personality, 3_000, serve));
        assert_eq!(found, expected, "{name} on {KERNELS:?}");
    }
}

/// The new freedom at work: no reset is needed, and none would show it.
#[test]
fn going_on_after_an_error_takes_one_that_leaves_the_connection_alive() {
    let failure = Checker::new()
        .name("file_server/goes-on")
        .run(|sim| CONVERSATION.hold(sim.proactor(), sim.world(), going_on_after_an_error))
        .expect_err("the mistake is found");
    let report = failure.to_string();
    let words = ["no buffer space", "out of memory"];
    assert!(words.iter().any(|it| report.contains(it)), "{report}");
    assert!(!report.contains("connection reset"), "{report}");
}
