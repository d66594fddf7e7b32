//! The queue of a strand.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand);
world!(posts_acquire: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, POST: Ordering = Ordering::Acquire);
world!(posts_release: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, POST: Ordering = Ordering::Release);
world!(takes_relaxed: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, TAKE: Ordering = Ordering::Relaxed);
world!(enters_relaxed: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, ENTER: Ordering = Ordering::Relaxed);
world!(leaves_relaxed: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, LEAVE: Ordering = Ordering::Relaxed);
world!(leaves_without_a_look: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, LOOKS_AGAIN: bool = false);
world!(posts_inside_without_a_look: "../../src/strand/queue.rs" as queue, "models/queue.rs", strand, LOOKS_FIRST: bool = false);

#[test]
fn handlers_exclude_each_other_run_in_order_and_see_each_others_writes() {
    let name = "strand: two posters, one handler each";
    holds(name, Bound::None, || ships::models::posted(2, 1));
    let name = "strand: two posters, two handlers each";
    holds(name, Bound::Preemptions(3), || ships::models::posted(2, 2));
    let name = "strand: three posters";
    holds(name, Bound::Preemptions(2), || ships::models::posted(3, 1));
    let twin = "strand, a post that does not release";
    convicts(twin, Bound::None, || posts_acquire::models::posted(2, 1));
    let twin = "strand, a post that does not acquire";
    convicts(twin, Bound::None, || posts_release::models::posted(2, 1));
    let twin = "strand, taken relaxed";
    convicts(twin, Bound::None, || takes_relaxed::models::posted(2, 1));
    let twin = "strand, left relaxed";
    convicts(twin, Bound::None, || leaves_relaxed::models::posted(2, 1));
    let twin = "strand, left without another look";
    convicts(twin, Bound::None, || {
        leaves_without_a_look::models::posted(2, 1)
    });
}

#[test]
fn what_a_handler_posts_to_its_own_strand_comes_after_what_was_posted_before() {
    let name = "strand: a handler posts inside, against a post";
    holds(name, Bound::None, || ships::models::posted_inside(true));
    let twin = "strand, a post inside that does not look what others have posted";
    convicts(twin, Bound::None, || {
        posts_inside_without_a_look::models::posted_inside(true)
    });
    let twin = "strand, a post as if inside by who is not";
    convicts(twin, Bound::None, || ships::models::posted_inside(false));
}

#[test]
fn workers_that_the_strand_moves_between_see_all_of_it() {
    let name = "strand: posted here and there, run by two workers";
    holds(name, Bound::Preemptions(3), || {
        ships::models::moved_between_workers(false)
    });
    let twin = "strand, whose turn is passed on without an order";
    convicts(twin, Bound::Preemptions(3), || {
        ships::models::moved_between_workers(true)
    });
}

#[test]
fn an_idle_strand_is_entered_by_one_at_a_time() {
    let name = "strand: a completion enters it, and dispatches inside, against a post";
    holds(name, Bound::None, || ships::models::entered(true));
    let twin = "strand, entered relaxed";
    convicts(twin, Bound::None, || enters_relaxed::models::entered(true));
    let twin = "strand, a dispatch inside that does not ask who is inside";
    convicts(twin, Bound::None, || ships::models::entered(false));
}

#[test]
fn a_shutdown_drops_each_queued_handler_once() {
    let name = "strand: a shutdown with handlers queued, against a post";
    holds(name, Bound::Preemptions(3), || {
        ships::models::shut_down(true)
    });
    let twin = "strand, a shutdown that takes what it finds and goes";
    convicts(twin, Bound::Preemptions(3), || {
        ships::models::shut_down(false)
    });
}

#[test]
fn a_panic_inside_a_batch_loses_none_behind_it() {
    let name = "strand: a panic inside a batch, against a post";
    holds(name, Bound::Preemptions(3), || ships::models::panics(true));
    let twin = "strand, left by a panic as it is";
    convicts(twin, Bound::Preemptions(3), || ships::models::panics(false));
}
