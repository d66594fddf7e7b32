//! The chat server of `examples/chat`: its lines by themselves, the whole of it on the simulated kernel
//! with several workers, and on this machine's own with real line clients. And the same with one
//! `.on(&strand)` taken out.

#[path = "../../examples/chat/connection.rs"]
mod connection;
#[path = "../../examples/chat/lines.rs"]
mod lines;
#[path = "../../examples/chat/outbox.rs"]
mod outbox;
#[path = "../../examples/chat/room.rs"]
mod room;
#[path = "../../examples/chat/server.rs"]
mod server;

mod client;
mod conversation;
mod manners;
mod planted;
mod real;
mod simulated;
mod splitting;
