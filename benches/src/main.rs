//! What an operation costs: echo servers side by side, and the simulated kernel.
//!
//! `cargo run --profile bench -p proactor-benches` prints the table.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod asio;
#[cfg(target_os = "linux")]
mod callgrind;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod explorers;
#[cfg(target_os = "linux")]
mod guards;
#[cfg(target_os = "linux")]
mod locks;
#[cfg(target_os = "linux")]
mod meter;
#[cfg(target_os = "linux")]
mod pairs;
#[cfg(target_os = "linux")]
mod profile;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod sim;
#[cfg(target_os = "linux")]
mod strands;
#[cfg(target_os = "linux")]
mod switches;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod turmoil;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: meter::Counting = meter::Counting;

#[cfg(target_os = "linux")]
const USAGE: &str = "\
proactor-benches [table] [--quick]
    The tables: echo servers beside a loop written by hand, the simulated kernel, locks.
    Instructions are counted if valgrind is installed. --quick takes seconds.
    Exit code 1: something is over its bar.
proactor-benches locks [--quick]
    The last of them alone: proactor::sync beside std.
proactor-benches turmoil [--quick]
    The simulated kernel beside turmoil.
proactor-benches explorers [--quick]
    The checker beside shuttle and loom, on the same models.
proactor-benches workers [--quick]
    Simulated workers alone: a switch, a decision, an execution.
proactor-benches strands [--quick]
    Strands beside Asio's (g++ and libasio-dev are wanted) and beside a queue under a lock; three ways to
    guard the state of a connection.
proactor-benches profile hand|callback|async|tokio|2-workers [CONNECTIONS] [ROWS]
proactor-benches profile kind|random [CONNECTIONS] [ROWS]
    Where the instructions of one request, or of one simulated completion, go.
proactor-benches profile chained|bursts TIMES [ROWS]
    The same of one post to a strand and its run.
proactor-benches profile explore counter|senders [ROWS]
proactor-benches profile framed|naive|reduced|counter|nothing|connection 1 [ROWS]
    The same of one execution of the checker.
proactor-benches serve SERVER CONNECTIONS REQUESTS
proactor-benches client ADDRESS CONNECTIONS REQUESTS
proactor-benches simulate kind|random|idle|framed|naive|reduced|counter CONNECTIONS MESSAGES
proactor-benches simulate alone|goes-on|gives-way|stack|nothing|connection 1 TIMES
proactor-benches explore ours|shuttle|loom counter|senders TIMES
proactor-benches use mutex|std-mutex|read|std-read|add|std-add|nothing TIMES
proactor-benches post chained|bursts TIMES
    The parts that the others run.";

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("These benchmarks compare with a loop on io_uring: they run on Linux.");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
fn run(args: &[&str]) -> Result<bool, Box<dyn std::error::Error>> {
    use profile::Subject;
    use servers::Server;
    use table::Size;

    match args {
        [] | ["table"] => return Ok(table::print(Size::Full)?),
        ["--quick"] | ["table", "--quick"] => return Ok(table::print(Size::Quick)?),
        ["locks"] => return Ok(locks::print(Size::Full, callgrind::installed())?),
        ["locks", "--quick"] => return Ok(locks::print(Size::Quick, callgrind::installed())?),
        ["turmoil"] => return turmoil::print(Size::Full),
        ["turmoil", "--quick"] => return turmoil::print(Size::Quick),
        ["strands"] => return Ok(strands::print(Size::Full, callgrind::installed())?),
        ["strands", "--quick"] => return Ok(strands::print(Size::Quick, callgrind::installed())?),
        ["profile", "explore", model, rest @ ..] if rest.len() <= 1 => {
            let rows = rest.first().map_or(Ok(40), |rows| rows.parse())?;
            let model = explorers::Model::from_name(model).ok_or(USAGE)?;
            profile::print(Subject::Explore(model.name()), rows)?;
        }
        ["profile", subject, rest @ ..] if rest.len() <= 2 => {
            let connections = rest.first().copied().unwrap_or("64");
            let rows = rest.get(1).map_or(Ok(40), |rows| rows.parse())?;
            let subject = match Server::from_name(subject) {
                Some(server) => Subject::Echo(server, connections.parse()?),
                None if strands::Posts::from_name(subject).is_some() => Subject::Posts(subject),
                None => Subject::Simulation(subject, connections),
            };
            profile::print(subject, rows)?;
        }
        ["serve", server, connections, requests] => {
            let server = Server::from_name(server).ok_or(USAGE)?;
            server.run(connections.parse()?, requests.parse()?)?;
        }
        ["client", addr, connections, requests] => {
            client::run(addr.parse()?, connections.parse()?, requests.parse()?)?;
        }
        ["explorers"] => return Ok(explorers::print(Size::Full)?),
        ["explorers", "--quick"] => return Ok(explorers::print(Size::Quick)?),
        ["explore", who, what, times] => {
            let who = explorers::Explorer::from_name(who).ok_or(USAGE)?;
            let what = explorers::Model::from_name(what).ok_or(USAGE)?;
            explorers::run(who, what, times.parse()?)?;
        }
        ["workers"] => return Ok(switches::print(Size::Full, callgrind::installed())?),
        ["workers", "--quick"] => return Ok(switches::print(Size::Quick, callgrind::installed())?),
        ["simulate", mode, _, times] if switches::Mode::from_name(mode).is_some() => {
            let mode = switches::Mode::from_name(mode).ok_or(USAGE)?;
            switches::run(mode, times.parse()?)?;
        }
        ["simulate", mode, connections, messages] => {
            let mode = sim::Mode::from_name(mode).ok_or(USAGE)?;
            sim::run(mode, connections.parse()?, messages.parse()?)?;
        }
        ["post", how, times] => {
            let how = strands::Posts::from_name(how).ok_or(USAGE)?;
            strands::run(how, times.parse()?)?;
        }
        ["use", which, times] => {
            locks::run(locks::Use::from_name(which).ok_or(USAGE)?, times.parse()?);
        }
        ["help" | "--help" | "-h"] => println!("{USAGE}"),
        _ => return Err(USAGE.into()),
    }
    Ok(true)
}
