//! Worlds about servers: what they read, what they write, and for how long they keep their worker.

use std::time::Duration;

use proactor::choice::Site;
use proactor::sim::hand::{Request, Step, Stream};

use super::super::stage::{PEER, POOL, PROGRAM, Stage};
use super::{ADDRESS, YOU, said};

pub(super) fn one_call(stage: &mut Stage) {
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

pub(super) fn echo(stage: &mut Stage) {
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

pub(super) fn frame(stage: &mut Stage) {
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
fn exactly(stage: &mut Stage, server: Stream, count: usize, what: &str) -> Option<Vec<u8>> {
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

pub(super) fn slow_handler(stage: &mut Stage) {
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
