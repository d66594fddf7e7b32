//! The legality table: every row can happen, on the kernels that it is said of and on no others; and the page is
//! what is printed.

use std::time::Duration;

use super::*;
use crate::sim::errno::*;
use crate::sim::files::{
    APPEND, CREATE, CREATE_NEW, DIRECTORY, IS_DIRECTORY, READ, TRUNCATE, WRITE,
};
use crate::sim::{Coverage, Door, Personality, legality};

/// A program that does a bit of everything, wrong things too, and takes what comes.
struct Tour {
    hand: Hand,
    dice: Random,
    results: HashMap<u32, i32>,
    under_way: Vec<u32>,
    open: Vec<i32>,
    /// Operations whose result is a handle.
    openers: Vec<u32>,
}

impl Tour {
    fn new(personality: Personality, seed: u64) -> Tour {
        let config = Config {
            personality,
            stream_buffer: 8,
            power_losses: 2,
            // The texts of everything are made.
            trace: seed.is_multiple_of(8),
            ..Config::default()
        };
        Tour {
            hand: Hand::with(config, Random::new(seed, 112)),
            dice: Random::new(!seed, 64),
            results: HashMap::new(),
            under_way: Vec::new(),
            open: Vec::new(),
            openers: Vec::new(),
        }
    }

    fn submit(&mut self, verb: Verb, handle: i32, flags: u32, offset: u64, bytes: &[u8]) -> u32 {
        let ready = self.dice.next().is_multiple_of(4);
        let (id, result) = self
            .hand
            .try_submit(verb, handle, flags, offset, bytes.to_vec(), ready);
        if matches!(verb, Verb::Open | Verb::Accept) {
            self.openers.push(id);
        }
        match result {
            Some(result) => drop(self.results.insert(id, result)),
            None => self.under_way.push(id),
        }
        id
    }

    fn connect(&mut self, socket: i32, addr: &str) {
        let id = self.hand.connect_socket(socket, addr);
        self.under_way.push(id);
    }

    fn socket(&mut self) -> i32 {
        let socket = self.hand.world.with(|kernel| kernel.socket(None)).unwrap();
        self.open.push(socket);
        socket
    }

    /// Some steps; now and then something is cancelled.
    fn go(&mut self, until: impl Fn(u64) -> Until) {
        loop {
            if self.dice.next().is_multiple_of(4)
                && let Some(&id) = self.under_way.first()
            {
                self.hand.cancel(id);
            }
            match self.hand.step(until(self.hand.world.now())) {
                Stepped::Completion(token, result) => {
                    let id = token as u32;
                    self.under_way.retain(|&other| other != id);
                    self.results.insert(id, result);
                }
                Stepped::Nothing | Stepped::Stuck | Stepped::PowerLost | Stepped::Dropped => return,
                Stepped::Over => panic!("{:?}", self.hand.world.violation()),
            }
        }
    }

    /// The handle that an operation ended with, if it did.
    fn handle(&self, id: u32) -> Option<i32> {
        self.results.get(&id).copied().filter(|raw| *raw >= 0)
    }

    fn end(mut self) -> Coverage {
        if self.dice.next().is_multiple_of(2) {
            self.go(|now| Until::Time(now + 200_000_000_000));
        }
        for id in self.under_way.clone() {
            self.hand.cancel(id);
        }
        while !self.under_way.is_empty() {
            self.go(|_| Until::Event);
        }
        let opened = self.openers.iter().filter_map(|&id| self.handle(id));
        let hand = &self.hand;
        let all = self.open.iter().copied().chain(opened);
        all.for_each(|handle| hand.world.close(handle));
        hand.world.finish();
        assert_eq!(
            hand.world.violation(),
            None,
            "{}",
            hand.world.kernel_trace()
        );
        hand.world.coverage()
    }
}

fn streams(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    let listener = tour.hand.listen(1);
    tour.open.push(listener);
    let clients = [(); 5].map(|()| tour.socket());
    for client in clients {
        tour.connect(client, ADDR);
    }
    tour.connect(clients[4], ADDR);
    let accepts = [(); 3].map(|()| tour.submit(Verb::Accept, listener, 0, 0, &[]));
    tour.submit(Verb::Timer, -1, 0, 50, &[]);
    tour.go(|_| Until::Now);
    let fresh = tour.socket();
    for (verb, flags) in [
        (Verb::Recv, 0),
        (Verb::Send, 0),
        (Verb::Shutdown, 1),
        (Verb::Accept, 0),
        (Verb::ReadAt, 0),
        (Verb::WriteAt, 0),
        (Verb::Append, 0),
        (Verb::SetLen, 0),
        (Verb::Sync, 0),
        (Verb::Length, 0),
    ] {
        let len = if verb == Verb::Length { 256 } else { 8 };
        tour.submit(verb, fresh, flags, 0, &vec![0; len]);
    }
    tour.connect(fresh, "127.0.0.1:9");
    let nowhere = tour.socket();
    tour.connect(nowhere, "192.0.2.1:80");
    tour.connect(listener, ADDR);
    // Asked by a readiness face, about what is not ready. The slot is nobody's.
    tour.hand.world.with(|kernel| {
        for nth in 0..4 {
            kernel.poll(5_000, EventId::ROOT.child(nth), clients[0], true);
        }
    });
    tour.submit(Verb::Nop, -1, 0, 0, &[]);
    tour.submit(Verb::Job, -1, 0, 0, &[]);
    tour.go(|_| Until::Now);
    let servers = accepts.map(|accept| tour.handle(accept));
    let ends = clients.iter().copied().chain(servers.into_iter().flatten());
    for (nth, end) in ends.clone().enumerate() {
        for _ in 0..2 {
            tour.submit(Verb::Recv, end, 0, 0, &[0; 6]);
            tour.submit(Verb::Send, end, 0, 0, b"more than fits");
        }
        tour.submit(Verb::Recv, end, 0, 0, &[]);
        tour.submit(Verb::Send, end, 0, 0, &[]);
        if nth == 0 {
            tour.submit(Verb::Shutdown, end, 3, 0, &[]);
        }
        tour.go(|_| Until::Now);
    }
    for end in ends {
        let how = (tour.dice.next() % 3) as u32;
        tour.submit(Verb::Shutdown, end, how, 0, &[]);
        for _ in 0..2 {
            tour.submit(Verb::Recv, end, 0, 0, &[0; 4]);
            tour.submit(Verb::Send, end, 0, 0, b"ab");
            tour.go(|_| Until::Now);
        }
        tour.submit(Verb::Shutdown, end, 2, 0, &[]);
    }
    tour.submit(Verb::Shutdown, listener, 2, 0, &[]);
    tour.submit(Verb::Accept, listener, 0, 0, &[]);
    tour.go(|_| Until::Now);
    // Another worker could run.
    struct Two;
    impl Alternatives for Two {
        fn label(&self, _: usize) -> String {
            "a handler".to_owned()
        }
        fn word(&self, index: usize) -> String {
            index.to_string()
        }
        fn event(&self, _: usize) -> Option<EventId> {
            None
        }
    }
    let key = Key {
        event: EventId::ROOT,
        occurrence: 0,
    };
    tour.hand
        .world
        .with(|kernel| kernel.choose_turn(key, 2, &Two, None));
    tour.end()
}

fn files(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    let world = &tour.hand.world;
    world.add_file("/d/file", b"some bytes");
    world.add_file("/d/denied", b"");
    world.deny("/d/denied");
    world.add_dir("/locked");
    world.deny("/locked");
    if seed.is_multiple_of(2) {
        world.disk_quota(14);
    }
    let long = "/x".repeat(4_000);
    let opens = [
        ("/d/file", READ | WRITE),
        ("/d/file", WRITE),
        ("/d/file", READ),
        ("/d", READ),
        ("/new", WRITE | CREATE),
        ("/new", READ | WRITE | CREATE | TRUNCATE),
        ("/d/nothing", READ),
        ("/d/denied", READ),
        ("/d/file", WRITE | CREATE_NEW),
        ("/d/file/x", READ),
        ("/d", WRITE),
        ("/d/file", 0),
        ("/d/file", APPEND),
        (&long, READ),
    ]
    .map(|(path, flags)| tour.submit(Verb::Open, -1, flags, 0, path.as_bytes()));
    tour.go(|_| Until::Now);
    for open in opens {
        let Some(file) = tour.handle(open) else {
            continue;
        };
        for offset in [0, 4, 1 << 30, u64::MAX] {
            tour.submit(Verb::ReadAt, file, 0, offset, &[0; 6]);
            tour.submit(Verb::WriteAt, file, 0, offset, b"abcdef");
        }
        tour.submit(Verb::ReadAt, file, 0, 0, &[]);
        tour.submit(Verb::WriteAt, file, 0, 0, &[]);
        tour.submit(Verb::Append, file, 0, 0, &[]);
        tour.submit(Verb::Append, file, 0, 0, b"abcdef");
        for len in [3, 1 << 30, (1 << 30) + 1, u64::MAX - 1] {
            tour.submit(Verb::SetLen, file, 0, len, &[]);
            tour.submit(Verb::Append, file, 0, 0, b"ghi");
        }
        tour.submit(Verb::SetLen, file, 0, 8, &[]);
        tour.submit(Verb::Sync, file, 0, 0, &[]);
        tour.submit(Verb::Length, file, 0, 0, &[0; 256]);
        for verb in [Verb::Recv, Verb::Send, Verb::Accept, Verb::Shutdown] {
            tour.submit(verb, file, 0, 0, &[0; 4]);
        }
        tour.connect(file, ADDR);
        tour.go(|_| Until::Now);
    }
    for (verb, flags, path) in [
        (Verb::CreateDir, 0, "/e"),
        (Verb::CreateDir, 0, "/d"),
        (Verb::CreateDir, 0, "/locked/x"),
        (Verb::CreateDir, 0, &long),
        (Verb::Rename, 0, "/d/file\0/moved"),
        (Verb::Rename, 0, "/d\0/d/x"),
        (Verb::Rename, 0, "/d\0/moved"),
        (Verb::Rename, 0, "/\0/root"),
        (Verb::Remove, 0, "/d"),
        (Verb::Remove, 0, "/nothing"),
        (Verb::Remove, 0, "/moved"),
        (Verb::Remove, IS_DIRECTORY, "/d"),
        (Verb::Remove, IS_DIRECTORY, "/e"),
    ] {
        tour.submit(verb, -1, flags, 0, path.as_bytes());
        tour.go(|_| Until::Now);
    }
    tour.end()
}

/// Lives of a machine that loses its power.
fn power(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    tour.hand.world.add_file("/d/old", b"old");
    for life in 0..4 {
        tour.hand.world.boot();
        let opens = [
            ("/d/new", READ | WRITE | CREATE),
            ("/d/new", WRITE),
            ("/d", READ | DIRECTORY),
        ]
        .map(|(path, flags)| tour.submit(Verb::Open, -1, flags, 0, path.as_bytes()));
        tour.go(|_| Until::Now);
        tour.submit(Verb::CreateDir, -1, 0, 0, format!("/d/{life}").as_bytes());
        if let [Some(file), other, dir] = opens.map(|open| tour.handle(open)) {
            tour.submit(Verb::WriteAt, file, 0, 0, &[life + 1; 2_600]);
            if tour.dice.next().is_multiple_of(2) {
                tour.submit(Verb::Append, file, 0, 0, &[life + 1; 700]);
            }
            tour.go(|_| Until::Now);
            for synced in [Some(file), other, dir].into_iter().flatten() {
                if tour.dice.next().is_multiple_of(3) {
                    tour.submit(Verb::Sync, synced, 0, 0, &[]);
                }
            }
            tour.submit(Verb::Rename, -1, 0, 0, b"/d/old\0/d/older");
            tour.submit(Verb::Rename, -1, 0, 0, b"/d/older\0/d/old");
        }
        tour.go(|_| Until::Now);
        tour.hand.world.lose_power();
        tour.hand.world.with(|kernel| kernel.tears_down());
        tour.go(|_| Until::Now);
        assert!(tour.under_way.is_empty());
        tour.openers.clear();
        tour.results.clear();
    }
    tour.hand.world.boot();
    tour.end()
}

/// On a handle that is closed: which is a breach of I4, and the end of the run.
fn closed(personality: Personality) -> Coverage {
    let mut all = Coverage::default();
    for verb in [
        Verb::Recv,
        Verb::Send,
        Verb::Accept,
        Verb::Connect,
        Verb::Shutdown,
        Verb::Append,
        Verb::SetLen,
        Verb::Sync,
        Verb::Length,
        Verb::Wait,
    ] {
        let mut tour = Tour::new(personality, 0);
        let socket = tour.socket();
        tour.hand.close(socket);
        match verb {
            Verb::Connect => tour.connect(socket, ADDR),
            _ => drop(tour.submit(verb, socket, 0, 0, &[0; 256])),
        }
        tour.go(|_| Until::Now);
        assert_eq!(tour.results.values().next(), Some(&-EBADF), "{verb:?}");
        assert!(tour.hand.world.failed());
        all.add(&tour.hand.world.coverage());
    }
    all
}

/// Connections that are reset: under operations, with bytes unread, and before anybody accepted them.
fn resets(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    let listener = tour.hand.listen(4);
    tour.open.push(listener);
    let client = tour.socket();
    tour.connect(client, ADDR);
    let accept = tour.submit(Verb::Accept, listener, 0, 0, &[]);
    tour.go(|_| Until::Now);
    if let Some(server) = tour.handle(accept) {
        tour.submit(Verb::Send, client, 0, 0, b"more than fits");
        if tour.dice.next().is_multiple_of(2) {
            tour.submit(Verb::Send, server, 0, 0, b"unread");
            tour.go(|_| Until::Now);
        } else {
            tour.submit(Verb::Recv, client, 0, 0, &[0; 4]);
            tour.submit(Verb::Send, client, 0, 0, b"more");
        }
        let (openers, world) = (&mut tour.openers, &tour.hand.world);
        let idle = world.with(|kernel| {
            let idle = kernel
                .m
                .handles
                .get(server)
                .is_some_and(|it| it.in_flight == 0);
            idle.then(|| kernel.set_linger(server, Some(0)))
        });
        if idle.is_some() {
            openers.retain(|&id| id != accept);
            world.close(server);
        }
    }
    let gone = tour.hand.world.with(|kernel| kernel.socket(None)).unwrap();
    tour.connect(gone, ADDR);
    tour.go(|_| Until::Now);
    while tour.hand.world.with(|kernel| {
        let busy = kernel.m.handles.get(gone);
        busy.is_some_and(|it| it.in_flight > 0)
    }) {
        let id = tour.hand.next - 1;
        tour.hand.cancel(id);
        tour.go(|now| Until::Time(now + 10_000_000_000));
    }
    let _ = tour
        .hand
        .world
        .with(|kernel| kernel.set_linger(gone, Some(0)));
    tour.hand.close(gone);
    tour.submit(Verb::Accept, listener, 0, 0, &[]);
    tour.end()
}

/// Two hosts, a link that takes time and is lost, an event.
fn far(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    let (near, far) = (tour.hand.world.host("near"), tour.hand.world.host("far"));
    let link = near.link(&far);
    link.latency(Duration::from_millis(1));
    link.may_be_lost(Duration::from_secs(2_000));
    let (local, addr) = (near.addr(0), far.addr(80));
    let listener = tour
        .hand
        .world
        .with(|kernel| kernel.listen(addr, 4, false))
        .unwrap();
    tour.open.push(listener);
    let (client, connect) = tour.hand.connect_from(local, addr);
    tour.open.push(client);
    tour.under_way.push(connect);
    let (lost, nobody) = tour
        .hand
        .connect_from(local, SocketAddr::new("10.0.0.77".parse().unwrap(), 1));
    tour.open.push(lost);
    tour.under_way.push(nobody);
    let accept = tour.submit(Verb::Accept, listener, 0, 0, &[]);
    let event = tour.hand.world.with(|kernel| kernel.event()).unwrap();
    tour.open.push(event);
    for _ in 0..2 {
        tour.submit(Verb::Wait, event, 0, 0, &[0; 8]);
    }
    tour.hand.world.with(|kernel| kernel.set(event));
    tour.submit(Verb::Wait, client, 0, 0, &[0; 8]);
    tour.go(|now| Until::Time(now + 400_000_000_000));
    let ends = [Some(client), tour.handle(accept)];
    for end in ends.into_iter().flatten() {
        tour.submit(Verb::Recv, end, 0, 0, &[0; 6]);
        tour.submit(Verb::Send, end, 0, 0, b"more than fits");
        tour.submit(Verb::Send, end, 0, 0, b"more");
    }
    tour.go(|now| Until::Time(now + 2_000_000_000_000));
    for end in ends.into_iter().flatten() {
        tour.submit(Verb::Send, end, 0, 0, b"ab");
        tour.submit(Verb::Recv, end, 0, 0, &[0; 6]);
    }
    tour.end()
}

/// Behind a completion port.
fn behind(personality: Personality, seed: u64) -> Coverage {
    let mut tour = Tour::new(personality, seed);
    let config = Config {
        personality,
        door: Door::Port,
        ..Config::default()
    };
    tour.hand = Hand::with(config, Random::new(seed, 112));
    tour.hand.world.with(|kernel| {
        kernel.associates();
        kernel.brings_more();
    });
    for _ in 0..8 {
        tour.submit(Verb::Nop, -1, 0, 0, &[]);
    }
    tour.end()
}

fn everything(personality: Personality) -> Coverage {
    let mut all = closed(personality);
    for seed in 0..400 {
        all.add(&streams(personality, seed));
        all.add(&files(personality, seed));
        all.add(&power(personality, seed));
        all.add(&resets(personality, seed));
        all.add(&far(personality, seed));
        all.add(&behind(personality, seed));
    }
    // What becomes of one change of several is drawn seldom.
    for seed in 400..3_000 {
        all.add(&power(personality, seed));
    }
    all
}

#[test]
fn every_row_happens_on_its_kernels_and_on_no_others() {
    let mut wrong = Vec::new();
    for personality in Personality::ALL {
        let coverage = everything(personality);
        for transition in legality().transitions() {
            for (at, outcome) in transition.outcomes.iter().enumerate() {
                let said = outcome.personalities.has(personality);
                if said != coverage.happened(transition, at) {
                    let what = if said { "never happens" } else { "happens" };
                    let (name, word) = (transition.name, outcome.word);
                    wrong.push(format!("{name}: {word} {what} on the {personality} kernel"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_is_what_is_printed() {
    let printed = legality().to_string();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sim/legality.md");
    if std::env::var_os("LEGALITY").is_some_and(|it| it == "write") {
        std::fs::write(page, &printed).unwrap();
    }
    let written = std::fs::read_to_string(page).unwrap();
    assert!(
        printed == written,
        "src/sim/legality.md is not what the transitions say: LEGALITY=write cargo test --lib the_page"
    );
}

#[test]
fn each_test_that_the_table_names_is_there() {
    let mut sources = String::new();
    for folder in [
        "src/sim/tests",
        "src/sim/files/tests",
        "src/backend/iocp/windows",
        "tests/behaviour",
        "tests/check",
    ] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            sources += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        }
    }
    let named = legality().divergences().map(|it| it.test);
    let evidence = legality()
        .transitions()
        .flat_map(|it| it.outcomes)
        .flat_map(|it| it.evidence)
        .filter_map(|it| match it {
            crate::sim::Evidence::Test(name) | crate::sim::Evidence::Wine(name) => Some(*name),
            _ => None,
        });
    for name in named.chain(evidence) {
        let name = name.rsplit("::").next().unwrap_or(name);
        assert!(
            sources.contains(&format!("fn {name}()")),
            "no test `{name}`"
        );
    }
}
