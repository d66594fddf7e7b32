//! The answers of the quizzes, worked out again by the simulated kernel and the checker.
//!
//! A question whose `id` begins with `idea-` has no run that could say. Any other has an entry here, which gives the
//! right answers word by word; so the quiz and the kernel can't part.

mod articles;
mod handlers;
mod models;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex};

use proactor::check::{Checker, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Hand;
use proactor::sim::hand::{OpId, Owner};
use proactor_book::player::another;
use proactor_book::{Asked, quiz};

pub(crate) type Answers = Result<Vec<String>, Box<dyn Error>>;

/// What each question is answered by.
fn computed() -> BTreeMap<&'static str, fn() -> Answers> {
    BTreeMap::from([
        ("ch00-how-many", models::how_many as fn() -> Answers),
        ("ch00-kind", models::how_many_kindly),
        ("ch01-lent-at-once", models::lent_at_once),
        ("ch01-hint", models::hint),
        ("ch02-two-receives", models::two_receives),
        ("ch02-late-cancel", models::late_cancel),
        ("ch02-order", models::orders),
        ("ch02-all-but-one", models::all_but_one),
        ("ch03-port", handlers::on_a_port),
        ("ch03-inside", handlers::not_inside),
        ("ch03-reads", handlers::three_reads),
        ("ch04-pool", handlers::pool),
        ("ch04-hasty", handlers::hasty),
        ("ch04-short-send", handlers::short_send),
        ("ch05-may-free", handlers::may_free),
        ("ch05-no-capacity", handlers::no_capacity),
        ("ch05-which-byte", handlers::kindest),
        ("ch06-possible", handlers::one_receive),
        ("ch06-one-byte", handlers::one_byte),
        ("ch06-done", handlers::done),
        ("ch06-article", handlers::decode_len),
        ("ch07-median", handlers::median),
        ("ch07-timer", handlers::timer),
        ("ch07-refused", handlers::refused),
        ("ch07-nested", handlers::nested),
        ("errata-bounded-concurrency", articles::bounded_concurrency),
        ("errata-bounded-submits", articles::bounded_submits),
        ("errata-retry", articles::retry),
        ("errata-timer", articles::late_timer),
        ("errata-start", articles::start),
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
pub(crate) fn possible(world: impl Fn(&Sim) -> Option<String> + Send + Sync + 'static) -> Answers {
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
pub(crate) fn kind(world: impl Fn(&Sim) -> Option<String> + Send + Sync + 'static) -> Answers {
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    Checker::new().executions(1).run(move |sim| {
        *tell.lock().unwrap() = world(sim);
    })?;
    let told = told.lock().unwrap();
    Ok(told.iter().cloned().collect())
}

/// The server's side of a connection on which a scripted client sends `pieces`, and closes.
pub(crate) async fn from_client(sim: &Sim, pieces: &[&[u8]]) -> Option<TcpStream> {
    let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
    let client = sim.connect("10.0.0.1:7");
    client.lenient();
    for piece in pieces {
        client.send(piece);
    }
    drop(client);
    Some(listener.accept().await.ok()?.0)
}

pub(crate) fn whose(hand: &Hand, op: OpId) -> String {
    let whose = match hand.owner(op) {
        Some(Owner::Kernel) => "the kernel",
        Some(Owner::Queue) => "the queue of completions",
        _ => "you",
    };
    whose.to_owned()
}

/// All that may happen by hand: `world` is run again and again, and what it asks of `choose`, which takes how many
/// alternatives there are, is answered in every way.
pub(crate) fn by_hand(
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
        if !another(&mut path) {
            return Ok(told);
        }
    }
}
