//! The replay command of a report, as people use it: a variable, and the same test again.

use std::process::{Command, Output};

use proactor::check::{Checker, Failure};
use proactor::sim::{Door, Personality};

use crate::models::{frame, one_read};

/// What the child process runs. By itself it fails, which is its purpose: it is not run with the others.
#[test]
#[ignore = "fails by design; the tests below run it in a process of their own"]
fn planted() {
    match Checker::new()
        .name("frames")
        .run(|sim| frame(sim, one_read))
    {
        Ok(summary) => println!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// The same on a completion ring.
#[test]
#[ignore = "fails by design; the tests below run it in a process of their own"]
fn planted_on_a_ring() {
    panic!("{}", found(Personality::Ring, Door::Plain));
}

/// The same behind the driver of completion ports.
#[test]
#[ignore = "fails by design; the tests below run it in a process of their own"]
fn planted_behind_a_port() {
    panic!("{}", found(Personality::Any, Door::Port));
}

fn found(personality: Personality, door: Door) -> Box<Failure> {
    Checker::new()
        .name("frames")
        .personality(personality)
        .door(door)
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found")
}

/// Runs `planted` with `PROACTOR_REPLAY` set so. Whether it passed, and what it said.
fn replay(value: &str) -> (bool, String) {
    child("replaying::planted", value)
}

/// Runs an ignored test in a process of its own with `PROACTOR_REPLAY` set so.
pub(crate) fn child(test: &str, value: &str) -> (bool, String) {
    let this = std::env::current_exe().expect("it is known");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(this)
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("PROACTOR_REPLAY", value)
        .output()
        .expect("the test binary runs");
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (status.success(), said.concat())
}

fn recorded() -> String {
    let failure = Checker::new()
        .name("frames")
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found");
    failure.replay().expect("it can be repeated").to_owned()
}

#[test]
fn the_command_of_a_report_repeats_the_failure() {
    let recorded = recorded();
    let (passed, said) = replay(&recorded);
    assert!(!passed, "{said}");
    assert!(said.contains("the answer ends after"), "{said}");
    assert!(
        said.contains("Found by replaying PROACTOR_REPLAY."),
        "{said}"
    );
    // It leads back to itself, and names the test.
    let command = format!("PROACTOR_REPLAY='{recorded}' cargo test replaying::planted -- --exact");
    assert!(said.contains(&command), "{said}");
}

#[test]
fn a_stale_string_that_passes_says_so_and_fails() {
    let (passed, said) = replay("1;for=frames;x256pp:0000000000000000;recv@12345678#0=half");
    assert!(!passed, "{said}");
    assert!(
        said.contains("replays a stale PROACTOR_REPLAY, which passes"),
        "{said}"
    );
    assert!(
        said.contains("recv@12345678#0=half: that decision never came up"),
        "{said}"
    );
}

#[test]
fn a_string_that_is_stale_in_part_and_fails_names_what_is_gone() {
    let (passed, said) = replay(&format!("{};reset@12345678#0=reset", recorded()));
    assert!(!passed, "{said}");
    assert!(said.contains("Stale, left out:"), "{said}");
    assert!(said.contains("the answer ends after"), "{said}");
}

#[test]
fn a_malformed_string_says_where_and_what_to_do() {
    let recorded = recorded();
    let cut = &recorded[..recorded.rfind('=').expect("it has a deviation")];
    for (value, what) in [
        (cut, "was the string cut off?"),
        ("7;x256pp:0", "replay strings that begin with `1;`"),
        ("nonsense", "at character 1, `nonsense`"),
    ] {
        let (passed, said) = replay(value);
        assert!(!passed, "{said}");
        assert!(said.contains("PROACTOR_REPLAY can't be read"), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(said.contains("unset the variable"), "{said}");
    }
}

#[test]
fn a_string_of_another_kernel_is_refused_and_says_how_to_repeat_it() {
    let planted = "replaying::planted";
    let on_a_ring = "replaying::planted_on_a_ring";
    let behind_a_port = "replaying::planted_behind_a_port";
    let of_any = recorded();
    let of_a_ring = found(Personality::Ring, Door::Plain);
    let of_a_port = found(Personality::Any, Door::Port);
    let of_a_ring = of_a_ring.replay().expect("it can be repeated");
    let of_a_port = of_a_port.replay().expect("it can be repeated");
    for (test, recorded, setting) in [
        (on_a_ring, of_a_ring, ";kernel=ring;"),
        (behind_a_port, of_a_port, ";door=port;"),
    ] {
        assert!(recorded.contains(setting), "{recorded}");
        let (passed, said) = child(test, recorded);
        assert!(!passed && said.contains("the answer ends after"), "{said}");
    }
    for (test, recorded, its, calls) in [
        (
            planted,
            of_a_ring,
            "`ring` of the simulated kernel, and this check has",
            "Set `personality(Personality::Ring)`, or",
        ),
        (
            planted,
            of_a_port,
            "`any` of the simulated kernel, behind the driver of completion ports, and this check has",
            "Set `door(Door::Port)`, or",
        ),
        (
            on_a_ring,
            &of_any,
            "`any` of the simulated kernel, and this check has",
            "Set `personality(Personality::Any)`, or",
        ),
        (
            on_a_ring,
            of_a_port,
            "`any` of the simulated kernel, behind the driver of completion ports, and this check has",
            "Set `personality(Personality::Any)` and `door(Door::Port)`, or",
        ),
    ] {
        let (passed, said) = child(test, recorded);
        assert!(!passed, "{said}");
        let was = format!("recorded with 1 worker on the personality {its}");
        assert!(said.contains(&was) && said.contains(calls), "{said}");
        assert!(
            !said.contains("the answer ends after"),
            "it was not run: {said}"
        );
    }
}

#[test]
fn a_string_for_another_check_leaves_this_one_alone() {
    let (passed, said) = replay("1;for=other;x256pp:0000000000000000");
    assert!(passed, "{said}");
    assert!(said.contains("meant for the check `other`"), "{said}");
}
