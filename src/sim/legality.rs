//! The legality table: the kernel's transitions and its divergences as data, and as a page for people.

use std::fmt;

use super::divergence::{DIVERGENCES, Divergence};
use super::transitions::{Evidence, StepKind, TABLE, Transition};

/// What the simulated kernel may do, and where it differs from real ones: see [`legality`].
#[derive(Clone, Copy, Debug)]
pub struct Legality(());

/// The legality table: every transition of the simulated kernel with its condition, its outcomes, the
/// [personalities](super::Personality) that have them, and the evidence. The kernel takes its outcomes
/// from this very table. Its [`Display`](fmt::Display) is Markdown:
///
#[doc = include_str!("legality.md")]
///
/// ```
/// use proactor::sim::{Personality, legality};
///
/// let recv = legality().transitions().find(|it| it.name == "recv").unwrap();
/// let half = recv.outcomes.iter().find(|it| it.word == "half").unwrap();
/// assert!(half.fault && half.personalities.has(Personality::Ring));
/// ```
#[must_use]
pub fn legality() -> Legality {
    Legality(())
}

impl Legality {
    /// Every transition.
    pub fn transitions(self) -> impl Iterator<Item = &'static Transition> {
        TABLE.iter().map(|(_, transition)| *transition)
    }

    /// Where the simulation differs from real kernels.
    pub fn divergences(self) -> impl Iterator<Item = &'static Divergence> {
        DIVERGENCES.iter()
    }
}

const STEPS: [(StepKind, &str); 5] = [
    (
        StepKind::Effect,
        "An operation acts on the kernel's objects, or takes its error: inside its submission, inside the step \
         that makes it possible, or later.",
    ),
    (StepKind::Complete, "The result is handed out, once."),
    (
        StepKind::Cancel,
        "A request to cancel reaches its target. The truth comes in the target's own completion. One that is \
         complete already is not found: its result stands.",
    ),
    (
        StepKind::Segment,
        "User code runs up to its next switch point.",
    ),
    (StepKind::Clock, "Virtual time moves."),
];

impl fmt::Display for Legality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, about) in STEPS {
            writeln!(f, "# {step:?}\n\n{about}\n")?;
            writeln!(
                f,
                "| transition | enabled when | outcome | kernels | evidence |"
            )?;
            writeln!(f, "|---|---|---|---|---|")?;
            for transition in self.transitions().filter(|it| it.step == step) {
                rows(f, transition)?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "The first outcome of each that a kernel has is the kind one. A *fault* happens to an operation only \
             `Config::faults_per_operation` times. Where the transition has no site the state decides.\n"
        )?;
        writeln!(f, "# Divergence from real kernels\n")?;
        writeln!(f, "| name | side | what | test |")?;
        writeln!(f, "|---|---|---|---|")?;
        for it in self.divergences() {
            writeln!(
                f,
                "| {} | {} | {} | `{}` |",
                it.name, it.side, it.what, it.test
            )?;
        }
        Ok(())
    }
}

fn rows(f: &mut fmt::Formatter<'_>, transition: &Transition) -> fmt::Result {
    for (at, outcome) in transition.outcomes.iter().enumerate() {
        if at == 0 {
            write!(f, "| **{}**", transition.name)?;
            if let Some(site) = transition.site {
                write!(f, ", site `{}`", site.name())?;
            }
            if !transition.operations.is_empty() {
                write!(f, ": {}", transition.operations.join(", "))?;
            }
            write!(f, " | {}", transition.condition)?;
        } else {
            write!(f, "| |")?;
        }
        let fault = if outcome.fault { ", a fault" } else { "" };
        write!(f, " | `{}`: {}{fault}", outcome.word, outcome.label)?;
        write!(f, " | {} | ", outcome.personalities)?;
        for (nth, evidence) in outcome.evidence.iter().enumerate() {
            let lead = if nth == 0 { "" } else { "; " };
            write!(f, "{lead}{evidence}")?;
        }
        writeln!(f, " |")?;
    }
    Ok(())
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Man(page) => write!(f, "*{page}*"),
            Evidence::Linux(file, name) => write!(f, "`{name}`, *{file}*"),
            Evidence::Microsoft(page) => write!(f, "Microsoft, \"{page}\""),
            Evidence::Standard(section) => f.write_str(section),
            Evidence::Test(name) => write!(f, "test `{name}`"),
            Evidence::Wine(name) => write!(f, "Wine 8, test `{name}`"),
            Evidence::Other(words) => f.write_str(words),
        }
    }
}
