//! A scripted port for the tests of the driver's policies: no kernel, no thread, no clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use super::desk::lock;
use super::port::{
    Addresses, Call, Cancelled, Dequeued, Handle, Overlapped, Packet, Piece, Port, Sleep, Sort,
    Started, code,
};
use crate::backend::{Code, ListenOptions};

/// A port that does what its script says, and writes down what it was asked. It never follows a pointer.
#[derive(Default)]
pub(super) struct Fake {
    state: Mutex<Script>,
}

/// What it does, and what it was asked.
#[derive(Default)]
pub(super) struct Script {
    /// What the next calls that start something answer; none left: pending.
    pub(super) starts: VecDeque<Started>,
    /// The packets with which what was started could end, and how long its pieces are.
    pub(super) started: Vec<(Packet, Vec<u32>)>,
    /// What others do inside the next call that starts something, or sleeps.
    pub(super) meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// To be dequeued.
    pub(super) packets: VecDeque<Packet>,
    /// Comes with every look at the port, and a nanosecond later.
    pub(super) endless: Option<Packet>,
    /// So many of the next posts fail.
    pub(super) failing: u32,
    pub(super) posts: u32,
    /// The looks at the port.
    pub(super) looks: Vec<Sleep>,
    pub(super) time: u64,
    pub(super) skips: bool,
    pub(super) longest_sleep: Option<Duration>,
    associated: usize,
}

impl Fake {
    pub(super) fn script<R>(&self, body: impl FnOnce(&mut Script) -> R) -> R {
        body(&mut lock(&self.state))
    }

    fn others(&self) {
        let meanwhile = self.script(|script| script.meanwhile.take());
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
    }

    fn start(&self, call: Call<'_>, pieces: &[Piece]) -> Started {
        let started = self.script(|script| {
            let packet = Packet {
                key: script.associated,
                overlapped: call.overlapped,
                ..Packet::NONE
            };
            let lens = pieces.iter().map(|piece| piece.len).collect();
            script.started.push((packet, lens));
            script.starts.pop_front().unwrap_or(Started::Pending)
        });
        self.others();
        started
    }
}

impl Port for Fake {
    fn describe(&self) -> String {
        "a script".to_owned()
    }

    fn now(&self) -> u64 {
        self.script(|script| script.time)
    }

    fn longest_sleep(&self) -> Option<Duration> {
        self.script(|script| script.longest_sleep)
    }

    fn socket(&self, _: bool, _: Option<SocketAddr>) -> Result<Handle, u32> {
        Ok(Handle(7))
    }

    fn listen(&self, _: SocketAddr, _: ListenOptions) -> Result<Handle, u32> {
        Ok(Handle(8))
    }

    fn local_addr(&self, _: Handle) -> Result<SocketAddr, u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn peer_addr(&self, _: Handle) -> Result<SocketAddr, u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn set_nodelay(&self, _: Handle, _: bool) -> Result<(), u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn nodelay(&self, _: Handle) -> Result<bool, u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn set_linger(&self, _: Handle, _: Option<u64>) -> Result<(), u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn linger(&self, _: Handle) -> Result<Option<u64>, u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn associate(&self, _: Handle, key: usize) -> Result<(), u32> {
        self.script(|script| script.associated = key);
        Ok(())
    }

    fn skip_on_success(&self, _: Handle, _: Sort) -> bool {
        self.script(|script| script.skips)
    }

    fn close(&self, _: Handle, _: Sort) {}

    unsafe fn recv(&self, call: Call<'_>, _: Handle, pieces: &[Piece]) -> Started {
        self.start(call, pieces)
    }

    unsafe fn send(&self, call: Call<'_>, _: Handle, pieces: &[Piece]) -> Started {
        self.start(call, pieces)
    }

    unsafe fn accept(&self, call: Call<'_>, _: Handle, _: Handle, _: *mut Addresses) -> Started {
        self.start(call, &[])
    }

    fn update_accept(&self, _: Handle, _: Handle) -> Result<(), u32> {
        Ok(())
    }

    unsafe fn connect(&self, call: Call<'_>, _: Handle, _: SocketAddr) -> Started {
        self.start(call, &[])
    }

    fn update_connect(&self, _: Handle) -> Result<(), u32> {
        Ok(())
    }

    fn shutdown(&self, _: Handle, _: u32) -> Result<(), u32> {
        Ok(())
    }

    unsafe fn read_file(&self, call: Call<'_>, _: Handle, _: *mut u8, _: u32) -> Started {
        self.start(call, &[])
    }

    unsafe fn write_file(&self, call: Call<'_>, _: Handle, _: *const u8, _: u32) -> Started {
        self.start(call, &[])
    }

    fn file_len(&self, _: Handle) -> Result<u64, u32> {
        Err(code::NOT_SUPPORTED)
    }

    fn cancel(&self, _: Handle, _: *mut Overlapped) -> Cancelled {
        Cancelled::Found
    }

    fn post(&self, key: usize, _: usize) -> Result<(), u32> {
        self.script(|script| {
            script.posts += 1;
            if script.failing > 0 {
                script.failing -= 1;
                return Err(8);
            }
            let packet = Packet {
                key,
                ..Packet::NONE
            };
            script.packets.push_back(packet);
            Ok(())
        })
    }

    fn dequeue(&self, packets: &mut [Packet], sleep: Sleep) -> Result<Dequeued, u32> {
        self.script(|script| {
            script.looks.push(sleep);
            assert!(script.looks.len() < 1_000, "the driver spins");
            if let Some(packet) = script.endless {
                script.time += 1;
                script.packets.push_back(packet);
            }
        });
        if sleep != Sleep::No {
            self.others();
        }
        self.script(|script| {
            let count = packets.len().min(script.packets.len());
            if count > 0 {
                packets
                    .iter_mut()
                    .zip(script.packets.drain(..count))
                    .for_each(|(to, it)| *to = it);
                return Ok(Dequeued::Packets(count));
            }
            match sleep {
                Sleep::No => {}
                Sleep::Forever => panic!("the driver sleeps for ever"),
                Sleep::Until(time) => script.time = script.time.max(time),
            }
            Ok(Dequeued::Nothing)
        })
    }

    fn perform(&self, _: Code, _: Option<Handle>, _: &[u8], _: u32, _: u64) -> Result<usize, u32> {
        Err(code::NOT_SUPPORTED)
    }
}
