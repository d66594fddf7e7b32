//! A connection in async style: the server of `connection.rs` as one loop. It starts the same
//! operations in the same order, so the kernel can't tell the two apart; a test holds them to it.
//!
//! Returning ends the connection: dropping it closes the stream.

use std::io::{self, ErrorKind};
use std::mem;
use std::net::Shutdown;

use proactor::IoBuf;
use proactor::fs::File;

use crate::exchange::{Body, Connection, Reply, Taken, time_left};
use crate::request::Request;
use crate::response::{Persistence, Status};

/// Serves requests, one after the other, until the connection has to end.
pub(crate) fn serve(connection: Connection) {
    // The task ends by itself: nobody has to wait for it.
    let proactor = connection.proactor;
    drop(proactor.spawn(serve_requests(connection)));
}

async fn serve_requests(mut connection: Connection) {
    while let Some(reply) = next_reply(&mut connection).await {
        let Ok(keep_alive) = send(&mut connection, reply).await else {
            return;
        };
        if !keep_alive {
            return say_goodbye(&mut connection).await;
        }
    }
}

/// Receives a request and prepares the answer. None: there is nobody to answer.
pub(crate) async fn next_reply(connection: &mut Connection) -> Option<Reply> {
    let mut request = loop {
        match connection.take_request() {
            Taken::Complete(request) => break request,
            Taken::Refused { status, head_only } => {
                return Some(connection.refuse(status, head_only, Persistence::Close));
            }
            Taken::Incomplete(patience) => {
                let idle = connection.input.is_empty();
                let input = connection.free_input();
                let mut read = connection.stream.read(input).timeout(patience);
                if idle {
                    connection.guest.is_idle(read.cancel_handle());
                }
                let (result, input) = read.await;
                connection.input = input.into_inner();
                match result {
                    Ok(1..) => {}
                    Err(error)
                        if error.kind() == ErrorKind::TimedOut && !connection.input.is_empty() =>
                    {
                        let status = Status::RequestTimeout;
                        return Some(connection.refuse(status, false, Persistence::Close));
                    }
                    Ok(0) | Err(_) => return None,
                }
            }
        }
    };

    let deadline = connection.proactor.now() + connection.site.limits.receive;
    while !connection.discard_body(&mut request) {
        let left = time_left(connection.proactor.now(), deadline)?;
        let input = connection.free_input();
        let (result, input) = connection.stream.read(input).timeout(left).await;
        connection.input = input.into_inner();
        let Ok(1..) = result else { return None };
    }

    let reply = begin_reply(connection, &request).await;
    Some(reply.unwrap_or_else(|error| connection.refuse_file(&request, &error)))
}

/// Opens the file that a request wants, and reads the first piece of it behind the head. An error
/// can still be answered as such.
async fn begin_reply(connection: &mut Connection, request: &Request) -> io::Result<Reply> {
    let wanted = match &request.wanted {
        Ok(wanted) => wanted,
        Err(status) => {
            let persistence = connection.persistence(request);
            return Ok(connection.refuse(*status, request.head_only, persistence));
        }
    };
    let path = connection.site.locate(&wanted.target);
    let file = File::open(&connection.proactor, path).await?;
    let total = file.len().await?;
    let body = connection.begin_file(request, file, total);
    read_piece(connection, body).await
}

/// Reads a piece of the file behind what the output holds.
pub(crate) async fn read_piece(connection: &mut Connection, body: Body) -> io::Result<Reply> {
    let head = connection.output.len();
    let output = connection.free_output(&body);
    let (result, output) = body.file.read_at(output, body.offset).await;
    connection.output = output.into_inner();
    result.and_then(|read| connection.take_piece(head, read, body))
}

/// Sends a whole reply. Says whether another request may follow. After an error the client can't
/// tell what it has got: only closing the connection tells it (RFC 9112, 8).
async fn send(connection: &mut Connection, mut reply: Reply) -> io::Result<bool> {
    loop {
        send_output(connection).await?;
        let Some(body) = reply.body else {
            return Ok(reply.keep_alive);
        };
        connection.output.clear();
        reply = read_piece(connection, body).await?;
    }
}

pub(crate) async fn send_output(connection: &mut Connection) -> io::Result<()> {
    let mut from = 0;
    while from < connection.output.len() {
        let output = mem::take(&mut connection.output).slice(from..);
        let write = connection.stream.write(output);
        let (result, output) = write.timeout(connection.site.limits.stall).await;
        connection.output = output.into_inner();
        match result? {
            0 => return Err(ErrorKind::WriteZero.into()),
            sent => from += sent,
        }
    }
    Ok(())
}

/// Ends the connection without losing the last response, as in `connection.rs`.
pub(crate) async fn say_goodbye(connection: &mut Connection) {
    let deadline = connection.proactor.now() + connection.site.limits.linger;
    if connection.stream.shutdown(Shutdown::Write).await.is_err() {
        return;
    }
    while let Some(left) = time_left(connection.proactor.now(), deadline) {
        connection.input.clear();
        let input = connection.free_input();
        let (result, input) = connection.stream.read(input).timeout(left).await;
        connection.input = input.into_inner();
        let Ok(1..) = result else { return };
    }
}
