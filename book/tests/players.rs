//! The worlds of the players: every tree is whole, every story ends, and what the reader is told of the buffer is so.

use std::collections::BTreeSet;
use std::fs;

use proactor_book::player::{Owner, Tree, names, tree};

fn trees() -> impl Iterator<Item = (&'static str, Tree)> {
    names().into_iter().map(|name| (name, tree(name).unwrap()))
}

/// Every node but the first has one that it comes from, which stands before it.
#[test]
fn every_tree_is_whole_and_every_story_ends() {
    for (name, tree) in trees() {
        let mut reached = BTreeSet::from([0]);
        for (at, node) in tree.nodes.iter().enumerate() {
            assert!(reached.contains(&at), "{name}: nothing leads to node {at}");
            assert!(
                node.lane < tree.lanes.len(),
                "{name}: {node:?} is in no lane"
            );
            assert!(!node.text.is_empty(), "{name}: node {at} says nothing");
            assert_eq!(
                node.asked.is_some(),
                node.next.len() > 1,
                "{name}: {node:?}"
            );
            let labels: BTreeSet<&str> = node.next.iter().map(|it| it.label.as_str()).collect();
            assert_eq!(
                labels.len(),
                node.next.len(),
                "{name}: two choices have one name: {node:?}"
            );
            assert_eq!(
                labels.contains(""),
                node.next.len() == 1,
                "{name}: {node:?}"
            );
            for choice in &node.next {
                assert!(
                    choice.node > at && choice.node < tree.nodes.len(),
                    "{name}: {node:?}"
                );
                assert!(
                    reached.insert(choice.node),
                    "{name}: two ways lead to node {}",
                    choice.node
                );
                assert!(
                    tree.nodes[choice.node].at >= node.at,
                    "{name}: time goes back: {node:?}"
                );
            }
        }
        assert_eq!(reached.len(), tree.nodes.len(), "{name}");
        assert!(
            (3..=400).contains(&tree.stories()),
            "{name} has {} stories",
            tree.stories()
        );
        assert!(tree.kind().count() >= 5, "{name}: the kind story is short");
        for node in tree.kind() {
            assert!(
                !node.text.contains('✗'),
                "{name}: the kind story has a mistake in it: {}",
                node.text
            );
        }
        // A mistake ends its story.
        for node in tree
            .nodes
            .iter()
            .filter(|node| node.text.contains('✗') && !name.starts_with("slow"))
        {
            assert!(
                node.next.is_empty(),
                "{name}: it goes on after {}",
                node.text
            );
        }
    }
}

/// The two models, in one line each: under readiness nobody ever has the buffer but the program; and a story with a
/// receive in it lends, queues and gives back, in that order.
#[test]
fn the_buffer_is_whose_the_kernel_says() {
    let tree = tree("ready-or-done").unwrap();
    let [reactor, proactor] = [0, 1].map(|nth| tree.nodes[0].next[nth].node);
    let story = |from: usize| {
        let first = Some(&tree.nodes[from]);
        let nodes = std::iter::successors(first, |node| tree.nodes.get(node.next.first()?.node));
        let mut owners: Vec<Owner> = nodes.map(|node| node.buffer).collect();
        owners.dedup();
        owners
    };
    assert_eq!(story(reactor), [Owner::Program]);
    assert_eq!(
        story(proactor),
        [Owner::Kernel, Owner::Queue, Owner::Program]
    );
}

#[test]
fn each_world_shows_what_it_is_about() {
    let has = |name: &str, words: &[&str]| {
        let tree = tree(name).unwrap();
        for word in words {
            assert!(
                tree.nodes.iter().any(|node| node.text.contains(word)
                    || node.next.iter().any(|it| it.label.contains(word))),
                "{name} never comes to {word:?}"
            );
        }
    };
    has(
        "one-call",
        &["answers “G” with", "answers with the page “/”", "reads on"],
    );
    has(
        "effect-before-completion",
        &["has not been sent, as far as this program knows"],
    );
    has(
        "cancel-race",
        &[
            "4 bytes, cancel or not",
            "cancelled. The buffer is back",
            "looks at the cancel",
            "has lost 4 bytes",
        ],
    );
    has(
        "echo",
        &[
            "1 of 4 were taken",
            "the read's handler: “p”",
            "waits for the rest for ever",
        ],
    );
    has(
        "false-hint",
        &["another thread has read 5 bytes", "would block"],
    );
    has(
        "when-may-i-free",
        &["writes 5 bytes into memory", "two own it", "frees it"],
    );
    has(
        "frame",
        &[
            "has 1 of 4 bytes of the length",
            "has a frame: “ahoy”",
            "will be taken for the body",
        ],
    );
    has("slow-handler", &["50 ms late", "answers at once"]);
}

#[test]
fn a_world_that_is_not_there_is_told_with_those_that_are() {
    let error = tree("cancel").unwrap_err();
    assert!(
        error.contains("no world `cancel`") && error.contains("cancel-race"),
        "{error}"
    );
}

/// Every world is in a chapter, once.
#[test]
fn every_world_is_used() {
    let mut used = Vec::new();
    for entry in fs::read_dir(proactor_book::home().join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "md") {
            let text = fs::read_to_string(path).unwrap();
            let markers = text
                .lines()
                .filter_map(|line| line.strip_prefix("{{#player ")?.strip_suffix("}}"));
            used.extend(markers.map(str::to_owned));
        }
    }
    used.sort();
    let mut names = names();
    names.sort_unstable();
    assert_eq!(used, names);
}
