//! Worlds about a loan: whose the buffer is, and who is told of its end, and when.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::choice::Site;
use proactor::sim::hand::{Interest, OpId, Request, Step, Stream};

use super::super::stage::{KERNEL, PROGRAM, Stage};
use super::{ADDRESS, YOU};

pub(super) fn ready_or_done(stage: &mut Stage) {
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

fn by_readiness(stage: &mut Stage, peer: Stream, server: Stream) {
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

fn by_completion(stage: &mut Stage, peer: Stream, server: Stream) {
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

pub(super) fn effect_before_completion(stage: &mut Stage) {
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

pub(super) fn cancel_race(stage: &mut Stage) {
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

pub(super) fn false_hint(stage: &mut Stage) {
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

pub(super) fn when_may_i_free(stage: &mut Stage) {
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
fn freed(stage: &mut Stage, recv: OpId, peer: Stream) {
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
