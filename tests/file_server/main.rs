//! The file server of `examples/file_server`: its parts by themselves, and the whole of it on the
//! simulated kernel. (`tests/peers` has it on this machine's own kernel, with real clients.)

#[path = "../../examples/file_server/connection.rs"]
mod connection;
#[path = "../../examples/file_server/connection_async.rs"]
mod connection_async;
#[path = "../../examples/file_server/exchange.rs"]
mod exchange;
#[path = "../../examples/file_server/request.rs"]
mod request;
#[path = "../../examples/file_server/response.rs"]
mod response;
#[path = "../../examples/file_server/server.rs"]
mod server;

mod heads;
mod model;
mod parsing;

mod conversation;
mod kernels;
mod planted;
mod simulated;
mod twins;
