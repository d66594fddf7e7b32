//! A reference that a thread-local holds for the time of a call.

use std::cell::Cell;
use std::ptr::NonNull;
use std::thread::LocalKey;

/// Where a thread keeps a reference, if it keeps one now. Without a destructor: one load to look.
pub(crate) struct Scoped<T: ?Sized + 'static>(Cell<Option<NonNull<T>>>);

impl<T: ?Sized + 'static> Scoped<T> {
    pub(crate) const fn new() -> Scoped<T> {
        Scoped(Cell::new(None))
    }
}

/// Puts back what was there before, also when a panic passes.
#[cfg(feature = "check")]
struct Before<T: ?Sized + 'static>(&'static LocalKey<Scoped<T>>, Option<NonNull<T>>);

#[cfg(feature = "check")]
impl<T: ?Sized + 'static> Drop for Before<T> {
    fn drop(&mut self) {
        self.0.with(|place| place.0.set(self.1));
    }
}

/// While `body` runs the thread keeps this reference; then the one before again.
#[cfg(feature = "check")]
pub(crate) fn within<T: ?Sized, R>(
    key: &'static LocalKey<Scoped<T>>,
    value: &T,
    body: impl FnOnce() -> R,
) -> R {
    let before = key.with(|place| place.0.replace(Some(NonNull::from(value))));
    let _before = Before(key, before);
    body()
}

/// Whether the thread keeps one.
#[inline]
pub(crate) fn is_some<T: ?Sized>(key: &'static LocalKey<Scoped<T>>) -> bool {
    key.with(|place| place.0.get().is_some())
}

/// Does something with what the thread keeps, if it keeps one.
///
/// On a coroutine that is left in `act` this may be the case beyond the end of `within`, so whoever
/// leaves it has to see to it that it is come back to before that, or never: `overlap`, which alone has
/// coroutines, ends all of them before a `run` returns.
#[inline]
pub(crate) fn with<T: ?Sized, R>(
    key: &'static LocalKey<Scoped<T>>,
    act: impl FnOnce(&T) -> R,
) -> Option<R> {
    let value = key.with(|place| place.0.get())?;
    // SAFETY: put there by `within`, which has not returned, since it takes it away again: what it was
    // given is borrowed for longer than this call.
    Some(act(unsafe { value.as_ref() }))
}

#[cfg(all(test, feature = "check"))]
mod tests {
    use super::*;

    thread_local! {
        static WORD: Scoped<str> = const { Scoped::new() };
    }

    #[test]
    fn it_is_there_within_and_the_one_before_is_back_after_a_panic() {
        let word = || with(&WORD, str::to_owned);
        assert!(word().is_none() && !is_some(&WORD));
        within(&WORD, "outer", || {
            let caught = std::panic::catch_unwind(|| {
                within(&WORD, "inner", || {
                    assert_eq!(word().as_deref(), Some("inner"));
                    std::panic::resume_unwind(Box::new(()));
                });
            });
            assert!(caught.is_err());
            assert_eq!(word().as_deref(), Some("outer"));
        });
        assert!(word().is_none());
    }
}
