//! Mistakes with protocols: whose answer it is, what an end means, one transfer after the other.

use std::net::Shutdown;
use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{read_exact, read_to_end, write_all};
use proactor::net::TcpStream;
use proactor::sim::Invariant;

use crate::animals::Animal;
use crate::tools::{Seen, connection, fail, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "late answer for the next",
            "a connection is used again after a timeout, with an answer still on its way",
            Invariant::Panic,
            |sim| pooled(sim, false),
            |sim| pooled(sim, true),
        ),
        Animal::new(
            "empty body as the end",
            "a read of no bytes, for a body of none, is taken for the end of the stream",
            Invariant::Panic,
            |sim| connection(sim, empty_is_the_end, two_frames),
            |sim| connection(sim, empty_is_a_body, two_frames),
        ),
        Animal::new(
            "text cut between reads",
            "each read is decoded by itself, and a character lies in two",
            Invariant::Panic,
            |sim| connection(sim, decodes_each_read, says_a_word),
            |sim| connection(sim, decodes_the_whole, says_a_word),
        ),
        Animal::new(
            "closes over unread bytes",
            "the answer is killed by the reset of a close with unread data",
            Invariant::Panic,
            |sim| connection(sim, refuses_and_closes, uploads_too_much),
            |sim| connection(sim, refuses_and_lingers, uploads_too_much),
        )
        .config(|config| config.faults_per_operation = 0),
        Animal::new(
            "writes not chained",
            "the second write is started before the first has ended",
            Invariant::Panic,
            |sim| connection(sim, writes_at_once, hears_hello),
            |sim| connection(sim, writes_in_turn, hears_hello),
        ),
        Animal::new(
            "reads not chained",
            "two reads are kept in flight, and put together as they end",
            Invariant::Panic,
            |sim| hearing(sim, true),
            |sim| hearing(sim, false),
        ),
        Animal::new(
            "end before the length",
            "a body is passed on at the end of the stream, however long it was to be",
            Invariant::Panic,
            |sim| announced(sim, false),
            |sim| announced(sim, true),
        ),
    ]
};

/// Two requests on one connection; the first answer takes its time.
fn pooled(sim: &Sim, gives_up: bool) {
    connection(
        sim,
        |stream: TcpStream| async move {
            while let (Ok(1), request) = stream.read(Vec::with_capacity(1)).await {
                pause(&stream.handle(), 4).await;
                if stream.write(request).await.0.is_err() {
                    return;
                }
            }
        },
        move |stream: TcpStream| async move {
            for request in *b"12" {
                if stream.write(vec![request]).await.0.is_err() {
                    return;
                }
                let answer = stream.read(Vec::with_capacity(1));
                match answer.timeout(Duration::from_millis(5)).await {
                    (Ok(0), _) => return,
                    (Ok(_), answer) => assert_eq!(answer, [request], "somebody else's answer"),
                    (Err(error), _) if error.kind() == std::io::ErrorKind::TimedOut => {
                        if gives_up {
                            return;
                        }
                    }
                    (Err(_), _) => return,
                }
            }
        },
    );
}

async fn two_frames(stream: TcpStream) {
    let (Ok(_), _) = write_all(&stream, b"\x03abc\x00".to_vec()).await else {
        return;
    };
    let (read, _) = read_exact(&stream, Vec::with_capacity(2)).await;
    if let Err(error) = read {
        let ended = error.kind() == std::io::ErrorKind::UnexpectedEof;
        assert!(!ended, "the server hung up on good frames");
    }
}

/// One byte for each frame.
async fn acknowledge(stream: &TcpStream) -> bool {
    write_all(stream, b"+".to_vec()).await.0.is_ok()
}

async fn empty_is_the_end(stream: TcpStream) {
    while let (Ok(_), length) = read_exact(&stream, Vec::with_capacity(1)).await {
        let mut rest = usize::from(length[0]);
        loop {
            match stream.read(Vec::with_capacity(rest)).await.0 {
                Ok(0) => return,
                Ok(n) => rest -= n,
                Err(_) => return fail(&stream),
            }
            if rest == 0 {
                break;
            }
        }
        if !acknowledge(&stream).await {
            return fail(&stream);
        }
    }
}

async fn empty_is_a_body(stream: TcpStream) {
    loop {
        let (read, length) = read_exact(&stream, Vec::with_capacity(1)).await;
        if let Err(error) = read {
            if error.kind() != std::io::ErrorKind::UnexpectedEof {
                fail(&stream);
            }
            return;
        }
        let body = Vec::with_capacity(usize::from(length[0]));
        if read_exact(&stream, body).await.0.is_err() || !acknowledge(&stream).await {
            return fail(&stream);
        }
    }
}

async fn says_a_word(stream: TcpStream) {
    let _ = write_all(&stream, "né".as_bytes().to_vec()).await;
}

async fn decodes_each_read(stream: TcpStream) {
    let mut text = String::new();
    while let (Ok(1..), bytes) = stream.read(Vec::with_capacity(16)).await {
        text.push_str(&String::from_utf8(bytes).expect("clients send UTF-8"));
    }
}

async fn decodes_the_whole(stream: TcpStream) {
    let (read, bytes) = read_to_end(&stream, Vec::new(), 64).await;
    if read.is_ok() && bytes.len() == "né".len() {
        String::from_utf8(bytes).expect("clients send UTF-8");
    }
}

/// No free faults here: nobody resets it but who closes too early.
async fn uploads_too_much(stream: TcpStream) {
    let _ = write_all(&stream, b"8 bytes!".to_vec()).await;
    let mut answer = Vec::new();
    while let (Ok(1..), bytes) = stream.read(Vec::with_capacity(4)).await {
        answer.extend_from_slice(&bytes);
    }
    assert_eq!(String::from_utf8_lossy(&answer), "413");
}

async fn refuses_and_closes(stream: TcpStream) {
    let _ = read_exact(&stream, Vec::with_capacity(2)).await;
    let _ = write_all(&stream, b"413".to_vec()).await;
}

async fn refuses_and_lingers(stream: TcpStream) {
    let _ = read_exact(&stream, Vec::with_capacity(2)).await;
    let _ = write_all(&stream, b"413".to_vec()).await;
    let _ = stream.shutdown(Shutdown::Write).await;
    while let (Ok(1..), _) = stream.read(Vec::with_capacity(16)).await {}
}

async fn hears_hello(stream: TcpStream) {
    if let (Ok(_), heard) = read_exact(&stream, Vec::with_capacity(5)).await {
        assert_eq!(String::from_utf8_lossy(&heard), "hello");
    }
}

async fn writes_at_once(stream: TcpStream) {
    for part in ["he", "llo"] {
        let open = stream.clone();
        write_all(&stream, part.as_bytes().to_vec()).then(move |_| drop(open));
    }
}

async fn writes_in_turn(stream: TcpStream) {
    for part in ["he", "llo"] {
        if write_all(&stream, part.as_bytes().to_vec())
            .await
            .0
            .is_err()
        {
            return;
        }
    }
}

/// Four bytes, in reads of two.
fn hearing(sim: &Sim, both_at_once: bool) {
    let heard: Seen<Vec<u8>> = seen(Vec::new());
    let all = heard.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let hear = move |bytes: &[u8]| with(&all, |it| it.extend_from_slice(bytes));
            if both_at_once {
                for _ in 0..2 {
                    let (hear, open) = (hear.clone(), stream.clone());
                    stream.read(Vec::with_capacity(2)).then(move |(_, bytes)| {
                        hear(&bytes);
                        drop(open);
                    });
                }
            } else {
                for _ in 0..2 {
                    hear(&stream.read(Vec::with_capacity(2)).await.1);
                }
            }
        },
        |stream: TcpStream| async move {
            let _ = write_all(&stream, b"abcd".to_vec()).await;
        },
    );
    let heard = with(&heard, std::mem::take);
    let heard = String::from_utf8_lossy(&heard);
    assert!("abcd".starts_with(&*heard), "{heard:?}");
}

/// Three bytes are announced, and a client that can't send them all closes.
fn announced(sim: &Sim, compares: bool) {
    let passed_on = seen(None);
    let pass = passed_on.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let (Ok(_), length) = read_exact(&stream, Vec::with_capacity(1)).await else {
                return;
            };
            let length = usize::from(length[0]);
            let (read, body) = read_to_end(&stream, Vec::new(), 64).await;
            let all = read.is_ok() && (!compares || body.len() == length);
            if all {
                with(&pass, |it| *it = Some(body));
            }
        },
        |stream: TcpStream| async move {
            // One write each: what is short is not sent again, the user has gone.
            if stream.write(b"\x03".to_vec()).await.0.is_ok() {
                let _ = stream.write(b"abc".to_vec()).await;
            }
        },
    );
    if let Some(body) = with(&passed_on, Option::take) {
        assert_eq!(String::from_utf8_lossy(&body), "abc");
    }
}
