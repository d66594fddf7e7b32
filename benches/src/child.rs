//! One measured run: this very program as a server of its own, and as the client that loads it.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::callgrind;
use crate::servers::Server;

/// What a whole run cost.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub allocations: u64,
    pub processor: Duration,
    pub wall: Duration,
    /// What the simulation counts: completions, or executions. The servers: 0.
    pub events: u64,
}

/// Ends with its owner: a server whose client failed would wait for ever.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It has ended already in the ordinary case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Under callgrind, with a name for its file, or plain.
#[derive(Clone, Copy)]
pub enum How<'a> {
    Plain,
    Callgrind(&'a str),
    /// The same, of every instruction.
    Fine(&'a str),
}

fn program(how: How<'_>) -> io::Result<(Command, Option<PathBuf>)> {
    let exe = std::env::current_exe()?;
    Ok(match how {
        How::Plain => (Command::new(exe), None),
        How::Callgrind(name) | How::Fine(name) => {
            let out = callgrind::out_file(&exe, name)?;
            let fine = matches!(how, How::Fine(_));
            (callgrind::command(&exe, &out, fine), Some(out))
        }
    })
}

/// `requests` of `connections` against a server.
pub fn echo(
    how: How<'_>,
    server: Server,
    connections: usize,
    requests: u64,
) -> io::Result<(Run, Option<PathBuf>)> {
    let (mut command, out) = program(how)?;
    command.args(["serve", server.name()]);
    command.args([connections.to_string(), requests.to_string()]);
    let mut child = Owned(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = lines(&mut child);
    let port = word(&mut lines, "port")?;
    let from = Instant::now();
    let client = Command::new(std::env::current_exe()?)
        .args(["client", &format!("127.0.0.1:{}", port[0])])
        .args([connections.to_string(), requests.to_string()])
        .status()?;
    let wall = from.elapsed();
    if !client.success() {
        return Err(io::Error::other(format!(
            "the client of server {} failed",
            server.name()
        )));
    }
    Ok((end(child, lines, wall)?, out))
}

/// A run of the simulation.
pub fn simulation(how: How<'_>, args: &[&str]) -> io::Result<(Run, Option<PathBuf>)> {
    own(how, &[&["simulate"], args].concat())
}

/// A run of this program that serves nobody.
pub fn own(how: How<'_>, args: &[&str]) -> io::Result<(Run, Option<PathBuf>)> {
    let (mut command, out) = program(how)?;
    let from = Instant::now();
    let mut child = Owned(command.args(args).stdout(Stdio::piped()).spawn()?);
    let lines = lines(&mut child);
    let mut run = end(child, lines, Duration::ZERO)?;
    run.wall = from.elapsed();
    Ok((run, out))
}

fn lines(child: &mut Owned) -> BufReader<ChildStdout> {
    BufReader::new(child.0.stdout.take().expect("piped above"))
}

fn end(mut child: Owned, mut lines: BufReader<ChildStdout>, wall: Duration) -> io::Result<Run> {
    let done = word(&mut lines, "done")?;
    let status = child.0.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("the measured process: {status}")));
    }
    Ok(Run {
        allocations: done[0],
        processor: Duration::from_nanos(done[1]),
        wall,
        events: done[2],
    })
}

/// A line `key number…`.
fn word(lines: &mut BufReader<ChildStdout>, key: &str) -> io::Result<Vec<u64>> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    line.strip_prefix(key)
        .map(|rest| rest.split_ascii_whitespace().flat_map(str::parse).collect())
        .filter(|numbers: &Vec<u64>| !numbers.is_empty())
        .ok_or_else(|| io::Error::other(format!("expected a line '{key}', got '{}'", line.trim())))
}
