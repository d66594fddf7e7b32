//! What becomes of operations that a kernel hands back undone: on a lane that does so by script.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::{Handle, Proactor};
use crate::backend::{
    Backend, CANCELED, Code, Completion, Lane, ListenOptions, Notified, Op, Origin, Raw, Submitted,
    Tag, Token, Until, Waited,
};
use crate::is_canceled;
use crate::net::TcpStream;
use crate::op::home::{Home, lock};

/// What a kernel says of an operation that it did nothing of: `-EINTR`.
const INTERRUPTED: i32 = -4;

/// The script, and what was asked so far.
#[derive(Default)]
struct Script {
    /// How many of the next operations that end are handed back undone. The others end with 0.
    undone: usize,
    in_flight: VecDeque<(Token, Code)>,
    submitted: Vec<(Token, Code)>,
    canceled: Vec<Token>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Lane for Scripted {
    unsafe fn submit(&mut self, token: Token, op: &Op, _: &Origin) -> Submitted {
        let mut script = lock(&self.0);
        script.submitted.push((token, op.code));
        script.in_flight.push_back((token, op.code));
        Submitted::Pending
    }

    fn cancel(&mut self, token: Token) {
        lock(&self.0).canceled.push(token);
    }

    fn disarm(&mut self, token: Token) {
        lock(&self.0).in_flight.retain(|(at, _)| *at != token);
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, _: Until) -> io::Result<Waited> {
        let mut script = lock(&self.0);
        // Timers first: a deadline finds its operation in flight.
        let timer = |(_, code): &(Token, Code)| *code == Code::Timer;
        let first = script.in_flight.iter().position(timer).unwrap_or(0);
        let Some((token, code)) = script.in_flight.remove(first) else {
            return Ok(Waited::Returned);
        };
        let undone = code != Code::Timer && script.undone > 0;
        script.undone -= usize::from(undone);
        let (token, result) = match undone {
            true => (token.with_tag(Tag::Undone), INTERRUPTED),
            false => (token, 0),
        };
        batch.push(Completion { token, result });
        Ok(Waited::Returned)
    }

    fn close(&mut self, _: Raw) {}

    fn in_flight(&self) -> usize {
        lock(&self.0).in_flight.len()
    }

    fn notify(&mut self, waker: Waker, _: Until) -> io::Result<Notified> {
        Ok(Notified::Now(waker))
    }
}

impl Backend for Scripted {
    fn describe(&self) -> String {
        "a script".to_owned()
    }

    fn lane(&self, _: usize) -> io::Result<Box<dyn Lane>> {
        Ok(Box::new(self.clone()))
    }

    fn wake(&self, _: usize) {}

    fn now(&self) -> u64 {
        0
    }

    fn error(&self, code: i32) -> io::Error {
        match -code {
            INTERRUPTED => io::ErrorKind::Interrupted.into(),
            _ => io::Error::other(format!("error {code}")),
        }
    }

    fn listen(&self, _: SocketAddr, _: ListenOptions) -> io::Result<Raw> {
        Ok(Raw(1))
    }

    fn stream(&self, _: SocketAddr, _: Option<SocketAddr>) -> io::Result<Raw> {
        Ok(Raw(1))
    }

    fn local_addr(&self, _: Raw) -> io::Result<SocketAddr> {
        Ok(ADDR)
    }

    fn peer_addr(&self, _: Raw) -> io::Result<SocketAddr> {
        Ok(ADDR)
    }

    fn set_nodelay(&self, _: Raw, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn nodelay(&self, _: Raw) -> io::Result<bool> {
        Ok(true)
    }

    fn set_linger(&self, _: Raw, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn linger(&self, _: Raw) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    fn event(&self) -> io::Result<Raw> {
        Ok(Raw(1))
    }

    fn set(&self, _: Raw) -> io::Result<()> {
        Ok(())
    }

    fn close(&self, _: Raw) {}
}

const ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A proactor on a script, a stream of its own, and nothing submitted since.
fn connected() -> (Proactor, Scripted, TcpStream) {
    let scripted = Scripted::default();
    let home = Home::take();
    // SAFETY: the home came out of the pool: nobody owns it or has a live handle to it.
    let local = unsafe { home.home.local() };
    let backend: Arc<dyn Backend> = Arc::new(scripted.clone());
    local.begin(backend.clone(), Box::new(scripted.clone()), 1_000);
    *lock(&home.home.backend) = Some(backend);
    let proactor = Proactor::with(Handle::new(home));
    let stream = proactor.block_on(TcpStream::connect(&proactor, ADDR));
    lock(&scripted.0).submitted.clear();
    (proactor, scripted, stream.unwrap().unwrap())
}

impl Scripted {
    fn interrupt(&self, next: usize) {
        lock(&self.0).undone = next;
    }

    fn submitted(&self) -> Vec<Code> {
        let script = lock(&self.0);
        script.submitted.iter().map(|(_, code)| *code).collect()
    }
}

#[test]
fn an_operation_that_was_interrupted_is_submitted_again() {
    let (proactor, scripted, stream) = connected();
    scripted.interrupt(2);
    let (result, buf) = proactor.block_on(stream.read(vec![7; 3])).unwrap();
    assert_eq!(result.unwrap(), 0);
    assert!(buf.is_empty());
    assert_eq!(scripted.submitted(), [Code::Recv; 3]);
    // It is the same activation, to whoever cancels it.
    let script = lock(&scripted.0);
    assert!(
        script
            .submitted
            .iter()
            .all(|(token, _)| *token == script.submitted[0].0)
    );
}

#[test]
fn a_connect_that_was_interrupted_is_not() {
    let (proactor, scripted, _stream) = connected();
    scripted.interrupt(1);
    let connected = proactor.block_on(TcpStream::connect(&proactor, ADDR));
    let error = connected.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(scripted.submitted(), [Code::Connect]);
}

#[test]
fn one_that_was_cancelled_and_interrupted_ends_cancelled() {
    let (proactor, scripted, stream) = connected();
    scripted.interrupt(1);
    let mut read = stream.read(vec![7; 3]);
    let (result, buf) = proactor
        .block_on(async {
            read.cancel_handle().cancel();
            read.await
        })
        .unwrap();
    assert!(is_canceled(&result.unwrap_err()));
    assert_eq!(buf, [7; 3]);
    assert_eq!(scripted.submitted(), [Code::Recv]);
    assert_eq!(lock(&scripted.0).canceled.len(), 1);
}

#[test]
fn one_whose_time_was_over_when_it_was_interrupted_has_timed_out() {
    let (proactor, scripted, stream) = connected();
    scripted.interrupt(1);
    let write = stream.write(vec![7; 3]).timeout(Duration::from_secs(1));
    let (result, _) = proactor.block_on(write).unwrap();
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(scripted.submitted(), [Code::Send, Code::Timer]);
    assert_eq!(lock(&scripted.0).canceled.len(), 1);
}

#[test]
fn what_is_handed_back_of_an_operation_that_is_over_is_ignored() {
    let (proactor, scripted, stream) = connected();
    let (result, _) = proactor.block_on(stream.write(vec![7; 3])).unwrap();
    assert_eq!(result.unwrap(), 0);
    let (token, _) = lock(&scripted.0).submitted[0];
    // SAFETY: this thread has run the proactor: it owns the home.
    let local = unsafe { proactor.home.home.local() };
    local.do_again(token, CANCELED);
    assert_eq!(scripted.submitted(), [Code::Send]);
    assert_eq!(proactor.stats().operations, 0);
}
