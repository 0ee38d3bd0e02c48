//! Clients of every kind: what they get, and that none of them keeps another, or the end, waiting.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{Listening, ServeAddress, Server};

/// Longer than any answer takes, and far less than a connection's time.
const SOON: Duration = Duration::from_secs(4);

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn start(secret: Option<&str>) -> (Server, SocketAddr) {
    let file = secret.map(|secret| {
        // Only its owner may read it: so tempfile makes them.
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(secret.as_bytes()).expect("it is written");
        file
    });
    let address = "127.0.0.1:0".parse().expect("an address");
    let listening = Listening::open(&address, file.as_ref().map(|file| file.path()))
        .expect("there is a free port");
    let ServeAddress::Network(address) = *listening.address() else {
        panic!("it is of the network");
    };
    let server = Server::start(Some(&listening), false).expect("it starts");
    (server, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    stream
}

/// Sends something; all that comes back before the connection is closed.
fn answer(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    // It may be closed before all has been sent.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "after {:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    String::from_utf8(answer).expect("text")
}

fn scrape(address: SocketAddr) -> String {
    answer(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn is_answered(address: SocketAddr) {
    let begun = Instant::now();
    let answer = scrape(address);
    assert!(
        answer.starts_with("HTTP/1.1 200")
            && answer.contains("text/plain; version=0.0.4")
            && answer.contains("tracer_build_info{version="),
        "{answer}"
    );
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn before_the_run_there_is_the_tracer_and_nothing_of_a_run() {
    let (_server, address) = start(None);
    is_answered(address);
    assert!(!scrape(address).contains("tracer_run_seconds"));
}

#[test]
fn what_is_no_scrape_is_told_so() {
    let (_server, address) = start(None);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("GET /metrics/../x HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
        ("\x01\x02 not HTTP\r\n\r\n", "400"),
        ("GET /metrics HTTP/9.9\r\n\r\n", "400"),
    ] {
        let answer = answer(address, request);
        let begin = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&begin), "{request:?}: {answer:?}");
    }
    let long = format!(
        "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let refused = answer(address, &long);
    assert!(
        refused.is_empty() || refused.starts_with("HTTP/1.1 431"),
        "{refused:?}"
    );
    is_answered(address);
}

#[test]
fn without_the_token_nothing_is_told() {
    let (_server, address) = start(Some(SECRET));
    let with = |header: &str| answer(address, &format!("GET /metrics HTTP/1.1\r\n{header}\r\n"));
    for wrong in [
        String::new(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        format!("Authorization: Basic {SECRET}\r\n"),
        format!("Authorization: Bearer {SECRET}0\r\n"),
    ] {
        let answer = with(&wrong);
        assert!(answer.starts_with("HTTP/1.1 401"), "{wrong:?}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        assert!(!answer.contains("tracer_"), "{answer}");
    }
    let right = with(&format!("Authorization: Bearer {SECRET}\r\n"));
    assert!(right.starts_with("HTTP/1.1 200"), "{right}");
}

#[test]
fn clients_that_say_nothing_keep_nobody_out_and_not_the_end() {
    let (server, address) = start(None);
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = connect(address);
        if number % 2 == 0 {
            stream.write_all(b"GET /met").expect("it is taken");
        }
        silent.push(stream);
        if number % 40 == 0 {
            is_answered(address);
        }
    }
    is_answered(address);
    // The first ones had to make room, the last one not.
    assert!(is_closed(&mut silent[1]) && !is_closed(&mut silent[199]));
    let begun = Instant::now();
    server.finish();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(TcpStream::connect(address).is_err() || scrape_fails(address));
}

/// The other side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    let short = Duration::from_millis(200);
    stream.set_read_timeout(Some(short)).expect("a time-out");
    let timed_out = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    !matches!(stream.read(&mut [0]), Err(error) if timed_out(&error))
}

/// The port is free, or was taken by somebody else.
fn scrape_fails(address: SocketAddr) -> bool {
    !scrape(address).contains("tracer_build_info")
}
