//! What the console tells a program, as signals.
//!
//! | the console's event | the signal |
//! |---|---|
//! | ctrl-c, ctrl-break | [`Signal::CtrlC`] |
//! | its window is closed, the user logs off, the system shuts down | [`Signal::Terminate`] |
//!
//! Windows calls the handler on a thread that it makes for that. After one of the latter it ends the process as soon as the
//! handler returns, or some seconds later (page *HandlerRoutine callback function*): so the handler does not return,
//! once it has told somebody, and the program has those seconds to come to an end.

use std::io;
use std::sync::OnceLock;

use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

use super::{Signal, tell};

/// Installs the handler, once in a process.
pub(super) fn listen() -> io::Result<()> {
    static LISTENING: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = LISTENING.get_or_init(|| {
        // SAFETY: the function is there as long as the process is.
        match unsafe { SetConsoleCtrlHandler(Some(handler), 1) } {
            0 => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
            _ => Ok(()),
        }
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// What is to be done after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// Nothing more is to happen.
    Return,
    /// The next handler is to be asked, and Windows at last.
    PassOn,
    /// The process is to end by itself.
    Stay,
}

unsafe extern "system" fn handler(event: u32) -> BOOL {
    match heard(event) {
        Then::Return => 1,
        Then::PassOn => 0,
        Then::Stay => loop {
            std::thread::park();
        },
    }
}

fn heard(event: u32) -> Then {
    match event {
        CTRL_C_EVENT | CTRL_BREAK_EVENT => {
            tell(Signal::CtrlC, |_| true);
            Then::Return
        }
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT => {
            match tell(Signal::Terminate, |_| true) {
                0 => Then::PassOn,
                _ => Then::Stay,
            }
        }
        _ => Then::PassOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Proactor;

    #[test]
    fn events_of_the_console_are_signals() {
        let proactor = Proactor::new().expect("a completion port");
        for (event, signal, then) in [
            (CTRL_C_EVENT, Signal::CtrlC, Then::Return),
            (CTRL_BREAK_EVENT, Signal::CtrlC, Then::Return),
            (CTRL_CLOSE_EVENT, Signal::Terminate, Then::Stay),
            (CTRL_LOGOFF_EVENT, Signal::Terminate, Then::Stay),
            (CTRL_SHUTDOWN_EVENT, Signal::Terminate, Then::Stay),
        ] {
            let mut wait = super::super::wait(&proactor, signal);
            let came = proactor.block_on(async {
                wait.cancel_handle();
                // On a thread of its own, as Windows does it.
                let thread = std::thread::spawn(move || heard(event));
                wait.await.expect("the signal comes");
                thread.join().expect("no panic")
            });
            assert_eq!(came.expect("it runs"), then, "{event}");
        }
        // One that nobody waits for is Windows' own.
        assert_eq!(heard(CTRL_CLOSE_EVENT), Then::PassOn);
        assert_eq!(heard(3), Then::PassOn);
        // As elsewhere: who has once waited for ctrl-c is not ended by it any more.
        assert_eq!(heard(CTRL_C_EVENT), Then::Return);
    }
}
