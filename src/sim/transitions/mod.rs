//! The transitions of the simulated kernel: what may happen, when, on which kernels, and why.
//!
//! The kernel takes its menus from this table ([`Menu`](super::decide)), so it has no outcome that does not
//! stand here; the legality table is printed from it.
//!
//! # How to add a freedom
//!
//! 1. A variant of [`Rule`], and a `const` of type [`Transition`] in the file of its subject, at the same
//!    place of [`TABLE`] (the compiler checks that). Or one more outcome of a transition that is there:
//!    behind the others, since the first is the kind one. What it does is a word of [`Does`].
//! 2. Where the kernel decides: `match self.pick(Rule::X, id) { Does::Y => … }`; for how much a transfer
//!    moves `self.pick_size(Rule::X, id, of)?`. A kind kernel answers with the first outcome and asks
//!    nobody. What is a `fault` is not offered to an operation that had its share.
//! 3. A personality set: who has it. Evidence: a man page, a function of the kernel's source, a page
//!    of the vendor, a test of this crate that sees it on a real kernel.
//!    A result that the state of things decides, an error for a misuse, say, is a row of `results`, where
//!    a debug build looks for every result that the kernel gives.
//! 4. A test that it can happen, in `sim/tests`. If it is another [`Site`]: its name there.

mod connections;
mod files;
mod links;
mod personality;
mod port;
mod power;
mod readiness;
mod results;
mod steps;
mod streams;

pub use personality::{Personalities, Personality, UnknownPersonality};

use crate::choice::Site;

/// The kinds of steps that the kernel makes. A *submission* is where the first of them may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StepKind {
    /// An operation acts on the kernel's objects, or takes its error.
    Effect,
    /// The result of an operation is handed out.
    Complete,
    /// A request to cancel reaches its target.
    Cancel,
    /// User code runs up to its next switch point.
    Segment,
    /// Time moves.
    Clock,
    /// The power is lost: everything ends, and what is not on the disk is gone.
    Power,
}

/// Why a real kernel may do that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// A page of the Linux manual, or of liburing's: `recv(2)`.
    Man(&'static str),
    /// A file of the Linux kernel, and a function or name in it.
    Linux(&'static str, &'static str),
    /// The title of a page of Microsoft's documentation.
    Microsoft(&'static str),
    /// A section of a standard: an RFC, POSIX.
    Standard(&'static str),
    /// A test of this crate that sees it on a real kernel.
    Test(&'static str),
    /// A test of this crate that sees it on a completion port of Windows', as Wine plays it.
    Wine(&'static str),
    /// Another source, in words.
    Other(&'static str),
}

/// What comes of a transition, as far as it makes a difference.
#[derive(Debug)]
pub struct OutcomeClass {
    /// The word of replay strings: `half`.
    pub word: &'static str,
    /// For people: `connection reset`.
    pub label: &'static str,
    /// The kernels that have it.
    pub personalities: Personalities,
    /// A free fault: it happens to an operation only
    /// [so often](super::Config::faults_per_operation).
    pub fault: bool,
    /// Why.
    pub evidence: &'static [Evidence],
    pub(super) does: Does,
}

impl OutcomeClass {
    const fn new(
        word: &'static str,
        label: &'static str,
        does: Does,
        personalities: Personalities,
        evidence: &'static [Evidence],
    ) -> OutcomeClass {
        OutcomeClass {
            word,
            label,
            personalities,
            fault: false,
            evidence,
            does,
        }
    }

    /// One that an operation suffers only so often.
    const fn fault(
        word: &'static str,
        label: &'static str,
        does: Does,
        personalities: Personalities,
        evidence: &'static [Evidence],
    ) -> OutcomeClass {
        OutcomeClass {
            fault: true,
            ..OutcomeClass::new(word, label, does, personalities, evidence)
        }
    }

    /// The size class of a transfer that is not short.
    const fn full(evidence: &'static [Evidence]) -> OutcomeClass {
        OutcomeClass::new(
            "full",
            "all n bytes",
            Does::All,
            Personalities::EVERY,
            evidence,
        )
    }

    /// One of the size classes of short transfers.
    const fn short(
        does: Does,
        personalities: Personalities,
        evidence: &'static [Evidence],
    ) -> OutcomeClass {
        let (word, label) = match does {
            Does::One => ("1", "one byte"),
            Does::Half => ("half", "half of them"),
            Does::ButOne => ("n-1", "all but one"),
            _ => panic!("this is no short transfer"),
        };
        OutcomeClass::fault(word, label, does, personalities, evidence)
    }
}

/// What an outcome is to the kernel's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Does {
    /// What the state of things says; the first outcome of most transitions.
    Go,
    /// The operation ends with this error number.
    Error(i32),
    /// A transfer of everything that is possible.
    All,
    /// Of one byte.
    One,
    /// Of half.
    Half,
    /// Of all but one byte.
    ButOne,
    /// Half of it now, the rest later: the operation is not over.
    Part,
    /// What fits has been sent; the operation waits to send the rest.
    Rest,
    /// In front of those that wait already.
    Ahead,
    /// The result is a number of bytes, at least one.
    Count,
    /// The result is 0.
    Zero,
    /// The result is a handle.
    Handle,
    /// Not now.
    Late,
    /// The effect comes before the cancel.
    Lost,
    /// No answer comes, until a timeout.
    NoAnswer,
    /// The connection is reset.
    Reset,
    /// The result is there before the submitter goes on.
    Ready,
    /// It does not arrive.
    LosesParcel,
    /// Nor does what follows it for a while.
    LosesOneWay,
    /// Nor what comes back.
    LosesBothWays,
    /// It takes so many times as long.
    Times(u8),
    /// The power is lost.
    PowerLost,
    /// What was not synced is lost, as the word says.
    Lose,
}

impl Does {
    /// How many of `of` bytes move, if that is a class of its own among those.
    pub(super) const fn size(self, of: u32) -> Option<u32> {
        match self {
            Does::All => Some(of),
            Does::One if of > 1 => Some(1),
            Does::Half if of > 3 => Some(of / 2),
            Does::Part if of > 1 => Some(of / 2),
            Does::ButOne if of > 2 => Some(of - 1),
            _ => None,
        }
    }

    const fn is_size(self) -> bool {
        matches!(
            self,
            Does::All | Does::One | Does::Half | Does::ButOne | Does::Part
        )
    }
}

/// From so many bytes less one on every class of sizes is one of its own.
const SIZES: usize = 5;

/// A guarded transition: from where, under which condition, with what outcomes.
#[derive(Debug)]
pub struct Transition {
    /// Its name: `recv`.
    pub name: &'static str,
    /// The kind of step.
    pub step: StepKind,
    /// Where the kernel asks which outcome it is. `None`: nothing is asked, the state decides.
    pub site: Option<Site>,
    /// The operations that have it, as traces call them; none means every one.
    pub operations: &'static [&'static str],
    /// When it is enabled.
    pub condition: &'static str,
    /// What may come of it. The first is the kind one.
    pub outcomes: &'static [OutcomeClass],
    /// The outcomes of each personality, and those that are no faults, as bits.
    masks: [u16; Personality::ALL.len()],
    faultless: u16,
    /// What the kind kernel of each personality does.
    kind: [Does; Personality::ALL.len()],
    /// Those that make a difference in a transfer of so many bytes, the last: or of more; not in two parts,
    /// and in two as well.
    sizes: [[u16; SIZES]; 2],
}

impl Transition {
    const fn new(
        name: &'static str,
        step: StepKind,
        site: Option<Site>,
        operations: &'static [&'static str],
        condition: &'static str,
        outcomes: &'static [OutcomeClass],
    ) -> Transition {
        assert!(!outcomes.is_empty() && outcomes.len() <= 16);
        let mut masks = [0_u16; Personality::ALL.len()];
        let mut kind = [Does::Go; Personality::ALL.len()];
        let mut faultless = 0;
        let mut at = 0;
        while at < outcomes.len() {
            let mut nth = 0;
            while nth < masks.len() {
                if outcomes[at].personalities.has(Personality::ALL[nth]) {
                    if masks[nth] == 0 {
                        assert!(!outcomes[at].fault, "the kind outcome is a fault");
                        kind[nth] = outcomes[at].does;
                    }
                    masks[nth] |= 1 << at;
                }
                nth += 1;
            }
            if !outcomes[at].fault {
                faultless |= 1 << at;
            }
            at += 1;
        }
        let mut sizes = [[0; SIZES]; 2];
        let mut of = 0;
        while of < SIZES {
            sizes[0][of] = Transition::sizes_of(outcomes, of as u32, false);
            sizes[1][of] = Transition::sizes_of(outcomes, of as u32, true);
            of += 1;
        }
        Transition {
            name,
            step,
            site,
            operations,
            condition,
            outcomes,
            masks,
            faultless,
            kind,
            sizes,
        }
    }

    /// The kind outcome: the first that the personality has.
    #[inline]
    pub(super) const fn kind(&self, personality: Personality) -> Does {
        self.kind[personality as usize]
    }

    /// The outcomes that a personality has, as bits; without faults if none may be.
    #[inline]
    pub(super) const fn mask(&self, personality: Personality, faults: bool) -> u16 {
        let mask = self.masks[personality as usize];
        if faults { mask } else { mask & self.faultless }
    }

    /// The outcomes that make a difference in a transfer of `of` bytes, as bits.
    #[inline]
    pub(super) const fn sizes(&self, of: u32, parts: bool) -> u16 {
        let of = of as usize;
        self.sizes[parts as usize][if of < SIZES { of } else { SIZES - 1 }]
    }

    /// The same, found out.
    const fn sizes_of(outcomes: &[OutcomeClass], of: u32, parts: bool) -> u16 {
        let mut mask = 0;
        let mut at = 0;
        while at < outcomes.len() {
            let does = outcomes[at].does;
            let part = matches!(does, Does::Part) && !parts;
            if !part && (!does.is_size() || does.size(of).is_some()) {
                mask |= 1 << at;
            }
            at += 1;
        }
        mask
    }
}

/// The name of a transition: its place in [`TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(super) enum Rule {
    Complete,
    Ready,
    Late,
    LateEffect,
    Cancel,
    CancelArmed,
    CancelFile,
    LateCancel,
    Line,
    Clock,
    Segment,
    Recv,
    Send,
    SendRest,
    Reset,
    Connect,
    Accept,
    OpenError,
    ReadError,
    WriteError,
    SyncError,
    Read,
    Write,
    Spurious,
    Event,
    Link,
    Latency,
    AcceptReset,
    Error,
    Abort,
    RecvResult,
    SendResult,
    AcceptResult,
    ConnectResult,
    ShutdownResult,
    ReadResult,
    WriteResult,
    OpenResult,
    SyncResult,
    LengthResult,
    OtherResult,
    AppendResult,
    SetLenResult,
    NameResult,
    CreateError,
    SetLenError,
    RenameError,
    RemoveError,
    CreateDirError,
    SyncDirtyError,
    PowerLoss,
    LoseFile,
    LoseChange,
    LoseNames,
    LoseOne,
    PortCall,
    PortSkip,
    PortBatch,
}

impl Rule {
    #[inline]
    pub(super) fn transition(self) -> &'static Transition {
        TABLE[self as usize].1
    }
}

/// The transition at this place of the table.
pub(crate) fn transition(rule: usize) -> &'static Transition {
    TABLE[rule].1
}

/// Every transition.
pub(super) static TABLE: &[(Rule, &Transition)] = &[
    (Rule::Complete, &steps::COMPLETE),
    (Rule::Ready, &steps::READY),
    (Rule::Late, &steps::LATE),
    (Rule::LateEffect, &steps::LATE_EFFECT),
    (Rule::Cancel, &steps::CANCEL),
    (Rule::CancelArmed, &steps::CANCEL_ARMED),
    (Rule::CancelFile, &steps::CANCEL_FILE),
    (Rule::LateCancel, &steps::LATE_CANCEL),
    (Rule::Line, &steps::LINE),
    (Rule::Clock, &steps::CLOCK),
    (Rule::Segment, &steps::SEGMENT),
    (Rule::Recv, &streams::RECV),
    (Rule::Send, &streams::SEND),
    (Rule::SendRest, &streams::SEND_REST),
    (Rule::Reset, &streams::RESET),
    (Rule::Connect, &connections::CONNECT),
    (Rule::Accept, &connections::ACCEPT),
    (Rule::OpenError, &files::OPEN_ERROR),
    (Rule::ReadError, &files::READ_ERROR),
    (Rule::WriteError, &files::WRITE_ERROR),
    (Rule::SyncError, &files::SYNC_ERROR),
    (Rule::Read, &files::READ),
    (Rule::Write, &files::WRITE),
    (Rule::Spurious, &readiness::SPURIOUS),
    (Rule::Event, &readiness::EVENT),
    (Rule::Link, &links::LINK),
    (Rule::Latency, &links::LATENCY),
    (Rule::AcceptReset, &connections::ACCEPT_RESET),
    (Rule::Error, &streams::ERROR),
    (Rule::Abort, &streams::ABORT),
    (Rule::RecvResult, &results::RECV),
    (Rule::SendResult, &results::SEND),
    (Rule::AcceptResult, &results::ACCEPT),
    (Rule::ConnectResult, &results::CONNECT),
    (Rule::ShutdownResult, &results::SHUTDOWN),
    (Rule::ReadResult, &results::READ),
    (Rule::WriteResult, &results::WRITE),
    (Rule::OpenResult, &results::OPEN),
    (Rule::SyncResult, &results::SYNC),
    (Rule::LengthResult, &results::LENGTH),
    (Rule::OtherResult, &results::OTHER),
    (Rule::AppendResult, &results::APPEND),
    (Rule::SetLenResult, &results::SET_LEN),
    (Rule::NameResult, &results::NAME),
    (Rule::CreateError, &files::CREATE_ERROR),
    (Rule::SetLenError, &files::SET_LEN_ERROR),
    (Rule::RenameError, &files::RENAME_ERROR),
    (Rule::RemoveError, &files::REMOVE_ERROR),
    (Rule::CreateDirError, &files::CREATE_DIR_ERROR),
    (Rule::SyncDirtyError, &files::SYNC_DIRTY_ERROR),
    (Rule::PowerLoss, &power::POWER_LOSS),
    (Rule::LoseFile, &power::LOSE_FILE),
    (Rule::LoseChange, &power::LOSE_CHANGE),
    (Rule::LoseNames, &power::LOSE_NAMES),
    (Rule::LoseOne, &power::LOSE_ONE),
    (Rule::PortCall, &port::PORT_CALL),
    (Rule::PortSkip, &port::PORT_SKIP),
    (Rule::PortBatch, &port::PORT_BATCH),
];

const _: () = {
    let mut at = 0;
    while at < TABLE.len() {
        let (rule, _) = TABLE[at];
        assert!(
            rule as usize == at,
            "a rule stands at another place than its transition"
        );
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_in_their_transition_and_every_outcome_has_its_evidence() {
        for (_, transition) in TABLE {
            let words: std::collections::HashSet<_> =
                transition.outcomes.iter().map(|it| it.word).collect();
            assert_eq!(
                words.len(),
                transition.outcomes.len(),
                "{}",
                transition.name
            );
            assert!(!transition.condition.is_empty());
            for outcome in transition.outcomes {
                let name = (transition.name, outcome.word);
                assert!(!outcome.label.is_empty(), "{name:?}");
                assert!(!outcome.evidence.is_empty(), "{name:?}");
                assert!(outcome.personalities.has(Personality::Any), "{name:?}");
            }
        }
    }

    #[test]
    fn size_classes_are_different_sizes() {
        let sizes = |of| {
            let outcomes = streams::RECV.outcomes.iter();
            outcomes
                .filter_map(|it| it.does.size(of))
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(2), [2, 1]);
        assert_eq!(sizes(3), [3, 1, 2]);
        assert_eq!(sizes(4), [4, 1, 2, 3]);
        assert_eq!(sizes(100), [100, 1, 50, 99]);
    }
}
