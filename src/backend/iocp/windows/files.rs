//! Files: what there is no overlapped form of, by way of the standard library, which knows the corners of Windows'
//! file systems: long paths, and replacing and removing what others have open.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{FromRawHandle, IntoRawHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DIRECTORY, ERROR_DIRECTORY_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OVERLAPPED, GetFileSizeEx,
};

use super::{last_error, number};
use crate::backend::iocp::port::{Handle, code};
use crate::backend::{Code, open_flags};

/// What a lane can't do without waiting.
pub(super) fn perform(
    code: Code,
    file: Option<Handle>,
    paths: &[u8],
    flags: u32,
    offset: u64,
) -> Result<usize, u32> {
    let done = match code {
        Code::Open => return open(path(paths), flags),
        Code::Sync => on(file, |file| match flags {
            0 => file.sync_all(),
            _ => file.sync_data(),
        }),
        Code::SetLen => on(file, |file| file.set_len(offset)),
        Code::Rename => match paths.split_at_checked(offset as usize) {
            Some(([from @ .., 0], to)) => fs::rename(path(from), path(to)),
            _ => return Err(code::WSAEINVAL),
        },
        Code::Remove if flags == 0 => {
            let removed = fs::remove_file(path(paths));
            return match removed {
                Ok(()) => Ok(0),
                Err(error) => Err(denied(path(paths), number(&error))),
            };
        }
        Code::Remove => fs::remove_dir(path(paths)),
        Code::CreateDir => fs::create_dir(path(paths)),
        _ => return Err(code::NOT_SUPPORTED),
    };
    done.map(|()| 0).map_err(|error| number(&error))
}

/// A path, as it came to the seam.
fn path(bytes: &[u8]) -> &Path {
    // SAFETY: these are all the bytes of an `OsStr`, of this process (`Port::perform`).
    Path::new(unsafe { OsStr::from_encoded_bytes_unchecked(bytes) })
}

fn open(path: &Path, flags: u32) -> Result<usize, u32> {
    let has = |flag: u32| flags & flag != 0;
    let mut options = OpenOptions::new();
    options
        .read(has(open_flags::READ))
        .write(has(open_flags::WRITE))
        .append(has(open_flags::APPEND))
        .create(has(open_flags::CREATE))
        .create_new(has(open_flags::CREATE_NEW))
        .truncate(has(open_flags::TRUNCATE))
        .custom_flags(FILE_FLAG_OVERLAPPED);
    if has(open_flags::DIRECTORY) {
        // It is there to be synced, which takes the right to write (page *FlushFileBuffers*).
        options
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS);
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) => return Err(denied(path, number(&error))),
    };
    if has(open_flags::DIRECTORY) && !file.metadata().is_ok_and(|it| it.is_dir()) {
        return Err(ERROR_DIRECTORY);
    }
    Ok(file.into_raw_handle().expose_provenance())
}

/// What wants a file and gets a directory is denied, no more: says the cause.
fn denied(path: &Path, error: u32) -> u32 {
    let is_dir = || fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    match error {
        ERROR_ACCESS_DENIED if is_dir() => ERROR_DIRECTORY_NOT_SUPPORTED,
        error => error,
    }
}

/// Something about a file of the driver's.
fn on(file: Option<Handle>, body: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let Some(file) = file else {
        return Err(io::Error::from_raw_os_error(
            code::WSAENOTSOCK.cast_signed(),
        ));
    };
    // SAFETY: the driver has it, and has it open for the length of this call; it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_handle(file.raw()) });
    body(&file)
}

pub(super) fn len(file: Handle) -> Result<u64, u32> {
    let mut len = 0;
    // SAFETY: the file is open; the number is written before it returns.
    match unsafe { GetFileSizeEx(file.raw(), &mut len) } {
        0 => Err(last_error()),
        _ => Ok(len.cast_unsigned()),
    }
}

pub(super) fn close(file: Handle) {
    // SAFETY: it is the driver's, which gives it back once.
    drop(unsafe { OwnedHandle::from_raw_handle(file.raw()) });
}
