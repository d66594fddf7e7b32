//! A proactor's place that is kept, so that the next one need not be made: for the checker, whose
//! executions take less time than making one would.
//!
//! Only what has left nothing behind is kept: no operation, message, handler, task, object, panic. What the next
//! proactor finds is then what a new one finds: the same slots and blocks in the same order (homes are
//! pooled anyway), and a life of its own, so that all handles of the one before are stale.

use super::{Handle, Proactor, teardown};
use crate::op::home::Local;

/// A home that nobody lives in, with its backend and its lane. It belongs to this thread.
pub(crate) struct Vacancy {
    /// Neither of them leaves the thread: what is local can't be sent.
    local: &'static Local,
    /// How many operations the next one may have in flight.
    limit: u32,
}

impl Proactor {
    /// Ends it, as a drop would. Its place, if it may be used again: it has one worker, which belongs
    /// to this thread, on a simulated kernel, and left nothing.
    pub(crate) fn vacate(self) -> Option<Vacancy> {
        let home = self.handle.home;
        // Nobody runs it, and it was claimed.
        let local = home.beside()?;
        if !local.is_virtual.get() || local.crew.borrow().is_some() {
            return None;
        }
        let limit = local.limit();
        if let Err(panic) = teardown::and_stays(home) {
            teardown::pass_on(panic);
            return None;
        }
        // Nothing is left to be dropped: its worker was the only one, and nobody watched it.
        std::mem::forget(self);
        let vacancy = Vacancy { local, limit };
        // What offloading keeps is not made anew.
        (!local.has_used_pool.get()).then_some(vacancy)
    }

    /// Claims its worker for this thread.
    pub(crate) fn claim(&self) -> Result<(), crate::RunError> {
        self.enter()?.local.is_beside(true);
        Ok(())
    }
}

impl Vacancy {
    /// Another proactor moves in, with the same bounds. It must not be dropped in a handler of its own
    /// (who would tear it down then is not told of it). None: the kernel has one already.
    pub(crate) fn fill(self) -> Option<Proactor> {
        let local = self.local;
        let begins = {
            let mut lane = local.lane.borrow_mut();
            lane.as_mut().is_some_and(|lane| lane.begins_again())
        };
        if !begins {
            return None;
        }
        local.begin_again(self.limit);
        local.is_beside(true);
        let home = local.home.reopen();
        std::mem::forget(self);
        Some(Proactor::with(Handle::new(home)))
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        teardown::leave(self.local);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::RunEnd;
    use crate::choice::Kind;
    use crate::sim::{Config, World};

    fn world() -> (World, Proactor) {
        let world = World::new(Config::default(), Box::new(Kind));
        let proactor = Proactor::builder()
            .simulated(&world)
            .build()
            .expect("a lane");
        proactor.claim().expect("it is nobody's");
        (world, proactor)
    }

    fn reset(world: &World) {
        drop(world.reset(Config::default(), Box::new(Kind)));
    }

    #[test]
    fn the_next_one_lives_where_the_one_before_did_whose_handles_are_stale() {
        let (world, proactor) = world();
        let stale = proactor.handle();
        let home = stale.home.home;
        let held = Arc::new(());
        let left = held.clone();
        proactor.post(move || drop(left));
        let vacancy = proactor.vacate().expect("it is as new");
        assert_eq!(Arc::strong_count(&held), 1, "what was posted is dropped");
        reset(&world);
        let proactor = vacancy.fill().expect("the kernel is free");
        assert!(std::ptr::eq(proactor.handle().home.home, home));
        let left = held.clone();
        stale.post(move || drop(left));
        assert_eq!(Arc::strong_count(&held), 1, "nobody took it");
        assert_eq!(proactor.run().expect("it runs"), RunEnd::OutOfWork);
        proactor.post(|| ());
        assert_eq!(proactor.poll().expect("it runs"), 1);
    }

    #[test]
    fn what_is_left_beside_the_worker_is_read_in_its_order_whoever_left_it() {
        let (_world, proactor) = world();
        let handle = proactor.handle();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        // It starts on its worker: a message, behind which all that follows waits.
        handle.sleep(std::time::Duration::ZERO).then(|_| ());
        for nth in 0..6 {
            let order = order.clone();
            let post = move || handle.post(move || order.lock().expect("no panic").push(nth));
            if nth == 2 {
                std::thread::spawn(post).join().expect("it posts");
            } else {
                post();
            }
        }
        proactor.run().expect("it runs");
        assert_eq!(*order.lock().expect("no panic"), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn it_goes_where_another_has_the_kernel_and_takes_nothing_from_it() {
        let (world, proactor) = world();
        let vacancy = proactor.vacate().expect("it is as new");
        reset(&world);
        let other = Proactor::builder()
            .simulated(&world)
            .build()
            .expect("a lane");
        assert!(vacancy.fill().is_none());
        let third = Proactor::builder().simulated(&world).build();
        assert!(third.is_err(), "the lane is the other one's still");
        other.post(|| ());
        assert_eq!(other.poll().expect("it runs"), 1);
    }

    #[test]
    fn what_was_offloaded_or_is_held_or_panics_is_not_kept() {
        let (_world, proactor) = world();
        proactor.offload(|| ()).then(|_| ());
        proactor.run().expect("it runs");
        assert!(proactor.vacate().is_none());

        let (_world, proactor) = self::world();
        let handle = proactor.handle();
        let held = proactor
            .block_on(async move {
                // Started, and its result is read by nobody.
                let mut sleep = handle.sleep(std::time::Duration::ZERO).into_future();
                let poll = std::future::poll_fn(|cx| {
                    let _ = std::pin::Pin::new(&mut sleep).poll(cx);
                    std::task::Poll::Ready(())
                });
                poll.await;
                (sleep,)
            })
            .expect("it runs");
        assert!(proactor.vacate().is_none(), "its slot is in use");
        drop(held);

        struct Angry;
        impl Drop for Angry {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("angry"));
            }
        }
        let (_world, proactor) = self::world();
        let angry = Angry;
        proactor.post(move || drop(angry));
        let vacated = std::panic::AssertUnwindSafe(|| proactor.vacate());
        let panic = std::panic::catch_unwind(vacated)
            .err()
            .expect("it is passed on");
        assert_eq!(panic.downcast_ref(), Some(&"angry"));
    }
}
