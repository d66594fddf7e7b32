//! Mistakes that tests make the driver make, to see them convicted.

/// One mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::backend::iocp) enum Mistake {
    /// Clears the entry when the call has returned: its packet may have been there before.
    WritesAfterTheCall,
    /// Takes every success at once for the end: where nothing is skipped the packet comes too.
    SkipsOnEveryHandle,
    /// Waits for the packet of a success that skips it.
    WaitsForever,
    /// Takes a reset for the end of the stream.
    ResetIsTheEnd,
    /// Takes an abort that we asked for for a reset.
    AbortIsAReset,
    /// Takes a reset for an abort, because one was asked for.
    ResetIsAnAbort,
    /// Takes the mark of a wake down, and sleeps on.
    ForgetsTheMark,
    /// Wakes nobody if the post fails.
    TrustsThePost,
    /// Frees the entry when its cancel was found.
    FoundIsTheEnd,
    /// Frees the entry when its cancel was not found.
    NotFoundIsTheEnd,
    /// Uses the pointer of a packet that is not ours.
    FollowsForeignPackets,
}

#[cfg(test)]
impl Mistake {
    pub(super) const ALL: [Mistake; 11] = [
        Mistake::WritesAfterTheCall,
        Mistake::SkipsOnEveryHandle,
        Mistake::WaitsForever,
        Mistake::ResetIsTheEnd,
        Mistake::AbortIsAReset,
        Mistake::ResetIsAnAbort,
        Mistake::ForgetsTheMark,
        Mistake::TrustsThePost,
        Mistake::FoundIsTheEnd,
        Mistake::NotFoundIsTheEnd,
        Mistake::FollowsForeignPackets,
    ];
}

#[cfg(test)]
thread_local! {
    static MADE: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

/// Whether the driver makes this one.
#[cfg(test)]
pub(in crate::backend::iocp) fn makes(mistake: Mistake) -> bool {
    MADE.get() == Some(mistake)
}

/// Never, but in tests.
#[cfg(not(test))]
#[inline(always)]
pub(in crate::backend::iocp) const fn makes(_: Mistake) -> bool {
    false
}

/// Drivers of this thread make it while `body` runs.
#[cfg(test)]
pub(in crate::backend::iocp) fn making<R>(mistake: Mistake, body: impl FnOnce() -> R) -> R {
    struct Unmade;
    impl Drop for Unmade {
        fn drop(&mut self) {
            MADE.set(None);
        }
    }
    MADE.set(Some(mistake));
    let _unmade = Unmade;
    body()
}
