//! What the server tells line clients, on this machine's own kernel: one line after the other.

use std::net::Shutdown;

use crate::client::{Client, PATIENCE, Running, with_server};
use crate::connection::{self, Limits};
use crate::lines::LONGEST;

/// Whatever the number of workers.
fn with_every_server(limits: &Limits, body: impl Fn(&Running)) {
    for workers in [1, 2] {
        with_server(workers, limits.clone(), connection::send, &body);
    }
}

#[test]
fn who_joins_is_renamed_or_leaves_is_told_to_the_others() {
    with_every_server(&Limits::default(), |server| {
        let mut ada = Client::join(server.addr);
        assert_eq!(ada.name, "guest1");
        ada.say("/name ada\n");
        assert_eq!(ada.hear(), "* you are ada now");
        let mut bob = Client::join(server.addr);
        assert_eq!(ada.hear(), "* guest2 joined");
        bob.say("/name ada\n");
        assert_eq!(bob.hear(), "* the name ada is taken");
        for name in ["", "  ", "a b", "<ada>", "abcdefghijklmnopqrstu"] {
            bob.say(format!("/name {name}\n"));
            let refusal = "* a name has 1 to 20 letters, digits, - or _";
            assert_eq!(bob.hear(), refusal, "{name}");
        }
        bob.say("/name  b\u{f6}b-2 \r\n");
        assert_eq!(bob.hear(), "* you are b\u{f6}b-2 now");
        assert_eq!(ada.hear(), "* guest2 is b\u{f6}b-2 now");
        ada.say("hello\n");
        assert_eq!(bob.hear(), "<ada> hello");
        bob.say("/quit\n");
        assert_eq!(bob.hear_to_the_end(), ["* goodbye"]);
        assert_eq!(ada.hear(), "* b\u{f6}b-2 left");
    });
}

#[test]
fn lines_are_what_line_clients_send() {
    with_every_server(&Limits::default(), |server| {
        let (mut ada, bob) = (Client::join(server.addr), Client::join(server.addr));
        assert_eq!(ada.hear(), "* guest2 joined");
        bob.say(b"\n\r\n  \r\nwith CRLF\r\nno \xff UTF-8\n/");
        assert_eq!(ada.hear(), "<guest2> with CRLF");
        assert_eq!(ada.hear(), "<guest2> no \u{fffd} UTF-8");
        // In two parts, certainly in two reads: the first was answered before.
        bob.say("nothing\nin two ");
        let mut bob = bob;
        assert_eq!(
            bob.hear(),
            "* there is no /nothing, but /name NAME and /quit"
        );
        bob.say("parts\nunfinished");
        assert_eq!(ada.hear(), "<guest2> in two parts");
        bob.stream.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(ada.hear(), "* guest2 left");
        assert_eq!(bob.hear(), "");
    });
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_not() {
    with_every_server(&Limits::default(), |server| {
        let mut ada = Client::join(server.addr);
        let mut bob = Client::join(server.addr);
        assert_eq!(ada.hear(), "* guest2 joined");
        let full = "x".repeat(LONGEST);
        bob.say(format!("{full}x\n{full}\n"));
        assert_eq!(
            bob.hear(),
            "* a line has at most 1024 bytes: yours was left out"
        );
        assert_eq!(ada.hear(), format!("<guest2> {full}"));
    });
}

#[test]
fn who_reads_too_slowly_is_told_and_sent_home() {
    let limits = Limits {
        waiting: 16,
        // The slow one is let finish, however slow the machine is.
        stall: PATIENCE,
        linger: PATIENCE,
        ..Limits::default()
    };
    with_every_server(&limits, |server| {
        let mut slow = Client::join(server.addr);
        let mut bob = Client::join(server.addr);
        let line = format!("{}\n", "x".repeat(1000));
        let mut sent = 0;
        // More than the kernel's own buffers take, and then more than the queue.
        let left = loop {
            bob.say(line.repeat(8));
            sent += 8;
            bob.say("/anything\n");
            // An answer each time: bob at least is not told more than he reads.
            let told = bob.hear();
            if told == "* guest1 left" {
                break told;
            }
            assert!(told.starts_with("* there is no /anything"), "{told}");
        };
        assert_eq!(left, "* guest1 left");
        let heard = slow.hear_to_the_end();
        let (last, before) = heard.split_last().expect("some lines");
        let count = last.strip_prefix("* you read too slowly: ");
        let count = count.and_then(|it| it.strip_suffix(" lines were left out; goodbye"));
        assert_eq!(count, Some("17"), "{last}");
        assert_eq!(before[0], "* guest2 joined");
        let whole = format!("<guest2> {}", line.trim_end());
        assert!(before[1..].iter().all(|line| *line == whole));
        assert!(before.len() - 1 + 17 <= sent);
    });
}

#[test]
fn a_server_that_stops_says_goodbye_to_all() {
    with_every_server(&Limits::default(), |server| {
        let mut guests: Vec<Client> = (0..3).map(|_| Client::join(server.addr)).collect();
        guests[0].say("last words\n");
        assert_eq!(guests[2].hear(), "<guest1> last words");
        server.server.stop();
        for guest in &mut guests {
            let heard = guest.hear_to_the_end();
            let last = heard.last().map(String::as_str);
            assert_eq!(last, Some("* the server is shutting down; goodbye"));
        }
    });
}
