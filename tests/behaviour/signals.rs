//! Signals as operations.

use std::time::Duration;

use proactor::signal::{self, Signal};
use proactor::{RunEnd, RunError, is_canceled};

use crate::kernels::{in_any_order, on_every_kernel, on_the_simulated_kernel};
use crate::tools::Told;

#[test]
fn a_raised_signal_ends_those_who_wait_for_it_and_nobody_else() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        for (wait, word) in [
            (signal::ctrl_c(&proactor), "ctrl-c"),
            (signal::wait(&proactor, Signal::CtrlC), "ctrl-c"),
            (signal::terminate(&proactor), "terminate"),
        ] {
            let tell = told.clone();
            wait.then(move |came| tell.tell((word, came.is_ok())));
        }
        let handle = proactor.handle();
        proactor.sleep(Duration::from_millis(1)).then(move |_| {
            signal::raise(&handle, Signal::CtrlC);
            handle
                .sleep(Duration::from_millis(1))
                .then(move |_| signal::raise(&handle, Signal::Terminate));
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(
            told.take(),
            [("ctrl-c", true), ("ctrl-c", true), ("terminate", true)]
        );
    });
}

#[test]
fn a_signal_wait_can_be_cancelled_and_can_time_out() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        proactor
            .block_on(async {
                let mut wait = signal::ctrl_c(&proactor);
                wait.cancel_handle().cancel();
                assert!(is_canceled(&wait.await.unwrap_err()));
                let late = signal::terminate(&proactor)
                    .timeout(Duration::from_millis(1))
                    .await;
                assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
                // Those are gone: the signal is for whoever waits now.
                let mut wait = signal::ctrl_c(&proactor);
                wait.cancel_handle();
                signal::raise(&proactor, Signal::CtrlC);
                wait.await.unwrap();
            })
            .unwrap();
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_signal_that_comes_while_nobody_waits_is_not_kept() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        signal::raise(&proactor, Signal::CtrlC);
        let late = signal::ctrl_c(&proactor).timeout(Duration::from_millis(1));
        assert!(proactor.block_on(late).unwrap().is_err());
    });
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        proactor
            .block_on(async {
                let mut wait = signal::ctrl_c(&proactor);
                wait.cancel_handle();
                drop(wait);
            })
            .unwrap();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        signal::raise(&proactor, Signal::CtrlC);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_signal_raised_on_another_thread_arrives() {
    crate::kernels::on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let mut wait = signal::ctrl_c(&proactor);
        proactor
            .block_on(async {
                wait.cancel_handle();
                std::thread::spawn(move || signal::raise(&handle, Signal::CtrlC));
                wait.await
            })
            .unwrap()
            .unwrap();
    });
}

/// Real signals do not come into a simulation: who waits for one that nobody raises waits for ever.
#[test]
fn a_simulation_that_waits_for_a_signal_alone_is_stuck() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        let wait = signal::ctrl_c(&proactor).then(|_| {});
        let Err(RunError::Stuck(who)) = proactor.run() else {
            panic!("not stuck")
        };
        assert!(who.contains("signal"), "{who}");
        wait.cancel();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

/// Set for the child that the next test starts: this very test, which then is the program.
const CHILD: &str = "PROACTOR_BEHAVIOUR_SIGNALLED";

#[test]
fn a_real_signal_ends_a_program_gracefully() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    if std::env::var_os(CHILD).is_some() {
        return a_program_that_is_signalled();
    }
    crate::kernels::on_the_real_kernel(|kernel| {
        for &(signal, word) in sent::SIGNALS {
            let test = "signals::a_real_signal_ends_a_program_gracefully";
            let mut program = Command::new(std::env::current_exe().unwrap());
            sent::alone(&mut program);
            let mut child = program
                .args(["--exact", test, "--nocapture"])
                .env(CHILD, "1")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut next = |what: &str| {
                let said = lines.find(|line| line.as_ref().unwrap().contains(what));
                assert!(said.is_some(), "the child ended without `{what}`");
            };
            next("waits for a signal");
            if let Err(error) = sent::send(child.id(), signal) {
                assert!(kernel.is_wine(), "{error}");
                child.kill().unwrap();
                child.wait().unwrap();
                return;
            }
            next(word);
            next("drained");
            assert!(child.wait().unwrap().success());
        }
    });
}

/// How another program is sent a signal.
#[cfg(unix)]
mod sent {
    pub(super) const SIGNALS: &[(i32, &str)] =
        &[(libc::SIGINT, "ctrl-c"), (libc::SIGTERM, "terminate")];

    /// So that nobody else gets it: it goes to a process.
    pub(super) fn alone(_: &mut std::process::Command) {}

    pub(super) fn send(pid: u32, signal: i32) -> std::io::Result<()> {
        let pid = libc::pid_t::try_from(pid).unwrap();
        // SAFETY: a system call on a child that was not waited for: the number is still its own.
        match unsafe { libc::kill(pid, signal) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

/// As above. Of the console's events a program can send ctrl-break to another, and to no other than a group.
#[cfg(windows)]
mod sent {
    use std::os::windows::process::CommandExt;

    use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
    use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

    pub(super) const SIGNALS: &[(u32, &str)] = &[(CTRL_BREAK_EVENT, "ctrl-c")];

    pub(super) fn alone(program: &mut std::process::Command) {
        program.creation_flags(CREATE_NEW_PROCESS_GROUP);
    }

    pub(super) fn send(pid: u32, signal: u32) -> std::io::Result<()> {
        // SAFETY: a system call on a child that was not waited for: the number is still its own, and its group's.
        match unsafe { GenerateConsoleCtrlEvent(signal, pid) } {
            0 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// Serves until it is signalled; then ends what is under way, and itself.
fn a_program_that_is_signalled() {
    let proactor = proactor::Proactor::new().unwrap();
    let served = proactor
        .sleep(Duration::from_secs(3600))
        .then(|slept| assert!(is_canceled(&slept.unwrap_err())));
    let waits = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for (wait, word) in [
        (signal::ctrl_c(&proactor), "ctrl-c"),
        (signal::terminate(&proactor), "terminate"),
    ] {
        let (served, others) = (served.clone(), waits.clone());
        let wait = wait.then(move |came| {
            if came.is_ok() {
                println!("{word}");
                served.cancel();
                let others: Vec<proactor::Cancel> = others.lock().unwrap().drain(..).collect();
                others.iter().for_each(proactor::Cancel::cancel);
            }
        });
        waits.lock().unwrap().push(wait);
    }
    // After the waits have begun.
    proactor.post(|| println!("waits for a signal"));
    assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    println!("drained");
}
