//! The lane on a completion port: every policy of the seam's contract, and no call of the system's.
//!
//! - **What is done at once** (a skipping handle) is handed out by the next wait, or at once to who can take it. On a
//!   handle that does not skip its packet comes all the same: then that is the end, and what the call said is not.
//! - **A packet may be there before the call that started its operation has returned**, in another lane's hands. So
//!   everything is in the entry before the call, and nothing is written to it afterwards.
//! - **A cancel** marks the entry and asks the port. What that answers is not looked at: found is no
//!   promise, not found no end. The packet tells, and by the mark an abort is told from somebody else's.
//! - **Timers** never come to the port: they are a heap, and the earliest deadline is the wait's.
//! - **Events** are no kernel objects: a set takes the entry of a wait and puts it into its lane's mail.

#[cfg(all(test, feature = "check"))]
mod convicted;
mod lane;
pub(super) mod mistake;
#[cfg(test)]
mod on_fake;

use std::io;
use std::sync::Arc;

use self::mistake::{Mistake, makes};
use super::desk::Desk;
use super::entries::{Entries, Entry};
use super::objects::Known;
use super::port::{
    Call, Dequeued, Handle, Overlapped, Packet, Piece, Port, Sleep, Sort, Started, code,
};
use super::results::{self, Ended};
use super::shared::{IO_KEY, Shared};
use super::watcher::Watcher;
use crate::backend::{
    Code, Completion, ConnectAddr, LENGTH_OFFSET, Op, Origin, Segment, Tag, Token, Until,
};
use crate::time::timers::Timers;

/// A lane over a port.
pub(super) struct Driver<P: Port> {
    shared: Arc<Shared<P>>,
    desk: Arc<Desk>,
    entries: Entries,
    timers: Timers,
    /// Submitted and not handed out, timers too.
    in_flight: usize,
    /// Completions that were made here, to be handed out.
    ready: Vec<Completion>,
    packets: Box<[Packet]>,
    /// Waits in a row that had something to hand out, and did not look at the port.
    blind: u32,
    watcher: Option<Watcher>,
}

/// How an operation began.
enum Began {
    /// It is over, without a call that could have started anything.
    Over(Ended),
    Called(Started),
}

/// What a wait that took a set comes to: the bytes of an eventfd's count, as elsewhere.
pub(super) const SET: i32 = 8;

/// How many packets one call brings at most.
const BATCH: usize = 128;

/// So many waits may hand out what ended at once before they look at the port: a look is a call.
const BLIND: u32 = 8;

/// So many pieces of a vectored operation go to the kernel at once. It moves fewer bytes than asked for then, as it
/// may do in any case.
const PIECES: usize = 64;

impl<P: Port> Driver<P> {
    pub(super) fn new(shared: Arc<Shared<P>>, desk: Arc<Desk>) -> Driver<P> {
        Driver {
            shared,
            entries: Entries::new(Arc::clone(&desk)),
            desk,
            timers: Timers::default(),
            in_flight: 0,
            ready: Vec::new(),
            packets: vec![Packet::NONE; BATCH].into(),
            blind: 0,
            watcher: None,
        }
    }

    /// Starts an operation. Some: it is over already, and no packet will come.
    ///
    /// # Safety
    ///
    /// As [`Lane::submit`](crate::backend::Lane::submit).
    unsafe fn start(&mut self, token: Token, op: &Op, origin: &Origin) -> Option<Ended> {
        let shared = &*self.shared;
        let known = shared.objects.known(op.raw);
        let entry = self.entries.of(token);
        debug_assert_eq!(entry.token.get(), None, "{token:?} is in flight");
        let offset = match op.code {
            Code::ReadAt | Code::WriteAt => op.offset,
            Code::Append => u64::MAX,
            _ => 0,
        };
        // SAFETY: nothing is in flight in this entry, so nobody else touches it.
        unsafe { entry.whole().write(Overlapped::at(offset)) };
        entry.token.set(Some(token));
        entry.code.set(op.code);
        entry.raw.set(op.raw);
        entry
            .handle
            .set(known.map_or(Handle(0), |known| known.handle));
        entry.cancelled.set(false);
        let call = Call {
            overlapped: entry.whole(),
            token,
            origin,
        };
        // SAFETY: passed on: what `op` lends is lent, and the entry is free until here.
        let began = unsafe { Self::call(shared, entry, call, known, op) };
        if makes(Mistake::WritesAfterTheCall) {
            entry.leave(0, 0);
        }
        let skips = known.is_some_and(|known| known.skips) && !makes(Mistake::WaitsForever)
            || makes(Mistake::SkipsOnEveryHandle);
        let ended = match began {
            Began::Over(ended) => ended,
            Began::Called(Started::Failed(error)) => finish(shared, entry, 0, error),
            Began::Called(Started::Done(bytes)) if skips => finish(shared, entry, bytes, 0),
            Began::Called(Started::Done(_) | Started::Pending) => {
                self.entries.busy += 1;
                return None;
            }
        };
        entry.token.set(None);
        Some(ended)
    }

    /// The call of the port, or what stands in for it.
    ///
    /// # Safety
    ///
    /// As [`start`](Driver::start); `call` is of `entry`.
    #[inline]
    unsafe fn call(
        shared: &Shared<P>,
        entry: &Entry,
        call: Call<'_>,
        known: Option<Known>,
        op: &Op,
    ) -> Began {
        let port = &shared.port;
        if port.does(op.code) {
            let file = known.map(|known| known.handle);
            // SAFETY: passed on.
            return Began::Called(unsafe { port.other(call, IO_KEY, file, op) });
        }
        match op.code {
            Code::Nop => return Began::Over(Ended::Done(0)),
            Code::Wait => {
                return match shared.objects.wait(op.raw, entry) {
                    Some(true) => Began::Over(Ended::Done(SET)),
                    Some(false) => Began::Called(Started::Pending),
                    None => Began::Called(Started::Failed(code::WSAEINVAL)),
                };
            }
            _ => {}
        }
        let Some(known) = known else {
            return Began::Called(Started::Failed(code::WSAENOTSOCK));
        };
        let handle = known.handle;
        Began::Called(match op.code {
            Code::Recv | Code::Send => {
                let piece = Piece {
                    len: op.len,
                    ptr: op.ptr,
                };
                // SAFETY: passed on.
                return unsafe { transfer(port, call, handle, op.code, &[piece]) };
            }
            Code::RecvVectored | Code::SendVectored => {
                let mut pieces = [Piece {
                    len: 0,
                    ptr: std::ptr::null_mut(),
                }; PIECES];
                // SAFETY: `len` segments stand at `ptr`, lent.
                let count = unsafe { gather(op, &mut pieces) };
                // SAFETY: passed on.
                return unsafe { transfer(port, call, handle, op.code, &pieces[..count]) };
            }
            Code::Accept => {
                let fresh = match port.socket(known.v6, None) {
                    Ok(fresh) => fresh,
                    Err(error) => return Began::Called(Started::Failed(error)),
                };
                entry.fresh.set(Some(fresh));
                let addresses = entry.addresses.get().cast();
                // SAFETY: passed on; the addresses are the entry's, and stand as long as it does.
                unsafe { port.accept(call, handle, fresh, addresses) }
            }
            Code::Connect => {
                // SAFETY: the seam lends a ConnectAddr at `ptr`.
                let to = unsafe { (*op.ptr.cast::<ConnectAddr>()).addr };
                // SAFETY: passed on.
                unsafe { port.connect(call, handle, to) }
            }
            Code::Shutdown => return over(op.code, port.shutdown(handle, op.flags)),
            // SAFETY: passed on.
            Code::ReadAt => unsafe { port.read_file(call, handle, op.ptr, op.len) },
            // SAFETY: passed on.
            Code::WriteAt | Code::Append => unsafe {
                port.write_file(call, handle, op.ptr, op.len)
            },
            Code::Length => {
                let len = port.file_len(handle).map(|len| {
                    // SAFETY: 256 bytes are lent at `ptr`.
                    unsafe { op.ptr.add(LENGTH_OFFSET).cast::<u64>().write_unaligned(len) };
                });
                return over(op.code, len);
            }
            // The offload pool does them (`does`), or there are none of them here.
            _ => Started::Failed(code::NOT_SUPPORTED),
        })
    }

    /// Whether there is something to hand out, and the first timer.
    #[cfg(feature = "check")]
    pub(super) fn has(&self) -> (bool, Option<u64>) {
        let ready = !self.ready.is_empty() || self.desk.has_mail();
        (ready, self.timers.first())
    }

    /// Hands out what has ended here, and what others have brought.
    fn hand_out(&mut self, batch: &mut Vec<Completion>) {
        self.in_flight -= self.ready.len();
        batch.append(&mut self.ready);
        if self.desk.has_mail() {
            let before = batch.len();
            let shared = &self.shared;
            self.desk.take_mail(|entry| {
                let (bytes, error) = entry.left();
                batch.extend(take(shared, entry, bytes, error));
            });
            self.ended(batch.len() - before);
        }
    }

    /// So many operations that were in flight in entries are over.
    fn ended(&mut self, count: usize) {
        self.in_flight -= count;
        self.entries.busy -= count;
    }

    /// Takes packets out of the port: our own into the batch, others' to their lanes.
    fn dequeue(&mut self, batch: &mut Vec<Completion>, sleep: Sleep) -> io::Result<Dequeued> {
        let shared = &*self.shared;
        self.blind = 0;
        let dequeued = shared
            .port
            .dequeue(&mut self.packets, sleep)
            .map_err(results::error)?;
        if let Dequeued::Packets(count) = dequeued {
            let before = batch.len();
            let wakes = shared.deliver(&self.packets[..count], |entry, packet| {
                if !std::ptr::eq(entry.desk, &*self.desk) {
                    return false;
                }
                batch.extend(take(shared, entry, packet.bytes, packet.error));
                true
            });
            if wakes && sleep == Sleep::No {
                shared.seat.pass_wake_on(|| shared.post_wake());
            }
            self.ended(batch.len() - before);
        }
        Ok(dequeued)
    }

    /// Sleeps, in the port or beside it. Whether the lane was rung.
    fn rest(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<(Dequeued, bool)> {
        let sleep = self.sleep(until);
        let shared = Arc::clone(&self.shared);
        let desk = Arc::clone(&self.desk);
        let (dequeued, rung) = shared.seat.rest(
            &desk,
            || shared.park(sleep),
            || matches!(sleep, Sleep::Until(time) if time <= shared.port.now()),
            || self.dequeue(batch, shared.bounded(sleep)),
        );
        let dequeued = dequeued.unwrap_or(Ok(Dequeued::Nothing))?;
        Ok((dequeued, rung && !makes(Mistake::ForgetsTheMark)))
    }

    /// Hands out timers that are due.
    fn fire(&mut self, batch: &mut Vec<Completion>) {
        if self.timers.len() == 0 {
            return;
        }
        let now = self.shared.port.now();
        while let Some(token) = self.timers.pop_due(now) {
            self.in_flight -= 1;
            batch.push(Completion { token, result: 0 });
        }
    }

    /// How long a wait may sleep.
    fn sleep(&self, until: Until) -> Sleep {
        let until = match until {
            Until::Now => return Sleep::No,
            Until::Event => None,
            Until::Time(time) => Some(time),
        };
        match (until, self.timers.first()) {
            (None, None) => Sleep::Forever,
            (Some(time), None) | (None, Some(time)) => Sleep::Until(time),
            (Some(one), Some(other)) => Sleep::Until(one.min(other)),
        }
    }

    fn has_come(&self, until: Until) -> bool {
        match until {
            Until::Now => true,
            Until::Event => false,
            Until::Time(time) => self.shared.port.now() >= time,
        }
    }
}

/// WSARecv or WSASend; of nothing there is nothing to be done. (A receive of nothing would wait for bytes, and tell
/// of an end.)
///
/// # Safety
///
/// As [`Port::recv`].
unsafe fn transfer(
    port: &impl Port,
    call: Call<'_>,
    socket: Handle,
    code: Code,
    pieces: &[Piece],
) -> Began {
    if pieces.iter().all(|piece| piece.len == 0) {
        return Began::Over(Ended::Done(0));
    }
    // SAFETY: passed on.
    Began::Called(unsafe {
        match code {
            Code::Recv | Code::RecvVectored => port.recv(call, socket, pieces),
            _ => port.send(call, socket, pieces),
        }
    })
}

/// The pieces of a vectored operation, as far as there is room, and a result can count. How many. Empty ones are left
/// out: if they took the room, nothing would be moved where something can be, and that reads as the end.
///
/// # Safety
///
/// `op.len` segments stand at `op.ptr`.
unsafe fn gather(op: &Op, pieces: &mut [Piece; PIECES]) -> usize {
    let mut left = i32::MAX as usize;
    let mut count = 0;
    for at in 0..op.len as usize {
        // SAFETY: the caller's promise.
        let segment = unsafe { *op.ptr.cast::<Segment>().add(at) };
        let len = segment.len.min(left);
        if len == 0 {
            continue;
        }
        left -= len;
        pieces[count] = Piece {
            len: len as u32,
            ptr: segment.ptr,
        };
        count += 1;
        if count == PIECES {
            break;
        }
    }
    count
}

/// What a call that starts nothing has come to.
fn over(code: Code, result: Result<(), u32>) -> Began {
    Began::Over(results::ended(code, false, 0, result.err().unwrap_or(0)))
}

/// Takes an operation out of its entry: it is over.
fn take<P: Port>(shared: &Shared<P>, entry: &Entry, bytes: u32, error: u32) -> Option<Completion> {
    let ended = finish(shared, entry, bytes, error);
    let token = entry.token.take()?;
    Some(completion(token, ended))
}

/// What is handed out of an end.
fn completion(token: Token, ended: Ended) -> Completion {
    match ended {
        Ended::Done(result) => Completion { token, result },
        Ended::Undone => Completion {
            token: token.with_tag(Tag::Undone),
            result: -(code::OPERATION_ABORTED as i32),
        },
    }
}

/// What has come of an operation, and what is left to be done for it.
fn finish<P: Port>(shared: &Shared<P>, entry: &Entry, bytes: u32, error: u32) -> Ended {
    let ended = results::ended(entry.code.get(), entry.cancelled.get(), bytes, error);
    match entry.code.get() {
        Code::Accept => accepted(shared, entry, ended),
        Code::Connect if ended == Ended::Done(0) => {
            match shared.port.update_connect(entry.handle.get()) {
                Ok(()) => ended,
                Err(error) => results::ended(Code::Connect, false, 0, error),
            }
        }
        Code::Open if error == 0 => {
            Ended::Done(shared.adopt(Handle(bytes as usize), Sort::File, false))
        }
        _ => ended,
    }
}

/// A connection, or the end of the socket that was to be one.
fn accepted<P: Port>(shared: &Shared<P>, entry: &Entry, ended: Ended) -> Ended {
    let Some(fresh) = entry.fresh.take() else {
        return ended;
    };
    if ended != Ended::Done(0) {
        shared.port.close(fresh, Sort::Socket);
        return ended;
    }
    if let Err(error) = shared.port.update_accept(fresh, entry.handle.get()) {
        shared.port.close(fresh, Sort::Socket);
        return results::ended(Code::Accept, false, 0, error);
    }
    let v6 = shared
        .objects
        .known(entry.raw.get())
        .is_some_and(|it| it.v6);
    Ended::Done(shared.adopt(fresh, Sort::Socket, v6))
}
