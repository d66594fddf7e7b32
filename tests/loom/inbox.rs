//! The inbox of a worker.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op);
world!(leaves_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, LEAVE_MESSAGE: Ordering = Ordering::Relaxed);
world!(collects_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, COLLECT: Ordering = Ordering::Relaxed);
world!(goes_in_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, GO_IN: Ordering = Ordering::Relaxed);
world!(goes_out_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, GO_OUT: Ordering = Ordering::Relaxed);
world!(shuts_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, SHUT: Ordering = Ordering::Relaxed);
world!(sees_out_relaxed: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, SEE_OUT: Ordering = Ordering::Relaxed);
world!(does_not_wait: "../../src/op/inbox.rs" as inbox, "models/inbox.rs", op, WAITS_FOR_SENDERS: bool = false);

#[test]
fn messages_come_whole_and_in_the_order_of_their_sender() {
    let name = "inbox: two senders, two messages each";
    holds(name, Bound::Preemptions(3), || {
        ships::models::in_order(2, 2)
    });
    let name = "inbox: one sender, two messages";
    holds(name, Bound::None, || ships::models::in_order(1, 2));
    let twin = "inbox, leaving relaxed";
    convicts(twin, Bound::None, || leaves_relaxed::models::in_order(1, 2));
    let twin = "inbox, collecting relaxed";
    convicts(twin, Bound::None, || {
        collects_relaxed::models::in_order(1, 2)
    });
}

#[test]
fn a_message_is_delivered_or_given_back() {
    let name = "inbox: a close against a sender";
    holds(name, Bound::None, || ships::models::closed(1));
    let name = "inbox: a close against two senders";
    holds(name, Bound::Preemptions(3), || ships::models::closed(2));
    let twin = "inbox, a close that does not wait for senders";
    convicts(twin, Bound::None, || does_not_wait::models::closed(1));
}

#[test]
fn nobody_is_inside_after_a_close() {
    let name = "inbox: what is done while it is open, against a close";
    holds(name, Bound::None, ships::models::shut_out);
    let twin = "inbox, a visit that ends relaxed";
    convicts(twin, Bound::None, goes_out_relaxed::models::shut_out);
    let twin = "inbox, a close that waits relaxed";
    convicts(twin, Bound::None, sees_out_relaxed::models::shut_out);
    let twin = "inbox, a close that does not wait";
    convicts(twin, Bound::None, does_not_wait::models::shut_out);
}

#[test]
fn a_new_life_is_seen_whole() {
    let name = "inbox: a sender to the next life";
    holds(name, Bound::None, ships::models::next_life);
    let twin = "inbox, a visit that begins relaxed";
    convicts(twin, Bound::None, goes_in_relaxed::models::next_life);
    let twin = "inbox, a close that shuts relaxed";
    convicts(twin, Bound::None, shuts_relaxed::models::next_life);
}
