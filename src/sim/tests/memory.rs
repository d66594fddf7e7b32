//! No allocation in the steady state, nor by a reset: counted per thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

struct Counting;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

// SAFETY: the system's allocator does the work; a thread local without a destructor is always there.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

pub(super) fn request(id: u32, verb: Verb, handle: i32, ptr: *mut u8, len: u32) -> Request {
    Request {
        verb,
        vectored: false,
        writable: true,
        may_be_ready: false,
        handle,
        len,
        flags: 0,
        ptr,
        offset: 0,
        token: u64::from(id),
        event: EventId::ROOT.child(id),
        cause: EventId::ROOT,
        location: Location::caller(),
    }
}

/// A connection is made, used and closed, with a timer beside it.
pub(super) fn run(world: &World, rounds: u32) {
    let (mut out, mut into) = ([1u8; 64], [0u8; 64]);
    let mut addr: SocketAddr = ADDR.parse().unwrap();
    world.add_file("/etc/motd", &[1; 100]);
    let submit = |id, verb, handle, ptr: *mut u8, len| {
        let request = request(id, verb, handle, ptr, len);
        // SAFETY: the buffers outlive this call of `run`, at whose end nothing is in flight.
        world.with(|kernel| unsafe { kernel.submit(id, &request) });
    };
    let next = || match world.with(|kernel| kernel.step(Until::Event)) {
        Stepped::Completion(_, result) => result,
        other => panic!("{other:?}"),
    };
    let listener = world.with(|kernel| kernel.listen(addr, 4, false)).unwrap();
    let client = world.with(|kernel| kernel.socket(None)).unwrap();
    submit(0, Verb::Connect, client, (&raw mut addr).cast(), 0);
    assert_eq!(next(), 0);
    submit(1, Verb::Accept, listener, std::ptr::null_mut(), 0);
    let server = next();
    for _ in 0..rounds {
        submit(0, Verb::Send, client, out.as_mut_ptr(), 64);
        submit(1, Verb::Recv, server, into.as_mut_ptr(), 64);
        submit(2, Verb::Timer, -1, std::ptr::null_mut(), 0);
        for _ in 0..3 {
            next();
        }
        submit(3, Verb::Recv, server, into.as_mut_ptr(), 64);
        world.with(|kernel| kernel.cancel(3, 3));
        next();
        if world.with(|kernel| kernel.in_flight()) > 0 {
            next();
        }
    }
    [client, server, listener]
        .into_iter()
        .for_each(|handle| world.close(handle));
    world.finish();
    assert!(world.violation().is_none());
}

#[test]
fn the_steady_state_allocates_nothing_and_neither_does_a_reset() {
    let world = World::new(Config::default(), Box::new(Kind));
    run(&world, 10);
    let chooser: Box<dyn Chooser> = Box::new(Kind);
    let before = ALLOCATIONS.with(Cell::get);
    let chooser = world.reset(Config::default(), chooser);
    for _ in 0..10 {
        run(&world, 100);
    }
    drop(world.reset(Config::default(), chooser));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
}
