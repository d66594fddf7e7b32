//! Asio's strand, in a process of its own that measures when it is told to.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Asio {
    program: PathBuf,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Asio {
    /// None without its headers and g++.
    pub(crate) fn start() -> Option<Asio> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/asio_strand.cpp");
        let program = std::env::temp_dir().join(format!("asio-strand-{}", std::process::id()));
        let built = Command::new("g++")
            .args(["-std=c++17", "-O3", "-DNDEBUG", "-pthread", "-o"])
            .args([&program, &source])
            .output();
        if !built.is_ok_and(|built| built.status.success()) {
            return None;
        }
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        Some(Asio {
            asks: child.stdin.take()?,
            answers: BufReader::new(child.stdout.take()?),
            program,
            child,
        })
    }

    /// Nanoseconds of processor time for each of so many posts and their runs.
    pub(crate) fn each(&mut self, how: &str, times: u64) -> std::io::Result<f64> {
        writeln!(self.asks, "{how} {times}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(std::io::Error::other)
    }
}

impl Drop for Asio {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.program);
    }
}
