//! Files, names and the power by hand.

use super::*;

/// Makes a file with these bytes, not synced.
fn made(hand: &mut Hand, path: &str, bytes: &str) -> File {
    let file = does(hand, Request::create_new(path)).file().unwrap();
    let written = does(hand, Request::write_at(file, bytes, 0));
    assert_eq!(written.bytes(), Some(bytes.len()));
    file
}

fn fails(hand: &mut Hand, request: Request) -> ErrorKind {
    does(hand, request).result.unwrap_err().kind()
}

#[test]
fn every_way_of_opening_by_hand() {
    let mut hand = hand();
    let file = made(&mut hand, "/f", "hello");
    let again = fails(&mut hand, Request::create_new("/f"));
    assert_eq!(again, ErrorKind::AlreadyExists);
    let log = does(&mut hand, Request::open_append("/f")).file().unwrap();
    // Wherever it was asked to go.
    does(&mut hand, Request::write_at(log, "!", 0));
    assert_eq!(hand.file("/f").unwrap(), b"hello!");
    does(&mut hand, Request::append(file, "?"));
    assert_eq!(hand.file("/f").unwrap(), b"hello!?");
    let cut = does(&mut hand, Request::truncate("/f")).file().unwrap();
    assert_eq!(hand.file("/f").unwrap(), b"");
    let dir = does(&mut hand, Request::open_dir("/")).file().unwrap();
    let no_dir = fails(&mut hand, Request::open_dir("/f"));
    assert_eq!(no_dir, ErrorKind::NotADirectory);
    does(&mut hand, Request::sync(dir)).result.unwrap();
    for file in [file, log, cut, dir] {
        hand.close(file).unwrap();
    }
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn lengths_and_names_by_hand() {
    let mut hand = hand();
    let file = made(&mut hand, "/f", "hello");
    does(&mut hand, Request::set_len(file, 7)).result.unwrap();
    assert_eq!(hand.file("/f").unwrap(), b"hello\0\0");
    does(&mut hand, Request::set_len(file, 2)).result.unwrap();
    assert_eq!(hand.file("/f").unwrap(), b"he");

    assert_eq!(
        does(&mut hand, Request::create_dir("/d")).result.unwrap(),
        Done::Nothing
    );
    let moved = does(&mut hand, Request::rename("/f", "/d/g"));
    assert_eq!(moved.result.unwrap(), Done::Nothing);
    assert_eq!(hand.file("/f"), None);
    assert_eq!(hand.file("/d/g").unwrap(), b"he");
    let full = fails(&mut hand, Request::remove_dir("/d"));
    assert_eq!(full, ErrorKind::DirectoryNotEmpty);
    let no_file = fails(&mut hand, Request::remove_file("/d"));
    assert_eq!(no_file, ErrorKind::IsADirectory);
    does(&mut hand, Request::remove_file("/d/g"))
        .result
        .unwrap();
    does(&mut hand, Request::remove_dir("/d")).result.unwrap();
    let gone = fails(&mut hand, Request::rename("/d/g", "/f"));
    assert_eq!(gone, ErrorKind::NotFound);
    hand.decide("file: enospc").unwrap();
    let no_room = fails(&mut hand, Request::create_dir("/e"));
    assert_eq!(no_room, ErrorKind::StorageFull);
    hand.close(file).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn a_quota_and_a_closed_door() {
    let mut hand = hand();
    hand.add_file("/secret", b"x");
    hand.deny("/secret");
    let denied = fails(&mut hand, Request::open("/secret"));
    assert_eq!(denied, ErrorKind::PermissionDenied);
    let file = made(&mut hand, "/f", "");
    for (quota, written) in [(0, None), (4, Some(3)), (4, None)] {
        hand.disk_quota(quota);
        let write = does(&mut hand, Request::append(file, "hello"));
        assert_eq!(write.bytes(), written, "{quota}");
        if let Err(error) = write.result {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
    }
}

#[test]
fn a_path_with_a_nul_is_refused_before_it_is_submitted() {
    let mut hand = hand();
    for request in [
        Request::open("/a\0b"),
        Request::create("\0"),
        Request::rename("/a\0", "/b"),
        Request::rename("/a", "/b\0/c"),
        Request::remove_file("\0/"),
        Request::create_dir("/d\0"),
    ] {
        let error = hand.submit(request).unwrap_err();
        assert!(matches!(error, HandError::NulInPath { .. }), "{error}");
        assert!(error.to_string().contains("NUL"), "{error}");
    }
    assert!(hand.enabled().is_empty());
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn a_loss_of_power_takes_everything_but_the_disk() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let file = made(&mut hand, "/f", "synced");
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    let timer = hand.submit(Request::timer(Duration::from_secs(1))).unwrap();
    does(&mut hand, Request::sync(file)).result.unwrap();
    let dir = does(&mut hand, Request::open_dir("/")).file().unwrap();
    does(&mut hand, Request::sync(dir)).result.unwrap();
    does(&mut hand, Request::append(file, ", and not"));
    // Handed out, and nobody has looked.
    let unread = hand.submit(Request::nop()).unwrap();
    hand.step(Step::Complete(unread)).unwrap();

    hand.decide("loss: lost").unwrap();
    hand.lose_power().unwrap();
    assert_eq!(hand.undecided(), [""; 0]);
    assert_eq!(hand.file("/f").unwrap(), b"synced");
    assert!(hand.enabled().is_empty() && hand.reap().is_none());
    for op in [recv, timer, unread] {
        assert_eq!(hand.owner(op), Some(Owner::You));
        assert!(
            hand.explain(op)
                .ends_with("was reaped, or lost with the power")
        );
    }
    for object in [Object::from(client), server.into(), file.into(), dir.into()] {
        assert!(matches!(hand.close(object), Err(HandError::Closed { .. })));
    }
    // Another life, on the same addresses.
    let (client, server) = connected(&mut hand);
    let file = does(&mut hand, Request::open("/f")).file().unwrap();
    does(&mut hand, Request::send(client, "x"));
    let got = does(&mut hand, Request::recv(server, Vec::with_capacity(8)));
    assert_eq!(got.buf, b"x");
    hand.lose_power().unwrap();
    assert_eq!(hand.file("/f").unwrap(), b"synced");
    let _ = file;
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn what_is_lost_with_the_power_is_asked_and_the_kind_way_loses_nothing() {
    let mut hand = hand();
    let file = made(&mut hand, "/f", "hello");
    let mut asked = Vec::new();
    let lost = hand.lose_power_with(|decision| {
        asked.push(decision.site.name());
        0
    });
    lost.unwrap();
    // The name, and what the file holds.
    assert_eq!(asked, ["loss", "loss"]);
    assert_eq!(hand.file("/f").unwrap(), b"hello");
    hand.decide("loss: everything").unwrap();
    assert!(hand.lose_power().is_ok(), "there is nothing to be decided");
    let file2 = does(&mut hand, Request::create("/g")).file().unwrap();
    let refused = hand.lose_power().unwrap_err();
    assert!(matches!(refused, HandError::NotLegal { .. }), "{refused}");
    assert_eq!(hand.file("/g").unwrap(), b"", "it went the kind way");
    let _ = (file, file2);
}
