//! The trace player: a small world with everything that may happen in it, to be stepped through in the page.
//!
//! `{{#player NAME}}`, alone on a line of a chapter, puts one there. The worlds, each played by the simulated
//! kernel while the book is built:
//!
//! | name | what it shows | chapter |
//! |---|---|---|
//! | `one-call` | a request that is read with one call | Start here |
//! | `ready-or-done` | the same five bytes by readiness and by completion: who touches the buffer, and when | Ready or done? |
//! | `effect-before-completion` | a send is answered before its completion is told | A kernel you can hold |
//! | `cancel-race` | a cancel and the bytes that it wants to prevent | A kernel you can hold |
//! | `echo` | an echo server's handlers, with short transfers | Your first proactor |
//! | `false-hint` | a read over readiness, and a hint that was false | Real engines and emulation |
//! | `when-may-i-free` | a buffer from its submission to its completion, cancelled or not | Lending buffers |
//! | `frame` | a length and a body, in whatever pieces they come | Short reads and framing |
//! | `slow-handler` | two connections and a handler that takes 50 ms, or has it taken elsewhere | Never block |
//!
//! A player is HTML with its data in it, so it works from a file; without a script it is the kind story as a table.
//! What is offered is what the kernel itself offers at the points that the world is about; elsewhere the kernel is kind.

mod page;
mod stage;
mod tree;
mod worlds;

pub use stage::Owner;
pub use tree::{Choice, Node, Tree, another};

/// The names of all worlds.
#[must_use]
pub fn names() -> Vec<&'static str> {
    worlds::WORLDS.iter().map(|world| world.name).collect()
}

/// Everything that may happen in the world of this name.
///
/// # Errors
///
/// There is no such world.
pub fn tree(name: &str) -> Result<Tree, String> {
    let world = worlds::WORLDS.iter().find(|world| world.name == name);
    let world =
        world.ok_or_else(|| format!("no world `{name}`: there are {}", names().join(", ")))?;
    Ok(tree::explore(
        world.title,
        world.about,
        world.lanes,
        world.play,
    ))
}

/// The player of this world as HTML without an empty line.
pub(crate) fn player(name: &str) -> Result<String, String> {
    Ok(page::figure(name, &tree(name)?))
}
