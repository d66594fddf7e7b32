//! Atomics: std's, with a switch point before each use.
//!
//! A simulation is sequentially consistent: whatever [`Ordering`] an operation names, it sees the last
//! value that was stored before it. What weaker orderings allow beyond that, [`loom`] explores; the
//! orderings do count for the race detector, which draws an edge only from a release to an acquire. A
//! `compare_exchange_weak` does not fail for no reason, and the order of unordered stores that no
//! switch point separates is the program's.
//!
//! A loop that spins on an atomic never lets the others go on in the simulation's kindest execution:
//! wait with [`Notify`](super::Notify) or [`Condvar`](super::Condvar) instead.
//!
//! The methods are std's; `from_ptr`, `try_update`, `update` and the arithmetic of pointers are not there.
//!
//! ```
//! use proactor::sync::atomic::{AtomicU64, Ordering};
//!
//! static REQUESTS: AtomicU64 = AtomicU64::new(0);
//! REQUESTS.fetch_add(1, Ordering::Relaxed);
//! assert_eq!(REQUESTS.load(Ordering::Relaxed), 1);
//! ```
//!
//! [`loom`]: https://docs.rs/loom

use std::fmt;
use std::sync::atomic as std_atomic;

pub use std::sync::atomic::{Ordering, compiler_fence, fence};

use super::order;
use crate::switch::{self, Point};

/// What every atomic has: a type, its value, and an example's first and second value.
macro_rules! atomic {
    ($(#[$more:meta])* $Atomic:ident $(<$T:ident>)?, $Value:ty, $first:expr, $second:expr, $setup:literal) => {
        #[doc = concat!("[`std::sync::atomic::", stringify!($Atomic), "`], which a simulation can schedule.")]
        ///
        /// ```
        #[doc = concat!("use proactor::sync::atomic::{", stringify!($Atomic), ", Ordering::SeqCst};")]
        #[doc = $setup]
        #[doc = concat!("let mut value = ", stringify!($Atomic), "::new(", $first, ");")]
        #[doc = concat!("value.store(", $second, ", SeqCst);")]
        #[doc = concat!("assert_eq!(value.load(SeqCst), ", $second, ");")]
        #[doc = concat!("assert_eq!(value.swap(", $first, ", SeqCst), ", $second, ");")]
        #[doc = concat!("let exchanged = value.compare_exchange(", $first, ", ", $second, ", SeqCst, SeqCst);")]
        #[doc = concat!("assert_eq!(exchanged, Ok(", $first, "));")]
        #[doc = concat!("let failed = value.compare_exchange_weak(", $first, ", ", $second, ", SeqCst, SeqCst);")]
        #[doc = concat!("assert_eq!(failed, Err(", $second, "));")]
        #[doc = concat!("assert_eq!(value.fetch_update(SeqCst, SeqCst, |_| Some(", $first, ")), Ok(", $second, "));")]
        #[doc = concat!("assert_eq!(value.fetch_update(SeqCst, SeqCst, |_| None), Err(", $first, "));")]
        #[doc = concat!("*value.get_mut() = ", $second, ";")]
        #[doc = concat!("assert!(!value.as_ptr().is_null());")]
        #[doc = concat!("assert_eq!(value.into_inner(), ", $second, ");")]
        /// ```
        $(#[$more])*
        #[repr(transparent)]
        pub struct $Atomic $(<$T>)? {
            inner: std_atomic::$Atomic $(<$T>)?,
        }

        impl $(<$T>)? $Atomic $(<$T>)? {
            /// With this value.
            #[inline]
            #[must_use]
            pub const fn new(value: $Value) -> Self {
                Self {
                    inner: std_atomic::$Atomic::new(value),
                }
            }

            /// The value.
            ///
            /// # Panics
            ///
            /// If `order` is a releasing one.
            #[inline]
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $Value {
                if switch::is_simulated() {
                    before_load(concat!(stringify!($Atomic), "::load"), order::at(self), order);
                }
                self.inner.load(order)
            }

            /// Stores a value.
            ///
            /// # Panics
            ///
            /// If `order` is an acquiring one.
            #[inline]
            #[track_caller]
            pub fn store(&self, value: $Value, order: Ordering) {
                if switch::is_simulated() {
                    before_store(concat!(stringify!($Atomic), "::store"), order::at(self), order);
                }
                self.inner.store(value, order);
            }

            /// Stores a value; the one before.
            #[inline]
            #[track_caller]
            pub fn swap(&self, value: $Value, order: Ordering) -> $Value {
                if switch::is_simulated() {
                    before_update(concat!(stringify!($Atomic), "::swap"), order::at(self), order);
                }
                self.inner.swap(value, order)
            }

            /// Stores `new` if the value is `current`; the value before.
            ///
            /// # Errors
            ///
            /// The value, if it is another.
            ///
            /// # Panics
            ///
            /// If `failure` is a releasing order.
            #[inline]
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $Value,
                new: $Value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$Value, $Value> {
                if switch::is_simulated() {
                    switch::point(Point::Sync(concat!(stringify!($Atomic), "::compare_exchange")));
                    let result = self.inner.compare_exchange(current, new, success, failure);
                    exchanged(order::at(self), result.is_ok(), success, failure);
                    return result;
                }
                self.inner.compare_exchange(current, new, success, failure)
            }

            /// As [`compare_exchange`](Self::compare_exchange); on a real kernel it may fail for no
            /// reason.
            ///
            /// # Errors
            ///
            /// The value, which may be `current`.
            ///
            /// # Panics
            ///
            /// If `failure` is a releasing order.
            #[inline]
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $Value,
                new: $Value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$Value, $Value> {
                if switch::is_simulated() {
                    return self.compare_exchange(current, new, success, failure);
                }
                self.inner.compare_exchange_weak(current, new, success, failure)
            }

            /// Stores what `update` makes of the value, again and again until nobody came between.
            ///
            /// # Errors
            ///
            /// The value, if `update` made nothing of it.
            ///
            /// # Panics
            ///
            /// If `fetch_order` is a releasing order.
            #[inline]
            #[track_caller]
            pub fn fetch_update<F>(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut update: F,
            ) -> Result<$Value, $Value>
            where
                F: FnMut($Value) -> Option<$Value>,
            {
                let mut value = self.load(fetch_order);
                while let Some(new) = update(value) {
                    match self.compare_exchange_weak(value, new, set_order, fetch_order) {
                        Ok(before) => return Ok(before),
                        Err(now) => value = now,
                    }
                }
                Err(value)
            }

            /// The value: the borrow proves that nobody else has it.
            #[inline]
            pub fn get_mut(&mut self) -> &mut $Value {
                self.inner.get_mut()
            }

            /// The value.
            #[inline]
            pub const fn into_inner(self) -> $Value {
                self.inner.into_inner()
            }

            /// Where the value lives. Accesses through it are no switch points.
            #[inline]
            pub const fn as_ptr(&self) -> *mut $Value {
                self.inner.as_ptr()
            }
        }

        impl $(<$T>)? From<$Value> for $Atomic $(<$T>)? {
            fn from(value: $Value) -> Self {
                Self::new(value)
            }
        }

        impl $(<$T>)? fmt::Debug for $Atomic $(<$T>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

/// Read-modify-write operations: a name, and what it does.
macro_rules! updates {
    ($Atomic:ident, $Value:ty, $($name:ident: $what:literal, $example:literal;)+) => {
        impl $Atomic {
            $(
                #[doc = concat!($what, " The value before.")]
                ///
                /// ```
                #[doc = concat!("use proactor::sync::atomic::{", stringify!($Atomic), ", Ordering::Relaxed};")]
                #[doc = concat!("let value = ", stringify!($Atomic), $example)]
                /// ```
                #[inline]
                #[track_caller]
                pub fn $name(&self, value: $Value, order: Ordering) -> $Value {
                    if switch::is_simulated() {
                        let name = concat!(stringify!($Atomic), "::", stringify!($name));
                        before_update(name, order::at(self), order);
                    }
                    self.inner.$name(value, order)
                }
            )+
        }
    };
}

macro_rules! integer {
    ($Atomic:ident, $Value:ty) => {
        atomic!(#[derive(Default)] $Atomic, $Value, "1", "2", "");
        updates! { $Atomic, $Value,
            fetch_add: "Adds, wrapping.", "::new(1); assert_eq!(value.fetch_add(2, Relaxed), 1);";
            fetch_sub: "Subtracts, wrapping.", "::new(3); assert_eq!(value.fetch_sub(2, Relaxed), 3);";
            fetch_and: "Bitwise and.", "::new(3); assert_eq!(value.fetch_and(2, Relaxed), 3);";
            fetch_nand: "Bitwise nand.", "::new(3); assert_eq!(value.fetch_nand(2, Relaxed), 3);";
            fetch_or: "Bitwise or.", "::new(1); assert_eq!(value.fetch_or(2, Relaxed), 1);";
            fetch_xor: "Bitwise exclusive or.", "::new(1); assert_eq!(value.fetch_xor(3, Relaxed), 1);";
            fetch_max: "The greater one.", "::new(1); assert_eq!(value.fetch_max(3, Relaxed), 1);";
            fetch_min: "The smaller one.", "::new(3); assert_eq!(value.fetch_min(1, Relaxed), 3);";
        }
    };
}

atomic!(
    #[derive(Default)]
    AtomicBool,
    bool,
    "true",
    "false",
    ""
);
updates! { AtomicBool, bool,
    fetch_and: "Logical and.", "::new(true); assert!(value.fetch_and(false, Relaxed));";
    fetch_nand: "Logical nand.", "::new(true); assert!(value.fetch_nand(true, Relaxed));";
    fetch_or: "Logical or.", "::new(false); assert!(!value.fetch_or(true, Relaxed));";
    fetch_xor: "Logical exclusive or.", "::new(true); assert!(value.fetch_xor(true, Relaxed));";
}

impl AtomicBool {
    /// The opposite; the value before.
    ///
    /// ```
    /// use proactor::sync::atomic::{AtomicBool, Ordering::Relaxed};
    /// assert!(AtomicBool::new(true).fetch_not(Relaxed));
    /// ```
    #[inline]
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.fetch_xor(true, order)
    }
}

#[cfg(target_has_atomic = "8")]
integer!(AtomicI8, i8);
#[cfg(target_has_atomic = "8")]
integer!(AtomicU8, u8);
#[cfg(target_has_atomic = "16")]
integer!(AtomicI16, i16);
#[cfg(target_has_atomic = "16")]
integer!(AtomicU16, u16);
#[cfg(target_has_atomic = "32")]
integer!(AtomicI32, i32);
#[cfg(target_has_atomic = "32")]
integer!(AtomicU32, u32);
#[cfg(target_has_atomic = "64")]
integer!(AtomicI64, i64);
#[cfg(target_has_atomic = "64")]
integer!(AtomicU64, u64);
integer!(AtomicIsize, isize);
integer!(AtomicUsize, usize);
atomic!(
    AtomicPtr<T>,
    *mut T,
    "one",
    "other",
    "let (mut a, mut b) = (1, 2);\nlet (one, other): (*mut i32, *mut i32) = (&mut a, &mut b);"
);

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}

fn acquires(order: Ordering) -> bool {
    matches!(
        order,
        Ordering::Acquire | Ordering::AcqRel | Ordering::SeqCst
    )
}

fn releases(order: Ordering) -> bool {
    matches!(
        order,
        Ordering::Release | Ordering::AcqRel | Ordering::SeqCst
    )
}

// Nobody goes on between a switch point and the operation behind it, so the edges may be drawn before.

#[cold]
#[track_caller]
fn before_load(call: &'static str, at: usize, order: Ordering) {
    switch::point(Point::Sync(call));
    if acquires(order) {
        order::acquired(at);
    }
}

#[cold]
#[track_caller]
fn before_store(call: &'static str, at: usize, order: Ordering) {
    switch::point(Point::Sync(call));
    if releases(order) {
        order::released(at);
    }
}

#[cold]
#[track_caller]
fn before_update(call: &'static str, at: usize, order: Ordering) {
    before_load(call, at, order);
    if releases(order) {
        order::released(at);
    }
}

#[cold]
fn exchanged(at: usize, done: bool, success: Ordering, failure: Ordering) {
    if acquires(if done { success } else { failure }) {
        order::acquired(at);
    }
    if done && releases(success) {
        order::released(at);
    }
}
