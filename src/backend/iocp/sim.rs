//! A completion port on the simulated kernel's objects: below the driver, on any system.
//!
//! It is as Windows documents it, and holds the driver to that: an overlapped structure that is touched or used
//! again while it is the kernel's is noticed, so is an operation on a handle that was never associated; a socket has no
//! addresses before its context was updated; a pseudo-packet of somebody else's may come. Numbers are Windows': a packet's
//! where a packet says it, Winsock's where a call does.
//!
//! What is chosen beside the kernel's own freedoms stands in its table of transitions (`sim/transitions/port.rs`).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use super::desk::lock;
use super::port::{
    Addresses, Call, Cancelled, Dequeued, Handle, Overlapped, Packet, Piece, Port, Sleep, Sort,
    Started, code,
};
use super::sim_errors as errors;
use crate::backend::sim::{place, request};
use crate::backend::{Code, ConnectAddr, ListenOptions, Op, Raw, Segment, Token};
use crate::sim::World;
use crate::sim::kernel::Kernel;
use crate::sim::steps::{Stepped, Until};

/// What stands in an overlapped while it is the kernel's.
const PENDING: usize = 0x0103;

/// Sockets that are no kernel objects yet: what an accept is to fill.
const FRESH: usize = 1 << 32;

/// A simulated completion port.
pub(super) struct SimPort {
    world: World,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    packets: VecDeque<Packet>,
    /// By the token that the kernel knows the operation by.
    flights: HashMap<u64, Box<Flight>>,
    /// Of operations that are over: to be used again.
    #[allow(clippy::vec_box)] // they go to the map and come back where they are
    spare: Vec<Box<Flight>>,
    handles: HashMap<usize, About>,
    /// What fresh sockets have become.
    fresh: HashMap<usize, i32>,
    next_fresh: usize,
}

/// What the port knows of a handle.
#[derive(Clone, Copy, Default)]
struct About {
    /// The key of its packets, if it is associated.
    key: Option<usize>,
    /// It was told to skip packets, and can.
    skips: bool,
    can_skip: bool,
    /// It was connected by ConnectEx or AcceptEx, and its context was not updated since.
    stale: bool,
}

/// What an operation lends that the driver does not keep.
struct Flight {
    overlapped: *mut Overlapped,
    key: usize,
    code: Code,
    len: u32,
    /// A socket that is to become the connection.
    fresh: usize,
    segments: Vec<Segment>,
    to: ConnectAddr,
}

// SAFETY: its pointers are numbers here: the kernel follows them, on its own thread, while they are lent.
unsafe impl Send for Flight {}

impl SimPort {
    pub(super) fn new(world: &World) -> SimPort {
        SimPort {
            world: world.clone(),
            state: Mutex::default(),
        }
    }

    /// The kernel's number of a handle.
    fn raw(&self, handle: Handle) -> i32 {
        if handle.0 & FRESH == 0 {
            return handle.0 as i32;
        }
        lock(&self.state)
            .fresh
            .get(&handle.0)
            .copied()
            .unwrap_or(-1)
    }

    /// Enters the kernel for a call that can fail.
    fn call<R>(&self, body: impl FnOnce(&mut Kernel) -> Result<R, i32>) -> Result<R, u32> {
        match self.world.enter(body) {
            Ok(result) => result.map_err(errors::of_call),
            // On another thread than the kernel's there is nothing to be asked.
            Err(_) => Err(code::WSAEINVAL),
        }
    }

    fn about(&self, handle: Handle) -> About {
        let state = lock(&self.state);
        state.handles.get(&handle.0).copied().unwrap_or_default()
    }

    fn update(&self, handle: Handle, change: impl FnOnce(&mut About)) {
        change(lock(&self.state).handles.entry(handle.0).or_default());
    }

    /// WSAENOTCONN, if the context of a socket was to be updated and was not.
    fn is_updated(&self, handle: Handle) -> Result<(), u32> {
        match self.about(handle).stale {
            true => Err(10057),
            false => Ok(()),
        }
    }

    /// Starts an operation on a handle that is associated.
    ///
    /// # Safety
    ///
    /// As all that start one: `op` is what is asked for, without its handle. What it lends is lent, but for
    /// segments and an address, which `keep` has the flight keep.
    unsafe fn start(
        &self,
        call: Call<'_>,
        handle: Handle,
        op: Op,
        keep: impl FnOnce(&mut Flight, &mut Op),
    ) -> Started {
        let about = self.about(handle);
        let Some(key) = about.key else {
            panic!(
                "{:?} was started on a handle that is not associated: no packet would come",
                op.code
            );
        };
        // SAFETY: passed on.
        unsafe { self.submit(call, key, about.skips, self.raw(handle), op, keep) }
    }

    /// # Safety
    ///
    /// As [`start`](SimPort::start).
    unsafe fn submit(
        &self,
        call: Call<'_>,
        key: usize,
        skips: bool,
        raw: i32,
        mut op: Op,
        keep: impl FnOnce(&mut Flight, &mut Op),
    ) -> Started {
        let id = call.token.0;
        {
            let mut state = lock(&self.state);
            let in_use = state
                .flights
                .values()
                .any(|it| it.overlapped == call.overlapped);
            assert!(
                !in_use,
                "the overlapped of {:?} is the kernel's still (I4)",
                call.token
            );
            let mut flight = state.spare.pop().unwrap_or_else(Flight::new);
            flight.overlapped = call.overlapped;
            flight.key = key;
            flight.code = op.code;
            flight.len = op.len;
            op.raw = Raw(raw);
            keep(&mut flight, &mut op);
            state.flights.insert(id, flight);
        }
        // SAFETY: it is the kernel's from here to the end.
        unsafe {
            (*call.overlapped).internal = PENDING;
            (*call.overlapped).internal_high = id as usize;
        }
        let mut asked = request(call.token, &op, call.origin);
        asked.may_be_ready = true;
        let submitted = self.world.with(|kernel| {
            // SAFETY: the port's contract is the kernel's.
            unsafe { kernel.submit(place(call.token), &asked) }
        });
        let Some(result) = submitted else {
            return Started::Pending;
        };
        let Some(flight) = lock(&self.state).flights.remove(&id) else {
            unreachable!("it was put there above")
        };
        let mut packet = self.over(&flight, result);
        let started = match packet.error {
            0 => Started::Done(packet.bytes),
            // It is an error of the call's.
            _ => Started::Failed(match result {
                error if error < 0 => errors::of_call(-error),
                _ => packet.error,
            }),
        };
        let mut state = lock(&self.state);
        if let (Started::Done(_), false) = (started, skips) {
            packet.key = key;
            state.packets.push_back(packet);
        }
        state.spare.push(flight);
        started
    }

    /// What the packet of an operation says that came to `result`; the overlapped is the driver's again.
    fn over(&self, flight: &Flight, result: i32) -> Packet {
        // SAFETY: it was the kernel's until now.
        let overlapped = unsafe { &mut *flight.overlapped };
        assert_eq!(
            overlapped.internal, PENDING,
            "the driver has touched the overlapped of a {:?} while it was the kernel's (I4)",
            flight.code
        );
        let (bytes, error) = match result {
            error if error < 0 => (0, errors::of_packet(-error, flight.code)),
            0 if flight.code == Code::ReadAt && flight.len > 0 => (0, code::HANDLE_EOF),
            raw if flight.code == Code::Accept => {
                let mut state = lock(&self.state);
                state.fresh.insert(flight.fresh, raw);
                state.handles.entry(flight.fresh).or_default().stale = true;
                (0, 0)
            }
            count => (count as u32, 0),
        };
        overlapped.internal = error as usize;
        overlapped.internal_high = bytes as usize;
        Packet {
            key: flight.key,
            overlapped: flight.overlapped,
            bytes,
            error,
        }
    }

    /// A completion of the kernel's becomes a packet.
    fn completed(&self, token: u64, result: i32) -> Packet {
        let flight = lock(&self.state).flights.remove(&token);
        let Some(flight) = flight else {
            unreachable!("the kernel ends what was submitted through the port")
        };
        let packet = self.over(&flight, result);
        lock(&self.state).spare.push(flight);
        packet
    }
}

impl Flight {
    fn new() -> Box<Flight> {
        Box::new(Flight {
            overlapped: std::ptr::null_mut(),
            key: 0,
            code: Code::Nop,
            len: 0,
            fresh: 0,
            segments: Vec::new(),
            to: ConnectAddr {
                addr: ([0, 0, 0, 0], 0).into(),
                scratch: [0; 4],
            },
        })
    }

    /// Keeps the pieces of a transfer: the array need not outlive the call.
    fn keep(&mut self, op: &mut Op, pieces: &[Piece]) {
        if let [piece] = pieces {
            (op.ptr, op.len) = (piece.ptr, piece.len);
            return;
        }
        self.segments.clear();
        self.segments.extend(pieces.iter().map(|piece| Segment {
            ptr: piece.ptr,
            len: piece.len as usize,
        }));
        op.code = match op.code {
            Code::Recv => Code::RecvVectored,
            _ => Code::SendVectored,
        };
        (op.ptr, op.len) = (self.segments.as_mut_ptr().cast(), pieces.len() as u32);
    }
}

impl Port for SimPort {
    fn describe(&self) -> String {
        "a completion port on the simulated kernel: one thread, virtual time, every freedom a decision"
            .to_owned()
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn longest_sleep(&self) -> Option<Duration> {
        None
    }

    fn socket(&self, _: bool, local: Option<SocketAddr>) -> Result<Handle, u32> {
        let Some(local) = local else {
            // The kernel makes the socket of a connection when it accepts it.
            let mut state = lock(&self.state);
            state.next_fresh += 1;
            return Ok(Handle(FRESH | state.next_fresh));
        };
        let is_any = local.ip().is_unspecified() && local.port() == 0;
        self.call(|kernel| kernel.socket((!is_any).then_some(local)))
            .map(|raw| Handle(raw as usize))
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> Result<Handle, u32> {
        self.call(|kernel| kernel.listen(addr, options.backlog, options.reuse_port))
            .map(|raw| Handle(raw as usize))
    }

    fn local_addr(&self, socket: Handle) -> Result<SocketAddr, u32> {
        self.is_updated(socket)?;
        let raw = self.raw(socket);
        self.call(|kernel| kernel.local_addr(raw))
    }

    fn peer_addr(&self, socket: Handle) -> Result<SocketAddr, u32> {
        self.is_updated(socket)?;
        let raw = self.raw(socket);
        self.call(|kernel| kernel.peer_addr(raw))
    }

    fn set_nodelay(&self, socket: Handle, on: bool) -> Result<(), u32> {
        let raw = self.raw(socket);
        self.call(|kernel| kernel.set_nodelay(raw, on))
    }

    fn nodelay(&self, socket: Handle) -> Result<bool, u32> {
        let raw = self.raw(socket);
        self.call(|kernel| kernel.nodelay(raw))
    }

    fn set_linger(&self, socket: Handle, seconds: Option<u64>) -> Result<(), u32> {
        let raw = self.raw(socket);
        self.call(|kernel| kernel.set_linger(raw, seconds))
    }

    fn linger(&self, socket: Handle) -> Result<Option<u64>, u32> {
        let raw = self.raw(socket);
        self.call(|kernel| kernel.linger(raw))
    }

    fn associate(&self, handle: Handle, key: usize) -> Result<(), u32> {
        if self.about(handle).key.is_some() {
            return Err(errors::INVALID_PARAMETER);
        }
        let chosen = self.world.enter(Kernel::associates);
        self.update(handle, |about| {
            about.key = Some(key);
            about.can_skip = chosen.as_ref().is_ok_and(|chosen| chosen.skips);
        });
        if chosen.is_ok_and(|chosen| chosen.foreign) {
            // Whoever follows this pointer does not get far.
            lock(&self.state).packets.push_back(Packet {
                key: !key,
                overlapped: std::ptr::dangling_mut(),
                bytes: 1,
                error: 0,
            });
        }
        Ok(())
    }

    fn skip_on_success(&self, handle: Handle, _: Sort) -> bool {
        self.update(handle, |about| about.skips = about.can_skip);
        self.about(handle).skips
    }

    fn close(&self, handle: Handle, _: Sort) {
        let raw = self.raw(handle);
        {
            let mut state = lock(&self.state);
            state.handles.remove(&handle.0);
            state.fresh.remove(&handle.0);
        }
        if raw >= 0 {
            self.world.close(raw);
        }
    }

    unsafe fn recv(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
        let op = Op::new(Code::Recv, Raw::NONE);
        // SAFETY: passed on.
        unsafe { self.start(call, socket, op, |flight, op| flight.keep(op, pieces)) }
    }

    unsafe fn send(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
        let op = Op::new(Code::Send, Raw::NONE);
        // SAFETY: passed on.
        unsafe { self.start(call, socket, op, |flight, op| flight.keep(op, pieces)) }
    }

    unsafe fn accept(
        &self,
        call: Call<'_>,
        listener: Handle,
        fresh: Handle,
        _: *mut Addresses,
    ) -> Started {
        let op = Op::new(Code::Accept, Raw::NONE);
        // SAFETY: passed on.
        unsafe { self.start(call, listener, op, |flight, _| flight.fresh = fresh.0) }
    }

    fn update_accept(&self, fresh: Handle, _: Handle) -> Result<(), u32> {
        self.update(fresh, |about| about.stale = false);
        Ok(())
    }

    unsafe fn connect(&self, call: Call<'_>, socket: Handle, to: SocketAddr) -> Started {
        self.update(socket, |about| about.stale = true);
        let op = Op::new(Code::Connect, Raw::NONE);
        // SAFETY: passed on; the address is the flight's.
        unsafe {
            self.start(call, socket, op, |flight, op| {
                flight.to.addr = to;
                op.ptr = (&raw mut flight.to).cast();
            })
        }
    }

    fn update_connect(&self, socket: Handle) -> Result<(), u32> {
        self.update(socket, |about| about.stale = false);
        Ok(())
    }

    fn shutdown(&self, _: Handle, _: u32) -> Result<(), u32> {
        unreachable!("the kernel shuts down as an operation")
    }

    unsafe fn read_file(&self, call: Call<'_>, file: Handle, ptr: *mut u8, len: u32) -> Started {
        let op = Op {
            ptr,
            len,
            // SAFETY: the driver's until the call starts anything.
            offset: unsafe { offset(call.overlapped) },
            ..Op::new(Code::ReadAt, Raw::NONE)
        };
        // SAFETY: passed on.
        unsafe { self.start(call, file, op, |_, _| ()) }
    }

    unsafe fn write_file(&self, call: Call<'_>, file: Handle, ptr: *const u8, len: u32) -> Started {
        // SAFETY: as above.
        let (code, offset) = match unsafe { offset(call.overlapped) } {
            u64::MAX => (Code::Append, 0),
            offset => (Code::WriteAt, offset),
        };
        let op = Op {
            ptr: ptr.cast_mut(),
            len,
            offset,
            ..Op::new(code, Raw::NONE)
        };
        // SAFETY: passed on.
        unsafe { self.start(call, file, op, |_, _| ()) }
    }

    fn file_len(&self, _: Handle) -> Result<u64, u32> {
        unreachable!("the kernel measures as an operation")
    }

    fn cancel(&self, _: Handle, overlapped: *mut Overlapped) -> Cancelled {
        // SAFETY: it is the driver's, or the kernel's, and there in any case; no other thread is here.
        let (internal, id) = unsafe { ((*overlapped).internal, (*overlapped).internal_high) };
        if internal != PENDING {
            return Cancelled::NotFound;
        }
        let token = Token(id as u64);
        self.world
            .enter(|kernel| {
                let found = kernel.is_under_way(place(token), token.0);
                kernel.cancel(place(token), token.0);
                found
            })
            .map_or(Cancelled::NotFound, |found| match found {
                true => Cancelled::Found,
                false => Cancelled::NotFound,
            })
    }

    fn post(&self, key: usize, number: usize) -> Result<(), u32> {
        lock(&self.state).packets.push_back(Packet {
            key,
            overlapped: std::ptr::without_provenance_mut(number),
            bytes: 0,
            error: 0,
        });
        Ok(())
    }

    fn dequeue(&self, packets: &mut [Packet], sleep: Sleep) -> Result<Dequeued, u32> {
        let mut count = 0;
        loop {
            let queued = lock(&self.state).packets.pop_front();
            let packet = match queued {
                Some(packet) => packet,
                None => {
                    let until = match sleep {
                        _ if count > 0 => Until::Now,
                        Sleep::No => Until::Now,
                        Sleep::Forever => Until::Event,
                        Sleep::Until(time) => Until::Time(time),
                    };
                    let stepped = self.world.enter(|kernel| match count {
                        0 => kernel.step(until),
                        // A look that brings nothing is none of the program's polls.
                        _ if !kernel.can_step(Until::Now) => Stepped::Nothing,
                        _ => kernel.step(Until::Now),
                    });
                    match stepped {
                        Ok(Stepped::Completion(token, result)) => self.completed(token, result),
                        _ if count > 0 => return Ok(Dequeued::Packets(count)),
                        Ok(Stepped::Nothing) => return Ok(Dequeued::Nothing),
                        Ok(Stepped::Stuck) => return Ok(Dequeued::Stuck),
                        Ok(Stepped::Over) => return Ok(Dequeued::Over),
                        Ok(Stepped::PowerLost) => return Ok(Dequeued::PowerLost),
                        Ok(Stepped::Dropped) => return Ok(Dequeued::Dropped),
                        Err(_) => return Err(code::WSAEINVAL),
                    }
                }
            };
            packets[count] = packet;
            count += 1;
            let more = count < packets.len()
                && self
                    .world
                    .enter(|kernel| kernel.can_step(Until::Now) && kernel.brings_more())
                    .unwrap_or(false);
            if !more {
                return Ok(Dequeued::Packets(count));
            }
        }
    }

    fn does(&self, code: Code) -> bool {
        matches!(
            code,
            Code::Open
                | Code::Sync
                | Code::SetLen
                | Code::Rename
                | Code::Remove
                | Code::CreateDir
                | Code::Length
                | Code::Shutdown
                | Code::Job
        )
    }

    fn perform(
        &self,
        code: Code,
        _: Option<Handle>,
        _: &[u8],
        _: u32,
        _: u64,
    ) -> Result<usize, u32> {
        unreachable!("the kernel does {code:?} as an operation")
    }

    unsafe fn other(&self, call: Call<'_>, key: usize, file: Option<Handle>, op: &Op) -> Started {
        if let Some(Err(error)) = file
            .filter(|_| op.code == Code::Shutdown)
            .map(|socket| self.is_updated(socket))
        {
            return Started::Failed(error);
        }
        let about = file.map(|file| self.about(file)).unwrap_or_default();
        let raw = file.map_or(-1, |file| self.raw(file));
        // SAFETY: passed on.
        unsafe { self.submit(call, key, about.skips, raw, *op, |_, _| ()) }
    }
}

/// Where a file operation is to begin.
///
/// # Safety
///
/// Nobody else touches the overlapped.
unsafe fn offset(overlapped: *const Overlapped) -> u64 {
    // SAFETY: the caller's promise.
    let overlapped = unsafe { &*overlapped };
    u64::from(overlapped.offset) | u64::from(overlapped.offset_high) << 32
}
