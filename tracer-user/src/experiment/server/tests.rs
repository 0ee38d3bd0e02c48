use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Answer, Conversation, Request, ask, free_port};

fn request(port: u16) -> Request {
    Request {
        port,
        prompt: "say \"ü\"".into(),
        tokens: 3,
        temperature: 0.0,
        seed: 7,
    }
}

/// Answers each connection with the next of these; keeps what it was asked.
fn serve(answers: Vec<(u16, String)>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            kept.lock().expect("lock").push(read_request(&mut stream));
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (port, asked)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).expect("readable");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let wanted = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= wanted || length == 0 {
            return text;
        }
    }
}

fn ask_at(port: u16) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into();
    ask(
        &agent,
        &format!("http://127.0.0.1:{port}"),
        &request(port),
        Duration::from_secs(20),
    )
}

#[test]
fn the_request_says_everything_that_makes_it_repeatable() {
    let body = json!({"content": "x", "tokens": [5, 6], "tokens_predicted": 2});
    let (port, asked) = serve(vec![(200, body.to_string())]);
    let answer = Answer::of(ask_at(port).expect("an answer"), None).expect("of the right form");
    assert_eq!(answer.token_ids, Some(vec![5, 6]));
    assert_eq!(
        (answer.text.as_str(), answer.generated_tokens),
        ("x", Some(2))
    );
    let asked = asked.lock().expect("lock").concat();
    assert!(
        asked.starts_with("POST /completion HTTP/1.1\r\n"),
        "{asked}"
    );
    let (_, body) = asked.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "prompt": "say \"ü\"", "n_predict": 3, "temperature": 0.0, "seed": 7,
            "cache_prompt": false, "return_tokens": true, "stream": false,
        })
    );
}

#[test]
fn what_is_no_answer_is_said() {
    for (status, body, word) in [
        (500, "out of slots", "status 500: out of slots"),
        (200, "not JSON", "no JSON"),
    ] {
        let (port, _) = serve(vec![(status, body.to_owned())]);
        let error = ask_at(port).expect_err(word);
        assert!(error.contains(word), "{error}");
    }
    assert!(
        ask_at(free_port().expect("a port")).is_err(),
        "nobody listens"
    );
    assert!(Answer::of(json!({"tokens": [1]}), None).is_err());
    let old = Answer::of(json!({"content": "x", "tokens": []}), None).expect("an old server");
    assert_eq!(old.token_ids, None);
}

/// A shell that stands for the launch of a run; it is ended where it still runs.
struct Launch(Child);

impl Launch {
    fn start(script: &str) -> Self {
        Self(
            Command::new("sh")
                .args(["-c", script])
                .stdin(Stdio::null())
                .spawn()
                .expect("sh"),
        )
    }

    fn id(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whoever has the port and is not of the run is never asked, and the run is ended.
#[test]
fn a_strangers_server_is_not_asked() {
    let (port, asked) = serve(vec![
        (503, String::new()),
        (200, String::new()),
        (200, "{}".into()),
    ]);
    let mut launch = Launch::start("exec sleep 60");
    let conversation =
        Conversation::start(request(port), launch.id(), Duration::from_secs(60)).expect("a thread");
    launch.0.wait().expect("ended by the conversation");
    let error = conversation.finish().expect_err("not its server");
    assert!(error.contains("was not started by this run"), "{error}");
    let asked = asked.lock().expect("lock");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked.iter().all(|one| one.starts_with("GET /health ")),
        "{asked:?}"
    );
}

#[test]
fn a_server_that_never_comes_is_said() {
    let mut launch = Launch::start("exit 3");
    let conversation = Conversation::start(
        request(free_port().expect("a port")),
        launch.id(),
        Duration::from_secs(60),
    )
    .expect("a thread");
    launch.0.wait().expect("ended");
    let error = conversation.finish().expect_err("no server");
    assert!(error.contains("before it was ready"), "{error}");
}
