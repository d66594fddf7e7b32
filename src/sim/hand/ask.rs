//! Who decides while a kernel is held by hand: what was planned, then whoever is asked, else the kind way.

use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;

use super::super::kernel::Kernel;
use super::Hand;
use super::error::HandError;
use super::request::OpId;
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};

/// One alternative of a [`Decision`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Alternative {
    /// What a plan and a replay call it: `half`.
    pub word: String,
    /// For people: `short (5 of 10 bytes)`.
    pub label: String,
}

/// A decision that the kernel makes inside a call.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Where.
    pub site: Site,
    /// For which operation. Nothing: for a call that is none (a try, a wait).
    pub op: Option<OpId>,
    /// What is legal; the first is the kind one.
    pub alternatives: Vec<Alternative>,
    /// The index of what was picked; 0 while it is asked for.
    pub picked: usize,
}

impl Decision {
    /// The index of the alternative that is called so.
    ///
    /// ```
    /// use proactor::sim::hand::Request;
    /// use proactor::sim::{Config, Hand};
    ///
    /// let mut hand = Hand::new(Config::default());
    /// hand.add_file("/motd", b"be kind");
    /// let open = hand.submit_with(Request::open("/motd"), |decision| {
    ///     decision.find("emfile").unwrap_or(0)
    /// })?;
    /// # hand.step(proactor::sim::hand::Step::Complete(open)).or_else(|_| {
    /// # hand.step(proactor::sim::hand::Step::Effect(open))?;
    /// # hand.step(proactor::sim::hand::Step::Complete(open)) })?;
    /// assert!(hand.reap().unwrap().result.is_err());
    /// # Ok::<(), proactor::sim::hand::HandError>(())
    /// ```
    #[must_use]
    pub fn find(&self, word: &str) -> Option<usize> {
        self.alternatives.iter().position(|it| it.word == word)
    }

    /// The word of what was picked.
    #[must_use]
    pub fn word(&self) -> &str {
        self.alternatives
            .get(self.picked)
            .map_or("", |alternative| &alternative.word)
    }

    /// Nobody is asked: what was not planned goes the kind way.
    pub(super) fn planned(&self) -> usize {
        0
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.site.name())?;
        if let Some(op) = self.op {
            write!(f, " of {op}")?;
        }
        for (at, alternative) in self.alternatives.iter().enumerate() {
            let before = if at == 0 { ": " } else { ", " };
            write!(f, "{before}`{}` is {}", alternative.word, alternative.label)?;
        }
        Ok(())
    }
}

/// `recv: half`
fn parse(plan: &str) -> Result<(Site, String), HandError> {
    let parts = plan.split_once(':').and_then(|(site, word)| {
        let word = word.trim();
        Some((Site::from_name(site.trim())?, word.to_owned())).filter(|_| !word.is_empty())
    });
    parts.ok_or_else(|| HandError::NoSuchDecision {
        plan: plan.to_owned(),
    })
}

pub(super) type Ask<'a> = dyn FnMut(&Decision) -> usize + 'a;

/// The chooser of a kernel that is held by hand.
#[derive(Default)]
pub(super) struct Asks {
    asker: Option<Asker>,
    pub(super) plan: Vec<(Site, String)>,
    /// What the last call decided.
    pub(super) made: Vec<Decision>,
    /// What was asked for and is not legal.
    pub(super) refused: Option<(String, Decision)>,
    /// The operations in flight, by event.
    pub(super) names: HashMap<EventId, OpId>,
}

/// Whom to ask, while [`asking`] is on the stack.
struct Asker(NonNull<Ask<'static>>);

// SAFETY: it is there only during a call of `asking`, which borrows the kernel mutably and so keeps it on
// its thread.
unsafe impl Send for Asker {}

/// Runs `body` on the kernel; meanwhile `ask` is asked what was not planned.
fn asking<R>(kernel: &mut Kernel, ask: &mut Ask<'_>, body: impl FnOnce(&mut Kernel) -> R) -> R {
    /// Forgets whom to ask, also when the body panics.
    struct Asking<'a>(&'a mut Kernel);

    impl Drop for Asking<'_> {
        fn drop(&mut self) {
            if let Some(asks) = self.0.decider.chooser_as::<Asks>() {
                asks.asker = None;
            }
        }
    }

    let asking = Asking(kernel);
    if let Some(asks) = asking.0.decider.chooser_as::<Asks>() {
        asks.made.clear();
        asks.refused = None;
        // SAFETY: only the lifetime changes, and `asking` takes the pointer away before this returns.
        let ask = unsafe {
            std::mem::transmute::<NonNull<Ask<'_>>, NonNull<Ask<'static>>>(NonNull::from(ask))
        };
        asks.asker = Some(Asker(ask));
    }
    body(asking.0)
}

impl Chooser for Asks {
    fn choose(
        &mut self,
        site: Site,
        key: Key,
        count: usize,
        alternatives: &dyn Alternatives,
    ) -> usize {
        let alternative = |index| Alternative {
            word: alternatives.word(index),
            label: alternatives.label(index),
        };
        let mut decision = Decision {
            site,
            op: self.names.get(&key.event).copied(),
            alternatives: (0..count).map(alternative).collect(),
            picked: 0,
        };
        let planned = self.plan.iter().position(|(planned, _)| *planned == site);
        let (picked, asked) = match planned.map(|at| self.plan.remove(at).1) {
            Some(word) => (decision.find(&word), word),
            None => {
                let picked = self.asker.as_mut().map_or(0, |asker| {
                    // SAFETY: it is there, so `asking` is on the stack and lends it to nobody else.
                    let ask = unsafe { asker.0.as_mut() };
                    ask(&decision)
                });
                (Some(picked).filter(|&it| it < count), picked.to_string())
            }
        };
        match picked {
            Some(picked) => decision.picked = picked,
            None => self.refused = Some((asked, decision.clone())),
        }
        let picked = decision.picked;
        self.made.push(decision);
        picked
    }
}

impl Hand {
    /// Plans a decision: `recv: half` takes the alternative `half` the next time that the kernel decides at
    /// `recv`. Several are taken in their order. See [`Site`] for the names of all sites and
    /// [`Decision::alternatives`] for the words of one.
    ///
    /// # Errors
    ///
    /// There is no such site. Whether the alternative is legal shows when it is decided.
    pub fn decide(&mut self, plan: &str) -> Result<(), HandError> {
        let planned = parse(plan)?;
        self.asks().plan.push(planned);
        Ok(())
    }

    /// What was planned and has not come up yet.
    #[must_use]
    pub fn undecided(&mut self) -> Vec<String> {
        let plan = self.asks().plan.iter();
        plan.map(|(site, word)| format!("{}: {word}", site.name()))
            .collect()
    }

    /// The decisions of the last submission, cancel, step or try: what could have been, and what
    /// was picked.
    #[must_use]
    pub fn decisions(&mut self) -> &[Decision] {
        &self.asks().made
    }

    /// What was planned for the last try and is not legal, if there was such a thing: a try goes the kind way then, and
    /// gives its result. Told once.
    #[must_use]
    pub fn refused(&mut self) -> Option<HandError> {
        self.legal(None).err()
    }

    pub(super) fn asks(&mut self) -> &mut Asks {
        match self.kernel.decider.chooser_as() {
            Some(asks) => asks,
            None => unreachable!("the kernel of a hand has the hand's own chooser"),
        }
    }

    /// Does something with the kernel; meanwhile `ask` is asked what was not planned.
    pub(super) fn asking<R>(
        &mut self,
        ask: &mut Ask<'_>,
        body: impl FnOnce(&mut Kernel) -> R,
    ) -> R {
        let result = asking(&mut self.kernel, ask, body);
        self.come_to_an_end();
        result
    }

    /// The same; what was not planned goes the kind way.
    pub(super) fn planned<R>(&mut self, body: impl FnOnce(&mut Kernel) -> R) -> R {
        self.asking(&mut Decision::planned, body)
    }

    /// Whether all decisions of the last call were legal.
    pub(super) fn legal(&mut self, op: Option<OpId>) -> Result<(), HandError> {
        match self.asks().refused.take() {
            None => Ok(()),
            Some((asked, decision)) => Err(HandError::NotLegal {
                op,
                asked,
                decision,
            }),
        }
    }
}
