//! The server of `examples/file_server` in both styles, and a client that pipelines its requests: what it
//! receives is what the plain model of the tests says.
#![no_main]
#![allow(dead_code)] // what other tests use of these files

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use proactor::check::{Checker, Fuzz, Sim};

#[path = "../../examples/file_server/connection.rs"]
mod connection;
#[path = "../../examples/file_server/connection_async.rs"]
mod connection_async;
#[path = "../../tests/file_server/conversation.rs"]
mod conversation;
#[path = "../../examples/file_server/exchange.rs"]
mod exchange;
#[path = "../../tests/file_server/model.rs"]
mod model;
#[path = "../../examples/file_server/request.rs"]
mod request;
#[path = "../../examples/file_server/response.rs"]
mod response;
#[path = "../../examples/file_server/server.rs"]
mod server;

use conversation::Conversation;
use model::{Ask, get};

const ASKS: &[Ask] = &[
    get("/"),
    Ask {
        range: Some("bytes=8-11"),
        ..get("/poem.txt")
    },
    Ask {
        method: "POST",
        body: "unread",
        close: true,
        ..get("/nowhere")
    },
];

fn hold(sim: &Sim, serve: server::Serve) {
    let conversation = Conversation {
        asks: ASKS,
        cuts: &[7, 90],
    };
    conversation.hold(sim.proactor(), sim.world(), serve);
}

/// Both styles.
type Pair = [Fuzz<fn(&Sim)>; 2];

thread_local! {
    static FUZZ: RefCell<Pair> = RefCell::new([
        Checker::new().name("fuzz/file_server/callback").fuzz(|sim| hold(sim, connection::serve)),
        Checker::new().name("fuzz/file_server/async").fuzz(|sim| hold(sim, connection_async::serve)),
    ]);
}

// The first byte says which.
fuzz_target!(|input: &[u8]| {
    if let Some((style, choices)) = input.split_first() {
        FUZZ.with_borrow_mut(|fuzz| fuzz[usize::from(style % 2)].run(choices));
    }
});
