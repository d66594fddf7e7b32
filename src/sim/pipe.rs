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
    #[inline]
    fn span(&mut self, at: usize, n: usize) -> &mut [u8] {
        let start = (self.head + at) & (self.ring.len() - 1);
        let end = (start + n).min(self.ring.len());
        &mut self.ring[start..end]
    }

    /// Takes `n` bytes of `from`, those behind the first `start`.
    ///
    /// # Safety
    ///
    /// `from` is lent, initialised, and at least `start + n` long.
    pub(super) unsafe fn fill(&mut self, from: Lent, start: u32, n: usize) {
        if self.len + n > self.ring.len() {
            self.grow(self.len + n);
        }
        let mut done = 0;
        while done < n {
            let at = self.len + done;
            let span = self.span(at, n - done);
            // SAFETY: the caller's promise.
            unsafe { from.read(start + done as u32, span) };
            done += span.len();
        }
        self.len += n;
    }

    /// Gives the oldest `n` bytes to the start of `to`.
    ///
    /// # Safety
    ///
    /// `to` is lent, writable, and at least `n` long.
    pub(super) unsafe fn drain(&mut self, to: Lent, n: usize) {
        let mut done = 0;
        while done < n {
            let span = self.span(done, n - done);
            // SAFETY: the caller's promise.
            unsafe { to.write(done as u32, span) };
            done += span.len();
        }
        self.len -= n;
        // Starting over at the front keeps short messages in the same cache line.
        self.head = if self.len == 0 {
            0
        } else {
            (self.head + n) & (self.ring.len() - 1)
        };
    }

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
