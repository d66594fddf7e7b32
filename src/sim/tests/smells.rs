//! The oracles over operations and handles: each fires on its planted bug, and is silent on code that only
//! looks like it; and what levels make of a finding.

use std::time::Duration;

use super::*;
use crate::sim::busy::Segment;
use crate::sim::{Level, Oracle, Warning, What};

/// What was found: a denied finding, or the warnings.
fn found(hand: &Hand) -> Vec<Oracle> {
    let warned = hand.world.warnings().into_iter().map(|it| it.oracle);
    let denied = hand.world.violation().map(|it| it.oracle);
    denied.into_iter().chain(warned).collect()
}

#[track_caller]
fn only(hand: &Hand, oracle: Oracle) -> String {
    assert_eq!(found(hand), [oracle]);
    let warned = hand.world.warnings().pop().map(|it| it.message);
    let denied = hand.world.violation().map(|it| it.message);
    denied.or(warned).expect("one of them")
}

fn with(change: impl FnOnce(&mut Config)) -> Hand {
    let mut config = Config {
        trace: true,
        ..Config::default()
    };
    change(&mut config);
    Hand::with(config, Kind)
}

#[test]
fn an_operation_that_ends_twice() {
    let mut hand = Hand::kind();
    let timer = hand.timer(5);
    hand.world.with(|kernel| {
        kernel.m.timers.remove(&mut kernel.m.ops, timer);
        kernel.finish(timer, 0);
        kernel.finish(timer, 1);
    });
    let message = only(&hand, Oracle::OneCompletion);
    assert_eq!(message, "timer(at 5 ns) was to end a second time");
    assert_eq!(hand.next(), (timer, 0), "the first result stands");
}

#[test]
fn a_read_beside_two_writes_is_no_second_read() {
    let mut hand = Hand::kind();
    let (_, _, server) = hand.pair();
    hand.send(server, b"a");
    hand.send(server, b"b");
    assert_eq!(found(&hand), [Oracle::ConcurrentWrites]);
    hand.recv(server, 4);
    assert_eq!(found(&hand), [Oracle::ConcurrentWrites]);
    hand.recv(server, 4);
    assert_eq!(
        found(&hand),
        [Oracle::ConcurrentWrites, Oracle::ConcurrentReads]
    );
}

#[test]
fn two_reads_of_one_stream() {
    let mut hand = Hand::kind();
    let (_, client, server) = hand.pair();
    let first = hand.recv(server, 4);
    assert_eq!(found(&hand), []);
    let second = hand.recv(server, 8);
    let message = only(&hand, Oracle::ConcurrentReads);
    assert!(
        message.starts_with(
            "recv(c1 server, 8) was started while recv(c1 server, 4) is in flight, started at"
        ),
        "{message}"
    );
    // The execution goes on, and the trace says it where it was.
    hand.send(client, b"ab");
    assert_eq!(hand.next().0, 4);
    assert_eq!(hand.result(first), 2);
    assert!(
        hand.world
            .trace()
            .iter()
            .any(|step| step.what == What::Warning)
    );
    let _ = second;
}

#[test]
fn two_writes_of_one_stream() {
    let mut hand = Hand::kind();
    let (_, client, server) = hand.pair();
    hand.send(client, b"ab");
    hand.send(server, b"ab");
    assert_eq!(found(&hand), []);
    hand.send(client, b"cd");
    let message = only(&hand, Oracle::ConcurrentWrites);
    assert!(
        message.contains("send(c1 client, 2) is in flight"),
        "{message}"
    );
}

#[test]
fn both_directions_at_once_and_one_after_the_other_are_no_smell() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    for _ in 0..40 {
        let (read, write) = (hand.recv(server, 4), hand.send(server, b"pong"));
        assert_eq!(hand.result(write), 4);
        let (answer, ping) = (hand.recv(client, 4), hand.send(client, b"ping"));
        let mut ended = [hand.next(), hand.next(), hand.next()];
        ended.sort_unstable();
        assert_eq!(ended, [(read, 4), (answer, 4), (ping, 4)]);
    }
    // Two accepts of one listener are what a server does.
    let accepts = [hand.accept(listener), hand.accept(listener)];
    for accept in accepts {
        hand.cancel(accept);
        assert_eq!(hand.result(accept), -crate::sim::errno::ECANCELED);
    }
    assert_eq!(found(&hand), []);
    hand.end(&[listener, client, server]);
}

#[test]
fn who_reads_on_and_on_at_the_end_of_a_stream() {
    let mut hand = with(|config| config.eof_spin = 3);
    let (_, client, server) = hand.pair();
    hand.close(client);
    for _ in 0..2 {
        let recv = hand.recv(server, 4);
        assert_eq!(hand.result(recv), 0);
    }
    // An empty read says nothing about the end.
    let empty = hand.recv(server, 0);
    assert_eq!(hand.result(empty), 0);
    assert_eq!(found(&hand), []);
    let last = hand.recv(server, 4);
    hand.result(last);
    let message = only(&hand, Oracle::EofSpin);
    assert!(
        message.contains("is the 3. read in a row that found the end of c1 server"),
        "{message}"
    );
}

#[test]
fn who_follows_a_file_and_waits_between_two_looks_does_not_spin() {
    let mut hand = with(|config| config.eof_spin = 3);
    hand.world.add_file("/log", b"x");
    let opened = hand.submit(Verb::Open, -1, crate::sim::files::READ, 0, b"/log".to_vec());
    let file = hand.result(opened);
    for round in 0..10 {
        let read = hand.submit(Verb::ReadAt, file, 0, 1, vec![0; 4]);
        assert_eq!(hand.result(read), 0);
        let sleep = hand.timer(round * 1_000 + 1_000);
        hand.result(sleep);
    }
    assert_eq!(found(&hand), []);
    for _ in 0..3 {
        let read = hand.submit(Verb::ReadAt, file, 0, 1, vec![0; 4]);
        hand.result(read);
    }
    let message = only(&hand, Oracle::EofSpin);
    assert!(message.contains("no time has passed"), "{message}");
}

#[test]
fn more_is_queued_than_the_bound() {
    let mut hand = with(|config| {
        config.most_bytes = 10;
        config.most_operations = 4;
    });
    let (_, client, _) = hand.pair();
    let first = hand.send(client, b"12345678");
    hand.result(first);
    let sends = [hand.send(client, b"12345"), hand.timer(9)];
    assert_eq!(found(&hand), [], "what was sent counts no longer");
    let client_too = hand.send(client, b"123456");
    assert!(found(&hand).contains(&Oracle::QueuedBytes));
    let more = [hand.timer(9), hand.timer(9)];
    assert!(
        found(&hand).contains(&Oracle::QueuedOperations),
        "{:?}",
        found(&hand)
    );
    let said: Vec<String> = hand
        .world
        .warnings()
        .into_iter()
        .map(|it| it.message)
        .collect();
    let said = said.join("\n");
    assert!(
        said.contains("11 bytes wait to be sent or written, more than the bound of 10 bytes"),
        "{said}"
    );
    assert!(
        said.contains("more than 4 operations are in flight"),
        "{said}"
    );
    let _ = (sends, client_too, more);
}

#[test]
fn what_is_appended_counts_as_queued_until_it_has_ended() {
    use crate::sim::files::{CREATE, WRITE};
    let mut hand = with(|config| config.most_bytes = 10);
    let open = hand.submit(Verb::Open, -1, WRITE | CREATE, 0, b"/log".to_vec());
    let file = hand.result(open);
    for _ in 0..3 {
        let append = hand.submit(Verb::Append, file, 0, 0, b"12345678".to_vec());
        assert_eq!(hand.result(append), 8);
    }
    assert_eq!(found(&hand), [], "one after the other");
    for _ in 0..2 {
        hand.submit(Verb::Append, file, 0, 0, b"12345678".to_vec());
    }
    assert_eq!(found(&hand), [Oracle::QueuedBytes]);
}

#[test]
fn what_is_ready_waits_for_busy_handlers() {
    let mut hand = with(|config| config.starvation = Duration::from_nanos(10));
    let busy = |hand: &Hand, number| {
        let segment = Segment {
            event: EventId::ROOT,
            number,
        };
        let here = Location::caller();
        hand.world
            .with(|kernel| kernel.busy(6, Some(segment), here));
    };
    let (_, client, server) = hand.pair();
    for number in 0..5 {
        let send = hand.send(client, b"x");
        busy(&hand, number);
        hand.result(send);
        let recv = hand.recv(server, 1);
        hand.result(recv);
    }
    // Time that only passes is nobody's fault.
    let timer = hand.timer(1_000_000);
    hand.result(timer);
    assert_eq!(found(&hand), []);
    let late = hand.send(client, b"x");
    busy(&hand, 5);
    busy(&hand, 6);
    hand.result(late);
    let message = only(&hand, Oracle::Starvation);
    assert!(
        message.contains("send(c1 client, 1) was ready, and waited while handlers took 12 ns, more than the bound of 10 ns"),
        "{message}"
    );
}

#[test]
fn bytes_that_get_lost_on_the_way() {
    let mut hand = Hand::kind();
    let (_, client, server) = hand.pair();
    hand.send(client, b"abc");
    hand.next();
    hand.world.with(|kernel| kernel.lose_a_byte(server));
    hand.recv(server, 8);
    let message = only(&hand, Oracle::BytesConserved);
    assert!(
        message.contains(
            "3 bytes were sent to c1 server, 2 bytes of them have come out, and 0 bytes are queued"
        ),
        "{message}"
    );
}

#[test]
fn resets_and_ends_lose_no_bytes_that_are_not_accounted_for() {
    for picks in [
        vec![(Site::Reset, 1, 1)],
        vec![(Site::RecvSize, 0, 1)],
        vec![],
    ] {
        let mut hand = Hand::script(&picks);
        let (listener, client, server) = hand.pair();
        let send = hand.send(client, b"abc");
        hand.result(send);
        for _ in 0..3 {
            let recv = hand.recv(server, 8);
            if hand.step(Until::Now) == Stepped::Nothing {
                hand.cancel(recv);
                hand.result(recv);
            }
        }
        assert_eq!(found(&hand), [], "{picks:?}");
        hand.end(&[listener, client, server]);
    }
}

#[test]
fn a_run_without_progress_and_one_without_an_end() {
    let mut hand = with(|config| config.quiet_steps = 100);
    let (_, client, server) = hand.pair();
    hand.close(server);
    let send = hand.send(client, b"x");
    hand.result(send);
    let mut tries = 0;
    while !hand.world.failed() {
        let send = hand.send(client, b"x");
        let _ = (hand.step(Until::Event), send);
        tries += 1;
    }
    assert!(
        (45..=51).contains(&tries),
        "{tries} tries of two steps each"
    );
    let message = only(&hand, Oracle::Livelock);
    assert!(
        message.starts_with("livelock: for 101 steps of the kernel nothing has got ahead"),
        "{message}"
    );

    let mut hand = with(|config| (config.quiet_steps, config.max_steps) = (50, 500));
    while !hand.world.failed() {
        let at = hand.world.now() + 1;
        let timer = hand.timer(at);
        let _ = (hand.step(Until::Event), timer);
    }
    let message = only(&hand, Oracle::Endless);
    assert!(message.starts_with("endless: after 500 steps"), "{message}");
}

#[test]
fn who_waits_for_whom() {
    let mut hand = Hand::kind();
    let (_, client, server) = hand.pair();
    hand.recv(server, 4);
    hand.recv(client, 4);
    assert_eq!(hand.step(Until::Event), Stepped::Stuck);
    let message = only(&hand, Oracle::Deadlock);
    for words in [
        "nobody sends on c1 client: all that is under way there is recv(c1 client, 4)",
        "They wait in a circle, each for the handler of the next: recv(c1 server, 4), recv(c1 client, 4), \
         recv(c1 server, 4)",
    ] {
        assert!(message.contains(words), "{message}");
    }

    let mut hand = with(|config| config.stream_buffer = 2);
    let (listener, client, _) = hand.pair();
    let send = hand.send(client, b"ab");
    hand.result(send);
    hand.send(client, b"c");
    hand.accept(listener);
    assert_eq!(hand.step(Until::Event), Stepped::Stuck);
    let message = only(&hand, Oracle::Deadlock);
    assert!(
        message.contains("nobody receives on c1 server"),
        "{message}"
    );
    assert!(message.contains("nothing is under way there"), "{message}");
    assert!(message.contains("no connect is under way"), "{message}");
    assert!(!message.contains("circle"), "{message}");
}

#[test]
fn a_level_makes_a_failure_a_warning_or_nothing() {
    let crowd = |level| {
        let mut hand = with(|config| config.levels.set(Oracle::ConcurrentReads, level));
        let (_, _, server) = hand.pair();
        for _ in 0..3 {
            hand.recv(server, 1);
        }
        hand
    };
    let allowed = crowd(Level::Allow);
    assert_eq!((found(&allowed), allowed.world.failed()), (vec![], false));
    let warned = crowd(Level::Warn);
    assert_eq!(
        (found(&warned), warned.world.failed()),
        (vec![Oracle::ConcurrentReads], false)
    );
    let counts: Vec<u64> = warned
        .world
        .warnings()
        .iter()
        .map(|it: &Warning| it.count)
        .collect();
    assert_eq!(counts, [2], "once, counted");
    let denied = crowd(Level::Deny);
    assert_eq!(
        (found(&denied), denied.world.failed()),
        (vec![Oracle::ConcurrentReads], true)
    );

    // And the other way round: a breach that is let pass.
    let mut hand = with(|config| config.levels.set(Oracle::ClosedTwice, Level::Warn));
    let listener = hand.listen(1);
    hand.close(listener);
    hand.close(listener);
    assert_eq!(
        (found(&hand), hand.world.failed()),
        (vec![Oracle::ClosedTwice], false)
    );
}

#[test]
fn an_endless_run_that_is_allowed_goes_on() {
    for level in [Level::Warn, Level::Allow] {
        let mut hand = with(|config| {
            (config.quiet_steps, config.max_steps) = (10, 40);
            config.levels.set(Oracle::Livelock, level);
            config.levels.set(Oracle::Endless, level);
        });
        for _ in 0..100 {
            let nop = hand.submit(Verb::Nop, -1, 0, 0, Vec::new());
            hand.result(nop);
        }
        assert!(!hand.world.failed());
        let warned = usize::from(level == Level::Warn);
        assert_eq!(found(&hand).len(), 2 * warned, "{:?}", found(&hand));
    }
}

#[test]
fn warnings_outlive_a_reset_and_news_do_not() {
    let mut hand = Hand::kind();
    let (_, _, server) = hand.pair();
    hand.recv(server, 1);
    hand.recv(server, 1);
    assert!(hand.world.conclude(false).news);
    hand.world.reset(Config::default(), Box::new(Kind));
    assert!(!hand.world.conclude(false).news);
    assert_eq!(hand.world.warnings().len(), 1);
}
