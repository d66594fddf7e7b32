//! Exercise 2: to stop a receive that nobody wants any more, and to lose nothing by it.

use proactor::sim::Invariant;
use proactor::sim::hand::{Completion, OpId, Owner, Request};

pub use crate::held::Kernel;
use crate::held::{Broken, Fate, connected, search};
use crate::verdict::Check;

/// What the learner writes: asks that the receive ends, waits until it has, and gives what it brought. Whatever
/// else completes meanwhile goes into the inbox.
pub type Stop = fn(&mut Kernel, OpId, &mut Inbox) -> Vec<u8>;

/// Completions that were taken out of the queue and are somebody else's.
#[derive(Debug, Default)]
pub struct Inbox(Vec<Completion>);

impl Inbox {
    /// Keeps one for whoever it belongs to.
    pub fn put(&mut self, done: Completion) {
        self.0.push(done);
    }
}

/// Checks it.
pub fn check(stop: Stop) -> Check {
    Check::new(move |ended| search("ex02_kernel_in_hand", ended, |fate| world(fate, stop)))
}

/// A receive and a send are in flight, the peer may speak at any time, and the receive is to be stopped.
fn world(fate: Fate, stop: Stop) -> Result<(), Broken> {
    let mut kernel = Kernel::new(fate.clone());
    let (client, server) = connected(kernel.hand());
    let recv = kernel.submit(Request::recv(server, Vec::with_capacity(16)));
    let send = kernel.submit(Request::send(server, "tide table"));
    fate.tell(format!(
        "{recv} is a receive of 16 bytes, {send} a send on the same connection"
    ));
    kernel.peer_will(Request::send(client, "low water"));

    let mut inbox = Inbox::default();
    let mut heard = stop(&mut kernel, recv, &mut inbox);
    fate.tell(format!("your function returns {} bytes", heard.len()));

    if let Some(owner @ (Owner::Kernel | Owner::Queue)) = kernel.owner(recv) {
        let whose = match owner {
            Owner::Kernel => "still the kernel's",
            _ => "in the queue of completions",
        };
        let said = format!(
            "the receive has not been told as complete, and its buffer is {whose}: {}",
            kernel.explain(recv)
        );
        return Err((Invariant::I2, said));
    }
    let mut broken = false;
    while let Some(done) = kernel.next() {
        inbox.put(done);
    }
    let Some(sent) = inbox.0.iter().find(|done| done.op == send) else {
        let said = format!(
            "the completion of {send}, a send, was taken, and is not in the inbox: whoever waits for it waits for ever"
        );
        return Err((Invariant::I7, said));
    };
    broken |= sent.result.is_err();
    // What the stopped receive did not take is still to be had.
    loop {
        let recv = kernel.submit(Request::recv(server, Vec::with_capacity(16)));
        while kernel.owner(recv) != Some(Owner::You) {
            match kernel.next() {
                Some(done) if done.op == recv => match done.result {
                    Ok(_) => {
                        heard.extend(&done.buf);
                        if done.buf.is_empty() {
                            broken = true
                        }
                    }
                    Err(_) => broken = true,
                },
                Some(_) => {}
                None => break,
            }
        }
        if broken || heard.len() >= 9 || kernel.owner(recv) != Some(Owner::You) {
            break;
        }
    }
    if !broken && heard != b"low water" {
        let said = format!(
            "the peer sent \"low water\", and what was received, before the stop and after it, is {:?}: bytes were lost",
            String::from_utf8_lossy(&heard)
        );
        return Err((Invariant::I8, said));
    }
    Ok(())
}
