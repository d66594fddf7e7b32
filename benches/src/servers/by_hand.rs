//! What there is to beat: one loop for one job, no operation type, no errors worth the name.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{IoUring, opcode, squeue, types};

use crate::client::MESSAGE;
use crate::meter;

struct Connection {
    fd: RawFd,
    buffer: [u8; MESSAGE],
}

impl Connection {
    fn recv(&mut self, index: u64) -> squeue::Entry {
        opcode::Recv::new(types::Fd(self.fd), self.buffer.as_mut_ptr(), MESSAGE as u32)
            .build()
            .user_data(index << 1)
    }

    fn send(&self, index: u64, len: u32) -> squeue::Entry {
        opcode::Send::new(types::Fd(self.fd), self.buffer.as_ptr(), len)
            .build()
            .user_data(index << 1 | 1)
    }
}

pub fn run(connections: usize, requests: u64) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    meter::serve(listener.local_addr()?.port(), requests);
    // Both kept open to the end of the process.
    let mut streams = Vec::with_capacity(connections);
    let mut table = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        table.push(Connection {
            fd: stream.as_raw_fd(),
            buffer: [0; MESSAGE],
        });
        streams.push(stream);
    }

    // A connection has one operation at a time: the queue never fills.
    let entries = connections.next_power_of_two().max(8) as u32;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .build(entries)?;
    ring.submitter().register_ring_fd()?;
    let (submitter, mut sq, mut cq) = ring.split();
    for (index, connection) in table.iter_mut().enumerate() {
        let entry = connection.recv(index as u64);
        // SAFETY: the table does not move and outlives the ring's use of it: the process ends first.
        unsafe { sq.push(&entry) }.expect("room for one entry a connection");
    }
    loop {
        sq.sync(); // what was pushed
        submitter.submit_and_wait(1)?;
        sq.sync(); // what the kernel took
        cq.sync();
        for completion in &mut cq {
            let index = completion.user_data() >> 1;
            let n = completion.result();
            if n <= 0 {
                continue; // the client is gone
            }
            let connection = &mut table[index as usize];
            let entry = if completion.user_data() & 1 == 0 {
                connection.send(index, n as u32)
            } else {
                meter::answered();
                connection.recv(index)
            };
            // SAFETY: as above.
            unsafe { sq.push(&entry) }.expect("room for one entry a connection");
        }
    }
}
