//! What user code may do in the places where the core calls it: in the methods and in the `Drop` of a
//! buffer, of a handler, of a waker, of what a teardown throws away. Nothing is used twice, nothing is
//! lost, nothing is left over. Worth most with a sanitizer.
#![cfg(feature = "check")]

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proactor::choice::{Alternatives, Chooser, Key, Kind, Site};
use proactor::compose::{self, Interrupted, ReadExact};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, World};
use proactor::{Cancel, Handle, InFlight, IoBuf, IoBufMut, JoinHandle, Proactor};

/// A buffer whose methods do something besides.
struct Meddler {
    bytes: Vec<u8>,
    asked: Cell<u32>,
    act: Box<dyn Fn(u32) + Send>,
}

impl Meddler {
    /// With room for `room` bytes. `act` is told how often the room was asked for before.
    fn new(room: usize, act: impl Fn(u32) + Send + 'static) -> Meddler {
        Meddler {
            bytes: vec![0; room],
            asked: Cell::new(0),
            act: Box::new(act),
        }
    }
}

// SAFETY: as for the Vec inside, whose length never changes.
unsafe impl IoBuf for Meddler {
    fn io_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.bytes.len()
    }
}

// SAFETY: as for the Vec inside; all of it is initialised and uniquely owned.
unsafe impl IoBufMut for Meddler {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn io_capacity(&self) -> usize {
        (self.act)(self.asked.replace(self.asked.get() + 1));
        self.bytes.len()
    }

    unsafe fn set_io_len(&mut self, _: usize) {}
}

/// Calls something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A small generator.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}

impl Chooser for Random {
    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        if self.below(4) == 0 {
            self.below(count)
        } else {
            0
        }
    }
}

/// The real kernel, if it lets us, and the simulated one; that is asked whether anything is left over.
fn on_both(body: impl Fn(&dyn Fn() -> Proactor)) {
    if Proactor::new().is_ok() {
        body(&|| Proactor::new().unwrap());
    }
    simulated(Box::new(Kind), body);
}

fn simulated(chooser: Box<dyn Chooser>, body: impl Fn(&dyn Fn() -> Proactor)) {
    let world = World::new(Config::default(), chooser);
    body(&|| Proactor::builder().simulated(&world).build().unwrap());
    world.finish();
    if let Some(violation) = world.violation() {
        panic!("{violation}");
    }
}

fn pair(proactor: &Proactor) -> (TcpStream, TcpStream) {
    let connected = proactor.block_on(async {
        let listener = TcpListener::bind(proactor, "127.0.0.1:0")?;
        let mut accept = listener.accept();
        let _ = accept.cancel_handle();
        let near = TcpStream::connect(proactor, listener.local_addr()?).await?;
        std::io::Result::Ok((near, accept.await?.0))
    });
    connected.unwrap().unwrap()
}

/// Starts it and polls once, inside the worker.
#[allow(
    clippy::async_yields_async,
    reason = "what is in flight leaves the worker"
)]
fn start<O: IntoFuture<IntoFuture: Unpin>>(proactor: &Proactor, operation: O) -> O::IntoFuture {
    let started = proactor.block_on(async {
        let mut future = operation.into_future();
        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx)));
        assert!(polled.await.is_pending());
        future
    });
    started.unwrap()
}

/// Runs what can be run now.
fn settle(proactor: &Proactor) {
    proactor.run_for(Duration::from_millis(5)).unwrap();
}

#[test]
fn a_buffer_that_closes_its_stream_gets_no_read_on_the_closed_descriptor() {
    on_both(|make| {
        let proactor = make();
        let (near, _far) = pair(&proactor);
        let closing = near.clone();
        let buf = Meddler::new(8, move |_| closing.close());
        let (read, _) = proactor.block_on(near.read(buf)).unwrap();
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::NotConnected);
    });
}

#[test]
fn a_buffer_that_panics_ends_its_operation_with_an_error() {
    on_both(|make| {
        let proactor = make();
        let (near, far) = pair(&proactor);
        let heard = Arc::new(Mutex::new(None));
        let (tell, reading) = (heard.clone(), near.clone());
        proactor.post(move || {
            let buf = Meddler::new(8, |asked| assert!(asked != 0, "on purpose"));
            reading
                .read(buf)
                .then(move |(read, _)| *tell.lock().unwrap() = Some(read));
        });
        catch_unwind(AssertUnwindSafe(|| proactor.run())).unwrap_err();
        settle(&proactor);
        let error = heard.lock().unwrap().take().unwrap().unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");

        // Between two steps of a composed operation.
        let tell = heard.clone();
        let buf = Meddler::new(8, |asked| assert!(asked != 1, "on purpose"));
        compose::read_exact(&near, buf).then(move |(read, _)| *tell.lock().unwrap() = Some(read));
        far.write("a").then(drop);
        catch_unwind(AssertUnwindSafe(|| proactor.run())).unwrap_err();
        settle(&proactor);
        let error = heard.lock().unwrap().take().unwrap().unwrap_err();
        assert_eq!(Interrupted::in_error(&error).unwrap().done, 1);

        // Awaited by a task, which dies of it.
        let reading = near.clone();
        let buf = Meddler::new(8, |_| panic!("on purpose"));
        let task = proactor.spawn(async move { reading.read(buf).await.0 });
        catch_unwind(AssertUnwindSafe(|| proactor.run())).unwrap_err();
        settle(&proactor);
        assert!(task.is_finished());

        drop((near, far));
        settle(&proactor);
        let left = proactor.stats();
        assert_eq!(
            (left.operations, left.objects, left.tasks),
            (0, 0, 0),
            "{}",
            proactor.dump()
        );
    });
}

#[test]
fn a_buffer_may_drop_the_future_of_its_own_operation() {
    type Stash = Arc<Mutex<Option<InFlight<ReadExact<Meddler>>>>>;
    on_both(|make| {
        // The second question comes between two steps; of one byte it is followed by another, of all
        // eight it is not.
        for bytes in ["a", "abcdefgh"] {
            let proactor = make();
            let (near, far) = pair(&proactor);
            let dropped = Arc::new(AtomicUsize::new(0));
            let (stash, count) = (Stash::default(), dropped.clone());
            let counted = OnDrop(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            let own = stash.clone();
            let buf = Meddler::new(8, move |asked| {
                let _ = &counted;
                if asked == 1 {
                    let future = own.lock().unwrap().take();
                    drop(future);
                }
            });
            let read = start(&proactor, compose::read_exact(&near, buf));
            *stash.lock().unwrap() = Some(read);
            proactor.block_on(far.write(bytes)).unwrap().0.unwrap();
            settle(&proactor);
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
            drop((near, far));
            settle(&proactor);
            assert_eq!(
                (proactor.stats().operations, proactor.stats().objects),
                (0, 0)
            );
        }
    });
}

#[test]
fn a_buffer_may_cancel_its_own_operation_between_two_steps() {
    on_both(|make| {
        let proactor = make();
        let (near, far) = pair(&proactor);
        let cancel = Arc::new(Mutex::new(None::<Cancel>));
        let own = cancel.clone();
        let buf = Meddler::new(8, move |asked| {
            if asked == 1 {
                own.lock().unwrap().as_ref().unwrap().cancel();
            }
        });
        let read = start(&proactor, compose::read_exact(&near, buf));
        *cancel.lock().unwrap() = Some(read.cancel_handle());
        far.write("a").then(drop);
        let (read, _) = proactor.block_on(read).unwrap();
        assert!(proactor::is_canceled(&read.unwrap_err()));
    });
}

#[test]
fn a_future_that_was_last_polled_elsewhere_hears_of_a_teardown() {
    on_both(|make| {
        let proactor = make();
        let (near, _far) = pair(&proactor);
        let mut read = start(&proactor, near.read(vec![0; 8]));
        // Outside the worker: the worker is asked for the result, and never gets there.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        drop(proactor);
        let Poll::Ready((result, buf)) = Pin::new(&mut read).poll(&mut cx) else {
            panic!("nobody will ever wake this future")
        };
        assert!(result.is_err());
        assert_eq!(buf.len(), 8);
    });
}

#[test]
fn a_future_whose_output_a_panic_took_elsewhere_does_not_wait_for_ever() {
    on_both(|make| {
        let proactor = make();
        let (near, far) = pair(&proactor);
        // Asked when it starts and when it goes on; then when its output is made.
        let buf = Meddler::new(1, |asked| assert!(asked != 2, "on purpose"));
        let mut read = start(&proactor, compose::read_exact(&near, buf));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        far.write("a").then(drop);
        catch_unwind(AssertUnwindSafe(|| proactor.run())).unwrap_err();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Pin::new(&mut read).poll(&mut cx).is_ready()
        }));
        assert!(polled.is_err());
    });
}

#[test]
fn a_drop_that_panics_at_teardown_keeps_nothing_from_being_torn_down() {
    on_both(|make| {
        let proactor = make();
        let handle = proactor.handle();
        let (near, _far) = pair(&proactor);
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = || {
            let dropped = dropped.clone();
            OnDrop(move || {
                dropped.fetch_add(1, Ordering::Relaxed);
            })
        };
        let bomb = || OnDrop(|| panic!("on purpose"));
        let (first, second, third) = ((bomb(), count()), (bomb(), count()), (bomb(), count()));
        near.read(vec![0; 8]).then(move |_| drop(first));
        proactor.post(move || drop(second));
        let task = proactor.spawn(async move {
            let _third = third;
            std::future::pending::<()>().await;
        });
        catch_unwind(AssertUnwindSafe(|| drop(proactor))).unwrap_err();
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        assert!(task.is_finished());
        assert!(TcpListener::bind(&handle, "127.0.0.1:0").is_err());
        // The kernel was let go of: on a simulated one there is room for the next.
        drop(make());
    });
}

/// A waker that owns a stream: dropped or woken, it closes it.
struct Closing(Mutex<Option<TcpStream>>);

impl Wake for Closing {
    fn wake(self: Arc<Self>) {
        let stream = self.0.lock().unwrap().take();
        drop(stream);
    }
}

#[test]
fn a_waker_that_drive_replaces_or_wakes_may_close_what_it_owns() {
    on_both(|make| {
        let proactor = make();
        proactor
            .sleep(Duration::from_secs(3600))
            .timeout(Duration::from_millis(50))
            .then(drop);
        let wakers: Vec<_> = (0..4)
            .map(|_| pair(&proactor).0)
            .map(|stream| Waker::from(Arc::new(Closing(Mutex::new(Some(stream))))))
            .collect();
        let mut drive = proactor.drive();
        for waker in wakers {
            let _ = Pin::new(&mut drive).poll(&mut Context::from_waker(&waker));
        }
        let _ = Pin::new(&mut drive).poll(&mut Context::from_waker(Waker::noop()));
        drop(drive);
        settle(&proactor);
        assert_eq!(proactor.stats().objects, 0);
    });
}

/// Everything at once, in any order.
struct Mess {
    handle: Handle,
    random: Random,
    /// Whoever holds a clone has not been dropped.
    alive: Arc<()>,
    left: usize,
    streams: Vec<TcpStream>,
    cancels: Vec<Cancel>,
    tasks: Vec<JoinHandle<()>>,
    futures: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

type Shared = Arc<Mutex<Mess>>;

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Mess> {
    shared
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Mess {
    fn stream(&mut self) -> Option<TcpStream> {
        let count = self.streams.len();
        (count > 0).then(|| self.streams[self.random.below(count)].clone())
    }

    /// A buffer that may do anything when it is asked.
    fn buf(&mut self, shared: &Shared) -> Meddler {
        let (mut random, alive) = (self.random.clone(), self.alive.clone());
        self.random.below(2);
        let (room, weak) = (1 + random.below(600), Arc::downgrade(shared));
        let what = random.below(40);
        let when = random.below(3) as u32;
        Meddler::new(room, move |asked| {
            let _ = &alive;
            if asked != when {
                return;
            }
            let Some(shared) = weak.upgrade() else { return };
            let Ok(mut mess) = shared.try_lock() else {
                return;
            };
            match what {
                0 => panic!("on purpose: a buffer"),
                1 => drop(mess.streams.pop().inspect(TcpStream::close)),
                2 => {
                    let future = mess.futures.pop();
                    drop(mess);
                    drop(future);
                }
                3 => mess.cancels.iter().for_each(Cancel::cancel),
                _ => {}
            }
        })
    }
}

/// One random thing, and the next one posted.
fn act(shared: &Shared) {
    let again = shared.clone();
    let mut mess = lock(shared);
    if mess.left == 0 {
        return;
    }
    mess.left -= 1;
    let handle = mess.handle;
    handle.post(move || act(&again));
    let (what, how) = (mess.random.below(20), mess.random.below(6));
    let stream = mess.stream();
    let buf = mess.buf(shared);
    let (alive, timeout) = (
        mess.alive.clone(),
        Duration::from_micros(mess.random.below(300) as u64),
    );
    // The core is called without the lock: it calls back.
    drop(mess);
    let heard = move || drop(alive);
    let cancel = match (what, stream) {
        (0 | 1, _) => {
            let Ok(listener) = TcpListener::bind(&handle, "127.0.0.1:0") else {
                return;
            };
            let Ok(addr) = listener.local_addr() else {
                return;
            };
            let (near, far) = (shared.clone(), shared.clone());
            listener.accept().then(move |accepted| {
                let _ = accepted.map(|(stream, _)| lock(&near).streams.push(stream));
                drop(listener);
            });
            TcpStream::connect(&handle, addr).then(move |connected| {
                let _ = connected.map(|stream| lock(&far).streams.push(stream));
            })
        }
        (2, Some(stream)) => stream.read(buf).then(|_| heard()),
        (3, Some(stream)) => stream.write(buf).timeout(timeout).then(|_| heard()),
        (4, Some(stream)) => compose::read_exact(&stream, buf)
            .timeout(timeout)
            .then(|_| heard()),
        (5, Some(stream)) => compose::write_all(&stream, buf).then(|_| heard()),
        (6, Some(stream)) => stream
            .read_vectored(vec![buf])
            .timeout(timeout)
            .then(|_| heard()),
        (7, Some(stream)) => {
            stream.close();
            return;
        }
        (8, Some(_)) => {
            let mut mess = lock(shared);
            let count = mess.streams.len();
            let at = mess.random.below(count.max(1));
            let stream = (at < count).then(|| mess.streams.swap_remove(at));
            drop(mess);
            drop(stream);
            return;
        }
        (9 | 10, Some(stream)) => {
            let task = handle.spawn(async move {
                let _ = compose::read_exact(&stream, buf).timeout(timeout).await;
                let _ = handle.sleep(timeout).await;
                heard();
            });
            lock(shared).tasks.push(task);
            return;
        }
        (11 | 12, Some(stream)) => {
            let mut read = Box::pin(async move {
                let _ = compose::read_exact(&stream, buf).await;
                heard();
            });
            if read
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
            {
                lock(shared).futures.push(read);
            }
            return;
        }
        (13, _) => {
            let mut mess = lock(shared);
            let (task, future) = (mess.tasks.pop(), mess.futures.pop());
            let cancel = mess.cancels.pop();
            drop(mess);
            drop(future);
            if let Some(task) = task {
                task.abort();
            }
            if let Some(cancel) = cancel {
                cancel.cancel();
            }
            return;
        }
        (16 | 17, _) => {
            let weak = Arc::downgrade(shared);
            let job = handle.offload(move || {
                let mess = weak.upgrade();
                // Whatever it does, it does on another thread, or in the midst of a simulated worker.
                match (how, mess) {
                    (0, _) => std::panic::resume_unwind(Box::new("on purpose: a job")),
                    (1, Some(shared)) => drop(lock(&shared).futures.pop()),
                    (2, Some(shared)) => {
                        let cancel = lock(&shared).cancels.pop();
                        cancel.iter().for_each(Cancel::cancel);
                    }
                    (3, _) => drop(handle.sleep(timeout).then(|_| {})),
                    _ => {}
                }
                buf
            });
            if what == 16 {
                job.timeout(timeout).then(|_| heard())
            } else {
                let mut job = Box::pin(async move {
                    let _ = job.await;
                    heard();
                });
                if job
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
                {
                    lock(shared).futures.push(job);
                }
                return;
            }
        }
        (14, _) => panic!("on purpose: a handler"),
        (_, _) => handle.sleep(timeout).then(|_| heard()),
    };
    lock(shared).cancels.push(cancel);
}

fn mess_about(proactor: Proactor, seed: u64) {
    let alive = Arc::new(());
    let mut random = Random::new(seed);
    let shared = Arc::new(Mutex::new(Mess {
        handle: proactor.handle(),
        random: random.clone(),
        alive: alive.clone(),
        left: 150,
        streams: Vec::new(),
        cancels: Vec::new(),
        tasks: Vec::new(),
        futures: Vec::new(),
    }));
    let first = shared.clone();
    proactor.post(move || act(&first));
    for _ in 0..random.below(400) {
        // A handler that panicked took the chain of posts with it if it came before its post.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            proactor.run_for(Duration::from_micros(300))
        }));
        if lock(&shared).left == 0 {
            break;
        }
    }
    // Some of it is done outside the worker, some after its end.
    let Mess {
        streams,
        cancels,
        tasks,
        mut futures,
        ..
    } = {
        let mut mess = lock(&shared);
        let handle = mess.handle;
        let (random, alive) = (mess.random.clone(), mess.alive.clone());
        let empty = Mess {
            handle,
            random,
            alive,
            left: 0,
            streams: Vec::new(),
            cancels: Vec::new(),
            tasks: Vec::new(),
            futures: Vec::new(),
        };
        std::mem::replace(&mut *mess, empty)
    };
    let mut cx = Context::from_waker(Waker::noop());
    futures.retain_mut(|future| {
        let mut poll = || future.as_mut().poll(&mut cx).is_pending();
        random.below(2) == 0 || catch_unwind(AssertUnwindSafe(&mut poll)).unwrap_or(false)
    });
    // A buffer may panic in any of this, and its panic comes out.
    let order = random.below(3);
    let _ = catch_unwind(AssertUnwindSafe(|| match order {
        0 => drop((streams, tasks, futures, proactor)),
        1 => drop((proactor, futures, tasks, streams)),
        _ => {
            drop(futures);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                proactor.run_for(Duration::from_micros(100))
            }));
            drop((tasks, proactor, streams));
        }
    }));
    cancels.iter().for_each(Cancel::cancel);
    drop(shared);
    assert_eq!(
        Arc::strong_count(&alive),
        1,
        "seed {seed}: buffers or handlers were lost"
    );
}

/// How many rounds of the mess: few in a test run.
fn rounds() -> u64 {
    std::env::var("PROACTOR_SOUNDNESS_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(40)
}

#[test]
fn a_mess_leaves_nothing_over_on_the_real_kernel() {
    for seed in 1..=rounds() {
        let Ok(proactor) = Proactor::new() else {
            return;
        };
        mess_about(proactor, seed);
    }
}

#[test]
fn a_mess_leaves_nothing_over_on_the_simulated_kernel() {
    for seed in 1..=rounds() {
        simulated(Box::new(Random::new(seed)), |make| mess_about(make(), seed));
    }
}

#[test]
fn a_mess_that_is_dropped_on_another_thread_is_torn_down_where_it_ran() {
    for seed in 1..=rounds() / 4 {
        let Ok(proactor) = Proactor::new() else {
            return;
        };
        let alive = Arc::new(AtomicBool::new(true));
        let flag = alive.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let dead = OnDrop(move || flag.store(false, Ordering::Release));
                proactor
                    .sleep(Duration::from_secs(3600 + seed))
                    .then(move |_| drop(dead));
                proactor.run_for(Duration::from_micros(50)).unwrap();
            });
        });
        // A scope does not wait for the destructors of its threads' locals.
        while alive.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(proactor.run().is_err());
    }
}
