//! Two mistakes that people make in servers, and that the checker finds: each is a connection which
//! uses the parts of the real one and gets a single thing wrong.

use std::mem;
use std::net::Shutdown;

use proactor::buf::IoBuf;
use proactor::check::{Checker, Failure};
use proactor::fs::File;

use crate::conversation::Conversation;
use crate::exchange::{Connection, Taken};
use crate::model::{Ask, get};
use crate::server::Serve;

/// A few requests, small enough for one piece each.
const ASKS: &[Ask] = &[
    get("/docs/"),
    Ask { close: true, ..get("/docs/index.html") },
];

/// Serves whole files that fit into one piece, and is right as long as the kernel is kind.
async fn serve_small_files(mut connection: Connection, mistake: Mistake) {
    loop {
        let request = match connection.take_request() {
            Taken::Complete(request) => request,
            Taken::Refused { .. } => return,
            Taken::Incomplete(patience) => {
                let input = connection.free_input();
                if mistake == Mistake::TimerOfTheConnection {
                    let stream = connection.stream.clone();
                    // One timer for the connection and not for the read: who takes it back?
                    connection.proactor.sleep(patience).then(move |_| stream.close());
                }
                let (result, input) = connection.stream.read(input).await;
                connection.input = input.into_inner();
                match result {
                    Ok(1..) => continue,
                    Ok(0) | Err(_) => return,
                }
            }
        };
        let Ok(wanted) = &request.wanted else { return };
        let path = connection.site.locate(&wanted.target);
        let Ok(file) = File::open(&connection.proactor, path).await else { return };
        let Ok(total) = file.len().await else { return };
        let body = connection.begin_file(&request, file, total);
        let head = connection.output.len();
        let output = connection.free_output(&body);
        let (result, output) = body.file.read_at(output, body.offset).await;
        connection.output = output.into_inner();
        let Ok(read) = result else { return };
        let Ok(mut reply) = connection.take_piece(head, read, body) else { return };
        while let Some(body) = reply.body.take() {
            let head = connection.output.len();
            let output = connection.free_output(&body);
            let (result, output) = body.file.read_at(output, body.offset).await;
            connection.output = output.into_inner();
            let Ok(read) = result else { return };
            match connection.take_piece(head, read, body) {
                Ok(next) => reply = next,
                Err(_) => return,
            }
        }
        let mut from = 0;
        while from < connection.output.len() {
            let output = mem::take(&mut connection.output).slice(from..);
            let (result, output) = connection.stream.write(output).await;
            connection.output = output.into_inner();
            match result {
                // A write may take less than all of it.
                Ok(1..) if mistake == Mistake::ShortWrite => break,
                Ok(sent @ 1..) => from += sent,
                Ok(0) | Err(_) => return,
            }
        }
        if !reply.keep_alive {
            let _ = connection.stream.shutdown(Shutdown::Write).await;
            return;
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    ShortWrite,
    TimerOfTheConnection,
}

fn with_short_writes(connection: Connection) {
    let proactor = connection.proactor;
    drop(proactor.spawn(serve_small_files(connection, Mistake::ShortWrite)));
}

fn with_one_timer(connection: Connection) {
    let proactor = connection.proactor;
    drop(proactor.spawn(serve_small_files(connection, Mistake::TimerOfTheConnection)));
}

fn failure(name: &str, serve: Serve) -> Box<Failure> {
    let conversation = Conversation { asks: ASKS, cuts: &[] };
    Checker::new()
        .name(name)
        .run(move |sim| conversation.hold(sim.proactor(), sim.world(), serve))
        .expect_err("the mistake is found")
}

#[test]
fn a_short_write_that_is_taken_for_a_whole_one_is_found() {
    let report = failure("planted/short-write", with_short_writes).to_string();
    assert!(report.contains("short"), "{report}");
    assert!(report.contains("PROACTOR_REPLAY"), "{report}");
}

#[test]
fn a_timer_that_outlives_its_request_is_found() {
    let report = failure("planted/one-timer", with_one_timer).to_string();
    assert!(report.contains("PROACTOR_REPLAY"), "{report}");
}
