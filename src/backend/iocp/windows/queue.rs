//! The completion port itself: made, given handles, posted to and dequeued from.

use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, RtlNtStatusToDosError};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::System::WindowsProgramming::{
    FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE,
};

use super::last_error;
use crate::backend::iocp::port::{Dequeued, Handle, Packet, code};
use crate::backend::iocp::shared::IO_KEY;

/// A completion port.
pub(super) struct Queue(OwnedHandle);

/// A timeout that never comes.
pub(super) const FOREVER: u32 = INFINITE;

/// How many packets one look takes at most, whatever room there is: so many stand on the stack.
const BATCH: usize = 128;

/// How many threads may be at work on packets at once, before the port keeps further ones from others. A lane counts as
/// one while its handlers run, and is not to keep another from its packets: there is no bound.
const THREADS: u32 = i32::MAX.cast_unsigned();

impl Queue {
    pub(super) fn new() -> io::Result<Queue> {
        // SAFETY: no handle goes in; what comes out is null or a handle that nobody else has.
        unsafe {
            let made =
                CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, THREADS);
            if made.is_null() {
                return Err(io::Error::last_os_error());
            }
            Ok(Queue(OwnedHandle::from_raw_handle(made)))
        }
    }

    pub(super) fn associate(&self, handle: Handle, key: usize) -> Result<(), u32> {
        // SAFETY: both are open: the driver's and ours. The threads count only for a port that is made.
        let port = unsafe { CreateIoCompletionPort(handle.raw(), self.0.as_raw_handle(), key, 0) };
        if port.is_null() {
            return Err(last_error());
        }
        Ok(())
    }

    pub(super) fn post(&self, key: usize, number: usize) -> Result<(), u32> {
        let number = std::ptr::without_provenance(number);
        // SAFETY: the port is open. What looks like a pointer is passed on as it is, and followed by nobody (page
        // *PostQueuedCompletionStatus*).
        match unsafe { PostQueuedCompletionStatus(self.0.as_raw_handle(), 0, key, number) } {
            0 => Err(last_error()),
            _ => Ok(()),
        }
    }

    /// Takes packets out, after at most so many milliseconds. Not alertable: no APC of somebody's ends the sleep.
    pub(super) fn dequeue(
        &self,
        packets: &mut [Packet],
        milliseconds: u32,
    ) -> Result<Dequeued, u32> {
        let mut entries = [const { MaybeUninit::<OVERLAPPED_ENTRY>::uninit() }; BATCH];
        let room = packets.len().min(BATCH);
        let mut count = 0;
        // SAFETY: there is room for so many entries, of which it writes the first `count`.
        let done = unsafe {
            GetQueuedCompletionStatusEx(
                self.0.as_raw_handle(),
                entries.as_mut_ptr().cast(),
                room as u32,
                &mut count,
                milliseconds,
                0,
            )
        };
        if done == 0 {
            return match last_error() {
                code::WAIT_TIMEOUT => Ok(Dequeued::Nothing),
                error => Err(error),
            };
        }
        let count = (count as usize).min(room);
        for (packet, entry) in packets.iter_mut().zip(&entries[..count]) {
            // SAFETY: it was written, above.
            *packet = unsafe { read(entry.assume_init_ref()) };
        }
        match count {
            0 => Ok(Dequeued::Nothing),
            _ => Ok(Dequeued::Packets(count)),
        }
    }
}

/// What an entry says.
///
/// # Safety
///
/// It came out of the port: if its key is that of our operations, its overlapped is one of theirs, and still there.
unsafe fn read(entry: &OVERLAPPED_ENTRY) -> Packet {
    let error = if entry.lpCompletionKey == IO_KEY && !entry.lpOverlapped.is_null() {
        // SAFETY: the caller's promise. The operation is over, so the kernel writes there no more, and the status is
        // what it came to (page *OVERLAPPED structure*). An NTSTATUS has 32 bits.
        let status = unsafe { (*entry.lpOverlapped).Internal } as i32;
        match status {
            0 => 0,
            // SAFETY: it makes a number of a number.
            status => unsafe { RtlNtStatusToDosError(status) },
        }
    } else {
        0
    };
    Packet {
        key: entry.lpCompletionKey,
        overlapped: entry.lpOverlapped.cast(),
        bytes: entry.dwNumberOfBytesTransferred,
        error,
    }
}

/// From now on what is done at once brings no packet, and no event is set of which nobody hears. False: it can't be had.
pub(super) fn skip(handle: Handle) -> bool {
    let modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    // SAFETY: the handle is open.
    unsafe { SetFileCompletionNotificationModes(handle.raw(), modes as u8) != 0 }
}
