//! Parcels: what goes to the worker for a future that is away from it, and brings the output back.

use std::sync::{Arc, Mutex};
use std::task::Wake;

use super::callback;
use super::elsewhere::{Away, Delivery, Started, away};
use super::home::{HomeRef, Local, Message, Stays, lock};
use super::in_flight::{orphan, output_of_the_dead, take_output};
use super::kind::{GONE, Kind, Outcome};
use super::slots::{Slot, Stop, Waiter, life};
use super::start::Terms;

/// Has the worker start an operation; the output comes to what this returns.
pub(super) fn start<K: Kind + 'static>(home: HomeRef, kind: K, terms: Terms) -> Away<K::Output> {
    let (delivery, away) = away::<K>(home);
    let started = away.started().clone();
    // If the proactor goes before the worker gets there, the closure is dropped and `kind` with
    // it: the parcel sees to it that the output is there all the same.
    let parcel = Parcel(Some((What::Start(kind), delivery)));
    home.send(Message::Run(Box::new(move |local| {
        parcel.start(local, &started, terms)
    })));
    away
}

/// Has the worker send the output of the operation in this slot, whose future is away.
pub(super) fn fetch<K: Kind + 'static>(home: HomeRef, slot: &'static Slot) -> Away<K::Output> {
    let (delivery, away) = away::<K>(home);
    let what = What::Fetch {
        home,
        stays: Stays(slot),
    };
    let parcel = Parcel::<K>(Some((what, delivery)));
    home.send(Message::Run(Box::new(move |local| parcel.fetch(local))));
    away
}

/// What goes to the worker for a future that is polled elsewhere, and sees to it that the future
/// gets an output even if the worker never looks at it. None: it is done.
struct Parcel<K: Kind + 'static>(Option<(What<K>, Delivery<K::Output>)>);

enum What<K> {
    /// Start this.
    Start(K),
    /// Fetch the result of what a task of the worker has started there.
    Fetch { home: HomeRef, stays: Stays },
}

impl<K: Kind + 'static> Parcel<K> {
    /// On the worker: starts the operation, as one with a handler that hands the output over.
    fn start(mut self, local: &Local, started: &Started, terms: Terms) {
        if let Some((What::Start(kind), delivery)) = self.0.take() {
            let deliver = move |output| delivery.put(output);
            callback::start_internal(local, kind, deliver, started, terms);
        }
    }

    /// On the worker: hands over the result of an operation that was started here by a task.
    fn fetch(mut self, local: &Local) {
        let Some((What::Fetch { home, stays }, delivery)) = self.0.take() else {
            return;
        };
        let slot = stays.0;
        if delivery.is_abandoned() {
            orphan::<K>(local, slot);
        } else if slot.life() == life::DONE {
            delivery.put(take_output::<K>(local, slot));
        } else {
            // Come again when it is done. The waker carries the parcel.
            let again = Parcel(Some((What::Fetch { home, stays }, delivery)));
            let again = Fetcher::<K>(Mutex::new(Some(again)), home);
            drop(slot.replace_waiter(Waiter::Waker(Arc::new(again).into())));
        }
    }
}

/// Wakes the worker to hand a result over, when it is there.
struct Fetcher<K: Kind + 'static>(Mutex<Option<Parcel<K>>>, HomeRef);

impl<K: Kind + 'static> Wake for Fetcher<K> {
    fn wake(self: Arc<Self>) {
        let (parcel, home) = (lock(&self.0).take(), self.1);
        if let Some(parcel) = parcel {
            match home.here() {
                Some(local) => parcel.fetch(local),
                None => home.send(Message::Run(Box::new(move |local| parcel.fetch(local)))),
            }
        }
    }
}

impl<K: Kind + 'static> Drop for Parcel<K> {
    fn drop(&mut self) {
        match self.0.take() {
            Some((What::Start(kind), delivery)) => {
                delivery.put(kind.finish(Outcome {
                    local: None,
                    result: GONE,
                    stop: Stop::Teardown,
                }));
            }
            // A teardown threw the message away. What it was sent for is still in its slot.
            Some((What::Fetch { home, stays }, delivery)) => match home.here() {
                Some(local) => {
                    Parcel::<K>(Some((What::Fetch { home, stays }, delivery))).fetch(local);
                }
                None if home.is_alive() => delivery.forget(),
                None => {
                    // SAFETY: this parcel has what the future had: the slot and its output. The home
                    // has ended.
                    match unsafe { output_of_the_dead::<K>(stays.0) } {
                        Some(output) => delivery.put(output),
                        None => delivery.forget(),
                    }
                }
            },
            None => {}
        }
    }
}
