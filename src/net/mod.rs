//! TCP: listeners, streams, and the addresses they take.

mod addr;
mod listener;
mod stream;
mod transfer;

pub use addr::ToAddr;
pub use listener::{Accept, ListenOptions, TcpListener};
pub use stream::{Connect, ReadHalf, Shutdown, TcpStream, WriteHalf};
pub use transfer::{Read, ReadVectored, Write, WriteVectored};
