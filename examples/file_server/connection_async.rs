//! A connection in async style: the server of `connection.rs` as one loop. It starts the same
//! operations in the same order, so the kernel can't tell the two apart; a test holds them to it.
//!
//! Returning ends the connection: dropping it closes the stream.

use std::io::{self, ErrorKind};
use std::net::Shutdown;

use proactor::fs::File;

use crate::exchange::{Connection, Rest, Taken, time_left};
use crate::request::Request;
use crate::response::{Persistence, Status};

/// Serves requests, one after the other, until the connection has to end.
pub(crate) async fn serve(mut connection: Connection) {
    while let Some(rest) = next_response(&mut connection).await {
        let Ok(keep_alive) = send(&mut connection, rest).await else {
            return;
        };
        if !keep_alive {
            return say_goodbye(&mut connection).await;
        }
    }
}

/// Receives a request and prepares the answer. None: there is nobody to answer.
async fn next_response(connection: &mut Connection) -> Option<Rest> {
    let mut request = loop {
        match connection.take_request() {
            Taken::Complete(request) => break request,
            Taken::Refused { status, head_only } => {
                return Some(connection.refuse(status, head_only, Persistence::Close));
            }
            Taken::Incomplete(patience) => {
                let idle = connection.input.is_empty();
                let input = connection.free_input();
                let read = connection.stream.read(input).timeout(patience);
                let (result, input) = if idle {
                    let (read, cancel) = read.cancellable();
                    connection.guest.is_idle(cancel);
                    read.await
                } else {
                    read.await
                };
                connection.input = input.into_inner();
                match result {
                    Ok(1..) => {}
                    Err(error) if error.kind() == ErrorKind::TimedOut && !connection.input.is_empty() => {
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

    match begin_file(connection, &request).await {
        Ok(rest) => Some(rest),
        Err(error) => Some(connection.refuse_file(&request, &error)),
    }
}

/// Opens the file that a request wants, and reads the first piece of it behind the head.
async fn begin_file(connection: &mut Connection, request: &Request) -> io::Result<Rest> {
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
    let mut rest = connection.begin_file(request, file, total);
    let head = connection.output.len();
    read_piece(connection, head, &mut rest).await?;
    Ok(rest)
}

/// Reads a piece of the file behind the `head` bytes that the output holds.
async fn read_piece(connection: &mut Connection, head: usize, rest: &mut Rest) -> io::Result<()> {
    let output = connection.free_output(rest.left);
    let (result, output) = rest.file.read_at(output, rest.offset).await;
    connection.output = output.into_inner();
    if connection.take_piece(head, result?, rest) {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

/// Sends the output and then the rest. Says whether another request may follow. After an error the
/// client can't tell what it has got: only closing the connection tells it (RFC 9112, 8).
async fn send(connection: &mut Connection, mut rest: Rest) -> io::Result<bool> {
    loop {
        let mut from = 0;
        while from < connection.output.len() {
            let output = std::mem::take(&mut connection.output).slice(from..);
            let write = connection.stream.write(output);
            let (result, output) = write.timeout(connection.site.limits.stall).await;
            connection.output = output.into_inner();
            match result? {
                0 => return Err(ErrorKind::WriteZero.into()),
                sent => from += sent,
            }
        }
        if rest.left == 0 {
            return Ok(rest.keep_alive);
        }
        connection.output.clear();
        read_piece(connection, 0, &mut rest).await?;
    }
}

/// Ends the connection without losing the last response, as in `connection.rs`.
async fn say_goodbye(connection: &mut Connection) {
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
