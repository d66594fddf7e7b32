//! Mistakes with bytes: short transfers, frames, ends of streams.

use std::net::Shutdown;
use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{Interrupted, read_exact, read_to_end, write_all};
use proactor::net::TcpStream;
use proactor::sim::Invariant;

use crate::animals::Animal;
use crate::tools::{both, connection, fail, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "short read ignored",
            "one read is taken for one message",
            Invariant::Panic,
            |sim| connection(sim, one_read, ping),
            |sim| connection(sim, whole_frame, ping),
        ),
        Animal::new(
            "short write ignored",
            "the count that a write returns is thrown away",
            Invariant::Panic,
            |sim| connection(sim, write_once, read_all_of_ping),
            |sim| connection(sim, write_all_of_it, read_all_of_ping),
        ),
        Animal::new(
            "write resumed at the start",
            "after a short write the whole buffer is sent again",
            Invariant::Panic,
            |sim| connection(sim, write_again_from_the_start, read_all_of_ping),
            |sim| connection(sim, write_on_from_there, read_all_of_ping),
        ),
        Animal::new(
            "pipelined request lost",
            "what a read brings behind the first request is dropped",
            Invariant::I7,
            |sim| connection(sim, first_line_only, two_lines),
            |sim| connection(sim, every_line, two_lines),
        ),
        Animal::new(
            "delimiter over two reads",
            "the end of a line is looked for in each read by itself",
            Invariant::I7,
            |sim| connection(sim, line_end_in_one_read, one_line),
            |sim| connection(sim, line_end_anywhere, one_line),
        ),
        Animal::new(
            "length in one read",
            "a header is assumed to come whole although the body is looped for",
            Invariant::Panic,
            |sim| connection(sim, header_in_one_read, framed),
            |sim| connection(sim, header_whole, framed),
        ),
        Animal::new(
            "spins at the end of file",
            "zero bytes are taken for nothing yet",
            Invariant::I7,
            |sim| connection(sim, reads_on_at_the_end, says_something),
            |sim| connection(sim, stops_at_the_end, says_something),
        ),
        Animal::new(
            "reset as end of file",
            "an upload that broke off is committed",
            Invariant::Panic,
            |sim| upload(sim, true),
            |sim| upload(sim, false),
        ),
        Animal::new(
            "half-close as close",
            "the answer is given up when the peer has said all it had to say",
            Invariant::Panic,
            |sim| connection(sim, gives_up_at_the_end, asks_and_half_closes),
            |sim| connection(sim, answers_after_the_end, asks_and_half_closes),
        ),
        Animal::new(
            "both write first",
            "two peers that write before they read fill both buffers",
            Invariant::I7,
            |sim| connection(sim, writes_then_reads, writes_then_reads),
            |sim| connection(sim, writes_and_reads, writes_and_reads),
        )
        .stream_buffer(16),
        Animal::new(
            "timeout forgets progress",
            "what came before a timeout is read over",
            Invariant::Panic,
            |sim| slow_frame(sim, false),
            |sim| slow_frame(sim, true),
        ),
        Animal::new(
            "cancel taken for undone",
            "a write that timed out is sent again from its start",
            Invariant::Panic,
            |sim| slow_reader(sim, false),
            |sim| slow_reader(sim, true),
        )
        .stream_buffer(8),
    ]
};

/// Sends four bytes and wants them back. What the network does wrong is not the server's fault.
async fn ping(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, b"ping".to_vec()).await else {
        return;
    };
    let (read, answer) = read_exact(&stream, Vec::with_capacity(4)).await;
    match read {
        Ok(_) => assert_eq!(answer, b"ping"),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => {
            panic!("the answer ends after {} of 4 bytes", answer.len())
        }
        Err(_) => {}
    }
}

async fn one_read(stream: TcpStream) {
    let (read, frame) = stream.read(Vec::with_capacity(4)).await;
    if read.is_ok_and(|n| n > 0) && write_all(&stream, frame).await.0.is_err() {
        fail(&stream);
    }
}

async fn whole_frame(stream: TcpStream) {
    let (read, frame) = read_exact(&stream, Vec::with_capacity(4)).await;
    if read.is_ok() && write_all(&stream, frame).await.0.is_err() {
        fail(&stream);
    }
}

/// Reads to the end, and wants `ping` if the end is one.
async fn read_all_of_ping(stream: TcpStream) {
    let (read, all) = read_to_end(&stream, Vec::new(), 64).await;
    if read.is_ok() {
        assert_eq!(String::from_utf8_lossy(&all), "ping");
    }
}

async fn write_once(stream: TcpStream) {
    if stream.write(b"ping".to_vec()).await.0.is_err() {
        fail(&stream);
    }
}

async fn write_all_of_it(stream: TcpStream) {
    if write_all(&stream, b"ping".to_vec()).await.0.is_err() {
        fail(&stream);
    }
}

async fn write_again_from_the_start(stream: TcpStream) {
    let mut buf = b"ping".to_vec();
    loop {
        let wrote;
        (wrote, buf) = stream.write(buf).await;
        match wrote {
            Ok(4) => return,
            Ok(_) => {}
            Err(_) => return fail(&stream),
        }
    }
}

async fn write_on_from_there(stream: TcpStream) {
    let mut buf = b"ping".to_vec();
    while !buf.is_empty() {
        let wrote;
        (wrote, buf) = stream.write(buf).await;
        match wrote {
            Ok(n) => drop(buf.drain(..n)),
            Err(_) => return fail(&stream),
        }
    }
}

/// Two requests in two writes, two answers.
async fn two_lines(stream: TcpStream) {
    for request in ["one\n", "two\n"] {
        let (Ok(_), _) = write_all(&stream, request.as_bytes().to_vec()).await else {
            return;
        };
    }
    if let (Ok(_), answers) = read_exact(&stream, Vec::with_capacity(8)).await {
        assert_eq!(String::from_utf8_lossy(&answers), "one\ntwo\n");
    }
}

async fn first_line_only(stream: TcpStream) {
    let mut line = Vec::new();
    loop {
        let (read, buf) = stream.read(Vec::with_capacity(16)).await;
        if !read.is_ok_and(|n| n > 0) {
            return;
        }
        line.extend_from_slice(&buf);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end + 1);
            let (sent, _) = write_all(&stream, std::mem::take(&mut line)).await;
            if sent.is_err() {
                return;
            }
        }
    }
}

async fn every_line(stream: TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let (read, buf) = stream.read(Vec::with_capacity(16)).await;
        if !read.is_ok_and(|n| n > 0) {
            return;
        }
        bytes.extend_from_slice(&buf);
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = bytes.drain(..=end).collect();
            if write_all(&stream, line).await.0.is_err() {
                return;
            }
        }
    }
}

async fn one_line(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, b"hi\r\n".to_vec()).await else {
        return;
    };
    let _ = read_exact(&stream, Vec::with_capacity(1)).await;
}

async fn line_end_in_one_read(stream: TcpStream) {
    loop {
        let (read, buf) = stream.read(Vec::with_capacity(16)).await;
        if !read.is_ok_and(|n| n > 0) {
            return;
        }
        if buf.windows(2).any(|pair| pair == b"\r\n") {
            let _ = write_all(&stream, b"!".to_vec()).await;
            return;
        }
    }
}

async fn line_end_anywhere(stream: TcpStream) {
    let mut line = Vec::new();
    loop {
        let (read, buf) = stream.read(Vec::with_capacity(16)).await;
        if !read.is_ok_and(|n| n > 0) {
            return;
        }
        line.extend_from_slice(&buf);
        if line.windows(2).any(|pair| pair == b"\r\n") {
            let _ = write_all(&stream, b"!".to_vec()).await;
            return;
        }
    }
}

/// A length in two bytes, and so many bytes.
async fn framed(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, b"\x00\x03abc".to_vec()).await else {
        return;
    };
    let (read, answer) = read_exact(&stream, Vec::with_capacity(3)).await;
    match read {
        Ok(_) => assert_eq!(answer, b"abc"),
        Err(error) if Interrupted::in_error(&error).is_some_and(|it| it.done > 0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            panic!("the server hung up on a good frame")
        }
        Err(_) => {}
    }
}

async fn frame_of(stream: TcpStream, header: [u8; 2]) {
    let length = usize::from(u16::from_be_bytes(header));
    if length > 64 {
        return;
    }
    match read_exact(&stream, Vec::with_capacity(length)).await {
        (Ok(_), body) => {
            if write_all(&stream, body).await.0.is_err() {
                fail(&stream);
            }
        }
        (Err(_), _) => fail(&stream),
    }
}

async fn header_in_one_read(stream: TcpStream) {
    let (read, header) = stream.read(Vec::with_capacity(2)).await;
    if read.is_err() {
        return fail(&stream);
    }
    let mut both = [0; 2];
    both[..header.len()].copy_from_slice(&header);
    frame_of(stream, both).await;
}

async fn header_whole(stream: TcpStream) {
    match read_exact(&stream, Vec::with_capacity(2)).await {
        (Ok(_), header) => frame_of(stream, [header[0], header[1]]).await,
        (Err(_), _) => fail(&stream),
    }
}

async fn says_something(stream: TcpStream) {
    let _ = write_all(&stream, b"something".to_vec()).await;
}

async fn reads_on_at_the_end(stream: TcpStream) {
    while stream.read(Vec::with_capacity(16)).await.0.is_ok() {}
}

async fn stops_at_the_end(stream: TcpStream) {
    while stream
        .read(Vec::with_capacity(16))
        .await
        .0
        .is_ok_and(|n| n > 0)
    {}
}

/// A client uploads 8 bytes; what is committed is all of them.
fn upload(sim: &Sim, any_end_will_do: bool) {
    let committed = seen(None);
    let commit = committed.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let mut all = Vec::new();
            loop {
                match stream.read(Vec::with_capacity(4)).await {
                    (Ok(0), _) => break,
                    (Ok(_), buf) => all.extend_from_slice(&buf),
                    (Err(_), _) if any_end_will_do => break,
                    (Err(_), _) => return,
                }
            }
            with(&commit, |it| *it = Some(all));
        },
        |stream: TcpStream| async move {
            // A client that can't send everything does not let it look like an end.
            if write_all(&stream, b"8 bytes!".to_vec()).await.0.is_err() {
                return fail(&stream);
            }
            let _ = stream.shutdown(Shutdown::Write).await;
            let _ = stream.read(Vec::with_capacity(1)).await;
        },
    );
    let committed = with(&committed, Option::take);
    if let Some(bytes) = committed {
        assert_eq!(String::from_utf8_lossy(&bytes), "8 bytes!");
    }
}

async fn asks_and_half_closes(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, b"?".to_vec()).await else {
        return fail(&stream);
    };
    let Ok(()) = stream.shutdown(Shutdown::Write).await else {
        return;
    };
    let (read, answer) = read_to_end(&stream, Vec::new(), 64).await;
    if read.is_ok() {
        assert_eq!(answer, b"42", "no answer");
    }
}

async fn gives_up_at_the_end(stream: TcpStream) {
    let (Ok(1), _) = stream.read(Vec::with_capacity(16)).await else {
        return fail(&stream);
    };
    // While the answer is worked out, a watch on whether the client is still there.
    let handle = stream.handle();
    let mut work = Box::pin(pause(&handle, 1));
    let mut gone = stream.read(Vec::with_capacity(1)).into_future();
    match crate::tools::first_of(&mut work, &mut gone).await {
        crate::tools::Either::First(()) => {
            if write_all(&stream, b"42".to_vec()).await.0.is_err() {
                fail(&stream);
            }
        }
        crate::tools::Either::Second(_) => {}
    }
}

async fn answers_after_the_end(stream: TcpStream) {
    let (Ok(1), _) = stream.read(Vec::with_capacity(16)).await else {
        return fail(&stream);
    };
    pause(&stream.handle(), 1).await;
    if write_all(&stream, b"42".to_vec()).await.0.is_err() {
        fail(&stream);
    }
}

async fn writes_then_reads(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, vec![7; 64]).await else {
        return;
    };
    let _ = read_exact(&stream, Vec::with_capacity(64)).await;
}

async fn writes_and_reads(stream: TcpStream) {
    // Who can't go on one way lets nobody wait the other way.
    let writing = async {
        if write_all(&stream, vec![7; 64]).await.0.is_err() {
            stream.close();
        }
    };
    let reading = async {
        let (read, _) = read_exact(&stream, Vec::with_capacity(64)).await;
        if read.is_err() {
            stream.close();
        }
    };
    both(writing, reading).await;
}

/// A frame that comes in two halves, the second after a pause that is longer than the timeout.
fn slow_frame(sim: &Sim, goes_on: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let mut frame = Vec::new();
            for _ in 0..3 {
                let rest = 4 - frame.len();
                let read = read_exact(&stream, Vec::with_capacity(rest));
                let (read, part) = read.timeout(Duration::from_millis(5)).await;
                let timed_out =
                    |error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut;
                if goes_on || read.is_ok() {
                    frame.extend_from_slice(&part);
                }
                match read {
                    Ok(_) => {
                        assert_eq!(String::from_utf8_lossy(&frame), "abcd");
                        return;
                    }
                    Err(error) if timed_out(&error) => {}
                    Err(_) => return,
                }
            }
        },
        |stream: TcpStream| async move {
            for half in ["ab", "cd", "ef"] {
                if write_all(&stream, half.as_bytes().to_vec())
                    .await
                    .0
                    .is_err()
                {
                    return;
                }
                pause(&stream.handle(), 8).await;
            }
        },
    );
}

/// A peer that reads so slowly that a write times out in the middle.
fn slow_reader(sim: &Sim, from_there: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let mut message = b"0123456789abcdef".to_vec();
            for _ in 0..4 {
                let write = write_all(&stream, message.clone());
                match write.timeout(Duration::from_millis(5)).await.0 {
                    Ok(_) => return,
                    Err(error) => match Interrupted::in_error(&error) {
                        Some(stopped) if error.kind() == std::io::ErrorKind::TimedOut => {
                            if from_there {
                                drop(message.drain(..stopped.done as usize));
                            }
                        }
                        _ => return fail(&stream),
                    },
                }
            }
            fail(&stream);
        },
        |stream: TcpStream| async move {
            pause(&stream.handle(), 8).await;
            let (read, all) = read_to_end(&stream, Vec::new(), 256).await;
            if read.is_ok() {
                assert_eq!(String::from_utf8_lossy(&all), "0123456789abcdef");
            }
        },
    );
}
