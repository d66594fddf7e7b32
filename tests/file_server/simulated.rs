//! The connection code under `check`: whatever the simulated kernel does, a client receives what the
//! plain model says, and nothing is lost or left over.

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
