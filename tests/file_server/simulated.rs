//! The connection code under `check`: whatever the simulated kernel does, a client receives what the
//! plain model says, and nothing is lost or left over.

use std::time::{Duration, Instant};

use proactor::check::Checker;

use crate::conversation::Conversation;
use crate::model::{Ask, get};
use crate::server::Serve;
use crate::{connection, connection_async};

/// Both styles: what holds for one has to hold for the other.
const STYLES: [(&str, Serve); 2] = [
    ("callback", connection::serve),
    ("async", connection_async::serve),
];

/// Enough for every pair of deviations of a short conversation, and some luck beyond.
const EXECUTIONS: u64 = 30_000;

#[track_caller]
fn assert_holds(name: &str, conversation: Conversation) {
    for (style, serve) in STYLES {
        let conversation = conversation.clone();
        let summary = Checker::new()
            .name(&format!("file_server/{name}/{style}"))
            .executions(EXECUTIONS)
            .run(move |sim| conversation.hold(sim.proactor(), sim.world(), serve));
        match summary {
            Ok(summary) => println!("{summary}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

const fn last(ask: Ask) -> Ask {
    Ask { close: true, ..ask }
}

#[test]
fn a_file_in_several_pieces() {
    const ASKS: &[Ask] = &[last(get("/poem.txt"))];
    assert_holds(
        "pieces",
        Conversation {
            asks: ASKS,
            cuts: &[],
        },
    );
}

#[test]
fn pipelined_requests_in_odd_pieces() {
    const ASKS: &[Ask] = &[
        get("/"),
        Ask {
            range: Some("bytes=8-11"),
            ..get("/poem.txt")
        },
        get("/nothing"),
        last(get("/empty.txt")),
    ];
    assert_holds(
        "pipelined",
        Conversation {
            asks: ASKS,
            cuts: &[3, 50, 51, 130],
        },
    );
}

#[test]
fn bodies_and_heads_without_bodies() {
    const ASKS: &[Ask] = &[
        // What looks like a request in there is none.
        Ask {
            body: "GET /poem.txt HTTP/1.1\r\n\r\n",
            ..get("/docs/")
        },
        Ask {
            method: "HEAD",
            ..get("/poem.txt")
        },
        Ask {
            method: "PUT",
            body: "new",
            ..get("/")
        },
        last(Ask {
            range: Some("bytes=99-"),
            ..get("/poem.txt")
        }),
    ];
    assert_holds(
        "bodies",
        Conversation {
            asks: ASKS,
            cuts: &[80],
        },
    );
}

/// The measure of the checker's speed: a lively conversation, the half of it in the bounded search.
///
/// ```text
/// cargo test --release --test file_server -- --ignored --nocapture hundred_thousand
/// ```
#[test]
#[ignore = "a measure, for release builds"]
fn hundred_thousand_executions_within_a_minute() {
    const ASKS: &[Ask] = &[get("/"), last(get("/poem.txt"))];
    const MOST: Duration = Duration::from_secs(60);
    for (style, serve) in STYLES {
        let campaign = |executions| {
            let conversation = Conversation {
                asks: ASKS,
                cuts: &[20],
            };
            let summary = Checker::new()
                .name(style)
                .threads(2)
                .executions(executions)
                .run(move |sim| conversation.hold(sim.proactor(), sim.world(), serve))
                .unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(summary.executions(), executions);
        };
        // What is kept for good (slots, the tree's memory) is there after a smaller campaign. That no
        // handle and no operation is left over is looked at in every execution.
        campaign(20_000);
        let before = resident_bytes();
        let start = Instant::now();
        campaign(100_000);
        let took = start.elapsed();
        let grown = resident_bytes().saturating_sub(before);
        let rate = 100_000.0 / took.as_secs_f64();
        println!(
            "{style}: 100,000 executions in {took:.1?}, {rate:.0} a second, {grown} bytes more"
        );
        assert!(took < MOST, "{style}: it took {took:?}");
        // 640 bytes an execution would be a leak; what the search keeps for itself is less.
        assert!(
            grown < 64_000_000,
            "{style}: {grown} bytes more than before"
        );
    }
}

/// What this process has in memory, where the system tells.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kilobytes.map_or(0, |number| number.parse::<u64>().unwrap_or(0) * 1024)
}
