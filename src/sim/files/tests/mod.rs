//! Files: what opens, what does not, reads, writes, and each injected error.

mod lost;

use super::*;
use crate::choice::Site;
use crate::sim::Config;
use crate::sim::errno::*;
use crate::sim::op::Verb;
use crate::sim::tests::{Hand, Random};

impl Hand {
    fn open(&mut self, path: &str, flags: u32) -> i32 {
        let open = self.submit(Verb::Open, -1, flags, 0, path.as_bytes().to_vec());
        self.result(open)
    }

    fn read_at(&mut self, file: i32, len: usize, offset: u64) -> (i32, Vec<u8>) {
        let read = self.submit(Verb::ReadAt, file, 0, offset, vec![7; len]);
        (self.result(read), self.buffer(read).to_vec())
    }

    fn write_at(&mut self, file: i32, bytes: &[u8], offset: u64) -> i32 {
        let write = self.submit(Verb::WriteAt, file, 0, offset, bytes.to_vec());
        self.result(write)
    }
}

#[test]
fn paths_lead_where_they_say() {
    let mut hand = Hand::kind();
    hand.world.add_file("/etc/motd", b"be kind");
    hand.world.add_file("/etc/shadow", b"secret");
    hand.world.deny("/etc/shadow");
    assert_eq!(hand.open("/etc/nobody", READ), -ENOENT);
    assert_eq!(hand.open("/nowhere/new", WRITE | CREATE), -ENOENT);
    assert_eq!(hand.open("", READ), -ENOENT);
    assert_eq!(hand.open("/etc/motd/x", READ), -ENOTDIR);
    assert_eq!(hand.open("/etc/motd/", READ), -ENOTDIR);
    assert_eq!(hand.open("/etc/shadow", READ), -EACCES);
    assert_eq!(hand.open("/etc", WRITE), -EISDIR);
    assert_eq!(hand.open("/etc/motd", WRITE | CREATE_NEW), -EEXIST);
    assert_eq!(hand.open("/etc/motd", 0), -EINVAL);
    let (directory, root) = (hand.open("/etc", READ), hand.open("/", READ));
    assert_eq!(hand.read_at(directory, 1, 0).0, -EISDIR);
    let file = hand.open("//etc/./../etc/motd", READ);
    assert_eq!(hand.read_at(file, 4, 3), (4, b"kind".to_vec()));
    assert_eq!(hand.read_at(file, 4, 5), (2, b"nd\x07\x07".to_vec()));
    assert_eq!(hand.read_at(file, 4, 7).0, 0);
    assert_eq!(hand.read_at(file, 4, u64::MAX).0, -EINVAL);
    assert_eq!(hand.read_at(file, 0, 0).0, 0);
    assert_eq!(hand.write_at(file, b"x", 0), -EBADF);
    let recv = hand.recv(file, 1);
    assert_eq!(hand.result(recv), -ENOTSOCK);
    hand.end(&[directory, root, file]);
}

#[test]
fn writes_extend_truncate_and_outlive_the_name() {
    let mut hand = Hand::kind();
    let file = hand.open("/new", READ | WRITE | CREATE);
    assert_eq!(hand.write_at(file, b"abc", 2), 3);
    assert_eq!(hand.world.file("/new").unwrap(), b"\0\0abc");
    assert_eq!(hand.write_at(file, b"x", 1 << 40), -EFBIG);
    let length = hand.submit(Verb::Length, file, 0, 40, vec![0; 256]);
    assert_eq!(hand.result(length), 0);
    assert_eq!(hand.buffer(length)[40..48], 5u64.to_ne_bytes());
    let sync = hand.submit(Verb::Sync, file, 0, 0, Vec::new());
    assert_eq!(hand.result(sync), 0);
    assert!(hand.world.remove_file("/new") && !hand.world.remove_file("/new"));
    assert_eq!(hand.read_at(file, 5, 0).0, 5);
    let other = hand.open("/new", WRITE | CREATE | TRUNCATE);
    assert_eq!(hand.write_at(other, b"z", 0), 1);
    assert_eq!(hand.read_at(file, 5, 0).0, 5);
    let again = hand.open("/new", WRITE | TRUNCATE);
    assert_eq!(hand.world.file("/new").unwrap(), b"");
    hand.end(&[file, other, again]);
}

#[test]
fn files_fail_and_fall_short() {
    let open = |script: &[(Site, usize, usize)]| {
        let mut hand = Hand::script(script);
        hand.world.add_file("/f", b"0123456789");
        let file = hand.open("/f", READ | WRITE);
        (hand, file)
    };
    assert_eq!(open(&[(Site::FileError, 0, 1)]).1, -EMFILE);
    for (pick, error) in [(1, EIO), (2, ENOSPC)] {
        let (mut hand, file) = open(&[(Site::FileError, 1, pick)]);
        assert_eq!(hand.write_at(file, b"ab", 0), -error);
        hand.end(&[file]);
    }
    let (mut hand, file) = open(&[
        (Site::FileError, 1, 1),
        (Site::ReadSize, 0, 2),
        (Site::WriteSize, 0, 1),
    ]);
    assert_eq!(hand.read_at(file, 10, 0).0, -EIO);
    assert_eq!(hand.read_at(file, 10, 0).0, 5);
    assert_eq!(hand.write_at(file, b"ab", 0), 1);
    assert_eq!(hand.world.file("/f").unwrap(), b"a123456789");
    hand.end(&[file]);
}

#[test]
fn an_operation_suffers_no_more_faults_than_its_share() {
    let config = Config {
        faults_per_operation: 0,
        ..Config::default()
    };
    let mut hand = Hand::with(config, Random::new(1, 255));
    let (listener, client, server) = hand.pair();
    for _ in 0..100 {
        let (send, recv) = (hand.send(client, b"0123456789"), hand.recv(server, 10));
        let (a, b) = (hand.next(), hand.next());
        assert!([a, b].contains(&(send, 10)) && [a, b].contains(&(recv, 10)));
    }
    hand.end(&[client, server, listener]);
}

impl Hand {
    fn on_path(&mut self, verb: Verb, flags: u32, path: &str) -> i32 {
        let change = self.submit(verb, -1, flags, 0, path.as_bytes().to_vec());
        self.result(change)
    }

    fn append(&mut self, file: i32, bytes: &[u8]) -> i32 {
        let append = self.submit(Verb::Append, file, 0, 0, bytes.to_vec());
        self.result(append)
    }

    fn set_len(&mut self, file: i32, len: u64) -> i32 {
        let set_len = self.submit(Verb::SetLen, file, 0, len, Vec::new());
        self.result(set_len)
    }
}

#[test]
fn a_full_disk_takes_what_fits() {
    let mut hand = Hand::kind();
    hand.world.add_file("/old", b"0123456789");
    hand.world.disk_quota(20);
    let file = hand.open("/new", READ | WRITE | CREATE);
    // A hole takes no room.
    assert_eq!(hand.write_at(file, b"abcdef", 100), 6);
    assert_eq!(hand.append(file, b"ghijkl"), 4);
    assert_eq!(hand.append(file, b"kl"), -ENOSPC);
    assert_eq!(hand.write_at(file, b"ABCDEF", 100), 6);
    assert_eq!(hand.write_at(file, b"CDEFGHIJKL", 102), 8);
    assert_eq!(hand.set_len(file, 1 << 20), 0);
    assert_eq!(hand.set_len(file, 104), 0);
    assert_eq!(hand.append(file, b"0123456789"), 6);
    // A file that is open keeps its room, whatever it is called.
    assert_eq!(hand.on_path(Verb::Remove, 0, "/new"), 0);
    let other = hand.open("/other", WRITE | CREATE);
    assert_eq!(hand.append(other, b"x"), -ENOSPC);
    hand.close(file);
    assert_eq!(hand.append(other, b"0123456789x"), 10);
    let old = hand.open("/old", WRITE | TRUNCATE);
    assert_eq!(hand.append(other, b"0123456789x"), 10);
    hand.world.disk_quota(0);
    assert_eq!(hand.append(old, b"x"), -ENOSPC);
    assert_eq!(hand.write_at(other, b"z", 3), 1);
    hand.end(&[other, old]);
}

#[test]
fn names_fail_as_the_chooser_says() {
    for (verb, path, error) in [
        (Verb::CreateDir, "/d", ENOSPC),
        (Verb::Remove, "/f", EIO),
        (Verb::Rename, "/f\0/g", ENOSPC),
    ] {
        let mut hand = Hand::script(&[(Site::FileError, 0, 1)]);
        hand.world.add_file("/f", b"0");
        assert_eq!(hand.on_path(verb, 0, path), -error);
        assert_eq!(hand.on_path(verb, 0, path), 0);
        hand.end(&[]);
    }
    let mut hand = Hand::script(&[(Site::FileError, 0, 2), (Site::FileError, 1, 1)]);
    assert_eq!(hand.open("/new", WRITE | CREATE), -ENOSPC);
    let file = hand.open("/new", WRITE | CREATE);
    assert_eq!(hand.set_len(file, 5), -EIO);
    assert_eq!(hand.world.file("/new").unwrap(), b"");
    assert_eq!(hand.set_len(file, 5), 0);
    assert_eq!(hand.world.file("/new").unwrap(), b"\0\0\0\0\0");
    hand.end(&[file]);
}

#[test]
fn wild_paths_and_lengths_are_errors() {
    let mut hand = Hand::kind();
    let long = "/x".repeat(2_048);
    assert_eq!(hand.open(&long, READ), -ENAMETOOLONG);
    assert_eq!(hand.on_path(Verb::CreateDir, 0, &long), -ENAMETOOLONG);
    assert_eq!(
        hand.on_path(Verb::Rename, 0, &format!("{long}\0{long}\0x")),
        -ENAMETOOLONG
    );
    assert_eq!(hand.on_path(Verb::Rename, 0, "/no second path"), -ENOENT);
    assert_eq!(hand.on_path(Verb::Remove, 1, "/"), -EBUSY);
    assert_eq!(hand.on_path(Verb::Remove, 0, "/"), -EISDIR);
    assert_eq!(hand.on_path(Verb::Remove, 1, "/."), -EINVAL);
    assert_eq!(hand.on_path(Verb::Remove, 1, "/.."), -ENOTEMPTY);
    assert_eq!(hand.on_path(Verb::CreateDir, 0, "/"), -EEXIST);
    assert_eq!(hand.on_path(Verb::CreateDir, 0, "/d/"), 0);
    assert_eq!(hand.on_path(Verb::Rename, 0, "/d\0/d/e"), -EINVAL);
    assert_eq!(hand.on_path(Verb::Rename, 0, "/\0/d"), -EBUSY);
    let file = hand.open("/d/f", WRITE | CREATE);
    assert_eq!(hand.on_path(Verb::Rename, 0, "/d/f\0/d"), -ENOTEMPTY);
    assert_eq!(hand.set_len(file, u64::MAX - 1), -EINVAL);
    assert_eq!(hand.set_len(file, 1 << 40), -EFBIG);
    assert_eq!(hand.set_len(file, 1 << 30), 0);
    assert_eq!(hand.append(file, b"x"), -EFBIG);
    let file_again = hand.open("/d/f", READ);
    assert_eq!(
        hand.read_at(file_again, 5, (1 << 30) - 3),
        (3, b"\0\0\0\x07\x07".to_vec())
    );
    hand.world.deny("/d");
    assert_eq!(hand.on_path(Verb::Remove, 0, "/d/f"), -EACCES);
    hand.end(&[file, file_again]);
}
