//! Models, scripts and numbers that make no sense: an error, a finding, or the end; never a hang, and never a panic of
//! the simulation's own.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::check::{Checker, Failure, FailureKind, Peer, Sim, Summary, busy};
use proactor::fs::{self, File, OpenOptions};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Oracle;
use proactor::{Handle, compose};

const ADDR: &str = "10.0.0.1:7";

/// Longer than any clock.
const EVER: Duration = Duration::MAX;

fn serve(listener: TcpListener) {
    listener.accept().then(move |accepted| match accepted {
        Ok((stream, _)) => {
            drop(stream.handle().spawn(echo(stream)));
            serve(listener);
        }
        Err(error) if proactor::is_canceled(&error) => {}
        Err(error) if error.kind() == ErrorKind::NotConnected => {}
        Err(_) => serve(listener),
    });
}

async fn echo(stream: TcpStream) {
    loop {
        let read = stream.read(Vec::with_capacity(4));
        let (Ok(1..), bytes) = read.timeout(Duration::from_secs(60)).await else {
            return;
        };
        if compose::write_all(&stream, bytes).await.0.is_err() {
            return;
        }
    }
}

/// What is said of a script that contradicts itself.
fn contradiction(script: fn(&Peer) -> &Peer) -> String {
    let failure = Checker::new().executions(50).run(move |sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        serve(listener.clone());
        let peer = sim.connect(ADDR);
        script(&peer);
        let over = peer.over().unwrap();
        let _ = sim.proactor().block_on(over.wait());
        listener.close();
        let _ = sim.proactor().run();
    });
    let failure = failure.expect_err("nobody can do that");
    assert_eq!(failure.oracle(), Some(Oracle::Always), "{failure}");
    failure.message().unwrap_or_default().to_owned()
}

#[test]
fn a_script_that_contradicts_itself_is_told_so() {
    for (script, said) in [
        (
            (|peer| peer.close().send("x")) as fn(&Peer) -> &Peer,
            "contradicts itself: it is to send 1 byte after it has closed",
        ),
        (
            |peer| peer.reset().half_close(),
            "contradicts itself: it is to half-close after it has closed",
        ),
        (
            |peer| peer.reset().expect_reset(),
            "contradicts itself: it is to see the connection reset after it has closed",
        ),
        (
            |peer| peer.close().reset(),
            "contradicts itself: it is to reset after it has closed",
        ),
        (
            |peer| peer.half_close().send("x"),
            "contradicts itself: it is to send 1 byte after it has half-closed",
        ),
        (
            |peer| peer.half_close().half_close(),
            "contradicts itself: it is to half-close after it has half-closed",
        ),
        (
            |peer| peer.half_close().expect_end().expect("x"),
            "expected 1 byte, and the stream ended",
        ),
        (
            |peer| peer.half_close().expect_end().expect_reset(),
            "was to see the connection reset, and the stream ended in good order",
        ),
    ] {
        let message = contradiction(script);
        assert!(message.contains(said), "`{said}` is not in `{message}`");
    }
}

/// What looks odd and is none.
#[test]
fn empty_and_endless_lines_of_a_script_do_nothing() {
    let summary = Checker::new().executions(300).run(|sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        serve(listener.clone());
        let peer = sim.connect(ADDR);
        // A server whose patience ends is in the right.
        peer.lenient().send("").expect("").read_some(0);
        peer.slow_drip("", EVER).stall(Duration::ZERO);
        peer.slow_drip("ab", Duration::ZERO).expect("ab");
        peer.half_close()
            .expect_end()
            .expect_end()
            .read_some(9)
            .read_some(9);
        peer.close().close();
        let over = peer.over().unwrap();
        sim.proactor().block_on(over.wait()).unwrap().unwrap();
        listener.close();
        sim.proactor().run().unwrap();
    });
    summary.unwrap_or_else(|failure| panic!("{failure}"));
}

/// When no time is left a teardown counts steps instead, and drains all the same.
#[test]
fn at_the_end_of_time_a_teardown_still_drains() {
    let summary = Checker::new().executions(500).run(|sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        sim.proactor().post(|| busy(EVER));
        serve(listener.clone());
        let peer = sim.connect(ADDR);
        peer.lenient().send("ab").half_close().read_some(9);
        let _ = sim.proactor().run_for(Duration::from_secs(1));
        assert_eq!(sim.now(), Duration::from_nanos(u64::MAX));
        drop(listener.accept().into_future());
    });
    summary.unwrap_or_else(|failure| panic!("{failure}"));
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % n
    }

    fn time(&mut self) -> Duration {
        match self.below(8) {
            0 => EVER,
            1 => Duration::ZERO,
            2 => Duration::from_nanos(u64::MAX - 1),
            n => Duration::from_millis(n * n),
        }
    }

    fn number(&mut self) -> u64 {
        match self.below(6) {
            0 => u64::MAX,
            1 => i64::MAX as u64,
            2 => 1 << 30,
            n => n,
        }
    }
}

fn line(peer: &Peer, dice: &mut Dice) {
    match dice.below(14) {
        0..=2 => peer.send([b'x'; 5]),
        3 => peer.send(""),
        4 => peer.slow_drip("ab", dice.time()),
        5 => peer.expect("xxxxx"),
        6 => peer.expect("y"),
        7 => peer.expect_end(),
        8 => peer.expect_reset(),
        9 => peer.read_some(dice.below(9) as usize),
        10 => peer.half_close(),
        11 => peer.reset(),
        12 => peer.close(),
        _ => peer.stall(dice.time()),
    };
    if dice.below(40) == 0 {
        peer.lenient();
    }
}

/// Calls of the public interface that a sensible program does not make.
async fn nonsense(proactor: Handle, mut dice: Dice) {
    let _ = proactor.sleep(dice.time()).timeout(dice.time()).await;
    if let Ok(listener) = TcpListener::bind(&proactor, ADDR) {
        // The port is in use, or it is not.
        let _ = listener.accept().timeout(dice.time()).await;
    }
    let addrs = [
        "10.0.0.77:1",
        "0.0.0.0:0",
        "255.255.255.255:1",
        "10.0.0.1:7",
    ];
    let addr = addrs[dice.below(4) as usize];
    if let Ok(stream) = TcpStream::connect(&proactor, addr)
        .timeout(dice.time())
        .await
    {
        let _ = stream.set_linger(Some(dice.time()));
        let _ = stream.write("x").timeout(dice.time()).await;
        stream.close();
        assert!(stream.write("x").await.0.is_err());
        assert!(stream.read(Vec::with_capacity(3)).await.0.is_err());
    }
    let paths = ["/../f", "/", "", "/no/such", "/f\0", "/f"];
    let path = paths[dice.below(6) as usize];
    if let Ok(file) = File::create(&proactor, path).await {
        let _ = file.write_at("xy", dice.number()).await;
        let _ = file.set_len(dice.number()).await;
        let _ = file.read_at(Vec::with_capacity(3), dice.number()).await;
        let _ = file.append("z").await;
        let _ = file.sync_all().await;
    }
    let _ = OpenOptions::new().open(&proactor, path).await;
    let _ = fs::rename(&proactor, path, paths[dice.below(6) as usize]).await;
    let _ = fs::remove_dir(&proactor, path).await;
}

/// What may be found in a model that was drawn: not that it panics.
fn judge(seed: u64, failure: &Failure) {
    assert_eq!(
        failure.kind(),
        FailureKind::Broken,
        "seed {seed}: {failure}"
    );
    assert_ne!(
        failure.oracle(),
        Some(Oracle::Panic),
        "seed {seed}: {failure}"
    );
    assert_ne!(
        failure.oracle(),
        Some(Oracle::BytesConserved),
        "seed {seed}: {failure}"
    );
    assert_ne!(
        failure.oracle(),
        Some(Oracle::OneCompletion),
        "seed {seed}: {failure}"
    );
    assert_ne!(
        failure.oracle(),
        Some(Oracle::LentBuffer),
        "seed {seed}: {failure}"
    );
}

fn anything(sim: &Sim, seed: u64) {
    let mut dice = Dice(seed);
    let proactor = sim.proactor();
    sim.world().disk_quota(dice.number());
    let (here, there) = (sim.host("here"), sim.host("there"));
    let link = here.link(&there);
    link.latency(dice.time());
    match dice.below(4) {
        0 => drop(link.lose_for(dice.time()).clone()),
        1 => drop(link.may_be_lost(dice.time()).clone()),
        _ => {}
    }
    let listener = TcpListener::bind(proactor, ADDR).unwrap();
    serve(listener.clone());
    let scripted = sim.listen("10.0.0.2:9");
    for _ in 0..dice.below(4) {
        let peer = match dice.below(3) {
            0 => scripted.accept(),
            1 => sim.connect("10.0.0.2:9"),
            _ => sim.connect(ADDR),
        };
        for _ in 0..dice.below(9) {
            line(&peer, &mut dice);
        }
    }
    drop(proactor.spawn(nonsense(proactor.handle(), Dice(!seed))));
    let time = dice.time();
    proactor.post(move || busy(time));
    let _ = proactor.run_for(dice.time());
    there.reset_connections();
    listener.close();
    let _ = proactor.run_for(dice.time());
}

fn check(seed: u64) -> Result<Summary, Box<Failure>> {
    Checker::new()
        .max_steps(20_000)
        .executions(12)
        .workers(1 + (seed % 4 == 3) as usize)
        .run(move |sim| anything(sim, seed))
}

#[test]
fn a_model_that_asks_for_nonsense_gets_an_answer() {
    let mut found = 0;
    for seed in 0..250 {
        if let Err(failure) = check(seed) {
            judge(seed, &failure);
            found += 1;
        }
    }
    assert!(found > 0 && found < 250, "{found}");
}

#[test]
#[ignore = "as long as one likes: MODELS=10000 FROM=0"]
fn longer() {
    let number = |name: &str, default| {
        let text = std::env::var(name).unwrap_or_default();
        text.parse().unwrap_or(default)
    };
    let (from, models) = (number("FROM", 250), number("MODELS", 5_000));
    for seed in from..from + models {
        if let Err(failure) = check(seed) {
            judge(seed, &failure);
        }
    }
}
