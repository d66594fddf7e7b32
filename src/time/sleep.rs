//! [`Sleep`]: an operation that ends when its time has come.

use std::io;
use std::time::Duration;

use super::{Instant, nanos};
use crate::backend::{Code, Op, Raw};
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, Steps};

/// The kind of [`Handle::sleep`](crate::Handle::sleep).
pub struct Sleep {
    home: HomeRef,
    when: When,
}

#[derive(Clone, Copy)]
enum When {
    /// Counted from the operation's start, not from the call that made it: operations are lazy.
    After(u64),
    At(u64),
}

impl Sleep {
    pub(crate) fn after(home: HomeRef, duration: Duration) -> Sleep {
        Sleep {
            home,
            when: When::After(nanos(duration)),
        }
    }

    pub(crate) fn until(home: HomeRef, deadline: Instant) -> Sleep {
        Sleep {
            home,
            when: When::At(deadline.nanos()),
        }
    }
}

impl Steps for Sleep {
    type Out = io::Result<()>;
    const NAME: &'static str = "sleep";
    const UNBOUNDED: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let deadline = match self.when {
            When::After(nanos) => local.now().saturating_add(nanos),
            When::At(deadline) => deadline,
        };
        let op = Op {
            offset: deadline,
            ..Op::new(Code::Timer, Raw::NONE)
        };
        Ok(Activation {
            op,
            object: None,
            writable: false,
        })
    }

    fn finish(self, outcome: Outcome<'_>) -> io::Result<()> {
        outcome.unit()
    }
}
