//! Panics: they are passed on, and all else goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proactor::{JoinError, Proactor, RunEnd};

use crate::kernels::{in_any_order, on_every_kernel};
use crate::tools::{Told, pair, panic_quietly, room};

/// What `run` panicked with.
#[track_caller]
fn panic_of(proactor: &Proactor) -> String {
    let ended = catch_unwind(AssertUnwindSafe(|| proactor.run()));
    let panic = ended.expect_err("run did not panic");
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap()
}

#[test]
fn a_handlers_panic_resumes_on_the_caller_of_run_and_run_works_again() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let tell = told.clone();
        server.read(room(8)).then(|_| panic_quietly("in a handler"));
        client.write("x").then(|_| {});
        proactor
            .sleep(Duration::from_millis(1))
            .then(move |_| tell.tell(()));
        assert_eq!(panic_of(&proactor), "in a handler");
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        told.only();
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_post_that_panics_loses_none_of_those_behind_it() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let told = Told::nothing();
        for number in 0..6 {
            let tell = told.clone();
            proactor.post(move || {
                if number % 3 == 1 {
                    panic_quietly("on purpose");
                }
                tell.tell(number);
            });
        }
        panic_of(&proactor);
        panic_of(&proactor);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), [0, 2, 3, 5]);
    });
}

#[test]
fn a_completion_behind_a_panic_in_the_same_batch_is_not_lost() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let pairs: Vec<_> = (0..5).map(|_| pair(&proactor)).collect();
        let told = Told::nothing();
        for (number, (client, server)) in pairs.iter().enumerate() {
            let tell = told.clone();
            server.read(room(8)).then(move |(read, _)| {
                tell.tell(number);
                read.unwrap();
                if number != 2 {
                    panic_quietly("on purpose");
                }
            });
            client.write("x").then(|_| {});
        }
        for _ in 0..4 {
            assert!(catch_unwind(AssertUnwindSafe(|| proactor.run())).is_err());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let mut told = told.take();
        told.sort_unstable();
        assert_eq!(told, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_tasks_panic_resumes_on_the_caller_of_run_and_its_handle_says_so() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let panics = proactor.spawn(async move {
            handle.sleep(Duration::from_millis(1)).await.unwrap();
            if true {
                panic_quietly("in a task");
            }
        });
        let goes_on = proactor.spawn(async move {
            handle.sleep(Duration::from_millis(2)).await.unwrap();
            5
        });
        assert_eq!(panic_of(&proactor), "in a task");
        assert_eq!(proactor.block_on(panics).unwrap(), Err(JoinError::Panicked));
        assert_eq!(proactor.block_on(goes_on).unwrap(), Ok(5));
    });
}

#[test]
fn a_panic_in_block_on_leaves_the_proactor_in_order() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let blocked = catch_unwind(AssertUnwindSafe(|| {
            proactor.block_on(async {
                proactor.sleep(Duration::from_millis(1)).await.unwrap();
                panic_quietly("in block_on")
            })
        }));
        assert!(blocked.is_err());
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(proactor.block_on(async { 1 }).unwrap(), 1);
    });
}

#[test]
fn a_buffer_that_panics_when_it_is_dropped_breaks_nothing_else() {
    struct Bomb(Vec<u8>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_quietly("in a drop");
        }
    }
    // SAFETY: the memory and the promises are the Vec's.
    unsafe impl proactor::IoBuf for Bomb {
        fn io_ptr(&self) -> *const u8 {
            self.0.io_ptr()
        }
        fn io_len(&self) -> usize {
            self.0.io_len()
        }
    }
    // SAFETY: as above.
    unsafe impl proactor::IoBufMut for Bomb {
        fn io_mut_ptr(&mut self) -> *mut u8 {
            self.0.io_mut_ptr()
        }
        fn io_capacity(&self) -> usize {
            self.0.io_capacity()
        }
        unsafe fn set_io_len(&mut self, n: usize) {
            // SAFETY: the caller's promise.
            unsafe { self.0.set_io_len(n) }
        }
    }
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (_client, server) = pair(&proactor);
        proactor
            .block_on(async {
                let mut read = server.read(Bomb(room(8)));
                read.cancel_handle();
                drop(read);
            })
            .unwrap();
        assert_eq!(panic_of(&proactor), "in a drop");
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(proactor.stats().operations, 0);
    });
}
