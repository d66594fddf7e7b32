//! Shrinking: the fewest deviations that still break the same thing.
//!
//! The delta debugging of Zeller and Hildebrandt (*Simplifying and isolating failure-inducing
//! input*, TSE 2002) on the list of deviations: drop halves, then quarters, down to single ones,
//! until no single one can be dropped (1-minimal). Departures: complements only, no subsets; and a
//! candidate counts only if it fails in the same way, the same invariant at the same place, so that a
//! story never turns into another one on the way. Deviations are keyed by event, so the rest keeps
//! its meaning when one is dropped.

use super::execution::{Fault, Outcome, Story, Subject};
use super::replay::{Fate, Keyed, Named, Taken};

/// Executions after which shrinking is content with what it has.
const PATIENCE: u64 = 20_000;

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
    let mut bench = subject.bench();
    let mut keyed = Some(Box::<Keyed>::default());
    let mut executions = 0;
    let mut without = |deviations: &[Named], dropped: std::ops::Range<usize>| {
        let mut chooser = keyed.take().unwrap_or_default();
        let kept = deviations
            .iter()
            .enumerate()
            .filter(|(i, _)| !dropped.contains(i));
        chooser.begin(kept.map(|(_, deviation)| deviation));
        let (outcome, chooser) = subject.run(&mut bench, chooser, seed);
        keyed = Some(chooser);
        executions += 1;
        (outcome.fault, executions < PATIENCE)
    };
    let fails =
        |outcome: &Option<Box<Fault>>| outcome.as_ref().is_some_and(|it| it.same_kind(fault));

    if !fails(&without(&deviations, 0..0).0) {
        return None;
    }
    let mut size = deviations.len().div_ceil(2);
    let mut minimal = false;
    let mut others: Vec<Option<Fault>> = Vec::new();
    while !minimal {
        let mut dropped_some = false;
        let mut start = 0;
        others.clear();
        while start < deviations.len() {
            let end = deviations.len().min(start + size);
            let (outcome, go_on) = without(&deviations, start..end);
            if fails(&outcome) {
                deviations.drain(start..end);
                dropped_some = true;
            } else {
                others.push(outcome.map(|fault| *fault));
                start = end;
            }
            if !go_on {
                others.resize(deviations.len(), None);
                return finish(subject, seed, &deviations, others, executions, false);
            }
        }
        // Single ones again and again until a whole round drops none.
        minimal = size <= 1 && !dropped_some;
        size = if size > 1 { size.div_ceil(2) } else { 1 };
    }
    finish(subject, seed, &deviations, others, executions, true)
}

/// Runs the minimal list once more, with everything written down.
fn finish<S: Subject>(
    subject: &S,
    seed: u64,
    deviations: &[Named],
    others: Vec<Option<Fault>>,
    executions: u64,
    minimal: bool,
) -> Option<Shrunk> {
    let keyed = Box::new(Keyed::new(deviations));
    let (Outcome { fault, .. }, keyed, story) = subject.trace(keyed, seed);
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
        executions,
        minimal,
        story,
    })
}

#[cfg(test)]
mod tests {
    use super::super::execution::Deviation;
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
        let naming = Box::new(Naming::new(&deviations));
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
}
