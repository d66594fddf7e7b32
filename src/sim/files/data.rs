//! What a file holds, and which of its bytes take room on the disk.

/// The bytes of a file. Those beyond `bytes` and before `len` are zeros that were never written, so that
/// a length costs no memory.
#[derive(Clone, Default, Debug)]
pub(super) struct Data {
    bytes: Vec<u8>,
    len: u64,
    written: Extents,
}

impl Data {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(self.len as usize, 0);
        bytes
    }

    /// What was written from `offset` on, at most `len` bytes. What follows up to the length is zeros.
    pub(super) fn at(&self, offset: u64, len: usize) -> &[u8] {
        let from = usize::try_from(offset).map_or(self.bytes.len(), |at| at.min(self.bytes.len()));
        let to = from.saturating_add(len).min(self.bytes.len());
        &self.bytes[from..to]
    }

    /// How much room it takes.
    pub(super) fn taken(&self) -> u64 {
        self.written.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Back to nothing. How much room that gives back.
    pub(super) fn clear(&mut self) -> u64 {
        self.set_len(0)
    }

    /// How much room that gives back.
    pub(super) fn set_len(&mut self, len: u64) -> u64 {
        self.bytes
            .truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.len = len;
        self.written.cut(len)
    }

    /// How many of `len` bytes at `offset` can be written if only so many may be taken anew.
    pub(super) fn fitting(&self, offset: u64, len: u64, room: u64) -> u64 {
        if len <= room {
            return len;
        }
        self.written.fitting(offset, offset + len, room) - offset
    }

    /// Writes what `fill` puts there. How much room it takes.
    pub(super) fn write(&mut self, offset: u64, len: usize, fill: impl FnOnce(&mut [u8])) -> u64 {
        let (start, end) = (offset as usize, offset as usize + len);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        fill(&mut self.bytes[start..end]);
        self.len = self.len.max(end as u64);
        self.written.add(offset, end as u64)
    }
}

/// Ranges of bytes, in order, none touching the next.
#[derive(Clone, Default, Debug)]
struct Extents(Vec<(u64, u64)>);

impl Extents {
    /// Adds a range. How many bytes of it are new.
    fn add(&mut self, mut from: u64, mut to: u64) -> u64 {
        if from >= to {
            return 0;
        }
        let first = self.0.partition_point(|&(_, end)| end < from);
        let last = self.0.partition_point(|&(start, _)| start <= to);
        let mut covered = 0;
        for &(start, end) in &self.0[first..last] {
            covered += end.min(to).saturating_sub(start.max(from));
        }
        let new = to - from - covered;
        if let Some(&(start, _)) = self.0[first..last].first() {
            from = from.min(start);
        }
        if let Some(&(_, end)) = self.0[first..last].last() {
            to = to.max(end);
        }
        if last == first + 1 {
            self.0[first] = (from, to);
        } else {
            self.0.splice(first..last, [(from, to)]);
        }
        new
    }

    /// Takes away what is at `len` and beyond. How many bytes that were.
    fn cut(&mut self, len: u64) -> u64 {
        let mut gone = 0;
        while let Some(last) = self.0.last_mut().filter(|(_, end)| *end > len) {
            gone += last.1 - last.0.max(len);
            if last.0 < len {
                last.1 = len;
            } else {
                self.0.pop();
            }
        }
        gone
    }

    /// The end of the longest range that begins at `from`, ends at `to` at most, and has `room` new bytes
    /// at most.
    fn fitting(&self, from: u64, to: u64, mut room: u64) -> u64 {
        let mut at = from;
        for &(start, end) in &self.0 {
            if end <= at {
                continue;
            }
            let gap = start.saturating_sub(at).min(to.saturating_sub(at));
            if gap > room {
                break;
            }
            room -= gap;
            at = end.min(to);
            if at == to {
                return to;
            }
        }
        at.saturating_add(room).min(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_count_each_byte_once() {
        // Against a plain array, over all short histories of a small generator.
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..2_000 {
            let (mut extents, mut plain) = (Extents::default(), [false; 40]);
            for _ in 0..8 {
                let (from, to) = (next(40), next(41));
                let missing = |plain: &[bool; 40], to: u64| {
                    (from..to).filter(|&at| !plain[at as usize]).count() as u64
                };
                if next(4) == 0 {
                    let gone = (from..40).filter(|&at| plain[at as usize]).count() as u64;
                    plain[from as usize..].fill(false);
                    assert_eq!(extents.cut(from), gone);
                } else if from < to {
                    let room = next(20);
                    let fits = extents.fitting(from, to, room);
                    assert!(missing(&plain, fits) <= room && (from..=to).contains(&fits));
                    assert!(fits == to || missing(&plain, fits + 1) > room);
                    assert_eq!(extents.add(from, to), missing(&plain, to));
                    plain[from as usize..to as usize].fill(true);
                }
                assert!(extents.0.windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }

    #[test]
    fn a_length_takes_no_room_and_reads_as_zeros() {
        let mut data = Data::default();
        assert_eq!(data.write(2, 3, |to| to.copy_from_slice(b"abc")), 3);
        assert_eq!(data.set_len(8), 0);
        assert_eq!(data.to_vec(), b"\0\0abc\0\0\0");
        assert_eq!(data.at(3, 4), b"bc");
        assert_eq!(data.set_len(4), 1);
        assert_eq!(data.set_len(5), 0);
        assert_eq!(data.to_vec(), b"\0\0ab\0");
        assert_eq!(data.fitting(0, 10, 7), 9);
        assert_eq!(data.clear(), 2);
    }
}
