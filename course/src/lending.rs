//! Exercise 5: a board that sends its news from one page, and must not write on it while it is lent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::IoBuf;
use proactor::check::Sim;
use proactor::net::{TcpListener, TcpStream};

use crate::checked::{ADDRESS, World, converse, expect, in_all};
use crate::verdict::Check;

/// So long is every piece of news.
pub const LINE: usize = 8;

/// A piece of memory that its owner keeps while it is lent, as a C program would: nothing but care keeps the two
/// apart.
#[derive(Clone, Debug, Default)]
pub struct Page(Arc<[AtomicU8; LINE]>);

impl Page {
    /// Writes on the page, whoever has it.
    pub fn write(&self, line: &str) {
        for (byte, place) in line.bytes().zip(self.0.iter()) {
            place.store(byte, Ordering::Relaxed);
        }
    }
}

// SAFETY: the address is stable, and the page lives as long as any handle of it. That nobody changes the bytes while
// they are lent is what the exercise is about; they are atomics, and in a simulation the kernel reads them on the same
// thread, so that a wrong answer is a violation of I2 and no undefined behaviour.
unsafe impl IoBuf for Page {
    fn io_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn io_len(&self) -> usize {
        LINE
    }
}

/// A client's board: everything that there is for it.
#[derive(Debug)]
pub struct Board {
    /// Where the client is.
    pub stream: TcpStream,
    /// The only page that there is.
    pub page: Page,
    /// What has to be known of it.
    pub state: Mutex<State>,
}

/// What has to be known of a board.
#[derive(Debug, Default)]
pub struct State {
    /// Whether the page is the kernel's.
    pub is_lent: bool,
    /// News that wait for the page.
    pub waiting: VecDeque<&'static str>,
}

const NEWS: [&str; 4] = ["gate 17\n", "delayed\n", "gate  2\n", "go now!\n"];

/// Checks a function that is called with each piece of news, at any time.
pub fn check(announce: fn(&Arc<Board>, &'static str)) -> Check {
    in_all(vec![
        World::new("ex05_lending/quiet", move |sim| world(sim, announce, true)).without_faults(),
        World::new("ex05_lending", move |sim| world(sim, announce, false)),
    ])
}

/// Three pieces of news at once, and one a moment later; the client hears all of them, in their order.
fn world(sim: &Sim, announce: fn(&Arc<Board>, &'static str), is_quiet: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDRESS);
    let listener = listener.unwrap_or_else(|error| panic!("nobody else is here: {error}"));
    listener.accept().then(move |accepted| {
        drop(listener);
        let Ok((stream, _)) = accepted else { return };
        let handle = stream.handle();
        let board = Arc::new(Board {
            stream,
            page: Page::default(),
            state: Mutex::default(),
        });
        let [first, second, third, last] = NEWS;
        announce(&board, first);
        let soon = board.clone();
        handle.post(move || {
            announce(&soon, second);
            announce(&soon, third);
        });
        handle
            .sleep(Duration::from_millis(1))
            .then(move |_| announce(&board, last));
    });
    let heard = proactor.block_on(converse(proactor, &[]));
    let heard = heard.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    expect(sim, heard, NEWS.concat().as_bytes(), is_quiet);
}
