//! Every kernel there is, for a body that states a promise.
//!
//! The simulated kernel is asked after each body whether anything was broken or left over: the body
//! must have dropped its proactors by then.

use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use proactor::choice::{Alternatives, Chooser, Key, Kind, Site};
use proactor::sim::{Config, Door, World};
use proactor::{Builder, Handle, Proactor};

/// How many random runs of the simulated kernel a promise has to hold in, unless `PROACTOR_SEEDS` says.
const SEEDS: u64 = 200;

/// One kernel. As many proactors as you like can be made on it, one after another.
pub(crate) struct Kernel {
    /// None: the real one.
    world: Option<World>,
    workers: usize,
    directory: PathBuf,
    made: Made,
}

/// The proactors that a body has made: for the dump of one that hangs.
type Made = Arc<Mutex<Vec<Handle>>>;

/// The real kernel, if it lets us, with one worker and with two, and the simulated one at its kindest.
pub(crate) fn on_every_kernel(body: impl Fn(&Kernel)) {
    really(2, &body);
    really(1, &body);
    simulated("kind", &Config::default(), || Box::new(Kind), &body);
    let port = Config {
        door: Door::Port,
        ..Config::default()
    };
    simulated("kind, behind a port", &port, || Box::new(Kind), &body);
}

/// The above, and simulated kernels that complete late and in any order, and let cancels win or lose,
/// but in which nothing fails or is short.
pub(crate) fn in_any_order(body: impl Fn(&Kernel)) {
    on_every_kernel(&body);
    randomly(0, &body);
}

/// The above, and kernels that do everything they may.
pub(crate) fn whatever_happens(body: impl Fn(&Kernel)) {
    in_any_order(&body);
    randomly(2, &body);
}

/// For promises that need threads or real time.
pub(crate) fn on_the_real_kernel(body: impl Fn(&Kernel)) {
    really(1, &body);
}

/// For promises about several workers, which need threads.
pub(crate) fn with_workers(workers: usize, body: impl Fn(&Kernel)) {
    really(workers, &body);
}

fn really(workers: usize, body: &impl Fn(&Kernel)) {
    static SAID: Once = Once::new();
    if let Err(why) = Proactor::new() {
        SAID.call_once(|| eprintln!("The real kernel was left out: {why}"));
        return;
    }
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("proactor-behaviour-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    let made = Made::default();
    let _watch = Watch::begin(made.clone());
    body(&Kernel {
        world: None,
        workers,
        directory,
        made,
    });
}

/// Longer than any body takes, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// While it lives: a test that hangs ends the process, with its name and what its proactors wait for.
struct Watch {
    _over: Sender<()>,
}

impl Watch {
    fn begin(made: Made) -> Watch {
        let (over, ended) = channel();
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            // Not by a macro: what those print is kept for the end of a test that has none.
            let mut out = std::io::stderr();
            let _ = writeln!(out, "{test} hangs: it has not ended within {PATIENCE:?}");
            for handle in made.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let (kernel, dump) = (handle.describe(), handle.dump());
                let _ = writeln!(out, "a proactor of it, on {kernel}:\n{dump}");
            }
            std::process::exit(101);
        });
        Watch { _over: over }
    }
}

/// For promises about what only a simulation can do.
pub(crate) fn on_the_simulated_kernel(body: impl Fn(&Kernel)) {
    simulated("kind", &Config::default(), || Box::new(Kind), &body);
}

fn randomly(faults_per_operation: u32, body: &impl Fn(&Kernel)) {
    let seeds = std::env::var("PROACTOR_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for (door, seeds) in [(Door::Plain, seeds), (Door::Port, seeds / 2)] {
        let config = Config {
            faults_per_operation,
            door,
            // Small, so that full streams are no rarity.
            stream_buffer: 2_048,
            ..Config::default()
        };
        for seed in 0..seeds {
            simulated(
                &format!(
                    "random, {door:?}, seed {seed}, {faults_per_operation} faults an operation"
                ),
                &config,
                || Box::new(Random::new(seed)),
                body,
            );
        }
    }
}

fn simulated(
    name: &str,
    config: &Config,
    chooser: impl Fn() -> Box<dyn Chooser>,
    body: &impl Fn(&Kernel),
) {
    let run = |config: Config| {
        let world = World::new(config, chooser());
        world.add_dir("/work");
        let kernel = Kernel {
            world: Some(world.clone()),
            workers: 1,
            directory: PathBuf::from("/work"),
            made: Made::default(),
        };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            body(&kernel);
            world.finish();
            if let Some(violation) = world.violation() {
                panic!("{violation}");
            }
        }));
        (ended, world)
    };
    if let (Err(panic), _) = run(config.clone()) {
        let traced = Config {
            trace: true,
            ..config.clone()
        };
        let (_, world) = run(traced);
        eprintln!("This was on the simulated kernel ({name}), which did:");
        for event in world.trace().iter().filter(|event| !event.text.is_empty()) {
            eprintln!("  {event:?}");
        }
        resume_unwind(panic);
    }
}

impl Kernel {
    pub(crate) fn proactor(&self) -> Proactor {
        let proactor = self.builder().build().unwrap();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(proactor.handle());
        proactor
    }

    /// For promises about what a single worker does, such as an order.
    pub(crate) fn proactor_with_one_worker(&self) -> Proactor {
        self.builder().workers(1).build().unwrap()
    }

    pub(crate) fn builder(&self) -> Builder {
        match &self.world {
            Some(world) => Proactor::builder().simulated(world),
            None => Proactor::builder().workers(self.workers),
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        self.world.is_some()
    }

    /// Windows, or what plays it: see [`wine`](crate::wine).
    pub(crate) fn is_windows(&self) -> bool {
        cfg!(windows) && !self.is_simulated()
    }

    /// Windows, played by Wine.
    pub(crate) fn is_wine(&self) -> bool {
        self.is_windows() && Proactor::new().is_ok_and(|it| it.describe().contains("Wine"))
    }

    /// Whether that is what a send says whose stream was reset, and has said so, or was at its end.
    pub(crate) fn is_broken(&self, kind: ErrorKind) -> bool {
        kind == ErrorKind::BrokenPipe || self.is_windows() && kind == ErrorKind::ConnectionReset
    }

    /// Looks at what a receive says that finds a reset. True: that it was one, not the end.
    pub(crate) fn is_reset(&self, received: io::Result<usize>) -> bool {
        match received {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                true
            }
            Ok(count) => {
                assert!(count == 0 && self.is_wine(), "received {count}");
                false
            }
        }
    }

    /// Panics on a real kernel.
    pub(crate) fn world(&self) -> &World {
        self.world.as_ref().expect("a simulated kernel")
    }

    /// A path for a file of that name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Puts a file there.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        match &self.world {
            Some(world) => world.add_file(path.to_str().unwrap(), bytes),
            None => std::fs::write(&path, bytes).unwrap(),
        }
        path
    }

    /// What a file holds, seen from outside.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        match &self.world {
            Some(world) => world.file(path.to_str().unwrap()),
            None => std::fs::read(path).ok(),
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if self.world.is_none() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// Deviates at random, at each kind of decision as often as the seed says, which may be never.
struct Random {
    state: u64,
    weights: [u64; Site::ALL.len()],
}

impl Random {
    fn new(seed: u64) -> Random {
        let mut random = Random {
            state: seed,
            weights: [0; Site::ALL.len()],
        };
        for site in 0..Site::ALL.len() {
            random.weights[site] = [0, 10, 30, 60][random.next() as usize % 4];
        }
        random
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

impl Chooser for Random {
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let deviates = self.next() % 100 < self.weights[site as usize];
        let which = self.next() as usize % (count - 1) + 1;
        if deviates { which } else { 0 }
    }
}
