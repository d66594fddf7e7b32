//! Mistakes that people make, and that a test on a kind kernel never sees: each is the async
//! connection with a single thing wrong. The checker finds them all.

use std::mem;

use proactor::check::Checker;

use crate::connection_async::{next_reply, read_piece, say_goodbye, send_output};
use crate::conversation::Conversation;
use crate::exchange::Connection;
use crate::model::{Ask, get};
use crate::server::Serve;

/// Takes a write that was accepted for a write of everything.
pub(crate) fn ignoring_short_writes(mut connection: Connection) {
    let proactor = connection.proactor;
    drop(proactor.spawn(async move {
        while let Some(mut reply) = next_reply(&mut connection).await {
            loop {
                let output = mem::take(&mut connection.output);
                let (result, output) = connection.stream.write(output).await;
                connection.output = output;
                let Ok(1..) = result else { return };
                let Some(body) = reply.body.take() else { break };
                connection.output.clear();
                let Ok(next) = read_piece(&mut connection, body).await else {
                    return;
                };
                reply = next;
            }
            if !reply.keep_alive {
                return say_goodbye(&mut connection).await;
            }
        }
    }));
}

/// Goes on where a whole piece would have ended, however much was read.
pub(crate) fn ignoring_short_reads(mut connection: Connection) {
    let proactor = connection.proactor;
    drop(proactor.spawn(async move {
        while let Some(mut reply) = next_reply(&mut connection).await {
            while send_output(&mut connection).await.is_ok()
                && let Some(mut body) = reply.body.take()
            {
                let chunk = connection.site.limits.chunk as u64;
                body.offset = body.offset.next_multiple_of(chunk);
                connection.output.clear();
                let Ok(next) = read_piece(&mut connection, body).await else {
                    return;
                };
                reply = next;
            }
            if !reply.keep_alive {
                return say_goodbye(&mut connection).await;
            }
        }
    }));
}

/// Goes on with the next piece when one could not be sent, as if an error were always the end of the connection.
pub(crate) fn going_on_after_an_error(mut connection: Connection) {
    let proactor = connection.proactor;
    drop(proactor.spawn(async move {
        while let Some(mut reply) = next_reply(&mut connection).await {
            loop {
                // The next one will fail too, it thinks, and end this.
                let _ = send_output(&mut connection).await;
                let Some(body) = reply.body.take() else { break };
                connection.output.clear();
                let Ok(next) = read_piece(&mut connection, body).await else {
                    return;
                };
                reply = next;
            }
            if !reply.keep_alive {
                return say_goodbye(&mut connection).await;
            }
        }
    }));
}

/// The report of the failure that the checker finds.
#[track_caller]
fn report(name: &str, serve: Serve) -> String {
    const ASKS: &[Ask] = &[
        get("/docs/"),
        Ask {
            close: true,
            ..get("/poem.txt")
        },
    ];
    let conversation = Conversation {
        asks: ASKS,
        cuts: &[],
    };
    let result = Checker::new()
        .name(name)
        .run(move |sim| conversation.hold(sim.proactor(), sim.world(), serve));
    let report = result.expect_err("the mistake is found").to_string();
    println!("{report}");
    report
}

#[test]
fn a_short_write_that_is_taken_for_a_whole_one_is_found() {
    let report = report("file_server/planted/short-write", ignoring_short_writes);
    assert!(report.contains("should be"), "{report}");
    assert!(report.contains("PROACTOR_REPLAY"), "{report}");
}

#[test]
fn a_short_read_that_is_taken_for_a_whole_one_is_found() {
    let report = report("file_server/planted/short-read", ignoring_short_reads);
    assert!(report.contains("should be"), "{report}");
    assert!(report.contains("PROACTOR_REPLAY"), "{report}");
}
