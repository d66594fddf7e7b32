//! The readiness face of the kernel: calls that don't wait, and what poll(2) would say.

use std::net::SocketAddr;

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::{NONBLOCK, Op, Request, State};
use super::transitions::{Does, Rule};
use crate::choice::EventId;

/// What poll(2) would say of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Readiness {
    /// POLLIN
    pub(crate) readable: bool,
    /// POLLOUT
    pub(crate) writable: bool,
    /// POLLRDHUP
    pub(crate) ended: bool,
    /// POLLHUP
    pub(crate) hung_up: bool,
    /// POLLERR
    pub(crate) failed: bool,
}

impl Kernel {
    /// A call on a descriptor with O_NONBLOCK: it has its effect now, or gives EAGAIN. `id` is a free slot,
    /// and free again when this returns.
    ///
    /// # Safety
    ///
    /// What `request.ptr` points at is lent during this call; for a sending one it is initialised.
    pub(crate) unsafe fn at_once(&mut self, id: u32, request: &Request) -> i32 {
        let request = Request {
            flags: request.flags | NONBLOCK,
            may_be_ready: false,
            ..*request
        };
        // SAFETY: it is handed out below.
        unsafe { self.submit(id, &request) };
        if self.m.ops[id as usize].state != State::Done {
            self.withdraw(id);
            self.finish(id, -errno::EAGAIN);
        }
        self.m.done.remove_newest(|&done| done == id);
        self.hand_out(id).1
    }

    /// What a wait says of an object in the name of `event`, which asks whether it is `readable`. It may say that it
    /// is although it is not. `id` is a free slot, and stays free.
    pub(crate) fn poll(&mut self, id: u32, event: EventId, raw: i32, readable: bool) -> Readiness {
        let mut is = self.readiness(raw);
        if readable
            && !is.readable
            && !self.decider.kind
            && matches!(
                self.m.handles.object(raw),
                Object::Stream { .. } | Object::Listener(_)
            )
        {
            if self.m.ops.len() <= id as usize {
                self.m.ops.resize(id as usize + 1, Op::free());
            }
            let op = &mut self.m.ops[id as usize];
            *op = Op::free();
            op.event = event;
            op.handle = raw;
            op.faults = self.config.faults_per_operation;
            is.readable = self.pick(Rule::Spurious, id) == Does::Ready;
        }
        is
    }

    /// Whose connection was accepted: accept(2) tells it even if that is over by now.
    pub(crate) fn called_by(&self, raw: i32) -> Result<SocketAddr, i32> {
        match self.m.handles.object(raw) {
            Object::Stream { conn, side } => {
                Ok(self.m.tcp.conns[conn as usize].sides[usize::from(side ^ 1)].addr)
            }
            _ => Err(errno::ENOTCONN),
        }
    }

    /// SO_ERROR: what the next operation would report, taken (socket(7)).
    pub(crate) fn take_error(&mut self, raw: i32) -> Result<i32, i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Ok(0),
            Object::Stream { conn, side } => {
                Ok(self.m.tcp.conns[conn as usize].take_error(usize::from(side)))
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    /// What poll(2) would say.
    pub(crate) fn readiness(&self, raw: i32) -> Readiness {
        match self.m.handles.object(raw) {
            Object::Closed => Readiness::default(),
            // `tcp_poll` in state TCP_CLOSE: writable, and hung up. While it connects: nothing.
            Object::Socket { connecting, .. } => Readiness {
                writable: !connecting,
                hung_up: !connecting,
                ..Readiness::default()
            },
            // `inet_csk_listen_poll`
            Object::Listener(listener) => Readiness {
                readable: self.m.tcp.has_connections(listener),
                ..Readiness::default()
            },
            Object::Stream { conn, side } => {
                self.stream_readiness(conn as usize, usize::from(side))
            }
            // `eventfd_poll`
            Object::Event(_) => Readiness {
                readable: self.is_set(raw),
                writable: true,
                ..Readiness::default()
            },
            // poll(2): regular files always are.
            Object::File { .. } => Readiness {
                readable: true,
                writable: true,
                ..Readiness::default()
            },
        }
    }
}
