//! The worlds of the player: each is a program of a screen, played on the kernel with everything that its chapter is
//! about left to the reader.
//!
//! A text that begins with ✗ is a mistake, and the story is over.

mod loans;
mod servers;

use super::stage::Stage;

/// One world.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lanes: &'static [&'static str],
    pub(crate) play: fn(&mut Stage),
}

pub(crate) const WORLDS: [World; 9] = [
    World {
        name: "one-call",
        title: "A request, read with one call",
        about: "The server of the first lines of this book. The client sends its request in one piece, as it always did.",
        lanes: &["client", "kernel", "server"],
        play: servers::one_call,
    },
    World {
        name: "ready-or-done",
        title: "Ready, or done",
        about: "A program has one buffer and wants what its peer sends. Be the program, and watch whose the buffer is.",
        lanes: &["peer", "kernel", "program"],
        play: loans::ready_or_done,
    },
    World {
        name: "effect-before-completion",
        title: "An answer before the send is told",
        about: "A question is sent, and its answer is awaited. Two completions will come: be the kernel, and choose their order.",
        lanes: &["peer", "kernel", "program"],
        play: loans::effect_before_completion,
    },
    World {
        name: "cancel-race",
        title: "A cancel, and the bytes",
        about: "A receive waits. A cancel is asked for, and bytes arrive: in which order, and what the kernel makes of it, is yours.",
        lanes: &["peer", "kernel", "program"],
        play: loans::cancel_race,
    },
    World {
        name: "echo",
        title: "One echo, many ways",
        about: "The handlers of an echo server, and a client that says “ping”. The kernel may be short, once when it receives and once when it sends.",
        lanes: &["client", "kernel", "handlers"],
        play: servers::echo,
    },
    World {
        name: "false-hint",
        title: "A hint that was false",
        about: "A library emulates a read: it waits until the socket is ready, and reads. Two threads want the same bytes.",
        lanes: &["peer", "kernel", "library"],
        play: loans::false_hint,
    },
    World {
        name: "when-may-i-free",
        title: "When may I free it?",
        about: "A receive has borrowed a buffer of yours, and you would like it back. Try.",
        lanes: &["peer", "kernel", "program"],
        play: loans::when_may_i_free,
    },
    World {
        name: "frame",
        title: "A frame, in pieces",
        about: "Four bytes say how long a message is, then it comes: here 0 0 0 4 and “ahoy”. The kernel cuts where it likes.",
        lanes: &["peer", "kernel", "program"],
        play: servers::frame,
    },
    World {
        name: "slow-handler",
        title: "A slow handler",
        about: "One worker, two connections. A login costs 50 ms of computing, a ping costs nothing; both arrive at once.",
        lanes: &["peers", "kernel", "worker", "pool"],
        play: servers::slow_handler,
    },
];

const ADDRESS: &str = "10.0.0.1:7";
const YOU: &str = "You are the program. What do you do?";

/// Bytes as they are told of.
fn said(bytes: &[u8]) -> String {
    format!("“{}”", String::from_utf8_lossy(bytes))
}
