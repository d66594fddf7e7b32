//! A connection in callback style: each step starts one operation and hands the connection on to
//! its handler. `connection_async.rs` is the same server as one `async fn`; the kernel can't tell
//! them apart.
//!
//! A step that starts nothing ends the connection: dropping it closes the stream.

use std::io::ErrorKind;
use std::mem;
use std::net::Shutdown;

use proactor::IoBuf;
use proactor::fs::File;
use proactor::time::Instant;

use crate::exchange::{Body, Connection, Reply, Taken, time_left};
use crate::request::Request;
use crate::response::{Persistence, Status};

/// Serves requests, one after the other, until the connection has to end.
pub(crate) fn serve(connection: Connection) {
    Box::new(connection).next_request();
}

impl Connection {
    /// Serves the next request: one that is here already (a client may send many at once), or one
    /// that is still to come. Requests are answered in their order, one at a time.
    fn next_request(mut self: Box<Self>) {
        match self.take_request() {
            Taken::Complete(request) => {
                let deadline = self.proactor.now() + self.site.limits.receive;
                self.skip_body(request, deadline);
            }
            Taken::Refused { status, head_only } => {
                let reply = self.refuse(status, head_only, Persistence::Close);
                self.send(reply, 0);
            }
            Taken::Incomplete(patience) => {
                let guest = self.input.is_empty().then(|| self.guest.clone());
                let input = self.free_input();
                // The timeout belongs to this read alone. When it comes together with bytes, the
                // read has succeeded, and the request that they begin is not hit by it.
                let read = self.stream.read(input).timeout(patience);
                let cancel = read.then(move |(result, input)| {
                    self.input = input.into_inner();
                    match result {
                        Ok(1..) => self.next_request(),
                        Err(error) if error.kind() == ErrorKind::TimedOut => self.late(),
                        // The client has left, or has reset the connection, or the server is
                        // shutting down and there is no request to wait for.
                        Ok(0) | Err(_) => {}
                    }
                });
                if let Some(guest) = guest {
                    guest.is_idle(cancel);
                }
            }
        }
    }

    /// Nothing came in time. Who has sent a part of a head gets an answer.
    fn late(mut self: Box<Self>) {
        if !self.input.is_empty() {
            let reply = self.refuse(Status::RequestTimeout, false, Persistence::Close);
            self.send(reply, 0);
        }
    }

    /// Receives the body of a request, to find the end of it.
    fn skip_body(mut self: Box<Self>, mut request: Request, deadline: Instant) {
        if self.discard_body(&mut request) {
            return self.respond(request);
        }
        let Some(left) = time_left(self.proactor.now(), deadline) else {
            return;
        };
        let input = self.free_input();
        let read = self.stream.read(input).timeout(left);
        read.then(move |(result, input)| {
            self.input = input.into_inner();
            if let Ok(1..) = result {
                self.skip_body(request, deadline);
            }
        });
    }

    fn respond(mut self: Box<Self>, request: Request) {
        match &request.wanted {
            Ok(wanted) => {
                let path = self.site.locate(&wanted.target);
                File::open(&self.proactor, path).then(move |result| match result {
                    Ok(file) => self.measure(request, file),
                    Err(error) => {
                        let reply = self.refuse_file(&request, &error);
                        self.send(reply, 0);
                    }
                });
            }
            Err(status) => {
                let persistence = self.persistence(&request);
                let reply = self.refuse(*status, request.head_only, persistence);
                self.send(reply, 0);
            }
        }
    }

    fn measure(mut self: Box<Self>, request: Request, file: File) {
        file.len().then(move |result| match result {
            Ok(total) => {
                let body = self.begin_file(&request, file, total);
                self.read_first(request, body);
            }
            Err(error) => {
                drop(file);
                let reply = self.refuse_file(&request, &error);
                self.send(reply, 0);
            }
        });
    }

    /// Reads the first piece of the file behind the head of the response. Nothing of that has been
    /// sent yet, so a file that can't be read is still answered as such.
    fn read_first(mut self: Box<Self>, request: Request, body: Body) {
        let head = self.output.len();
        let output = self.free_output(&body);
        let read = body.file.read_at(output, body.offset);
        read.then(move |(result, output)| {
            self.output = output.into_inner();
            let reply = result.and_then(|read| self.take_piece(head, read, body));
            let reply = reply.unwrap_or_else(|error| self.refuse_file(&request, &error));
            self.send(reply, 0);
        });
    }

    /// Reads another piece of the file.
    fn read_next(mut self: Box<Self>, body: Body) {
        self.output.clear();
        let output = self.free_output(&body);
        let read = body.file.read_at(output, body.offset);
        read.then(move |(result, output)| {
            self.output = output.into_inner();
            if let Ok(reply) = result.and_then(|read| self.take_piece(0, read, body)) {
                self.send(reply, 0);
            }
            // Else the head has promised more than there is. Only closing the connection tells
            // the client (RFC 9112, 8).
        });
    }

    /// Sends the output from byte `from` on.
    fn send(mut self: Box<Self>, reply: Reply, from: usize) {
        let output = mem::take(&mut self.output).slice(from..);
        let write = self.stream.write(output).timeout(self.site.limits.stall);
        write.then(move |(result, output)| {
            self.output = output.into_inner();
            match result {
                Ok(sent @ 1..) if from + sent < self.output.len() => self.send(reply, from + sent),
                Ok(1..) => self.sent(reply),
                // The client is gone, or takes nothing any more.
                Ok(0) | Err(_) => {}
            }
        });
    }

    /// The output is out.
    fn sent(self: Box<Self>, reply: Reply) {
        match reply.body {
            Some(body) => self.read_next(body),
            None if reply.keep_alive => self.next_request(),
            None => self.say_goodbye(),
        }
    }

    /// Ends the connection without losing the last response: if bytes of the client still arrived
    /// after a plain close, a reset would answer them and might overtake the response (RFC 9112,
    /// 9.6). So: close one half, wait until the client has closed the other.
    fn say_goodbye(self: Box<Self>) {
        let deadline = self.proactor.now() + self.site.limits.linger;
        let shutdown = self.stream.shutdown(Shutdown::Write);
        shutdown.then(move |result| {
            if result.is_ok() {
                self.drain(deadline);
            }
        });
    }

    fn drain(mut self: Box<Self>, deadline: Instant) {
        self.input.clear();
        let Some(left) = time_left(self.proactor.now(), deadline) else {
            return;
        };
        let input = self.free_input();
        let read = self.stream.read(input).timeout(left);
        read.then(move |(result, input)| {
            self.input = input.into_inner();
            if let Ok(1..) = result {
                self.drain(deadline);
            }
        });
    }
}
