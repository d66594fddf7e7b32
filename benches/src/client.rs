//! The load: a process of its own, so that only the server is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// Keeps `connections` in lockstep: a message on each, then the answer on each, `requests` in all.
pub fn run(addr: SocketAddr, connections: usize, requests: u64) -> io::Result<()> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        // A server that lost a message fails the run and does not hang it.
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        streams.push(stream);
    }
    let mut answer = [0; MESSAGE];
    for round in 0..requests / connections as u64 {
        let message = [round as u8; MESSAGE];
        for stream in &mut streams {
            stream.write_all(&message)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut answer)?;
            if answer != message {
                return Err(io::Error::other("the answer is not the message"));
            }
        }
    }
    Ok(())
}
