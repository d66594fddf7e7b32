//! proactor, with handlers, and with state for each connection that both its handlers write.

use std::io;
use std::sync::{Arc, Mutex};

use proactor::net::{TcpListener, TcpStream};
use proactor::{Handle, Proactor, Strand, StrandCell};

use super::Guard;
use crate::client::MESSAGE;
use crate::meter;

/// What a connection keeps account of.
#[derive(Default)]
struct State {
    received: u64,
    sent: u64,
}

pub fn run(guard: Guard, workers: usize, requests: u64) -> io::Result<()> {
    let proactor = Proactor::builder().workers(workers).build()?;
    let listener = Arc::new(TcpListener::bind(&proactor, "127.0.0.1:0")?);
    meter::serve(listener.local_addr()?.port(), requests);
    let answered = if workers == 1 {
        meter::answered
    } else {
        meter::answered_by_one_of_many
    };
    accept(proactor.handle(), listener, guard, answered);
    proactor.run().map_err(io::Error::other)?;
    Ok(())
}

fn accept(proactor: Handle, listener: Arc<TcpListener>, guard: Guard, answered: fn()) {
    listener.clone().accept().then(move |accepted| {
        let Ok((stream, _)) = accepted else { return };
        let buffer = Vec::with_capacity(MESSAGE);
        if stream.set_nodelay(true).is_ok() {
            match guard {
                Guard::Alone => alone_read(stream, Box::default(), buffer, answered),
                Guard::Strand => {
                    let state = StrandCell::new(&Strand::new(&proactor), State::default());
                    strand_read(Arc::new((stream, state)), buffer, answered);
                }
                Guard::Mutex => {
                    let state = Mutex::new(State::default());
                    mutex_read(Arc::new((stream, state)), buffer, answered);
                }
            }
        }
        accept(proactor, listener, guard, answered);
    });
}

fn alone_read(stream: TcpStream, mut state: Box<State>, buffer: Vec<u8>, answered: fn()) {
    stream.read(buffer).then(move |(n, buffer)| {
        if let Ok(n @ 1..) = n {
            state.received += n as u64;
            alone_write(stream, state, buffer, answered);
        }
    });
}

fn alone_write(stream: TcpStream, mut state: Box<State>, buffer: Vec<u8>, answered: fn()) {
    stream.write(buffer).then(move |(n, buffer)| {
        if n.is_ok_and(|n| n == buffer.len()) {
            state.sent += buffer.len() as u64;
            answered();
            alone_read(stream, state, buffer, answered);
        }
    });
}

fn strand_read(at: Arc<(TcpStream, StrandCell<State>)>, buffer: Vec<u8>, answered: fn()) {
    let operation = at.0.read(buffer).on(at.1.strand());
    operation.then(move |(n, buffer)| {
        if let Ok(n @ 1..) = n {
            at.1.with(|state| state.received += n as u64);
            strand_write(at, buffer, answered);
        }
    });
}

fn strand_write(at: Arc<(TcpStream, StrandCell<State>)>, buffer: Vec<u8>, answered: fn()) {
    let operation = at.0.write(buffer).on(at.1.strand());
    operation.then(move |(n, buffer)| {
        if n.is_ok_and(|n| n == buffer.len()) {
            at.1.with(|state| state.sent += buffer.len() as u64);
            answered();
            strand_read(at, buffer, answered);
        }
    });
}

fn mutex_read(at: Arc<(TcpStream, Mutex<State>)>, buffer: Vec<u8>, answered: fn()) {
    let operation = at.0.read(buffer);
    operation.then(move |(n, buffer)| {
        if let Ok(n @ 1..) = n {
            at.1.lock().expect("no panic").received += n as u64;
            mutex_write(at, buffer, answered);
        }
    });
}

fn mutex_write(at: Arc<(TcpStream, Mutex<State>)>, buffer: Vec<u8>, answered: fn()) {
    let operation = at.0.write(buffer);
    operation.then(move |(n, buffer)| {
        if n.is_ok_and(|n| n == buffer.len()) {
            at.1.lock().expect("no panic").sent += buffer.len() as u64;
            answered();
            mutex_read(at, buffer, answered);
        }
    });
}
