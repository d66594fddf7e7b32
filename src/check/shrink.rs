//! Shrinking: the fewest deviations that still break the same thing.
//!
//! 1. The delta debugging of Zeller and Hildebrandt (*Simplifying and isolating failure-inducing
//!    input*, TSE 2002) on the list of deviations: drop halves, then quarters, down to single ones,
//!    until no single one can be dropped (1-minimal). Departure: complements only, no subsets.
//! 2. What deletion can't find: a schedule that starves one step (PCT and its kin do) deviates once for each
//!    step that overtakes it, and each of these is needed. So deviations that overtake one event are replaced
//!    by a single one: its effect is late, or one of those that overtook it goes first at once.
//! 3. A bounded search from the failure's own set: every single deviation that the failing, or the kind,
//!    execution offers, and every pair of one of the set (or the lateness of one of its events) with another.
//!    What it finds is shorter, and goes through 1 again.
//! 4. Outcomes are made simpler: of the same decision an earlier alternative, if that does.
//!
//! A candidate counts only if it fails in the same way, by the same oracle at the same place, so that a story never
//! turns into another one on the way. Deviations are keyed by event, so the rest keeps its meaning when
//! one is dropped.

use super::execution::{Fault, Outcome, Story, Subject};
use super::replay::{Fate, Keyed, Named, Spot, Taken};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// Executions after which shrinking is content with what it has.
const PATIENCE: u64 = 20_000;

/// Executions that the search from the failure's set may take.
const SEARCH: u64 = 6_000;

/// A failure that has been shrunk.
#[derive(Debug)]
pub(crate) struct Shrunk {
    pub(crate) deviations: Vec<Deviant>,
    pub(crate) fault: Fault,
    /// Executions that it took.
    pub(crate) executions: u64,
    /// Whether no deviation can be dropped any more.
    pub(crate) minimal: bool,
    /// The failing execution, step by step.
    pub(crate) story: Story,
}

/// A deviation of the minimal list.
#[derive(Debug)]
pub(crate) struct Deviant {
    pub(crate) named: Named,
    /// What it was, for people.
    pub(crate) taken: Taken,
    /// What happens without it: nothing wrong, or something else.
    pub(crate) without: Option<Fault>,
}

/// Shrinks a failure. `None` if the list does not lead to the fault in the first place.
pub(crate) fn shrink<S: Subject>(
    subject: &S,
    seed: u64,
    mut deviations: Vec<Named>,
    fault: &Fault,
) -> Option<Shrunk> {
    let mut shrinker = Shrinker {
        subject,
        seed,
        fault,
        bench: subject.bench(),
        keyed: None,
        executions: 0,
        others: Vec::new(),
    };
    if !shrinker.fails(deviations.iter()) {
        return None;
    }
    let mut minimal = shrinker.drop_what_can_be(&mut deviations);
    while minimal
        && (shrinker.gather(&mut deviations)
            || shrinker.search(&mut deviations)
            || shrinker.simplify(&mut deviations))
    {
        minimal = shrinker.drop_what_can_be(&mut deviations);
    }
    shrinker.finish(deviations, minimal)
}

struct Shrinker<'a, S: Subject> {
    subject: &'a S,
    seed: u64,
    fault: &'a Fault,
    bench: S::Bench,
    keyed: Option<Box<Keyed>>,
    executions: u64,
    /// What the last round of single deletions came to, deviation by deviation.
    others: Vec<Option<Fault>>,
}

/// A decision that an execution offered.
struct Offer {
    at: Spot,
    words: Vec<String>,
}

/// Follows deviations, and notes all that it is offered.
#[derive(Default)]
struct Offered {
    keyed: Keyed,
    offers: Vec<Offer>,
}

impl Chooser for Offered {
    fn drops(&self) -> bool {
        self.keyed.drops()
    }

    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        self.offers.push(Offer {
            at: Spot::new(site, key),
            words: (0..count).map(|index| those.word(index)).collect(),
        });
        self.keyed.choose(site, key, count, those)
    }
}

impl<S: Subject> Shrinker<'_, S> {
    fn run<'d>(&mut self, deviations: impl Iterator<Item = &'d Named>) -> Option<Fault> {
        let mut chooser = self.keyed.take().unwrap_or_default();
        chooser.begin(deviations);
        let (outcome, chooser) = self.subject.run(&mut self.bench, chooser, self.seed);
        self.keyed = Some(chooser);
        self.executions += 1;
        outcome.fault.map(|fault| *fault)
    }

    fn is_it(&self, fault: Option<&Fault>) -> bool {
        fault.is_some_and(|it| it.same_kind(self.fault))
    }

    fn fails<'d>(&mut self, deviations: impl Iterator<Item = &'d Named>) -> bool {
        let fault = self.run(deviations);
        self.is_it(fault.as_ref())
    }

    /// What an execution under these deviations offers.
    fn offers(&mut self, deviations: &[Named]) -> Vec<Offer> {
        let mut offered = Box::new(Offered::default());
        offered.keyed.begin(deviations.iter());
        let (_, offered) = self.subject.run(&mut self.bench, offered, self.seed);
        offered.offers
    }

    /// Deletes halves, quarters, single ones, until no single one can be. False: patience ended.
    fn drop_what_can_be(&mut self, deviations: &mut Vec<Named>) -> bool {
        let mut size = deviations.len().div_ceil(2).max(1);
        loop {
            let mut dropped_some = false;
            let mut start = 0;
            self.others.clear();
            while start < deviations.len() {
                let end = deviations.len().min(start + size);
                let kept = deviations[..start].iter().chain(&deviations[end..]);
                let fault = self.run(kept);
                if self.is_it(fault.as_ref()) {
                    deviations.drain(start..end);
                    dropped_some = true;
                } else {
                    self.others.push(fault);
                    start = end;
                }
                if self.executions >= PATIENCE {
                    self.others.resize(deviations.len(), None);
                    return false;
                }
            }
            // Single ones again and again until a whole round drops none.
            if size <= 1 && !dropped_some {
                return true;
            }
            size = if size > 1 { size.div_ceil(2) } else { 1 };
        }
    }

    /// Replaces deviations that overtake one event by a single one. True if that did.
    fn gather(&mut self, deviations: &mut Vec<Named>) -> bool {
        let mut events: Vec<(Site, u32)> = Vec::new();
        for deviation in deviations.iter().filter(|it| it.at.site.is_order()) {
            let of = (deviation.at.site, deviation.at.event);
            if !events.contains(&of) {
                events.push(of);
            }
        }
        for (site, event) in events {
            let is_of = |it: &Named| it.at.site == site && it.at.event == event;
            let of: Vec<Named> = deviations.iter().filter(|it| is_of(it)).cloned().collect();
            if of.len() < 2 {
                continue;
            }
            let rest: Vec<Named> = deviations.iter().filter(|it| !is_of(it)).cloned().collect();
            // The last one first: who overtakes last overtakes most.
            let at = of[0].at;
            let goes_first = of.iter().rev().map(|it| Named {
                at,
                word: it.word.clone(),
            });
            for one in std::iter::once(late(event)).chain(goes_first) {
                if self.fails(rest.iter().chain([&one])) {
                    *deviations = rest;
                    deviations.push(one);
                    return true;
                }
            }
        }
        false
    }

    /// Searches for something shorter near the failure. True if there is.
    fn search(&mut self, deviations: &mut Vec<Named>) -> bool {
        // Of two, each alone was tried; another one alone the bounded search mostly has.
        if deviations.len() < 3 {
            return false;
        }
        let end = (self.executions + SEARCH).min(PATIENCE);
        let singles = |offers: Vec<Offer>| {
            let alternatives = |offer: Offer| {
                let at = offer.at;
                offer
                    .words
                    .into_iter()
                    .skip(1)
                    .map(move |word| Named { at, word })
            };
            offers
                .into_iter()
                .flat_map(alternatives)
                .collect::<Vec<_>>()
        };
        let mut near = self.offers(deviations);
        near.extend(self.offers(&[]));
        for one in singles(near) {
            if self.executions >= end {
                return false;
            }
            if self.fails(std::iter::once(&one)) {
                *deviations = vec![one];
                return true;
            }
        }
        let lates = deviations.iter().map(|it| late(it.at.event));
        let anchors: Vec<Named> = deviations.iter().cloned().chain(lates).collect();
        for anchor in anchors {
            for one in singles(self.offers(std::slice::from_ref(&anchor))) {
                if self.executions >= end {
                    return false;
                }
                if one.at != anchor.at && self.fails([&anchor, &one].into_iter()) {
                    *deviations = vec![anchor, one];
                    return true;
                }
            }
        }
        false
    }

    /// Takes an earlier alternative of a decision that is no order. True if that did somewhere.
    fn simplify(&mut self, deviations: &mut [Named]) -> bool {
        if deviations.iter().all(|it| it.at.site.is_order()) {
            return false;
        }
        let offers = self.offers(deviations);
        let mut simplified = false;
        for index in 0..deviations.len() {
            let Named { at, word } = deviations[index].clone();
            let Some(offer) = offers.iter().find(|offer| offer.at == at) else {
                continue;
            };
            let simpler = offer.words.iter().skip(1).take_while(|it| **it != word);
            for simpler in simpler.filter(|_| !at.site.is_order()) {
                deviations[index].word.clone_from(simpler);
                if self.executions < PATIENCE && self.fails(deviations.iter()) {
                    simplified = true;
                    break;
                }
                deviations[index].word.clone_from(&word);
            }
        }
        simplified
    }

    /// Runs the minimal list once more, with everything written down.
    fn finish(mut self, mut deviations: Vec<Named>, minimal: bool) -> Option<Shrunk> {
        // In the order in which they come up.
        let offers = self.offers(&deviations);
        let when = |it: &Named| offers.iter().position(|offer| offer.at == it.at);
        let mut order: Vec<usize> = (0..deviations.len()).collect();
        order.sort_by_key(|index| when(&deviations[*index]));
        let others = order
            .iter()
            .map(|index| self.others[*index].take())
            .collect::<Vec<_>>();
        deviations = order
            .iter()
            .map(|index| deviations[*index].clone())
            .collect();
        let keyed = Box::new(Keyed::new(&deviations));
        let (Outcome { fault, .. }, keyed, story) = self.subject.trace(keyed, self.seed);
        let deviants = deviations.iter().zip(keyed.fates()).zip(others);
        let deviations = deviants
            .filter_map(|((named, fate), without)| match fate {
                Fate::Taken(taken) => Some(Deviant {
                    named: named.clone(),
                    taken: taken.clone(),
                    without,
                }),
                // Only an execution that was cut short of patience may hold some that never happen.
                Fate::KeyGone | Fate::WordGone(_) => None,
            })
            .collect();
        Some(Shrunk {
            deviations,
            fault: *fault?,
            executions: self.executions,
            minimal,
            story,
        })
    }
}

/// The effect of this event's operation is late.
fn late(event: u32) -> Named {
    Named {
        at: Spot {
            site: Site::EffectLate,
            event,
            occurrence: 0,
        },
        word: "late".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::execution::{Deviation, Script};
    use super::super::replay::Naming;
    use super::super::toys::{Program, Toy};
    use super::*;
    use crate::sim::Invariant;

    fn named<S: Subject>(subject: &S, deviations: &[(u32, u32)]) -> (Vec<Named>, Option<Fault>) {
        let deviations: Vec<Deviation> = deviations
            .iter()
            .map(|&(position, alternative)| Deviation {
                position,
                alternative,
            })
            .collect();
        let naming = Box::new(Naming::new(&Script::new(0, deviations)));
        let (outcome, naming) = subject.run(&mut subject.bench(), naming, 0);
        (naming.named, outcome.fault.map(|fault| *fault))
    }

    /// Fails as I1 if 3 and 7 deviate, as I2 if 5 and 6 do.
    fn two_bugs(toy: &mut Toy<'_>) {
        let outcomes: Vec<usize> = (0..10).map(|op| toy.outcome(op, 4)).collect();
        if outcomes[3] == 2 && outcomes[7] != 0 {
            toy.fail(Invariant::I1, "3 and 7");
        }
        if outcomes[5] != 0 && outcomes[6] != 0 {
            toy.fail(Invariant::I2, "5 and 6");
        }
    }

    #[test]
    fn what_is_left_is_minimal_and_restoring_any_one_passes() {
        let toy = Program(two_bugs);
        let all: Vec<(u32, u32)> = (0..10).map(|op| (op, 2)).collect();
        let (deviations, fault) = named(&toy, &all);
        let fault = fault.expect("it fails");
        assert_eq!(deviations.len(), 10);
        let shrunk = shrink(&toy, 0, deviations, &fault).expect("it fails again");
        assert!(shrunk.minimal);
        assert_eq!(shrunk.fault.invariant, Invariant::I1);
        let left: Vec<String> = shrunk
            .deviations
            .iter()
            .map(|d| d.named.to_string())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(
            shrunk
                .deviations
                .iter()
                .all(|deviant| deviant.without.is_none())
        );
        for dropped in 0..2 {
            let rest: Vec<Named> = shrunk
                .deviations
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != dropped)
                .map(|(_, deviant)| deviant.named.clone())
                .collect();
            let (outcome, _) = toy.run(&mut (), Box::new(Keyed::new(&rest)), 0);
            assert_eq!(outcome.fault, None);
        }
    }

    #[test]
    fn a_deviation_whose_absence_changes_the_failure_stays() {
        // Any deviation breaks I2; that 0 and 1 both deviate breaks I1.
        let toy = Program(|toy: &mut Toy<'_>| {
            let outcomes: Vec<usize> = (0..5).map(|op| toy.outcome(op, 2)).collect();
            if outcomes[0] + outcomes[1] == 2 {
                toy.fail(Invariant::I1, "both");
            }
            if outcomes.contains(&1) {
                toy.fail(Invariant::I2, "any");
            }
        });
        let (deviations, fault) = named(&toy, &[(0, 1), (1, 1), (3, 1), (4, 1)]);
        let shrunk = shrink(&toy, 0, deviations, &fault.expect("it fails")).expect("again");
        assert_eq!(shrunk.deviations.len(), 2);
        for deviant in &shrunk.deviations {
            assert_eq!(
                deviant.without.as_ref().map(|fault| fault.invariant),
                Some(Invariant::I2)
            );
        }
    }

    #[test]
    fn an_order_survives_the_loss_of_another() {
        let toy = Program(|toy: &mut Toy<'_>| {
            let order = toy.order(6);
            let place = |op| order.iter().position(|it| *it == op);
            if place(4) < place(1) {
                toy.fail(Invariant::I3, "4 overtook 1");
            }
        });
        let (deviations, fault) = named(&toy, &[(0, 2), (1, 3), (2, 1), (3, 1)]);
        let shrunk = shrink(&toy, 0, deviations, &fault.expect("it fails")).expect("again");
        assert!(shrunk.minimal);
        assert!(shrunk.deviations.len() <= 2, "{shrunk:?}");
    }

    #[test]
    fn a_list_that_does_not_fail_is_not_shrunk() {
        let toy = Program(two_bugs);
        let (deviations, fault) = named(&toy, &[(3, 2), (7, 1)]);
        let fault = fault.expect("it fails");
        assert!(shrink(&toy, 0, deviations[..1].to_vec(), &fault).is_none());
    }

    /// Lets all that can overtake an event do so, one deviation each, and names them.
    #[derive(Default)]
    struct Starve {
        /// The first of eight.
        starved: Option<crate::choice::EventId>,
        named: Vec<Named>,
    }

    impl Chooser for Starve {
        fn choose(
            &mut self,
            site: Site,
            key: Key,
            count: usize,
            those: &dyn Alternatives,
        ) -> usize {
            if site != Site::NextStep {
                return 0;
            }
            if count == 8 {
                self.starved = Some(key.event);
            }
            if self.starved != Some(key.event) {
                return 0;
            }
            self.named.push(Named {
                at: Spot::new(site, key),
                word: those.word(1),
            });
            1
        }
    }

    #[test]
    fn a_step_that_is_starved_by_seven_deviations_is_told_in_one() {
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        let model = super::super::sim::Model::new(crate::sim::Config::default(), |sim| {
            for file in 0..8 {
                sim.file(&format!("/{file}"), b"x");
            }
            let files = sim.proactor().block_on(async {
                let mut files = Vec::new();
                for file in 0..8 {
                    files.push(crate::fs::File::open(sim.proactor(), format!("/{file}")).await);
                }
                files
            });
            let ended = std::sync::Arc::new(AtomicUsize::new(0));
            let files = files.expect("it ends");
            for (nth, file) in files.iter().enumerate() {
                let Ok(file) = file else { return };
                let ended = ended.clone();
                file.read_at(Vec::with_capacity(1), 0).then(move |_| {
                    let before = ended.fetch_add(1, Relaxed);
                    assert!(nth != 0 || before < 7, "the first comes last");
                });
            }
            let _ = sim.proactor().run();
        });
        let starve = Box::<Starve>::default();
        let (outcome, starve) = model.run(&mut model.bench(), starve, 0);
        let fault = outcome.fault.expect("it comes last");
        assert_eq!(starve.named.len(), 7);
        let shrunk = shrink(&model, 0, starve.named, &fault).expect("it fails again");
        assert!(shrunk.minimal);
        let left: Vec<_> = shrunk.deviations.iter().map(|it| &it.taken.label).collect();
        assert_eq!(left, ["effect later"]);
        assert_eq!(shrunk.deviations[0].without, None);
        // Gathered, and not searched for: that takes three times as many.
        assert!(shrunk.executions < 30, "{}", shrunk.executions);
    }

    #[test]
    fn what_no_deletion_finds_a_search_nearby_does() {
        // A roundabout way of four that are all needed, and a short one of two, which only shares its first.
        let toy = Program(|toy: &mut Toy<'_>| {
            let outcomes: Vec<usize> = (0..8).map(|op| toy.outcome(op, 3)).collect();
            let around = outcomes[..4] == [1, 1, 1, 1];
            let across = outcomes[1] == 1 && outcomes[6] == 1;
            if around || across {
                toy.fail(Invariant::I1, "one way or the other");
            }
        });
        let (deviations, fault) = named(&toy, &[(0, 1), (1, 1), (2, 1), (3, 1)]);
        let shrunk = shrink(&toy, 0, deviations, &fault.expect("it fails")).expect("again");
        assert!(shrunk.minimal);
        let left: Vec<String> = (shrunk.deviations.iter())
            .map(|it| it.named.to_string())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(shrunk.deviations.iter().all(|it| it.without.is_none()));
    }

    #[test]
    fn outcomes_become_simpler() {
        let toy = Program(|toy: &mut Toy<'_>| {
            let outcomes: Vec<usize> = (0..3).map(|op| toy.outcome(op, 5)).collect();
            if outcomes[1] >= 2 {
                toy.fail(Invariant::I1, "at least 2");
            }
        });
        let (deviations, fault) = named(&toy, &[(0, 1), (1, 4)]);
        let shrunk = shrink(&toy, 0, deviations, &fault.expect("it fails")).expect("again");
        assert_eq!(shrunk.deviations.len(), 1);
        assert_eq!(shrunk.deviations[0].named.word, "2");
    }
}
