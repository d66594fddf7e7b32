//! The answers of the quizzes, worked out again by the simulated kernel and the checker.
//!
//! A question whose `id` begins with `idea-` has no run that could say. Any other has an entry here, which gives the
//! right answers word by word; so the quiz and the kernel can't part.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::{self, Checker, Sim};
use proactor::choice::Kind;
use proactor::compose::{self, Interrupted};
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::hand::{Interest, OpId, Owner, Request, Step, Stream};
use proactor::sim::{Config, Hand, Personality, World, legality};
use proactor::sync::{Semaphore, mpsc};
use proactor::{IoBuf, Proactor};
use proactor_book::{Asked, quiz};

type Answers = Result<Vec<String>, Box<dyn Error>>;

/// What each question is answered by.
fn computed() -> BTreeMap<&'static str, fn() -> Answers> {
    BTreeMap::from([
        ("ch00-how-many", how_many as fn() -> Answers),
        ("ch00-kind", how_many_kindly),
        ("ch01-lent-at-once", lent_at_once),
        ("ch01-hint", hint),
        ("ch02-two-receives", two_receives),
        ("ch02-late-cancel", late_cancel),
        ("ch02-order", orders),
        ("ch02-all-but-one", all_but_one),
        ("ch03-port", on_a_port),
        ("ch03-inside", not_inside),
        ("ch03-reads", three_reads),
        ("ch04-pool", pool),
        ("ch04-hasty", hasty),
        ("ch04-short-send", short_send),
        ("ch05-may-free", may_free),
        ("ch05-no-capacity", no_capacity),
        ("ch05-which-byte", kindest),
        ("ch06-possible", one_receive),
        ("ch06-one-byte", one_byte),
        ("ch06-done", done),
        ("ch06-article", decode_len),
        ("ch07-median", median),
        ("ch07-timer", timer),
        ("ch07-refused", refused),
        ("ch07-nested", nested),
        ("errata-bounded-concurrency", bounded_concurrency),
        ("errata-bounded-submits", bounded_submits),
        ("errata-retry", retry),
        ("errata-timer", late_timer),
    ])
}

fn asked() -> Vec<(String, Asked)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(proactor_book::home().join("src/quizzes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let questions = quiz(&fs::read_to_string(&path).unwrap());
        let questions = questions.unwrap_or_else(|why| panic!("{name}: {why}"));
        found.extend(
            questions
                .into_iter()
                .map(|question| (name.clone(), question)),
        );
    }
    found
}

#[test]
fn every_answer_is_what_the_kernel_does() {
    let mut left = computed();
    for (file, question) in asked() {
        let Asked {
            id, right, wrong, ..
        } = question;
        match left.remove(id.as_str()) {
            None => assert!(
                id.starts_with("idea-"),
                "{file}: nothing here works out the answer of {id}"
            ),
            Some(answers) => {
                let told: BTreeSet<String> = answers()
                    .unwrap_or_else(|error| panic!("{file}: {id}: {error}"))
                    .into_iter()
                    .collect();
                match wrong.is_empty() {
                    // Typed: the first is the answer, the others are other ways to write it.
                    true => assert_eq!(told, BTreeSet::from([right[0].clone()]), "{file}: {id}"),
                    false => {
                        assert_eq!(told, right.into_iter().collect(), "{file}: {id}");
                        let also = wrong.iter().find(|it| told.contains(*it));
                        assert_eq!(also, None, "{file}: {id}");
                    }
                }
            }
        }
    }
    let left: Vec<&str> = left.into_keys().collect();
    assert!(left.is_empty(), "answers to what nobody asks: {left:?}");
}

#[test]
fn no_two_questions_have_one_name() {
    let mut names = BTreeSet::new();
    for (file, question) in asked() {
        assert!(names.insert(question.id.clone()), "{file}: {}", question.id);
    }
}

// ---- the worlds

/// Whatever `world` tells in all executions with at most two deviations.
fn possible(world: impl Fn(&Sim) -> Option<String> + Send + Sync + 'static) -> Answers {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let tell = told.clone();
    let checker = Checker::new().deviations(2).random(false);
    let summary = checker.run(move |sim| {
        if let Some(what) = world(sim) {
            tell.lock().unwrap().insert(what);
        }
    })?;
    assert_eq!(summary.proved(), Some(2), "the search has come to its end");
    let told = told.lock().unwrap();
    Ok(told.iter().cloned().collect())
}

/// Whatever it tells in the kind one.
fn kind(world: impl Fn(&Sim) -> Option<String> + Send + Sync + 'static) -> Answers {
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    Checker::new().executions(1).run(move |sim| {
        *tell.lock().unwrap() = world(sim);
    })?;
    let told = told.lock().unwrap();
    Ok(told.iter().cloned().collect())
}

/// The server's side of a connection on which a scripted client sends `pieces`, and closes.
async fn from_client(sim: &Sim, pieces: &[&[u8]]) -> Option<TcpStream> {
    let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
    let client = sim.connect("10.0.0.1:7");
    client.lenient();
    for piece in pieces {
        client.send(piece);
    }
    drop(client);
    Some(listener.accept().await.ok()?.0)
}

/// A client and a server that are connected.
fn connected(hand: &mut Hand) -> Result<(Stream, Stream), Box<dyn Error>> {
    let listener = hand.listen("10.0.0.1:7")?;
    let client = hand.socket()?;
    let connect = hand.submit(Request::connect(client, "10.0.0.1:7".parse()?))?;
    hand.step(Step::Complete(connect))?;
    hand.reap();
    let (server, _) = hand.try_accept(listener)?;
    Ok((client, server))
}

fn whose(hand: &Hand, op: OpId) -> String {
    let whose = match hand.owner(op) {
        Some(Owner::Kernel) => "the kernel",
        Some(Owner::Queue) => "the queue of completions",
        _ => "you",
    };
    whose.to_owned()
}

/// All that may happen by hand: `world` is run again and again, and what it asks of `choose`, which takes how many
/// alternatives there are, is answered in every way.
fn by_hand(
    world: impl Fn(&mut dyn FnMut(usize) -> usize) -> Answers,
) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut told = BTreeSet::new();
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        let mut at = 0;
        let mut choose = |alternatives: usize| {
            if at == path.len() {
                path.push((0, alternatives));
            }
            at += 1;
            path[at - 1].0
        };
        told.extend(world(&mut choose)?);
        path.truncate(at);
        while path.last().is_some_and(|(chosen, of)| chosen + 1 == *of) {
            path.pop();
        }
        match path.last_mut() {
            Some((chosen, _)) => *chosen += 1,
            None => return Ok(told),
        }
    }
}

// ---- chapter 0

/// What one receive of `ten bytes!` brings, by the class that it is decided to.
fn brings(class: &str) -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.submit(Request::send(client, "ten bytes!"))?;
    hand.decide(&format!("recv: {class}"))?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
    hand.step(Step::Complete(recv))?;
    Ok(vec![
        hand.reap().ok_or("just handed out")?.buf.len().to_string(),
    ])
}

fn how_many() -> Answers {
    let mut may = Vec::new();
    for class in ["full", "1", "half"] {
        may.extend(brings(class)?);
    }
    Ok(may)
}

fn how_many_kindly() -> Answers {
    brings("full")
}

// ---- chapter 1

fn lent_at_once() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.submit(Request::send(client, "hello"))?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
    Ok(vec![whose(&hand, recv)])
}

fn hint() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.try_write(client, b"hello")?;
    let ready = hand.wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    assert!(ready[0].readable);
    let mut buffer = [0; 16];
    hand.try_read(server, &mut buffer)?;
    Ok(vec![match hand.try_read(server, &mut buffer) {
        Err(error) => format!("the error `{:?}`", error.kind()),
        Ok(count) => format!("`Ok({count})`"),
    }])
}

// ---- chapter 2

fn two_receives() -> Answers {
    let all = by_hand(|choose| {
        let mut hand = Hand::new(Config::default());
        let (client, server) = connected(&mut hand)?;
        let a = hand.submit(Request::recv(server, Vec::with_capacity(4)))?;
        let room = || Vec::with_capacity(4);
        let b = hand.submit_with(Request::recv(server, room()), |it| {
            choose(it.alternatives.len())
        })?;
        hand.submit_with(Request::send(client, "12345678"), |it| {
            choose(it.alternatives.len())
        })?;
        let mut got = BTreeMap::new();
        loop {
            let enabled = hand.enabled();
            // What is late has its effect; the order of completions changes nothing here.
            let effect = enabled.iter().find(|it| matches!(it.step, Step::Effect(_)));
            let Some(next) = effect.or(enabled.first()).map(|it| it.step) else {
                break;
            };
            hand.step_with(next, |it| choose(it.alternatives.len()))?;
            if let Some(done) = hand.reap() {
                got.insert(done.op, (done.result.is_ok(), done.buf));
            }
        }
        let (Some((true, a)), Some((true, b))) = (got.get(&a), got.get(&b)) else {
            return Ok(Vec::new()); // an error, or one of them waits for more
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(vec![format!("a `{}`, b `{}`", text(a), text(b))])
    })?;
    // Many more are possible; these are the ones that the question names.
    let named = [
        "a `1234`, b `5678`",
        "a `12`, b `3456`",
        "a `5678`, b `1234`",
        "a `1234`, b `1234`",
        "a `12`, b `5678`",
    ];
    let possible = named.into_iter().filter(|it| all.contains(*it));
    Ok(possible.map(str::to_owned).collect())
}

fn late_cancel() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
    hand.submit(Request::send(client, "too late"))?;
    hand.cancel(recv)?;
    hand.step(Step::Complete(recv))?;
    let done = hand.reap().ok_or("just handed out")?;
    Ok(vec![match (done.result, done.buf.len()) {
        (Ok(_), 8) => "with eight bytes".to_owned(),
        (end, count) => format!("{end:?}, {count} bytes"),
    }])
}

fn orders() -> Answers {
    let orders = by_hand(|choose| {
        let mut hand = Hand::new(Config::default());
        let (client, _server) = connected(&mut hand)?;
        for word in ["one", "two", "three"] {
            hand.submit(Request::send(client, word))?;
        }
        let mut order = String::new();
        for _ in 0..3 {
            let enabled = hand.enabled();
            let is_complete = |step: &Step| matches!(step, Step::Complete(_));
            let steps = enabled.iter().map(|it| it.step).filter(is_complete);
            let steps: Vec<Step> = steps.collect();
            hand.step(steps[choose(steps.len())])?;
            order += &format!("{} ", hand.reap().ok_or("just handed out")?.op);
        }
        Ok(vec![order])
    })?;
    Ok(vec![orders.len().to_string()])
}

fn all_but_one() -> Answers {
    brings("n-1")
}

// ---- chapter 3

#[path = "../../examples/ch03_first_proactor.rs"]
#[allow(dead_code)]
mod ch03_first_proactor;

fn on_a_port() -> Answers {
    use ch03_first_proactor::{Serve, hasty, patient, world};
    let mut found = Vec::new();
    for (name, serve) in [("hasty", hasty as Serve), ("patient", patient)] {
        let checker = Checker::new().personality(Personality::Port);
        if checker.run(move |sim| world(sim, serve)).is_err() {
            found.push(format!("that of `{name}`"));
        }
    }
    Ok(found)
}

fn not_inside() -> Answers {
    possible(|sim| {
        let when = Arc::new(Mutex::new("never"));
        let tell = when.clone();
        let inside = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"hello"]).await?;
            // The bytes are there: time passes only when nothing else can happen.
            sim.proactor().sleep(Duration::from_secs(1)).await.ok()?;
            stream.read(Vec::with_capacity(64)).then(move |_| {
                *tell.lock().unwrap() = "has run";
            });
            Some(*when.lock().unwrap())
        });
        match inside.unwrap()? {
            "never" => Some("later, from `run()`".to_owned()),
            _ => Some("inside the call of `then`, since nothing has to be waited for".to_owned()),
        }
    })
}

fn three_reads() -> Answers {
    kind(|sim| {
        let reads = sim.proactor().block_on(async {
            let stream = from_client(sim, &[&[b'x'; 100]]).await?;
            sim.proactor().sleep(Duration::from_secs(1)).await.ok()?;
            let mut reads = 1;
            while stream.read(Vec::with_capacity(64)).await.0.ok()? > 0 {
                reads += 1;
            }
            Some(reads)
        });
        Some(reads.unwrap()?.to_string())
    })
}

// ---- chapter 4

fn pool() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(2).build()?;
    let ended = proactor.block_on(async {
        for _ in 0..4 {
            let job = proactor.offload(|| check::busy(Duration::from_secs(1)));
            job.then(|_| {});
        }
        let last = proactor.offload(|| check::busy(Duration::from_millis(1)));
        last.await.map(|()| proactor.now().since_start())
    })??;
    Ok(vec![ended.as_secs_f64().to_string()])
}

fn hasty() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (_, server) = connected(&mut hand)?;
    hand.decide("spurious: ready")?;
    let ready = hand.wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    assert!(ready[0].readable);
    let told = hand.try_read(server, &mut [0; 16]);
    Ok(vec![format!("`{:?}`", told.map_err(|error| error.kind()))])
}

/// Where the server of chapter 3 is found out.
fn short_send() -> Answers {
    let all = legality();
    let mut sends = all.transitions().filter(|it| it.name == "send");
    let half = sends
        .next()
        .and_then(|it| it.outcomes.iter().find(|it| it.word == "half"));
    let kernels = half.ok_or("no class of that name")?.personalities;
    let each = Personality::ALL[1..].iter();
    let has = each.filter(|kernel| kernels.has(**kernel));
    Ok(has.map(|kernel| kernel.name().to_owned()).collect())
}

// ---- chapter 5

#[path = "../../examples/ch05_lending.rs"]
#[allow(dead_code)]
mod ch05_lending;

/// The points at which the buffer is yours, whether the cancel wins or not.
fn may_free() -> Answers {
    let mut always: Option<BTreeSet<&str>> = None;
    for bytes_come in [false, true] {
        let mut hand = Hand::new(Config::default());
        let (client, server) = connected(&mut hand)?;
        let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
        let mut yours = BTreeSet::new();
        if bytes_come {
            hand.submit(Request::send(client, "hello"))?;
            if whose(&hand, recv) == "you" {
                yours.insert("the peer's bytes have arrived");
            }
        }
        let points = [
            "`hand.cancel(recv)` has returned",
            "`hand.step(Step::Complete(recv))` has queued the completion",
            "`hand.reap()` has returned the completion",
        ];
        for (point, nth) in points.into_iter().zip(0..) {
            match nth {
                0 => hand.cancel(recv)?,
                1 => hand.step(Step::Complete(recv))?,
                _ => drop(hand.reap()),
            }
            if whose(&hand, recv) == "you" {
                yours.insert(point);
            }
        }
        always = Some(match always {
            None => yours,
            Some(before) => before.intersection(&yours).copied().collect(),
        });
    }
    Ok(always.into_iter().flatten().map(str::to_owned).collect())
}

fn no_capacity() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build()?;
    world.add_file("/greeting", b"hello, world");
    let read = proactor.block_on(async {
        let file = File::open(&proactor, "/greeting").await?;
        file.read_at(Vec::new(), 0).await.0
    })??;
    Ok(vec![read.to_string()])
}

fn kindest() -> Answers {
    let told = ch05_lending::one_page()?;
    let convicted = told.contains("lent-buffer") && told.contains("fails without any deviation");
    let answer = if convicted {
        "yes"
    } else {
        "no: the bytes had been taken already"
    };
    Ok(vec![answer.to_owned()])
}

// ---- chapter 6

fn one_receive() -> Answers {
    possible(|sim| {
        let read = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"ab", b"cd"]).await?;
            let (read, got) = stream.read(Vec::with_capacity(4)).await;
            (read.ok()? > 0).then_some(got)
        });
        Some(format!("`{}`", String::from_utf8(read.unwrap()?).unwrap()))
    })
}

fn one_byte() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.submit(Request::send(client, [0, 0, 0, 5]))?;
    hand.decide("recv: 1")?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(4)))?;
    hand.step(Step::Complete(recv))?;
    let mut header = hand.reap().ok_or("just handed out")?.buf;
    assert_eq!(header.len(), 1);
    header.resize(4, 0);
    let length = u32::from_be_bytes(header.try_into().map_err(|_| "four bytes")?);
    Ok(vec![length.to_string()])
}

fn done() -> Answers {
    kind(|sim| {
        let error = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"\0\0\0\x05al"]).await?;
            compose::read_exact(&stream, vec![0; 4]).await.0.ok()?;
            compose::read_exact(&stream, vec![0; 5]).await.0.err()
        });
        Some(Interrupted::in_error(&error.unwrap()?)?.done.to_string())
    })
}

fn decode_len() -> Answers {
    kind(|sim| {
        let processed = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"\0\0\0\x05alpha"]).await?;
            let mut processed = Vec::new();
            while compose::read_exact(&stream, vec![0; 4]).await.0.is_ok() {
                let nothing = Vec::with_capacity(0).slice(..0);
                let (read, body) = compose::read_exact(&stream, nothing).await;
                read.ok()?;
                processed.push(body.into_inner());
            }
            Some(processed)
        });
        let processed = processed.unwrap()?;
        assert!(processed.iter().all(Vec::is_empty));
        match processed.len() {
            2 => Some("twice, with nothing".to_owned()),
            count => Some(format!("{count} times, with nothing")),
        }
    })
}

// ---- chapter 7

#[path = "../../examples/ch07_never_block.rs"]
#[allow(dead_code)]
mod ch07_never_block;

fn median() -> Answers {
    let took = ch07_never_block::ordinary(20, None)?;
    let median = took[(took.len() - 1) / 2];
    Ok(vec![median.as_millis().to_string()])
}

fn timer() -> Answers {
    kind(|sim| {
        let ran = Arc::new(Mutex::new(None));
        let (tell, handle) = (ran.clone(), sim.proactor().handle());
        sim.proactor().post(move || {
            let sleep = handle.sleep(Duration::from_millis(10));
            sleep.then(move |_| *tell.lock().unwrap() = Some(handle.now().since_start()));
            check::busy(Duration::from_millis(50));
        });
        sim.proactor().run().unwrap();
        let ran = ran.lock().unwrap().take()?;
        Some(format!("after {} ms", ran.as_millis()))
    })
}

fn refused() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(1).offload_queue(2).build()?;
    let refused = proactor.block_on(async {
        let started = (0..6).map(|_| proactor.offload(|| ()).into_future());
        let started: Vec<_> = started.collect();
        let mut refused = 0;
        for job in started {
            refused += usize::from(job.await.is_err());
        }
        refused
    })?;
    Ok(vec![refused.to_string()])
}

fn nested() -> Answers {
    let told = ch07_never_block::nested()?;
    let at_once = told.contains("inside a handler");
    let answer = if at_once {
        "it is an error, at once"
    } else {
        "it waits for ever"
    };
    Ok(vec![answer.to_owned()])
}

// ---- the articles' mistakes, in the structure of their listings

/// What was counted of the article's queue.
#[derive(Default)]
struct Counted {
    /// Submits that had to wait.
    waited: AtomicUsize,
    /// Handlers that run now.
    run: AtomicUsize,
    /// As many ran at once at most.
    most: AtomicUsize,
}

/// The article's queue, with a limit of five and a hundred items.
fn bounded_queue() -> Result<Arc<Counted>, Box<dyn Error>> {
    let counted = Arc::new(Counted::default());
    let count = counted.clone();
    Checker::new().executions(1).run(move |sim| {
        let proactor = sim.proactor();
        // As good as no bound: the article's queue has none.
        let (submit, mut queue) = mpsc::channel::<u32>(1 << 20);
        let semaphore = Semaphore::new(5);
        for item in 0..100 {
            // A submit that has to wait is one that is refused now.
            let waits = submit.try_send(item).is_err();
            count.waited.fetch_add(usize::from(waits), Relaxed);
        }
        drop(submit);
        let (handle, count) = (proactor.handle(), count.clone());
        drop(proactor.spawn(async move {
            while let Some(_item) = queue.recv().await {
                let _permit = semaphore.acquire().await;
                let now = count.run.fetch_add(1, Relaxed) + 1;
                count.most.fetch_max(now, Relaxed);
                let _ = handle.sleep(Duration::from_secs(1)).await;
                count.run.fetch_sub(1, Relaxed);
            }
        }));
        proactor.run().unwrap();
    })?;
    Ok(counted)
}

fn bounded_concurrency() -> Answers {
    Ok(vec![bounded_queue()?.most.load(Relaxed).to_string()])
}

fn bounded_submits() -> Answers {
    Ok(vec![bounded_queue()?.waited.load(Relaxed).to_string()])
}

/// A page that answers 404, under the article's loop: the error that says "not again" is caught by what tries again.
fn retry() -> Answers {
    let mut asked = 0;
    let mut once = || -> Result<(), String> {
        asked += 1;
        let status = 404;
        match status {
            200 => Ok(()),
            500.. => Err(format!("server error: {status}")),
            _ => Err(format!("client error: {status}")), // "non-retryable"
        }
    };
    for attempt in 0..3 {
        match once() {
            Ok(()) => break,
            Err(_) if attempt < 2 => {}
            Err(_) => break,
        }
    }
    Ok(vec![asked.to_string()])
}

/// A timer whose completion is queued is cancelled.
fn late_timer() -> Answers {
    let mut hand = Hand::new(Config::default());
    let timer = hand.submit(Request::timer(Duration::from_secs(30)))?;
    hand.step(Step::Clock)?;
    hand.cancel(timer)?;
    hand.step(Step::Complete(timer))?;
    let end = hand.reap().ok_or("just handed out")?.result;
    Ok(vec![match end {
        Ok(_) => "that its time has come".to_owned(),
        Err(_) => "that it was cancelled".to_owned(),
    }])
}
