//! What the calls do, seen on Windows, or on what plays it: the legality table names these tests as evidence.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::windows::io::AsRawSocket;
use std::panic::Location;

use super::*;
use crate::backend::iocp::shared::{IO_KEY, WAKE_KEY};
use crate::backend::{Origin, Tag, Token, open_flags};
use crate::choice::EventId;

fn port() -> WinPort {
    WinPort::new().expect("a completion port")
}

/// A socket of ours on the port, and its peer.
fn pair(port: &WinPort, skips: bool) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr().expect("its address");
    let ours = TcpStream::connect(addr).expect("a connection");
    let (theirs, _) = listener.accept().expect("its other side");
    assert_eq!(port.associate(handle(&ours), IO_KEY), Ok(()));
    if skips {
        assert!(port.skip_on_success(handle(&ours), Sort::Socket));
    }
    (ours, theirs)
}

fn handle(socket: &TcpStream) -> Handle {
    Handle(socket.as_raw_socket() as usize)
}

/// Where an operation of a test stands. It is leaked: what goes wrong ends the test with the kernel at it.
fn overlapped(offset: u64) -> *mut Overlapped {
    Box::into_raw(Box::new(Overlapped::at(offset)))
}

fn piece(bytes: &mut [u8]) -> [Piece; 1] {
    [Piece {
        len: bytes.len() as u32,
        ptr: bytes.as_mut_ptr(),
    }]
}

/// Starts something with an origin that nobody looks at.
fn start(overlapped: *mut Overlapped, body: impl FnOnce(Call<'_>) -> Started) -> Started {
    let origin = Origin {
        event: EventId::ROOT,
        cause: EventId::ROOT,
        location: Location::caller(),
        writable: false,
        may_be_ready: false,
    };
    body(Call {
        overlapped,
        token: Token::new(0, 1, Tag::Operation),
        origin: &origin,
    })
}

/// The next packet, which comes soon.
fn packet(port: &WinPort) -> Packet {
    let mut packets = [Packet::NONE];
    let last = port.now() + 30_000_000_000;
    let dequeued = port.dequeue(&mut packets, Sleep::Until(last));
    assert_eq!(dequeued, Ok(Dequeued::Packets(1)));
    packets[0]
}

fn no_packet(port: &WinPort) {
    let mut packets = [Packet::NONE];
    let soon = port.now() + 20_000_000;
    let dequeued = port.dequeue(&mut packets, Sleep::Until(soon));
    assert_eq!(dequeued, Ok(Dequeued::Nothing), "{packets:?}");
    assert!(port.now() >= soon, "a sleep was too short");
}

#[test]
fn packets_come_in_batches_and_those_of_others_are_not_followed() {
    let port = port();
    for (key, number) in [(WAKE_KEY, 0), (3, 1), (4, usize::MAX)] {
        assert_eq!(port.post(key, number), Ok(()));
    }
    let mut packets = [Packet::NONE; 2];
    assert_eq!(
        port.dequeue(&mut packets, Sleep::Forever),
        Ok(Dequeued::Packets(2))
    );
    let last = packet(&port);
    let came = [packets[0], packets[1], last].map(|it| (it.key, it.overlapped.addr(), it.error));
    assert_eq!(came, [(WAKE_KEY, 0, 0), (3, 1, 0), (4, usize::MAX, 0)]);
    assert_eq!(port.dequeue(&mut packets, Sleep::No), Ok(Dequeued::Nothing));
    no_packet(&port);
}

#[test]
fn what_is_done_at_once_brings_a_packet_unless_that_is_skipped() {
    for skips in [true, false] {
        let port = port();
        let (ours, mut theirs) = pair(&port, skips);
        let at = overlapped(0);
        let mut bytes = *b"hello";
        // SAFETY: all of that stands until its end has come.
        let started = start(at, |call| unsafe {
            port.send(call, handle(&ours), &piece(&mut bytes))
        });
        assert_eq!(started, Started::Done(5));
        if !skips {
            let packet = packet(&port);
            assert_eq!((packet.overlapped, packet.bytes, packet.error), (at, 5, 0));
        }
        no_packet(&port);
        let mut came = [0; 5];
        theirs.read_exact(&mut came).expect("the bytes");
        assert_eq!(came, *b"hello");
    }
}

#[test]
fn a_receive_that_waits_ends_by_a_packet_with_what_came_or_aborted() {
    let port = port();
    let (ours, mut theirs) = pair(&port, true);
    let (at, mut bytes) = (overlapped(0), [0; 8]);
    let mut receive = || {
        // SAFETY: all of that stands until its end has come.
        start(at, |call| unsafe {
            port.recv(call, handle(&ours), &piece(&mut bytes))
        })
    };
    assert_eq!(receive(), Started::Pending);
    assert_eq!(port.cancel(handle(&ours), at), Cancelled::Found);
    let aborted = packet(&port);
    assert_eq!(
        (aborted.overlapped, aborted.error),
        (at, code::OPERATION_ABORTED)
    );

    assert_eq!(receive(), Started::Pending);
    theirs.write_all(b"abc").expect("a write");
    let done = packet(&port);
    assert_eq!((done.overlapped, done.bytes, done.error), (at, 3, 0));
    assert_eq!(bytes[..3], *b"abc");
    no_packet(&port);
    assert_eq!(port.cancel(handle(&ours), at), Cancelled::NotFound);
}

#[test]
fn a_large_send_waits_to_send_the_rest() {
    let port = port();
    let (ours, mut theirs) = pair(&port, true);
    let mut bytes = vec![7; 16 << 20];
    let at = overlapped(0);
    // SAFETY: all of that stands until its end has come.
    let started = start(at, |call| unsafe {
        port.send(call, handle(&ours), &piece(&mut bytes))
    });
    let mut came = vec![0; bytes.len()];
    theirs.read_exact(&mut came).expect("all of it");
    assert_eq!(came, bytes);
    if started != Started::Done(bytes.len() as u32) {
        assert_eq!(started, Started::Pending);
        let packet = packet(&port);
        assert_eq!((packet.bytes as usize, packet.error), (bytes.len(), 0));
    }
}

#[test]
fn the_end_of_a_file_is_an_error_in_the_call_or_in_a_packet() {
    let port = port();
    let path = std::env::temp_dir().join(format!("proactor-port-{}", std::process::id()));
    std::fs::write(&path, "abc").expect("a file");
    let name = path.as_os_str().as_encoded_bytes();
    let file = port.perform(Code::Open, None, name, open_flags::READ, 0);
    let file = Handle(file.expect("it is there"));
    assert_eq!(port.associate(file, IO_KEY), Ok(()));
    assert!(port.skip_on_success(file, Sort::File));
    assert_eq!(port.file_len(file), Ok(3));
    let mut bytes = [0; 8];
    for (offset, expected) in [(1, (2, 0)), (3, (0, code::HANDLE_EOF))] {
        let at = overlapped(offset);
        // SAFETY: all of that stands until its end has come.
        let started = start(at, |call| unsafe {
            port.read_file(call, file, bytes.as_mut_ptr(), bytes.len() as u32)
        });
        let ended = match started {
            Started::Done(bytes) => (bytes, 0),
            Started::Failed(error) => (0, error),
            Started::Pending => {
                let packet = packet(&port);
                assert_eq!(packet.overlapped, at);
                (packet.bytes, packet.error)
            }
        };
        assert_eq!(ended, expected);
    }
    assert_eq!(bytes[..2], *b"bc");
    no_packet(&port);
    port.close(file, Sort::File);
    assert_eq!(port.perform(Code::Remove, None, name, 0, 0), Ok(0));
    assert!(!path.exists());
}
