//! Echo and file reads on Windows, beside tokio and compio: ratios of one run.
//!
//! `.ci/windows-bench` prints the table under Wine. Both ends of a connection are tasks of the same runtime, on one
//! thread, so that nothing else is in the figures. Absolute ones mean nothing under Wine.
#![cfg_attr(not(windows), allow(unused))]

#[cfg(windows)]
mod beside_compio;
#[cfg(windows)]
mod beside_tokio;
#[cfg(windows)]
mod ours;
#[cfg(windows)]
mod table;

/// Bytes of a message.
const MESSAGE: usize = 64;

/// Bytes of a read, and how many of them there are in the file.
const BLOCK: usize = 4_096;
const BLOCKS: u64 = 256;

#[cfg(not(windows))]
fn main() {
    println!("These benchmarks compare what runs on completion ports: they run on Windows.");
}

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let quick = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--quick") => true,
        Some(_) => {
            eprintln!("proactor-windows-benches [--quick]");
            return ExitCode::from(2);
        }
    };
    match table::print(quick) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
