//! Stacks that can be left and come back to: the one place that touches coroutines.
//!
//! A [`Fiber`] runs one [`Job`] after the other on a stack of its own. Anywhere below the job, [`pause`]
//! goes back to whoever resumed the fiber. Fibers are pooled by thread, since a fresh stack with its
//! guard page costs as much as hundreds of switches, and never leave their thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// Virtual memory a stack takes; only what is used becomes real. Beyond its end is a guard page: who
/// runs over it dies of SIGSEGV instead of writing into something else.
const STACK: usize = 1 << 20;

/// What a fiber is given to run.
pub(super) trait Job {
    fn run(self);
}

/// Why a fiber came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// The job has ended; with a panic, if [`Fiber::take_panic`] has one.
    Ended,
    /// It has called [`pause`].
    Paused,
}

#[derive(Clone, Copy)]
enum Order {
    /// Run the job that was left for it.
    Run,
    GoOn,
    /// Return, so that the stack is empty and can be freed.
    Quit,
}

type Mouth = Yielder<Order, Left>;

/// A stack and what is on it.
pub(super) struct Fiber<J: Job + 'static> {
    coroutine: ManuallyDrop<Coroutine<Order, Left, ()>>,
    exit: Rc<Exit>,
    /// What it is to begin with.
    job: Rc<Cell<Option<J>>>,
    /// No job is on the stack.
    idle: bool,
}

/// The way out of a fiber.
struct Exit {
    /// Its yielder, once it has been started.
    mouth: Cell<*const Mouth>,
    /// With which its job has ended.
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

thread_local! {
    /// That of the fiber that runs on this thread; null: none does.
    static EXIT: Cell<*const Exit> = const { Cell::new(std::ptr::null()) };
}

/// Leaves the fiber that runs here; comes back when it is resumed. False: none runs here.
#[inline]
pub(super) fn pause() -> bool {
    let exit = EXIT.get();
    if exit.is_null() {
        return false;
    }
    // SAFETY: `EXIT` is the way out of the fiber that was resumed last and has not come back, on whose
    // stack this therefore runs, and which keeps it alive, and with it its yielder.
    let mouth = unsafe { &*(*exit).mouth.get() };
    // Only `Order::GoOn` comes to a fiber that is not idle.
    let _ = mouth.suspend(Left::Paused);
    // Others have run meanwhile.
    EXIT.set(exit);
    true
}

impl<J: Job + 'static> Fiber<J> {
    /// # Errors
    ///
    /// No memory could be mapped for its stack.
    pub(super) fn new() -> io::Result<Fiber<J>> {
        let exit = Rc::new(Exit {
            mouth: Cell::new(std::ptr::null()),
            panic: Cell::new(None),
        });
        let job = Rc::new(Cell::new(None::<J>));
        let (inside, jobs) = (exit.clone(), job.clone());
        let body = move |mouth: &Mouth, mut order: Order| {
            inside.mouth.set(std::ptr::from_ref(mouth));
            loop {
                match order {
                    Order::Run => {
                        if let Some(job) = jobs.take() {
                            // What a panic leaves half done is the job's own affair: it is passed on.
                            let ended = catch_unwind(AssertUnwindSafe(|| job.run()));
                            if let Err(panic) = ended {
                                inside.panic.set(Some(panic));
                            }
                        }
                        order = mouth.suspend(Left::Ended);
                    }
                    Order::GoOn => order = mouth.suspend(Left::Ended),
                    Order::Quit => return,
                }
            }
        };
        Ok(Fiber {
            coroutine: ManuallyDrop::new(Coroutine::with_stack(DefaultStack::new(STACK)?, body)),
            exit,
            job,
            idle: true,
        })
    }

    /// Runs a job until it ends or pauses.
    #[inline]
    pub(super) fn begin(&mut self, job: J) -> Left {
        self.job.set(Some(job));
        self.enter(Order::Run)
    }

    /// Goes on with the job that has paused.
    #[inline]
    pub(super) fn go_on(&mut self) -> Left {
        self.enter(Order::GoOn)
    }

    /// What the job that has ended has panicked with, if it has.
    #[inline]
    pub(super) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.exit.panic.take()
    }

    #[inline(always)]
    fn enter(&mut self, order: Order) -> Left {
        let outside = EXIT.replace(Rc::as_ptr(&self.exit));
        self.idle = false;
        let left = match self.coroutine.resume(order) {
            CoroutineResult::Yield(left) => left,
            CoroutineResult::Return(()) => Left::Ended,
        };
        EXIT.set(outside);
        self.idle = left == Left::Ended;
        left
    }
}

impl<J: Job + 'static> Drop for Fiber<J> {
    fn drop(&mut self) {
        if !self.idle {
            // A job is on its stack, which is left where it is: freeing it under the job would be unsound.
            return;
        }
        if self.coroutine.started() {
            self.enter(Order::Quit);
        }
        // SAFETY: not used again. Its stack is empty: it has returned, or was never begun.
        unsafe { ManuallyDrop::drop(&mut self.coroutine) };
    }
}

/// The idle fibers of a thread. Boxed, since they are passed from hand to hand.
#[allow(clippy::vec_box)]
pub(super) struct Pool<J: Job + 'static>(RefCell<Vec<Box<Fiber<J>>>>);

impl<J: Job + 'static> Pool<J> {
    pub(super) const fn new() -> Pool<J> {
        Pool(RefCell::new(Vec::new()))
    }

    pub(super) fn take(&self) -> io::Result<Box<Fiber<J>>> {
        let pooled = self.0.borrow_mut().pop();
        pooled.map_or_else(|| Fiber::new().map(Box::new), Ok)
    }

    pub(super) fn give_back(&self, fiber: Box<Fiber<J>>) {
        if fiber.idle {
            self.0.borrow_mut().push(fiber);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Act(Box<dyn FnOnce()>);

    impl Job for Act {
        fn run(self) {
            (self.0)();
        }
    }

    fn act(act: impl FnOnce() + 'static) -> Act {
        Act(Box::new(act))
    }

    #[test]
    fn a_job_is_left_and_come_back_to_and_the_next_uses_the_same_stack() {
        let mut fiber = Fiber::new().expect("there is memory");
        let seen = Rc::new(Cell::new(0));
        for round in 0..3 {
            let see = seen.clone();
            let left = fiber.begin(act(move || {
                see.set(round * 10 + 1);
                assert!(pause());
                see.set(round * 10 + 2);
            }));
            assert!(matches!(left, Left::Paused));
            assert_eq!(seen.get(), round * 10 + 1);
            assert!(!pause(), "nobody is to be left here");
            assert_eq!(fiber.go_on(), Left::Ended);
            assert_eq!(seen.get(), round * 10 + 2);
        }
    }

    #[test]
    fn two_fibers_take_turns_and_a_panic_stays_in_its_own() {
        let mut one = Fiber::new().expect("there is memory");
        let mut two = Fiber::new().expect("there is memory");
        let calm = || act(|| assert!(pause() && pause()));
        assert!(matches!(one.begin(calm()), Left::Paused));
        let angry = act(|| {
            pause();
            std::panic::resume_unwind(Box::new("angry"));
        });
        assert!(matches!(two.begin(angry), Left::Paused));
        assert!(matches!(one.go_on(), Left::Paused));
        assert_eq!(two.go_on(), Left::Ended);
        let panic = two.take_panic().expect("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"angry"));
        assert!(!std::thread::panicking());
        assert_eq!(one.go_on(), Left::Ended);
        assert_eq!(two.begin(act(|| ())), Left::Ended);
        assert!(one.take_panic().is_none() && two.take_panic().is_none());
    }

    #[test]
    fn a_fiber_that_is_dropped_with_a_job_on_it_leaks_it() {
        let held = Rc::new(());
        let kept = held.clone();
        let mut fiber = Fiber::new().expect("there is memory");
        assert!(matches!(
            fiber.begin(act(move || {
                pause();
                drop(kept);
            })),
            Left::Paused
        ));
        drop(fiber);
        assert_eq!(Rc::strong_count(&held), 2);
        let pool = Pool::new();
        let mut idle = pool.take().expect("there is memory");
        assert_eq!(idle.begin(act(|| ())), Left::Ended);
        pool.give_back(idle);
        assert!(pool.take().expect("the same").idle);
    }
}
