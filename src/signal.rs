//! Ctrl-c and the request to terminate, as operations.
//!
//! On Unix the first such operation of a process installs a handler (through `signal-hook`, which shares the
//! signal with others) and starts a thread that passes signals on to whoever waits. From then on the
//! signal's default action, ending the process, no longer happens.
//!
//! On Windows they are what the console tells: ctrl-c and ctrl-break are [`Signal::CtrlC`]; that its window is closed,
//! the user logs off or the system shuts down is [`Signal::Terminate`]. After the latter a program has
//! some seconds to end, then Windows ends it.

#[cfg(windows)]
mod console;

use std::io;
use std::sync::Mutex;

use crate::backend::{Code, Op, Raw, Token};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, Message, lock};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, StandIn, Steps};
use crate::proactor::Handle;

/// A signal that a program may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Signal {
    /// Ctrl-c at the terminal: SIGINT. Ctrl-c or ctrl-break at the console on Windows.
    CtrlC,
    /// The polite request to end: SIGTERM. On Windows that the console is closed, the user logs off or the system
    /// shuts down.
    Terminate,
}

/// Ends at the next ctrl-c.
///
/// ```no_run
/// # let proactor = proactor::Proactor::new().unwrap();
/// let handle = proactor.handle();
/// proactor::signal::ctrl_c(&proactor).then(move |_| handle.stop());
/// proactor.run().unwrap();
/// ```
#[track_caller]
pub fn ctrl_c(proactor: &Handle) -> Operation<Wait> {
    wait(proactor, Signal::CtrlC)
}

/// Ends at the next request to terminate.
#[track_caller]
pub fn terminate(proactor: &Handle) -> Operation<Wait> {
    wait(proactor, Signal::Terminate)
}

/// Ends at the next `signal`.
///
/// Cancel-safe: a signal is not consumed by a waiter that is gone. Signals that come while nobody
/// waits are not kept.
#[track_caller]
pub fn wait(proactor: &Handle, signal: Signal) -> Operation<Wait> {
    Operation::new(Wait {
        home: proactor.home,
        signal,
        token: None,
        failed: None,
    })
}

/// Ends the waits of this proactor for `signal`, as if the signal had come: for tests, and for
/// simulations, which real signals do not reach.
pub fn raise(proactor: &Handle, signal: Signal) {
    tell(signal, |home| {
        std::ptr::eq(home.home, proactor.home.home) && home.incarnation == proactor.home.incarnation
    });
}

/// The kind of [`wait`].
pub struct Wait {
    home: HomeRef,
    signal: Signal,
    /// What it waits as, once it does.
    token: Option<Token>,
    failed: Option<io::Error>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Cancelled or not: it waits no more.
        if let Some(token) = self.token.take() {
            let same = |waiter: &Waiter| {
                waiter.token == token
                    && std::ptr::eq(waiter.home.home, self.home.home)
                    && waiter.home.incarnation == self.home.incarnation
            };
            lock(&WAITERS).retain(|waiter| !same(waiter));
        }
    }
}

impl Steps for Wait {
    type Out = io::Result<()>;
    const NAME: &'static str = "signal";
    const EXTERNAL: bool = true;
    const UNBOUNDED: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        // A simulation's signals come from `raise` alone.
        if !local.is_virtual.get()
            && let Err(error) = listen()
        {
            self.failed = Some(error);
            return Err(FAILED_EARLY);
        }
        Ok(Activation {
            op: Op::new(Code::Nop, Raw::NONE),
            object: None,
            writable: false,
        })
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        Some(self)
    }

    fn finish(mut self, outcome: Outcome<'_>) -> Self::Out {
        match self.failed.take() {
            Some(error) if outcome.result == FAILED_EARLY => Err(error),
            _ => outcome.unit(),
        }
    }
}

impl StandIn for Wait {
    fn arm(&mut self, _: &Local, token: Token) {
        let mut waiters = lock(&WAITERS);
        waiters.retain(|waiter| waiter.home.is_alive());
        waiters.push(Waiter {
            home: self.home,
            token,
            signal: self.signal,
        });
        self.token = Some(token);
    }
}

struct Waiter {
    home: HomeRef,
    token: Token,
    signal: Signal,
}

static WAITERS: Mutex<Vec<Waiter>> = Mutex::new(Vec::new());

/// Passes a signal on to those waiters that are meant. How many they are.
fn tell(signal: Signal, meant: impl Fn(&HomeRef) -> bool) -> usize {
    let told: Vec<Waiter> = lock(&WAITERS)
        .extract_if(.., |waiter| waiter.signal == signal && meant(&waiter.home))
        .collect();
    let count = told.len();
    for Waiter { home, token, .. } in told {
        match home.here() {
            Some(local) => local.complete_external(token, 0),
            None => home.send(Message::Run(Box::new(move |local| {
                local.complete_external(token, 0)
            }))),
        }
    }
    count
}

#[cfg(unix)]
fn listen() -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    static LISTENING: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
    let started = LISTENING.get_or_init(|| {
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
            .map_err(|error| error.to_string())?;
        let pass_on = move || {
            for number in signals.forever() {
                tell(
                    if number == SIGINT {
                        Signal::CtrlC
                    } else {
                        Signal::Terminate
                    },
                    |_| true,
                );
            }
        };
        let thread = std::thread::Builder::new()
            .name("proactor-signals".into())
            .spawn(pass_on);
        thread.map(drop).map_err(|error| error.to_string())
    });
    started.clone().map_err(io::Error::other)
}

#[cfg(windows)]
use console::listen;

#[cfg(not(any(unix, windows)))]
fn listen() -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "signals are not available on this platform yet",
    ))
}
