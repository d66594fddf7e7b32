//! The server of `examples/chat` with two simulated workers, and two guests: every line whole, once, in its
//! order.
#![no_main]
#![allow(dead_code)] // what other tests use of these files

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use proactor::check::{Checker, Fuzz, Sim};

#[path = "../../examples/chat/connection.rs"]
mod connection;
#[path = "../../tests/chat/conversation.rs"]
mod conversation;
#[path = "../../examples/chat/lines.rs"]
mod lines;
#[path = "../../examples/chat/outbox.rs"]
mod outbox;
#[path = "../../examples/chat/room.rs"]
mod room;
#[path = "../../examples/chat/server.rs"]
mod server;

fn world(sim: &Sim) {
    conversation::hold(sim, connection::send, conversation::everything);
}

thread_local! {
    static FUZZ: RefCell<Fuzz<fn(&Sim)>> =
        RefCell::new(Checker::new().name("fuzz/chat").workers(2).fuzz(world));
}

fuzz_target!(|choices: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.run(choices)));
