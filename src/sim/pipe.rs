//! The bytes of one stream direction on their way: a ring that grows to what is used of it.

use super::lent::Lent;

/// Bytes in order. Memory comes on first use, doubles up to what the traffic needs, and is kept.
#[derive(Default)]
pub(super) struct Pipe {
    /// Empty, or a power of two long.
    ring: Vec<u8>,
    head: usize,
    len: usize,
}

impl Pipe {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Throws the content away, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.head = 0;
        self.len = 0;
    }

    /// The part of the ring from the `at`-th byte on, up to `n` bytes or the ring's end.
    #[inline(always)]
    fn span(&mut self, at: usize, n: usize) -> &mut [u8] {
        // (Of an empty ring it is empty.)
        let start = (self.head + at) & self.ring.len().wrapping_sub(1);
        let end = (start + n).min(self.ring.len());
        &mut self.ring[start..end]
    }

    /// Takes `n` bytes of `from`, those behind the first `start`.
    ///
    /// # Safety
    ///
    /// `from` is lent, initialised, and at least `start + n` long.
    #[inline(always)]
    pub(super) unsafe fn fill(&mut self, from: Lent, start: u32, n: usize) {
        if self.len + n > self.ring.len() {
            self.grow(self.len + n);
        }
        let span = self.span(self.len, n);
        let done = span.len();
        // SAFETY: the caller's promise.
        unsafe {
            from.read(start, span);
            if done < n {
                self.fill_on(from, start, done, n);
            }
        }
        self.len += n;
    }

    /// Over the end of the ring: the rest goes to its start.
    ///
    /// # Safety
    ///
    /// As [`Pipe::fill`].
    #[cold]
    #[inline(never)]
    unsafe fn fill_on(&mut self, from: Lent, start: u32, done: usize, n: usize) {
        let span = self.span(self.len + done, n - done);
        // SAFETY: the caller's promise.
        unsafe { from.read(start + done as u32, span) };
    }

    /// Gives the oldest `n` bytes to the start of `to`.
    ///
    /// # Safety
    ///
    /// `to` is lent, writable, and at least `n` long.
    #[inline(always)]
    pub(super) unsafe fn drain(&mut self, to: Lent, n: usize) {
        let span = self.span(0, n);
        let done = span.len();
        // SAFETY: the caller's promise.
        unsafe {
            to.write(0, span);
            if done < n {
                self.drain_on(to, done, n);
            }
        }
        self.len -= n;
        // Starting over at the front keeps short messages in the same cache line.
        self.head = if self.len == 0 {
            0
        } else {
            (self.head + n) & (self.ring.len() - 1)
        };
    }

    /// Copies `n` bytes from the `at`-th on behind what `to` holds.
    pub(super) fn copy_to(&mut self, at: usize, n: usize, to: &mut Pipe) {
        if to.len + n > to.ring.len() {
            to.grow(to.len + n);
        }
        let mut done = 0;
        while done < n {
            let from = self.span(at + done, n - done);
            let behind = to.len + done;
            let into = to.span(behind, from.len());
            let moved = into.len();
            into.copy_from_slice(&from[..moved]);
            done += moved;
        }
        to.len += n;
    }

    /// Keeps the oldest `n` bytes only.
    pub(super) fn keep(&mut self, n: usize) {
        self.len = self.len.min(n);
    }

    /// Lets the oldest `n` bytes go.
    pub(super) fn skip(&mut self, n: usize) {
        self.len -= n;
        self.head = if self.len == 0 {
            0
        } else {
            (self.head + n) & (self.ring.len() - 1)
        };
    }

    /// # Safety
    ///
    /// As [`Pipe::drain`].
    #[cold]
    #[inline(never)]
    unsafe fn drain_on(&mut self, to: Lent, done: usize, n: usize) {
        let span = self.span(done, n - done);
        // SAFETY: the caller's promise.
        unsafe { to.write(done as u32, span) };
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, least: usize) {
        let mut ring = vec![0; least.next_power_of_two().max(256)];
        let len = self.len;
        let mut done = 0;
        while done < len {
            let span = self.span(done, len - done);
            let n = span.len();
            ring[done..done + n].copy_from_slice(span);
            done += n;
        }
        self.ring = ring;
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_copied_from_anywhere_and_let_go_of() {
        let (mut from, mut to) = (Pipe::default(), Pipe::default());
        let (mut sent, mut copied) = (0u32, 0u32);
        let mut all = Vec::new();
        for round in 0..300u32 {
            let mut bytes: Vec<u8> = (0..round % 50).map(|n| (sent + n) as u8).collect();
            let n = bytes.len();
            // SAFETY: `bytes` outlives the call.
            unsafe { from.fill(Lent::plain(bytes.as_mut_ptr(), n as u32), 0, n) };
            sent += n as u32;
            // What is in `from` begins at `all.len() + to.len()`, minus what was kept: here nothing is.
            let n = (from.len() / 2).min(37);
            let at = from.len() - n;
            let expected: Vec<u8> = (sent - n as u32..sent).map(|n| n as u8).collect();
            from.copy_to(at, n, &mut to);
            from.skip(from.len());
            copied += n as u32;
            let mut out = vec![0; to.len().min(29)];
            let m = out.len();
            all.extend(expected);
            // SAFETY: `out` outlives the call.
            unsafe { to.drain(Lent::plain(out.as_mut_ptr(), m as u32), m) };
            assert_eq!(out, all.drain(..m).collect::<Vec<_>>());
        }
        assert!(copied > 1_000);
    }

    #[test]
    fn bytes_come_out_in_order_across_the_seam_and_through_growth() {
        let mut pipe = Pipe::default();
        let (mut next, mut expected) = (0u8, 0u8);
        for round in 0..500usize {
            let n = round % 97 + 1;
            let mut bytes: Vec<u8> = (0..n).map(|at| next.wrapping_add(at as u8)).collect();
            // SAFETY: `bytes` outlives the call.
            unsafe { pipe.fill(Lent::plain(bytes.as_mut_ptr(), n as u32), 0, n) };
            next = next.wrapping_add(n as u8);
            let m = if round % 5 == 4 {
                pipe.len()
            } else {
                pipe.len().min(round * 7 % 61)
            };
            let mut out = vec![0; m];
            // SAFETY: `out` outlives the call.
            unsafe { pipe.drain(Lent::plain(out.as_mut_ptr(), m as u32), m) };
            for byte in out {
                assert_eq!(byte, expected);
                expected = expected.wrapping_add(1);
            }
        }
    }
}
