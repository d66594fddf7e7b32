//! Lanes on one completion port: how a packet and a wake reach the lane that they are for.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp);
world!(leaves_relaxed: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, LEAVE_MAIL: Ordering = Ordering::Relaxed);
world!(takes_relaxed: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, TAKE_MAIL: Ordering = Ordering::Relaxed);
world!(rings_without_release: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, RING: Ordering = Ordering::Acquire);
world!(rings_without_acquire: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, RING: Ordering = Ordering::Release);
world!(dozes_relaxed: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, DOZE: Ordering = Ordering::Relaxed);
world!(rises_relaxed: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, RISE: Ordering = Ordering::Relaxed);
world!(does_not_look: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, LOOKS_BEFORE_SLEEP: bool = false);
world!(calls_nobody: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, CALLS_NEXT: bool = false);
world!(keeps_the_call: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, PASSES_CALL_ON: bool = false);
world!(keeps_the_wake: "../../src/backend/iocp/desk.rs" as desk beside "models/entries.rs" as entries, "models/desk.rs", iocp, PASSES_WAKE_ON: bool = false);

#[test]
fn mail_comes_whole_and_in_order() {
    let name = "desk: two leave one entry each";
    holds(name, Bound::Preemptions(4), || {
        ships::models::mail_comes_whole_and_in_order(1)
    });
    let name = "desk: two leave two entries each";
    holds(name, Bound::Preemptions(2), || {
        ships::models::mail_comes_whole_and_in_order(2)
    });
    let twin = "desk, leaving relaxed";
    convicts(twin, Bound::Preemptions(2), || {
        leaves_relaxed::models::mail_comes_whole_and_in_order(1)
    });
    let twin = "desk, taking relaxed";
    convicts(twin, Bound::Preemptions(2), || {
        takes_relaxed::models::mail_comes_whole_and_in_order(1)
    });
}

#[test]
fn no_wake_is_lost() {
    let name = "desk: asleep in the port";
    holds(name, Bound::None, || {
        ships::models::no_wake_is_lost(2, true)
    });
    let name = "desk: asleep beside the port";
    holds(name, Bound::Preemptions(3), || {
        ships::models::no_wake_is_lost(2, false)
    });
    let twin = "desk, without a look before";
    convicts(twin, Bound::Preemptions(3), || {
        does_not_look::models::no_wake_is_lost(1, true)
    });
    let twin = "desk, beside, without a look before";
    convicts(twin, Bound::Preemptions(3), || {
        does_not_look::models::no_wake_is_lost(1, false)
    });
    let twin = "desk, rung without release";
    convicts(twin, Bound::Preemptions(3), || {
        rings_without_release::models::no_wake_is_lost(1, true)
    });
    let twin = "desk, rising relaxed";
    convicts(twin, Bound::Preemptions(3), || {
        rises_relaxed::models::no_wake_is_lost(1, true)
    });
}

#[test]
fn a_wake_taken_by_another_is_passed_on() {
    let name = "desk: a wake taken by another";
    holds(
        name,
        Bound::None,
        ships::models::a_wake_taken_by_another_is_passed_on,
    );
    let twin = "desk, a wake not passed on";
    convicts(
        twin,
        Bound::Preemptions(3),
        keeps_the_wake::models::a_wake_taken_by_another_is_passed_on,
    );
}

#[test]
fn the_port_is_watched() {
    let name = "desk: two lanes, a packet for each";
    holds(name, Bound::Preemptions(3), || {
        ships::models::the_port_is_watched(2)
    });
    let name = "desk: three lanes, a packet for each";
    holds(name, Bound::Preemptions(1), || {
        ships::models::the_port_is_watched(3)
    });
    let name = "desk: one is called to the seat and rung";
    holds(
        name,
        Bound::Preemptions(2),
        ships::models::a_call_to_the_seat_is_passed_on,
    );
    let twin = "desk, leaving the seat without a call";
    convicts(twin, Bound::Preemptions(2), || {
        calls_nobody::models::the_port_is_watched(2)
    });
    let twin = "desk, a call to the seat not passed on";
    convicts(
        twin,
        Bound::Preemptions(2),
        keeps_the_call::models::a_call_to_the_seat_is_passed_on,
    );
}

#[test]
fn a_watched_lane_is_fetched() {
    let name = "desk: watched, the end is brought";
    holds(name, Bound::Preemptions(1), || {
        ships::models::a_watched_lane_is_fetched(false)
    });
    let name = "desk: watched, the end is a packet";
    holds(name, Bound::Preemptions(2), || {
        ships::models::a_watched_lane_is_fetched(true)
    });
    let twin = "desk, rung without acquire";
    convicts(twin, Bound::Preemptions(2), || {
        rings_without_acquire::models::a_watched_lane_is_fetched(false)
    });
    let twin = "desk, dozing relaxed";
    convicts(twin, Bound::Preemptions(2), || {
        dozes_relaxed::models::a_watched_lane_is_fetched(false)
    });
}

#[test]
fn who_is_called_to_the_seat_has_it_or_calls_the_next() {
    let name = "desk: called to the seat";
    holds(name, Bound::None, ships::models::called_to_the_seat);
}
