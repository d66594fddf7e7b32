//! The room: who is there, under which name, and who hears what. All of it runs on a strand of its own.
//!
//! A member's connection calls from its own strand, which posts to the room's; the room posts to each
//! member's strand. So no two strands ever wait for each other, what one member says stays in its
//! order, and all members hear all lines in the same order.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use proactor::{Handle, Strand, StrandCell};

use crate::connection::Connection;

/// How many letters a name may have.
const LONGEST_NAME: usize = 20;

/// A line for somebody's screen, with its end. One for all who hear it.
pub(crate) type Line = Arc<str>;

/// The room. Clones are the same room.
#[derive(Clone)]
pub(crate) struct Room {
    strand: Strand,
    state: Arc<StrandCell<State>>,
}

#[derive(Default)]
struct State {
    /// In order, for a simulation must do the same thing each time.
    members: BTreeMap<u64, Member>,
    is_closed: bool,
}

struct Member {
    name: String,
    /// It lives for as long as a handler of its own waits, and has the room: the room is not to keep it, or neither of
    /// them would ever go when the proactor is dropped in the middle of a conversation.
    connection: Weak<Connection>,
}

impl Member {
    fn tell(&self, line: Line) {
        if let Some(connection) = self.connection.upgrade() {
            Connection::tell(&connection, line);
        }
    }
}

impl Room {
    pub(crate) fn new(proactor: &Handle) -> Room {
        let strand = Strand::new(proactor);
        let state = Arc::new(StrandCell::new(&strand, State::default()));
        Room { strand, state }
    }

    pub(crate) fn join(&self, connection: Arc<Connection>) {
        self.post(move |state| state.join(connection));
    }

    pub(crate) fn say(&self, id: u64, text: String) {
        self.post(move |state| {
            if let Some(member) = state.members.get(&id) {
                let line = format!("<{}> {text}\n", member.name);
                state.tell_all_but(id, line);
            }
        });
    }

    pub(crate) fn rename(&self, id: u64, name: String) {
        self.post(move |state| state.rename(id, name));
    }

    pub(crate) fn leave(&self, id: u64) {
        self.post(move |state| {
            if let Some(member) = state.members.remove(&id) {
                state.tell_all_but(id, format!("* {} left\n", member.name));
            }
        });
    }

    /// Sends everybody home, and whoever comes later.
    pub(crate) fn close(&self) {
        self.post(|state| {
            state.is_closed = true;
            for connection in state
                .members
                .values()
                .filter_map(|it| it.connection.upgrade())
            {
                Connection::dismiss(&connection, "the server is shutting down");
            }
        });
    }

    fn post(&self, act: impl FnOnce(&mut State) + Send + 'static) {
        let state = self.state.clone();
        self.strand.post(move || state.with(act));
    }
}

impl State {
    fn join(&mut self, connection: Arc<Connection>) {
        if self.is_closed {
            return Connection::dismiss(&connection, "the server is shutting down");
        }
        let id = connection.id();
        let name = format!("guest{id}");
        let names: Vec<&str> = self.members.values().map(|it| it.name.as_str()).collect();
        let who = match names.as_slice() {
            [] => "nobody else is here".to_owned(),
            names => format!("here: {}", names.join(", ")),
        };
        let welcome = format!("* you are {name}; /name NAME changes that; {who}\n");
        Connection::tell(&connection, welcome.into());
        self.tell_all_but(id, format!("* {name} joined\n"));
        let connection = Arc::downgrade(&connection);
        self.members.insert(id, Member { name, connection });
    }

    fn rename(&mut self, id: u64, name: String) {
        let is_taken = self.members.values().any(|it| it.name == name);
        let refusal = if is_taken {
            Some(format!("* the name {name} is taken\n"))
        } else if !is_name(&name) {
            Some(format!(
                "* a name has 1 to {LONGEST_NAME} letters, digits, - or _\n"
            ))
        } else {
            None
        };
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if let Some(refusal) = refusal {
            return member.tell(refusal.into());
        }
        member.tell(format!("* you are {name} now\n").into());
        let before = std::mem::replace(&mut member.name, name.clone());
        self.tell_all_but(id, format!("* {before} is {name} now\n"));
    }

    fn tell_all_but(&self, id: u64, line: String) {
        let line: Line = line.into();
        for (_, member) in self.members.iter().filter(|(member, _)| **member != id) {
            member.tell(line.clone());
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(fits)
}
