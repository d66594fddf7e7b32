//! The callback connection and its async twin are the same server: a kernel that decides the same way
//! gets to see the same submissions, effects and completions.

use proactor::Proactor;
use proactor::choice::{Alternatives, Chooser, Key, Kind, Site};
use proactor::sim::{Config, World};

use crate::conversation::Conversation;
use crate::model::{Ask, get};
use crate::server::Serve;
use crate::{connection, connection_async};

const ASKS: &[Ask] = &[
    get("/poem.txt"),
    Ask {
        body: "twelve bytes",
        ..get("/nothing")
    },
    Ask {
        method: "HEAD",
        ..get("/")
    },
    Ask {
        close: true,
        ..get("/docs/")
    },
];

/// Decides by the number of the decision alone, and deviates every few times.
struct Dice(u64);

impl Chooser for Dice {
    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        // xorshift64, Marsaglia 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if self.0.is_multiple_of(5) {
            (self.0 >> 8) as usize % count
        } else {
            0
        }
    }
}

fn kernel_trace(serve: Serve, chooser: Box<dyn Chooser>) -> String {
    let config = Config {
        // A task may find its operation ready at once, a handler can't: that decision is off.
        ready_at_first_poll: false,
        trace: true,
        ..Config::default()
    };
    let world = World::new(config, chooser);
    let conversation = Conversation {
        asks: ASKS,
        cuts: &[30, 31],
    };
    let proactor = Proactor::builder()
        .simulated(&world)
        .build()
        .expect("it can be simulated");
    conversation.hold(&proactor, &world, serve);
    drop(proactor);
    world.finish();
    assert!(!world.failed(), "{:?}", world.violation());
    numbered(&world.kernel_trace())
}

/// The trace with operations numbered as they were submitted. Their own names tell what has led to
/// them, and a task is one step further from its connection's accept than a handler is.
fn numbered(trace: &str) -> String {
    let mut names = Vec::new();
    let mut numbered = String::new();
    for line in trace.lines() {
        let (name, event) = line.split_once(' ').expect("a name and an event");
        if event.starts_with("submit ") {
            names.push(name);
        }
        let number = names.iter().rposition(|known| *known == name);
        let number = number.expect("it has been submitted");
        numbered += &format!("{number} {event}\n");
    }
    numbered
}

#[test]
fn the_kind_kernel_can_not_tell_them_apart() {
    let callback = kernel_trace(connection::serve, Box::new(Kind));
    let task = kernel_trace(connection_async::serve, Box::new(Kind));
    assert_ne!(callback, "");
    assert_eq!(callback, task);
}

#[test]
fn no_kernel_can_tell_them_apart() {
    for seed in 1..=500 {
        let callback = kernel_trace(connection::serve, Box::new(Dice(seed)));
        let task = kernel_trace(connection_async::serve, Box::new(Dice(seed)));
        assert_eq!(callback, task, "seed {seed}");
    }
}
