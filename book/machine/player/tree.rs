//! A tree of all stories of a world: it is played again and again, each time decided otherwise.

use super::stage::{Item, Owner, Stage};

/// A state: what led to it, and what may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Who acted: the place of a lane.
    pub lane: usize,
    /// What was done.
    pub text: String,
    /// Who may touch the buffer now.
    pub buffer: Owner,
    /// The virtual time, in nanoseconds.
    pub at: u64,
    /// Who decides what comes next, and what about. Nothing where nothing is to be decided.
    pub asked: Option<String>,
    /// What may come next; the first is the kind one. None: the story is over.
    pub next: Vec<Choice>,
}

/// One thing that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it is called. Empty: there is no other.
    pub label: String,
    /// The node that it leads to.
    pub node: usize,
}

/// All stories of a world. The first node is where they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// What it is about, in a few words.
    pub title: &'static str,
    /// And in a sentence.
    pub about: &'static str,
    /// Who acts in it.
    pub lanes: &'static [&'static str],
    /// The states, each before what comes of it.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// How many stories there are.
    #[must_use]
    pub fn stories(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.next.is_empty())
            .count()
    }

    /// The states of the story in which everything is kind.
    pub fn kind(&self) -> impl Iterator<Item = &Node> {
        let first = self.nodes.first();
        std::iter::successors(first, |node| self.nodes.get(node.next.first()?.node))
    }
}

/// From one story to the next, given which alternative was taken at each choice, and of how many: the last choice that
/// has another one takes it. False: that was the last story.
pub fn another(story: &mut Vec<(usize, usize)>) -> bool {
    while story.last().is_some_and(|(at, count)| at + 1 == *count) {
        story.pop();
    }
    match story.last_mut() {
        Some((at, _)) => *at += 1,
        None => return false,
    }
    true
}

/// More stories than that nobody clicks through, and a page has to be small.
pub(crate) const STORIES: usize = 400;

/// Plays a world until every story has been told.
pub(crate) fn explore(
    title: &'static str,
    about: &'static str,
    lanes: &'static [&'static str],
    play: fn(&mut Stage),
) -> Tree {
    let mut nodes: Vec<Node> = Vec::new();
    let mut script: Vec<usize> = Vec::new();
    for _ in 0..STORIES {
        let mut stage = Stage::new(script);
        play(&mut stage);
        let story = stage.story();
        let mut counts = Vec::new();
        // Along the story, through what is there already.
        let mut here: Option<usize> = None;
        let mut picked: Option<(usize, String)> = None;
        for item in story {
            match item {
                Item::Choice { asked, labels, at } => {
                    counts.push((at, labels.len()));
                    if let Some(here) = here {
                        nodes[here].asked = Some(asked);
                    }
                    picked = Some((at, labels[at].clone()));
                }
                Item::Step {
                    lane,
                    text,
                    buffer,
                    at,
                } => {
                    let (nth, label) = picked.take().unwrap_or_default();
                    let known = here
                        .and_then(|here| nodes[here].next.get(nth))
                        .map(|choice| choice.node);
                    let node = known.or((here.is_none() && !nodes.is_empty()).then_some(0));
                    let node = node.unwrap_or_else(|| {
                        let node = nodes.len();
                        nodes.push(Node {
                            lane,
                            text,
                            buffer,
                            at,
                            asked: None,
                            next: Vec::new(),
                        });
                        if let Some(here) = here {
                            nodes[here].next.push(Choice { label, node });
                        }
                        node
                    });
                    here = Some(node);
                }
            }
        }
        if !another(&mut counts) {
            return Tree {
                title,
                about,
                lanes,
                nodes,
            };
        }
        script = counts.into_iter().map(|(at, _)| at).collect();
    }
    panic!("the world `{title}` has more than {STORIES} stories: nobody clicks through them")
}
