//! What the animals live in: a server and a client, each a task, and their connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use proactor::Handle;
use proactor::check::Sim;
use proactor::net::{TcpListener, TcpStream};

pub(crate) const ADDR: &str = "10.0.0.1:7";

/// State that a model looks at when all is over.
pub(crate) type Seen<T> = Arc<Mutex<T>>;

pub(crate) fn seen<T>(value: T) -> Seen<T> {
    Arc::new(Mutex::new(value))
}

/// Locks for one statement: never across an operation.
pub(crate) fn with<T, R>(seen: &Seen<T>, look: impl FnOnce(&mut T) -> R) -> R {
    look(&mut seen.lock().expect("nobody panics with it"))
}

/// One connection from its beginning to its end, and a run until all is done. A client that is refused
/// takes its server home.
pub(crate) fn connection<S, C>(
    sim: &Sim,
    server: impl FnOnce(TcpStream) -> S + Send + 'static,
    client: impl FnOnce(TcpStream) -> C + Send + 'static,
) where
    S: Future<Output = ()> + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let handle = proactor.handle();
    let accept = listener.clone();
    drop(proactor.spawn(async move {
        let accepted = accept.accept().await;
        accept.close();
        if let Ok((stream, _)) = accepted {
            server(stream).await;
        }
    }));
    drop(proactor.spawn(async move {
        match TcpStream::connect(&handle, ADDR).await {
            Ok(stream) => client(stream).await,
            Err(_) => listener.close(),
        }
    }));
    proactor.run().expect("it runs");
}

/// The next connection, until the listener is closed. Errors of one connection, or of a moment, say
/// nothing about the next.
pub(crate) async fn next(listener: &TcpListener) -> Option<TcpStream> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some(stream),
            // Closed while it waited, or before it began.
            Err(error) if proactor::is_canceled(&error) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => return None,
            Err(_) => pause(&listener.handle(), 1).await,
        }
    }
}

/// Leaves in a way that the peer can't take for an end: it has not been served.
pub(crate) fn fail(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

/// Which of two futures is ready first. The other one goes on: it is only borrowed.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

pub(crate) async fn first_of<A: Future + Unpin, B: Future + Unpin>(
    one: &mut A,
    two: &mut B,
) -> Either<A::Output, B::Output> {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut *one).poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        match Pin::new(&mut *two).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Either::Second(output)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Both, at the same time.
pub(crate) async fn both<A: Future, B: Future>(one: A, two: B) -> (A::Output, B::Output) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = two.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            (one, two) => {
                (first, second) = (one, two);
                Poll::Pending
            }
        }
    })
    .await
}

/// Milliseconds of virtual time.
pub(crate) async fn pause(proactor: &Handle, millis: u64) {
    let _ = proactor
        .sleep(std::time::Duration::from_millis(millis))
        .await;
}
