use proactor::{Proactor, net::{TcpListener, TcpStream}, compose};
fn both(f: impl Fn(&Proactor)) {
    f(&Proactor::new().unwrap());
    let world = proactor::sim::World::new(Default::default(), Box::new(proactor::choice::Kind));
    let p = Proactor::builder().simulated(&world).build().unwrap();
    f(&p);
    drop(p);
    world.finish();
    assert!(world.violation().is_none(), "{:?}", world.violation());
}
#[test]
fn echo() {
    both(|p| {
        let listener = TcpListener::bind(p, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        listener.accept().then(|accepted| {
            let (stream, _peer) = accepted.unwrap();
            stream.read(Vec::with_capacity(64)).then(move |(read, buf)| {
                assert_eq!(read.unwrap(), 5);
                stream.write(buf).then(|(written, _buf)| drop(written));
            });
        });
        let h = p.handle();
        let echo = p.block_on(async {
            let stream = TcpStream::connect(&h, addr).await?;
            stream.write("hello").await.0?;
            let (read, buf) = stream.read(Vec::with_capacity(64)).await;
            read.map(|_| buf)
        }).unwrap().unwrap();
        assert_eq!(echo, b"hello");
        println!("{:?}", p.stats());
        drop(listener);
        println!("{:?} {:?}", p.run(), p.stats());
    });
}
#[test]
fn tasks_and_time() {
    both(|p| {
        let h = p.handle();
        let t = p.spawn(async move { h.sleep(std::time::Duration::from_millis(3)).await.unwrap(); 7 });
        assert_eq!(p.block_on(t).unwrap().unwrap(), 7);
        let listener = TcpListener::bind(p, "127.0.0.1:0").unwrap();
        let r = p.block_on(listener.accept().timeout(std::time::Duration::from_millis(2))).unwrap();
        assert_eq!(r.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        let addr = listener.local_addr().unwrap();
        let h = p.handle();
        p.block_on(async {
            let accept = p.spawn({let l = listener.clone(); async move { l.accept().await.unwrap().0 }});
            let c = TcpStream::connect(&h, addr).await.unwrap();
            let s = accept.await.unwrap();
            let (r, b) = compose::write_all(&c, vec![3u8; 500_000]).await; r.unwrap(); drop(b);
            c.shutdown(std::net::Shutdown::Write).await.unwrap();
            let (r, b) = compose::read_to_end(&s, Vec::new(), 1_000_000).await; assert_eq!(r.unwrap(), 500_000); assert!(b.iter().all(|x| *x == 3));
        }).ok();
    });
}
#[test]
fn drop_with_pending() {
    both(|p| {
        let listener = TcpListener::bind(p, "127.0.0.1:0").unwrap();
        listener.accept().then(|_| unreachable!());
        assert_eq!(p.poll().unwrap(), 0);
    });
}
