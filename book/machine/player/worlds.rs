//! The worlds of the player: each is a program of a screen, played on the kernel with everything that its chapter is
//! about left to the reader.
//!
//! A text that begins with ✗ is a mistake, and the story is over.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::choice::Site;
use proactor::sim::hand::{Interest, Request, Step};

use super::stage::{KERNEL, PEER, POOL, PROGRAM, Stage};

/// One world.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lanes: &'static [&'static str],
    pub(crate) play: fn(&mut Stage),
}

pub(crate) const WORLDS: [World; 9] = [
    World {
        name: "one-call",
        title: "A request, read with one call",
        about: "The server of the first lines of this book. The client sends its request in one piece, as it always did.",
        lanes: &["client", "kernel", "server"],
        play: one_call,
    },
    World {
        name: "ready-or-done",
        title: "Ready, or done",
        about: "A program has one buffer and wants what its peer sends. Be the program, and watch whose the buffer is.",
        lanes: &["peer", "kernel", "program"],
        play: ready_or_done,
    },
    World {
        name: "effect-before-completion",
        title: "An answer before the send is told",
        about: "A question is sent, and its answer is awaited. Two completions will come: be the kernel, and choose their order.",
        lanes: &["peer", "kernel", "program"],
        play: effect_before_completion,
    },
    World {
        name: "cancel-race",
        title: "A cancel, and the bytes",
        about: "A receive waits. A cancel is asked for, and bytes arrive: in which order, and what the kernel makes of it, is yours.",
        lanes: &["peer", "kernel", "program"],
        play: cancel_race,
    },
    World {
        name: "echo",
        title: "One echo, many ways",
        about: "The handlers of an echo server, and a client that says “ping”. The kernel may be short, once when it receives and once when it sends.",
        lanes: &["client", "kernel", "handlers"],
        play: echo,
    },
    World {
        name: "false-hint",
        title: "A hint that was false",
        about: "A library emulates a read: it waits until the socket is ready, and reads. Two threads want the same bytes.",
        lanes: &["peer", "kernel", "library"],
        play: false_hint,
    },
    World {
        name: "when-may-i-free",
        title: "When may I free it?",
        about: "A receive has borrowed a buffer of yours, and you would like it back. Try.",
        lanes: &["peer", "kernel", "program"],
        play: when_may_i_free,
    },
    World {
        name: "frame",
        title: "A frame, in pieces",
        about: "Four bytes say how long a message is, then it comes: here 0 0 0 4 and “ahoy”. The kernel cuts where it likes.",
        lanes: &["peer", "kernel", "program"],
        play: frame,
    },
    World {
        name: "slow-handler",
        title: "A slow handler",
        about: "One worker, two connections. A login costs 50 ms of computing, a ping costs nothing; both arrive at once.",
        lanes: &["peers", "kernel", "worker", "pool"],
        play: slow_handler,
    },
];

const ADDRESS: &str = "10.0.0.1:7";
const YOU: &str = "You are the program. What do you do?";

fn one_call(stage: &mut Stage) {
    let (client, server) = stage.connected(ADDRESS);
    stage.peer_sends(client, "GET /index", "sends “GET /index”");
    stage.opens(&[Site::RecvSize]);
    let recv = stage.lend(
        Request::recv(server, Vec::with_capacity(64)),
        "reads the request: one call, room for 64 bytes",
    );
    let _ = stage.kernel(&[(recv, "the read")], &[]);
    let request = stage.reap().buf;
    stage.tell(PROGRAM, format!("has read {}", said(&request)));
    if request == b"GET /index" {
        return stage.tell(
            PROGRAM,
            "answers with the index, as it has done for eleven months",
        );
    }
    match stage.choose(
        "You are the server. What do you do?",
        &[
            "read on, until the request is whole",
            "answer what has come",
        ],
    ) {
        0 => stage.tell(
            PROGRAM,
            "reads on: the rest is there already. It answers with the index",
        ),
        _ if request == b"GET /" => stage.tell(
            PROGRAM,
            "✗ answers with the page “/”, for which nobody has asked",
        ),
        _ => stage.tell(
            PROGRAM,
            format!("✗ answers {} with “400 Bad Request”", said(&request)),
        ),
    }
}

fn ready_or_done(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    stage.has_buffer();
    stage.tell(PROGRAM, "has a connection, and an empty buffer");
    let asks = [
        "ask: is it ready? (a reactor)",
        "ask: do it, and tell me when it is done (a proactor)",
    ];
    match stage.choose(YOU, &asks) {
        0 => by_readiness(stage, peer, server),
        _ => by_completion(stage, peer, server),
    }
}

type Streams = proactor::sim::hand::Stream;

fn by_readiness(stage: &mut Stage, peer: Streams, server: Streams) {
    stage.tell(PROGRAM, "tries a read, to see");
    let mut buffer = [0; 16];
    let early = stage.hand.try_read(server, &mut buffer);
    debug_assert!(early.is_err());
    stage.tell(
        KERNEL,
        "would block: nothing is there, and the buffer was not touched",
    );
    stage.tell(PROGRAM, "waits until it is ready; the buffer stays at home");
    stage.peer_sends(peer, "hello", "sends “hello”");
    let ready = stage
        .hand
        .wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    debug_assert!(ready.len() == 1);
    stage.tell(KERNEL, "says: it is readable");
    match stage.choose(
        YOU,
        &[
            "read, now that it is ready",
            "look into the buffer: it is readable, after all",
        ],
    ) {
        0 => {
            let count = stage.hand.try_read(server, &mut buffer).unwrap_or(0);
            stage.tell(
                PROGRAM,
                format!("reads: {count} bytes are copied, during this call"),
            );
            stage.tell(PROGRAM, "has the bytes. Nobody else ever had the buffer");
        }
        _ => stage.tell(
            PROGRAM,
            "✗ finds nothing: ready is not done, the bytes are still in the kernel",
        ),
    }
}

fn by_completion(stage: &mut Stage, peer: Streams, server: Streams) {
    let recv = stage.lend(
        Request::recv(server, Vec::with_capacity(16)),
        "submits a receive, and the buffer with it",
    );
    let mut sent = false;
    loop {
        let asked = match sent {
            false => "Nothing has arrived yet. What comes next?",
            true => "The bytes have arrived. What comes next?",
        };
        let next = match sent {
            false => "the peer sends",
            true => "the kernel tells of it",
        };
        if stage.choose(asked, &[next, "you look into the buffer"]) == 1 {
            let what = match sent {
                false => "✗ reads memory that the kernel may be writing to (I2)",
                true => {
                    "✗ sees “hello”, by luck: nobody has said that the kernel is done with it (I2)"
                }
            };
            return stage.tell(PROGRAM, what);
        }
        if sent {
            break;
        }
        stage.peer_sends(peer, "hello", "sends “hello”");
        stage.tell(
            KERNEL,
            "writes 5 bytes into the buffer, and queues the completion",
        );
        sent = true;
    }
    let _ = stage.kernel(&[(recv, "the receive")], &[]);
    let done = stage.reap();
    stage.tell(
        PROGRAM,
        format!(
            "takes the completion: {} bytes, and the buffer is back",
            done.buf.len()
        ),
    );
}

fn effect_before_completion(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    stage.tell(PROGRAM, "will ask “how deep?”");
    let recv = stage.submit(
        Request::recv(server, Vec::with_capacity(16)),
        "submits a receive, for the answer",
    );
    let send = stage.submit(
        Request::send(server, "how deep?"),
        "submits the send of the question",
    );
    stage.tell(
        KERNEL,
        "has sent the question: it is on its way, and nobody has been told",
    );
    let names = [(recv, "the receive"), (send, "the send")];
    let mut question = [0; 16];
    let mut answered = false;
    let (mut told_send, mut told_recv) = (false, false);
    loop {
        let others: &[&str] = if answered { &[] } else { &["the peer answers"] };
        match stage.kernel(&names, others) {
            Err(None) => break,
            Err(Some(_)) => {
                let count = stage.hand.try_read(peer, &mut question).unwrap_or(0);
                stage.peer_sends(
                    peer,
                    "9 feet",
                    &format!("reads {count} bytes, and answers “9 feet”"),
                );
                answered = true;
            }
            Ok(Step::Complete(op)) => {
                let done = stage.reap();
                if op == send {
                    told_send = true;
                    let after = if told_recv {
                        ": what was answered long ago has been sent"
                    } else {
                        ""
                    };
                    stage.tell(
                        PROGRAM,
                        format!("the send's handler: 9 bytes were sent{after}"),
                    );
                } else {
                    told_recv = true;
                    let text = String::from_utf8_lossy(&done.buf).into_owned();
                    let before = match told_send {
                        true => "",
                        false => {
                            ", to a question that has not been sent, as far as this program knows"
                        }
                    };
                    stage.tell(PROGRAM, format!("the receive's handler: “{text}”{before}"));
                }
            }
            Ok(_) => {}
        }
    }
    stage.tell(PROGRAM, "is right only if both handlers may come first");
}

fn cancel_race(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    stage.opens(&[Site::Cancel]);
    let recv = stage.lend(
        Request::recv(server, Vec::with_capacity(16)),
        "submits a receive",
    );
    let names = [(recv, "the receive")];
    let (mut asked, mut sent) = (false, false);
    loop {
        let mut others = Vec::new();
        if !asked {
            others.push("the program asks for a cancel");
        }
        if !sent {
            others.push("the peer sends");
        }
        match stage.kernel(&names, &others) {
            Err(None) => return,
            Err(Some(nth)) if others[nth].starts_with("the program") => {
                asked = true;
                stage.cancel(recv, "asks for a cancel of the receive");
            }
            Err(Some(_)) => {
                sent = true;
                stage.peer_sends(peer, "tide", "sends “tide”");
            }
            Ok(Step::Complete(_)) => {
                let done = stage.reap();
                let text = match (&done.result, asked) {
                    (Ok(_), true) => format!(
                        "the receive's handler: {} bytes, cancel or not",
                        done.buf.len()
                    ),
                    (Ok(_), false) => format!("the receive's handler: {} bytes", done.buf.len()),
                    (Err(_), _) => {
                        "the receive's handler: cancelled. The buffer is back, and empty".to_owned()
                    }
                };
                stage.tell(PROGRAM, text);
                if asked && done.result.is_ok() {
                    match stage.choose(YOU, &["use the bytes", "throw them away: it was cancelled, after all"]) {
                        0 => stage.tell(PROGRAM, "has lost nothing"),
                        _ => stage.tell(PROGRAM, "✗ has lost 4 bytes of a stream: what follows is read as if they had never been sent (I8)"),
                    }
                }
                return;
            }
            Ok(_) => {}
        }
    }
}

fn echo(stage: &mut Stage) {
    let (client, server) = stage.connected(ADDRESS);
    stage.opens(&[Site::RecvSize, Site::SendSize]);
    stage.peer_sends(client, "ping", "sends “ping”, and listens");
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let recv = stage.lend(
            Request::recv(server, Vec::with_capacity(16)),
            "initiates a read",
        );
        let _ = stage.kernel(&[(recv, "the read")], &[]);
        let mut rest = stage.reap().buf;
        stage.tell(PROGRAM, format!("the read's handler: {}", said(&rest)));
        while !rest.is_empty() {
            let text = format!("initiates a write of {}", said(&rest));
            let send = stage.lend(Request::send(server, rest.clone()), &text);
            let _ = stage.kernel(&[(send, "the write")], &[]);
            let done = stage.reap();
            let taken = done.bytes().unwrap_or(0);
            stage.tell(
                PROGRAM,
                format!("the write's handler: {taken} of {} were taken", rest.len()),
            );
            let mut bytes = [0; 16];
            let count = stage.hand.try_read(client, &mut bytes).unwrap_or(0);
            heard.extend(&bytes[..count]);
            rest.drain(..taken);
            if !rest.is_empty() {
                let what = ["write the rest", "read on: it has been written, after all"];
                if stage.choose("You are the write's handler. What do you do?", &what) == 1 {
                    return stage.tell(
                        PEER,
                        format!("✗ hears {}, and waits for the rest for ever", said(&heard)),
                    );
                }
            }
        }
    }
    stage.tell(PEER, format!("has heard {}", said(&heard)));
}

fn said(bytes: &[u8]) -> String {
    format!("“{}”", String::from_utf8_lossy(bytes))
}

fn false_hint(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    let mut buffer = [0; 16];
    stage.tell(
        PROGRAM,
        "a read is initiated: the library keeps it in its own list",
    );
    stage.tell(PROGRAM, "waits until the socket is ready");
    stage.peer_sends(peer, "hello", "sends “hello”");
    let ready = stage
        .hand
        .wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    debug_assert!(ready.len() == 1);
    stage.tell(KERNEL, "says: it is readable");
    if stage.choose(
        "What comes next?",
        &[
            "the library tries to read",
            "another thread reads from the same socket",
        ],
    ) == 1
    {
        let stolen = stage.hand.try_read(server, &mut buffer).unwrap_or(0);
        stage.tell(PROGRAM, format!("another thread has read {stolen} bytes"));
    } else {
        stage.tell(PROGRAM, "nobody else is there");
    }
    match stage.hand.try_read(server, &mut buffer) {
        Ok(count) => {
            stage.tell(PROGRAM, format!("reads {count} bytes, on its own thread"));
            return stage.tell(
                PROGRAM,
                "the read's handler is called: for the program it looks like a completion",
            );
        }
        Err(error) => debug_assert!(error.kind() == ErrorKind::WouldBlock),
    }
    stage.tell(KERNEL, "would block: the hint was true when it was given");
    let what = [
        "keep the read in the list, and wait again",
        "that is an error: tell the handler",
        "that is no bytes: tell the handler of an end",
    ];
    match stage.choose("You are the library. What do you do?", &what) {
        0 => {
            stage.tell(PROGRAM, "waits again");
            stage.peer_sends(peer, "again", "sends “again”");
            let count = stage.hand.try_read(server, &mut buffer).unwrap_or(0);
            stage.tell(
                PROGRAM,
                format!("reads {count} bytes: the read's handler is called, once"),
            );
        }
        1 => stage.tell(
            PROGRAM,
            "✗ the handler hangs up on a connection that is in good order",
        ),
        _ => stage.tell(
            PROGRAM,
            "✗ the handler closes: it was told of an end that never was",
        ),
    }
}

fn when_may_i_free(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    stage.has_buffer();
    stage.tell(PROGRAM, "has a buffer of 16 bytes");
    stage.opens(&[Site::Cancel]);
    let recv = stage.lend(
        Request::recv(server, Vec::with_capacity(16)),
        "lends it to a receive",
    );
    match stage.choose(
        YOU,
        &[
            "wait for the completion",
            "ask for a cancel",
            "free the buffer: nothing has come yet",
        ],
    ) {
        0 => stage.tell(PROGRAM, "waits"),
        1 => {
            stage.cancel(recv, "asks for a cancel");
            match stage.choose(
                YOU,
                &[
                    "wait for the completion",
                    "free the buffer: it was cancelled",
                ],
            ) {
                0 => stage.tell(PROGRAM, "waits"),
                _ => return freed(stage, recv, peer),
            }
        }
        _ => return freed(stage, recv, peer),
    }
    let names = [(recv, "the receive")];
    let mut sent = false;
    loop {
        let others: &[&str] = if sent { &[] } else { &["the peer sends"] };
        match stage.kernel(&names, others) {
            Err(Some(_)) => {
                sent = true;
                stage.peer_sends(peer, "hello", "sends “hello”");
            }
            Ok(Step::Complete(_)) => {
                let what = [
                    "take the completion, then free the buffer",
                    "free the buffer: the completion is in the queue",
                ];
                if stage.choose(YOU, &what) == 1 {
                    return stage.tell(
                        PROGRAM,
                        "✗ frees what the queue is about to give back: then two own it (I4)",
                    );
                }
                let done = stage.reap();
                let how = match done.result {
                    Ok(_) => format!("{} bytes", done.buf.len()),
                    Err(_) => "cancelled".to_owned(),
                };
                stage.tell(
                    PROGRAM,
                    format!("takes the completion: {how}. The buffer is back"),
                );
                return stage.tell(PROGRAM, "frees it");
            }
            Ok(_) => {}
            Err(None) => return,
        }
    }
}

/// It was freed while it was lent.
fn freed(stage: &mut Stage, recv: proactor::sim::hand::OpId, peer: Streams) {
    stage.tell(
        PROGRAM,
        "frees the buffer; the next one to ask for 16 bytes gets this memory",
    );
    let still = stage.hand.enabled().is_empty()
        || stage
            .hand
            .enabled()
            .iter()
            .any(|it| it.step == Step::Cancel(recv));
    if still {
        stage.peer_sends(peer, "hello", "sends “hello”");
        stage.tell(
            KERNEL,
            "✗ writes 5 bytes into memory that somebody else has by now (I4)",
        );
    } else {
        stage.tell(KERNEL, "✗ had finished with it, this time. Nobody had said so, and the next time it hasn't (I4)");
    }
}

fn frame(stage: &mut Stage) {
    let (peer, server) = stage.connected(ADDRESS);
    stage.tell(PROGRAM, "wants a length: 4 bytes");
    stage.peer_sends(peer, "\0\0\0\x04ahoy", "sends 0 0 0 4 “ahoy”, in one call");
    stage.opens(&[Site::RecvSize]);
    let Some(header) = exactly(stage, server, 4, "the length") else {
        return;
    };
    let length = header
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    stage.tell(
        PROGRAM,
        format!("the length is {length}: not more than it allows, so it wants a body"),
    );
    stage.opens(&[Site::RecvSize]);
    let Some(body) = exactly(stage, server, length, "the body") else {
        return;
    };
    stage.tell(PROGRAM, format!("has a frame: {}", said(&body)));
}

/// Receives until so many bytes are there. Nothing: the reader has ended the story.
fn exactly(stage: &mut Stage, server: Streams, count: usize, what: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let missing = count - bytes.len();
        let recv = stage.lend(
            Request::recv(server, Vec::with_capacity(missing)),
            &format!("submits a receive of {missing} bytes"),
        );
        let _ = stage.kernel(&[(recv, "the receive")], &[]);
        bytes.extend(stage.reap().buf);
        stage.tell(
            PROGRAM,
            format!("has {} of {count} bytes of {what}", bytes.len()),
        );
        if bytes.len() < count {
            let last = format!("take what is there for {what}");
            if stage.choose(YOU, &["receive the rest", &last]) == 1 {
                let text = match what {
                    "the body" => format!("✗ has a frame: {}; the rest of it will be taken for the next length", said(&bytes)),
                    _ => "✗ has a length out of too few bytes; the rest of them will be taken for the body".to_owned(),
                };
                stage.tell(PROGRAM, text);
                return None;
            }
        }
    }
    Some(bytes)
}

fn slow_handler(stage: &mut Stage) {
    let (login_peer, login) = stage.connected("10.0.0.1:7");
    let (ping_peer, ping) = stage.connected("10.0.0.1:8");
    let logs_in = stage.submit(
        Request::recv(login, Vec::with_capacity(16)),
        "reads from the login's connection",
    );
    let pings = stage.submit(
        Request::recv(ping, Vec::with_capacity(16)),
        "reads from the ping's connection",
    );
    stage.peer_sends(login_peer, "secret", "one sends a password");
    stage.peer_sends(ping_peer, "ping", "the other sends “ping”");
    let mut names = vec![(logs_in, "the login's read"), (pings, "the ping's read")];
    let hash = Duration::from_millis(50);
    loop {
        match stage.kernel(&names, &[]) {
            Err(_) => break,
            Ok(Step::Complete(op)) if op == pings => {
                stage.reap();
                let waited = stage.hand.now().as_millis();
                let text = match waited {
                    0 => "the ping's handler: answers at once".to_owned(),
                    _ => format!(
                        "✗ the ping's handler: answers, {waited} ms late, for somebody else's password (I9)"
                    ),
                };
                stage.tell(PROGRAM, text);
            }
            Ok(Step::Complete(op)) if op == logs_in => {
                stage.reap();
                stage.tell(PROGRAM, "the login's handler: has the password");
                let what = [
                    "have it hashed by the pool",
                    "hash it here: it is only 50 ms",
                ];
                if stage.choose("You are the login's handler. What do you do?", &what) == 0 {
                    let end = stage.hand.now() + hash;
                    let job = stage.submit(Request::timer(end), "offloads the hash, and returns");
                    names.push((job, "the job"));
                    stage.tell(POOL, "hashes");
                } else {
                    stage.tell(PROGRAM, "hashes; everybody else waits");
                    stage.takes(hash);
                    stage.tell(PROGRAM, "has hashed, 50 ms later, and answers");
                }
            }
            Ok(Step::Complete(_)) => {
                stage.reap();
                stage.tell(PROGRAM, "the job's handler: answers the login");
            }
            Ok(_) => stage.tell(POOL, "has hashed"),
        }
    }
    stage.tell(PROGRAM, "has nothing left to do");
}
