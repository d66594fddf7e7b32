//! The message headers of vectored sends: memory that the kernel reads when it takes an entry.

use std::cell::UnsafeCell;

use super::ring::{Sqe, opcode};

/// Message headers for vectored sends, one more than the submission queue has room for.
///
/// The kernel copies a header when it takes the entry (IORING_FEAT_SUBMIT_STABLE), so a header is
/// free again once its entry has left the queue. They are used in turn, and one is used up only by
/// an entry that was pushed: the entries in the queue use at most all the others.
pub(super) struct Headers {
    all: Box<[UnsafeCell<libc::msghdr>]>,
    next: usize,
}

impl Headers {
    pub(super) fn new(queue: u32) -> Headers {
        // SAFETY: a msghdr of zeros is a valid, empty one.
        let empty = || UnsafeCell::new(unsafe { std::mem::zeroed() });
        Headers {
            all: (0..=queue).map(|_| empty()).collect(),
            next: 0,
        }
    }

    /// Writes the next header, and returns its address.
    pub(super) fn fill(&self, segments: u64, count: u32) -> u64 {
        let header = self.all[self.next].get();
        // SAFETY: this header belongs to no entry that the kernel has yet to take (see above), so
        // nobody reads it (I4); `Segment` has the layout of iovec.
        unsafe {
            (*header).msg_iov = segments as *mut libc::iovec;
            (*header).msg_iovlen = count as _;
        }
        header as u64
    }

    /// The entry was pushed: its header is in use.
    pub(super) fn used(&mut self, sqe: &Sqe) {
        if sqe.opcode() == opcode::SENDMSG {
            self.next = (self.next + 1) % self.all.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_reused_only_after_all_others() {
        let mut headers = Headers::new(2);
        let sqe = Sqe::new(opcode::SENDMSG, 3, 0);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let header = headers.fill(0, 0);
            // One whose entry found no room is not used up.
            assert_eq!(headers.fill(0, 0), header);
            assert!(!seen.contains(&header));
            seen.push(header);
            headers.used(&sqe);
        }
        assert_eq!(headers.fill(0, 0), seen[0]);
    }
}
