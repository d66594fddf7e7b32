//! The answers of chapters 0 to 2: the kernel is held by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use proactor::sim::hand::{Interest, Request, Step};
use proactor::sim::{Config, Hand};

use crate::{Answers, by_hand, whose};

// ---- chapter 0

/// What one receive of `ten bytes!` brings, by the class that it is decided to.
fn brings(class: &str) -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = hand.connection("10.0.0.1:7")?;
    hand.submit(Request::send(client, "ten bytes!"))?;
    hand.decide(&format!("recv: {class}"))?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
    hand.step(Step::Complete(recv))?;
    Ok(vec![
        hand.reap().ok_or("just handed out")?.buf.len().to_string(),
    ])
}

pub(crate) fn how_many() -> Answers {
    let mut may = Vec::new();
    for class in ["full", "1", "half"] {
        may.extend(brings(class)?);
    }
    Ok(may)
}

pub(crate) fn how_many_kindly() -> Answers {
    brings("full")
}

// ---- chapter 1

pub(crate) fn lent_at_once() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = hand.connection("10.0.0.1:7")?;
    hand.submit(Request::send(client, "hello"))?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
    Ok(vec![whose(&hand, recv)])
}

pub(crate) fn hint() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = hand.connection("10.0.0.1:7")?;
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

pub(crate) fn two_receives() -> Answers {
    let all = by_hand(|choose| {
        let mut hand = Hand::new(Config::default());
        let (client, server) = hand.connection("10.0.0.1:7")?;
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

pub(crate) fn late_cancel() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = hand.connection("10.0.0.1:7")?;
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

pub(crate) fn orders() -> Answers {
    let orders = by_hand(|choose| {
        let mut hand = Hand::new(Config::default());
        let (client, _server) = hand.connection("10.0.0.1:7")?;
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

pub(crate) fn all_but_one() -> Answers {
    brings("n-1")
}
