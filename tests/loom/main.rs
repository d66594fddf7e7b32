//! The lock-free parts under loom: every interleaving, and every value that a load may return, on the
//! very source files that ship.
//!
//! A shipping file says `use super::{ord, sync}`. Here `sync` is loom's, and `ord` is the shipping one,
//! or that with one entry changed: an *evil twin*, which the same model has to convict. [`explore`]
//! says how each model is bounded, and prints how many executions it had.
//!
//! What loom can't see: it executes read-modify-writes in one global order, so an ordering that only
//! keeps two of them on different words apart is stronger in the source than any model here asks for.
//! And it misses the executions in which a load comes after another thread's load and write of the same
//! word, if in its first execution that load came before: so readers are spawned, and writers are not.
#![allow(
    clippy::duplicate_mod,
    reason = "each twin is the shipping file in a world of its own"
)]

mod explore;
mod sync;

#[allow(dead_code, reason = "each model uses a part")]
#[path = "."]
mod shipping {
    #[path = "../../src/backend/iocp/ord.rs"]
    pub(crate) mod iocp;
    #[path = "../../src/op/ord.rs"]
    pub(crate) mod op;
    #[path = "../../src/strand/ord.rs"]
    pub(crate) mod strand;
}

/// A shipping file and its models, in a world with these changes to the shipping orderings; perhaps beside what it
/// names of another file.
// A macro, since what is made is a module.
macro_rules! world {
    ($name:ident: $file:literal as $module:ident $(beside $other:literal as $beside:ident)?, $models:literal, $orderings:ident $(, $constant:ident: $type:ty = $value:expr)*) => {
        #[path = "."]
        #[allow(dead_code, reason = "each model uses a part, and each twin one model")]
        mod $name {
            use crate::sync;
            mod ord {
                #[allow(unused_imports, reason = "for twins whose change is an ordering")]
                use std::sync::atomic::Ordering;
                #[allow(unused_imports, reason = "for files that need no ordering but their own")]
                pub(crate) use crate::shipping::$orderings::*;
                $(pub(crate) const $constant: $type = $value;)*
            }
            $(#[path = $other]
            pub(crate) mod $beside;)?
            #[path = $file]
            pub(crate) mod $module;
            #[path = $models]
            pub(crate) mod models;
        }
    };
}

mod desk;
mod handover;
mod inbox;
mod latch;
mod life;
mod queue;
mod started;
mod wake;
