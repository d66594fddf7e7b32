//! The models: a client that sends a frame of four bytes to a server that sends it back.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{read_exact, write_all};
use proactor::net::{TcpListener, TcpStream};
use proactor::{Handle, Proactor, RunEnd};

const ADDR: &str = "10.0.0.1:7";

/// Serves one connection.
pub(crate) type Serve = fn(TcpStream);

/// The planted bug: one read need not bring a whole frame.
pub(crate) fn one_read(stream: TcpStream) {
    stream.read(Vec::with_capacity(4)).then(|(read, frame)| {
        if read.is_ok_and(|n| n > 0) {
            answer(stream, frame);
        }
    });
}

/// The same, mended.
pub(crate) fn whole_frame(stream: TcpStream) {
    read_exact(&stream, Vec::with_capacity(4)).then(|(read, frame)| {
        if read.is_ok() {
            answer(stream, frame);
        }
    });
}

/// Sends the frame and closes. A kernel that lacks buffers may cut it off: then the end must not look like
/// that of a whole answer.
fn answer(stream: TcpStream, frame: Vec<u8>) {
    write_all(&stream, frame).then(move |(sent, _)| {
        if sent.is_err() {
            let _ = stream.set_linger(Some(Duration::ZERO));
        }
    });
}

/// A frame there and back with this server. Faults of the network are no failure.
pub(crate) fn frame(sim: &Sim, serve: Serve) {
    let listener = TcpListener::bind(sim.proactor(), ADDR).expect("the address is free");
    listener.accept().then(move |accepted| {
        if let Ok((stream, _)) = accepted {
            serve(stream);
        }
    });
    drop(sim.proactor().spawn(client(sim.proactor().handle())));
    // A client that is refused leaves the server waiting.
    drop(
        sim.proactor()
            .spawn(close_when_idle(sim.proactor().handle(), listener)),
    );
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
}

async fn close_when_idle(proactor: Handle, listener: TcpListener) {
    let _ = proactor.sleep(Duration::from_secs(1)).await;
    listener.close();
}

async fn client(proactor: Handle) {
    let Ok(stream) = TcpStream::connect(&proactor, ADDR).await else {
        return;
    };
    let (sent, _) = write_all(&stream, b"ping".to_vec()).await;
    if sent.is_err() {
        return;
    }
    let (read, answer) = read_exact(&stream, Vec::with_capacity(4)).await;
    match read {
        Ok(_) => assert_eq!(answer, b"ping"),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && !answer.is_empty() => {
            panic!("the answer ends after {} of 4 bytes", answer.len())
        }
        Err(_) => {}
    }
}

/// An echo server in callback style, on the kernel of `proactor`, until its client leaves.
pub(crate) fn echo_by_handlers(proactor: &Proactor) {
    fn echo(stream: TcpStream, buf: Vec<u8>) {
        stream.read(buf).then(move |(read, buf)| {
            if read.is_ok_and(|n| n > 0) {
                write_all(&stream, buf).then(move |(sent, buf)| {
                    if sent.is_ok() {
                        echo(stream, buf);
                    }
                });
            }
        });
    }
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let accept = listener.accept();
    accept.then(move |accepted| {
        drop(listener);
        if let Ok((stream, _)) = accepted {
            echo(stream, Vec::with_capacity(16));
        }
    });
}

/// The same as a task.
pub(crate) fn echo_by_task(proactor: &Proactor) {
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    drop(proactor.spawn(async move {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        drop(listener);
        let mut buf = Vec::with_capacity(16);
        loop {
            let read;
            (read, buf) = stream.read(buf).await;
            if !read.is_ok_and(|n| n > 0) {
                return;
            }
            let sent;
            (sent, buf) = write_all(&stream, buf).await;
            if sent.is_err() {
                return;
            }
        }
    }));
}

/// A client of the echo server, with two messages.
pub(crate) fn echo_client(proactor: &Proactor) {
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        let stream = TcpStream::connect(&handle, ADDR).await.expect("it listens");
        for message in ["hello", "world!"] {
            write_all(&stream, message.as_bytes().to_vec())
                .await
                .0
                .expect("it is sent");
            let (read, answer) = read_exact(&stream, Vec::with_capacity(message.len())).await;
            read.expect("it is answered");
            assert_eq!(answer, message.as_bytes());
        }
    }));
}
