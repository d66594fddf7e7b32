//! What may be wrong with a call of a [`Hand`](super::Hand).

use std::fmt;
use std::io;

use super::Step;
use super::ask::Decision;
use super::request::OpId;
use crate::choice::Site;

/// A call that a kernel held by hand can't do, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HandError {
    /// The step is not possible now. Nothing happened.
    NotEnabled {
        /// The step that was asked for.
        step: Step,
        /// What the operation waits for instead.
        why: String,
    },
    /// The kernel came to a decision, and what was asked for is not among what is legal. The call was
    /// done, the kind way.
    NotLegal {
        /// The operation that was submitted, stepped or cancelled.
        op: Option<OpId>,
        /// The word, or the index.
        asked: String,
        /// What would have been legal.
        decision: Decision,
    },
    /// A plan that is none: there is no such site, or no word.
    NoSuchDecision {
        /// What was to be planned.
        plan: String,
    },
    /// No such operation was submitted.
    NoSuchOp {
        /// Its number.
        op: OpId,
    },
    /// The object was closed before.
    Closed {
        /// The number that it had.
        number: usize,
    },
    /// The object can't be closed while the kernel may still touch it for operations.
    Busy {
        /// Its name.
        object: String,
        /// How many.
        in_flight: u32,
    },
    /// Too many operations are in flight.
    Full {
        /// How many may be.
        most: usize,
    },
    /// A path has a NUL byte in it: no kernel can be told of that.
    NulInPath {
        /// The path.
        path: String,
    },
    /// No address is left for another host.
    NoAddress {
        /// How many hosts there may be.
        most: usize,
    },
    /// There is no such host here: it is one of another kernel.
    NoSuchHost,
    /// A host has no link to itself.
    NoLink {
        /// Its name.
        host: String,
    },
}

impl fmt::Display for HandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandError::NotEnabled { step, why } => write!(f, "{step} is not enabled: {why}"),
            HandError::NotLegal {
                op,
                asked,
                decision,
            } => {
                if let Some(op) = op {
                    write!(f, "{op}: ")?;
                }
                write!(
                    f,
                    "`{asked}` is not legal here, the kind way was taken; legal for {decision}"
                )
            }
            HandError::NoSuchDecision { plan } => {
                write!(
                    f,
                    "`{plan}` is no decision; write `site: word` with one of the sites "
                )?;
                let names: Vec<_> = Site::ALL.iter().map(|site| site.name()).collect();
                f.write_str(&names.join(", "))
            }
            HandError::NoSuchOp { op } => write!(f, "there is no {op}: it was never submitted"),
            HandError::Closed { number } => write!(f, "handle {number} is closed"),
            HandError::Busy { object, in_flight } => {
                let operations = match in_flight {
                    1 => "1 operation is".to_owned(),
                    n => format!("{n} operations are"),
                };
                write!(
                    f,
                    "{object} can't be closed while {operations} in flight on it: cancel, step and complete first"
                )
            }
            HandError::Full { most } => {
                write!(f, "{most} operations are in flight: complete some first")
            }
            HandError::NulInPath { path } => {
                write!(
                    f,
                    "`{}` has a NUL byte in it: no path can",
                    path.escape_debug()
                )
            }
            HandError::NoAddress { most } => {
                write!(f, "there are {most} hosts: no address is left for another")
            }
            HandError::NoSuchHost => {
                f.write_str("there is no such host here: another kernel has it")
            }
            HandError::NoLink { host } => {
                write!(f, "{host} has no link to itself: give two hosts")
            }
        }
    }
}

impl std::error::Error for HandError {}

impl From<HandError> for io::Error {
    fn from(error: HandError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}
