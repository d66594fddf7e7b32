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
pub(super) enum Left {
    /// The job has ended, with this panic if any.
    Ended(Option<Box<dyn Any + Send>>),
    /// It has called [`pause`].
    Paused,
}

enum Order<J> {
    Run(J),
    GoOn,
    /// Return, so that the stack is empty and can be freed.
    Quit,
}

type Mouth<J> = Yielder<Order<J>, Left>;

/// A stack and what is on it.
pub(super) struct Fiber<J: Job + 'static> {
    coroutine: ManuallyDrop<Coroutine<Order<J>, Left, ()>>,
    /// Its way out, once it has been started.
    mouth: Rc<Cell<*const ()>>,
    /// No job is on the stack.
    idle: bool,
    pause: unsafe fn(*const ()),
}

/// The way out of the fiber that runs on this thread, if one does.
#[derive(Clone, Copy)]
struct Exit {
    mouth: *const (),
    pause: unsafe fn(*const ()),
}

thread_local! {
    static EXIT: Cell<Option<Exit>> = const { Cell::new(None) };
}

/// Leaves the fiber that runs here; comes back when it is resumed. False: none runs here.
pub(super) fn pause() -> bool {
    let Some(exit) = EXIT.get() else { return false };
    // SAFETY: `EXIT` is the way out of the fiber that was resumed last and has not come back, on whose
    // stack this therefore runs; `pause` is the function for its type of job.
    unsafe { (exit.pause)(exit.mouth) };
    // Others have run meanwhile.
    EXIT.set(Some(exit));
    true
}

/// # Safety
///
/// `mouth` is the `Mouth<J>` of the fiber on whose stack this runs.
unsafe fn pause_in<J: Job + 'static>(mouth: *const ()) {
    // SAFETY: the yielder lives as long as its coroutine, on whose stack the caller stands.
    let mouth = unsafe { &*mouth.cast::<Mouth<J>>() };
    // Only `Order::GoOn` comes to a fiber that is not idle.
    let _ = mouth.suspend(Left::Paused);
}

impl<J: Job + 'static> Fiber<J> {
    /// # Errors
    ///
    /// No memory could be mapped for its stack.
    pub(super) fn new() -> io::Result<Fiber<J>> {
        let mouth = Rc::new(Cell::new(std::ptr::null()));
        let tell = mouth.clone();
        let body = move |exit: &Mouth<J>, mut order: Order<J>| {
            tell.set(std::ptr::from_ref(exit).cast());
            loop {
                match order {
                    Order::Run(job) => {
                        EXIT.set(Some(Exit {
                            mouth: tell.get(),
                            pause: pause_in::<J>,
                        }));
                        // What a panic leaves half done is the job's own affair: it is passed on.
                        let ended = catch_unwind(AssertUnwindSafe(|| job.run()));
                        order = exit.suspend(Left::Ended(ended.err()));
                    }
                    Order::GoOn => order = exit.suspend(Left::Ended(None)),
                    Order::Quit => return,
                }
            }
        };
        Ok(Fiber {
            coroutine: ManuallyDrop::new(Coroutine::with_stack(DefaultStack::new(STACK)?, body)),
            mouth,
            idle: true,
            pause: pause_in::<J>,
        })
    }

    /// Runs a job until it ends or pauses.
    pub(super) fn begin(&mut self, job: J) -> Left {
        self.enter(Order::Run(job))
    }

    /// Goes on with the job that has paused.
    pub(super) fn go_on(&mut self) -> Left {
        self.enter(Order::GoOn)
    }

    fn enter(&mut self, order: Order<J>) -> Left {
        // A fiber that is started for the first time says itself where its exit is.
        let exit = (!self.mouth.get().is_null()).then_some(Exit {
            mouth: self.mouth.get(),
            pause: self.pause,
        });
        let outside = EXIT.replace(exit);
        self.idle = false;
        let left = match self.coroutine.resume(order) {
            CoroutineResult::Yield(left) => left,
            CoroutineResult::Return(()) => Left::Ended(None),
        };
        EXIT.set(outside);
        self.idle = matches!(left, Left::Ended(_));
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

/// The idle fibers of a thread.
pub(super) struct Pool<J: Job + 'static>(RefCell<Vec<Fiber<J>>>);

impl<J: Job + 'static> Pool<J> {
    pub(super) const fn new() -> Pool<J> {
        Pool(RefCell::new(Vec::new()))
    }

    pub(super) fn take(&self) -> io::Result<Fiber<J>> {
        let pooled = self.0.borrow_mut().pop();
        pooled.map_or_else(Fiber::new, Ok)
    }

    pub(super) fn give_back(&self, fiber: Fiber<J>) {
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
            assert!(matches!(fiber.go_on(), Left::Ended(None)));
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
        let Left::Ended(Some(panic)) = two.go_on() else {
            panic!("it panics")
        };
        assert_eq!(panic.downcast_ref(), Some(&"angry"));
        assert!(!std::thread::panicking());
        assert!(matches!(one.go_on(), Left::Ended(None)));
        assert!(matches!(two.begin(act(|| ())), Left::Ended(None)));
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
        assert!(matches!(idle.begin(act(|| ())), Left::Ended(None)));
        pool.give_back(idle);
        assert!(pool.take().expect("the same").idle);
    }
}
