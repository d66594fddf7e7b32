//! Files and directories: opened, read, written, cut, named, removed and synced; all as operations.
//!
//! # What is on the disk
//!
//! A write that has ended is in the memory of the kernel: every process sees it, and a loss of power
//! loses it, in whole or in part, in any order. What has to be there afterwards is synced:
//! [`File::sync_data`] or [`File::sync_all`] for what a file holds, [`Dir::sync`] for the names in a
//! directory: of files that were made, renamed or removed there (fsync(2)). An error of a sync is final:
//! what it was to write may be dropped, and the next sync says nothing of it.

mod aside;
mod dir;
mod file;
mod names;
mod options;

use std::io;
use std::path::Path;

pub use dir::{Dir, OpenDir};
pub use file::{Append, File, Length, ReadAt, SetLen, Sync, WriteAt};
pub use names::{Change, create_dir, create_dir_with_mode, remove_dir, remove_file, rename};
pub use options::{Open, OpenOptions};

/// A path as the seam wants it: its bytes and a NUL.
fn path_bytes(path: &Path) -> Result<Vec<u8>, &'static str> {
    let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
    if bytes.contains(&0) {
        return Err("a path can't contain a NUL byte");
    }
    bytes.push(0);
    Ok(bytes)
}

/// The error of an operation that could not even be asked for.
fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
