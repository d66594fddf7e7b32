//! A connection in callback style: each step starts one operation and hands the connection on to
//! its handler. `connection_async.rs` is the same server as one `async fn`; the kernel can't tell
//! them apart.
//!
//! A step that starts nothing ends the connection: dropping it closes the stream.

use std::io::ErrorKind;
use std::net::Shutdown;

use proactor::fs::File;
use proactor::time::Instant;

use crate::exchange::{Connection, Rest, Taken, time_left};
use crate::request::Request;
use crate::response::{Persistence, Status};

impl Connection {
    /// Serves the next request: one that is here already (a client may send many at once), or one
    /// that is still to come. Requests are answered in their order, one at a time.
    pub(crate) fn next_request(mut self: Box<Self>) {
        match self.take_request() {
            Taken::Complete(request) => {
                let deadline = self.proactor.now() + self.site.limits.receive;
                self.skip_body(request, deadline);
            }
            Taken::Refused { status, head_only } => {
                let rest = self.refuse(status, head_only, Persistence::Close);
                self.send(rest, 0);
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
            let rest = self.refuse(Status::RequestTimeout, false, Persistence::Close);
            self.send(rest, 0);
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
                        let rest = self.refuse_file(&request, &error);
                        self.send(rest, 0);
                    }
                });
            }
            Err(status) => {
                let persistence = self.persistence(&request);
                let rest = self.refuse(*status, request.head_only, persistence);
                self.send(rest, 0);
            }
        }
    }

    fn measure(mut self: Box<Self>, request: Request, file: File) {
        file.len().then(move |result| match result {
            Ok(total) => {
                let rest = self.begin_file(&request, file, total);
                self.read_first(request, rest);
            }
            Err(error) => {
                drop(file);
                let rest = self.refuse_file(&request, &error);
                self.send(rest, 0);
            }
        });
    }

    /// Reads the first piece of the file behind the head of the response. Nothing of that has been
    /// sent yet, so a file that can't be read is still answered as such.
    fn read_first(mut self: Box<Self>, request: Request, mut rest: Rest) {
        let head = self.output.len();
        let output = self.free_output(rest.left);
        let read = rest.file.read_at(output, rest.offset);
        read.then(move |(result, output)| {
            self.output = output.into_inner();
            match result {
                Ok(read) if self.take_piece(head, read, &mut rest) => self.send(rest, 0),
                Ok(_) => {
                    let error = ErrorKind::UnexpectedEof.into();
                    let rest = self.refuse_file(&request, &error);
                    self.send(rest, 0);
                }
                Err(error) => {
                    let rest = self.refuse_file(&request, &error);
                    self.send(rest, 0);
                }
            }
        });
    }

    /// Reads another piece of the file.
    fn read_next(mut self: Box<Self>, mut rest: Rest) {
        self.output.clear();
        let output = self.free_output(rest.left);
        let read = rest.file.read_at(output, rest.offset);
        read.then(move |(result, output)| {
            self.output = output.into_inner();
            if let Ok(read) = result
                && self.take_piece(0, read, &mut rest)
            {
                self.send(rest, 0);
            }
            // Else the head has promised more than there is. Only closing the connection tells
            // the client (RFC 9112, 8).
        });
    }

    /// Sends the output from byte `from` on, and then the rest.
    fn send(mut self: Box<Self>, rest: Rest, from: usize) {
        let output = std::mem::take(&mut self.output).slice(from..);
        let write = self.stream.write(output).timeout(self.site.limits.stall);
        write.then(move |(result, output)| {
            self.output = output.into_inner();
            match result {
                Ok(sent @ 1..) if from + sent < self.output.len() => self.send(rest, from + sent),
                Ok(1..) if rest.left > 0 => self.read_next(rest),
                Ok(1..) => self.sent(rest),
                // The client is gone, or takes nothing any more.
                Ok(0) | Err(_) => {}
            }
        });
    }

    /// The response is out.
    fn sent(self: Box<Self>, rest: Rest) {
        let Rest {
            file, keep_alive, ..
        } = rest;
        drop(file);
        if keep_alive {
            self.next_request();
        } else {
            self.say_goodbye();
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
