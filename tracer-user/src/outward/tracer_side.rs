//! The tracer's side of the helper.

use std::{
    io::{self, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, anyhow};

use super::{
    HttpUrl,
    frames::{self, Tag},
    helper::SUBCOMMAND,
};

/// The way to one address; closed when this is dropped.
#[derive(Debug)]
pub struct Outward {
    url: HttpUrl,
    helper: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Outward {
    /// Starts the helper. Call it from the thread that lives as long as this process, before rights are given up.
    ///
    /// # Errors
    /// No process can be made.
    pub fn start(url: HttpUrl) -> anyhow::Result<Self> {
        // The file that this process was started from, also where another build has taken its name since.
        let started = Command::new("/proc/self/exe")
            .arg0("tracer")
            .args([SUBCOMMAND, &url.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tracer, which still has something to ask then.
            .process_group(0)
            .spawn();
        let mut helper = started.with_context(|| format!("cannot start what asks {url}"))?;
        let (requests, answers) = (helper.stdin.take(), helper.stdout.take());
        Ok(Self {
            url,
            requests,
            answers: BufReader::new(answers.context("no pipe from it")?),
            helper,
        })
    }

    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// What the address has to say.
    ///
    /// # Errors
    /// It does not answer within ten seconds, or not with success.
    pub fn get(&mut self) -> anyhow::Result<Vec<u8>> {
        self.ask(Tag::Get, &[])
    }

    /// Sends a message of protobuf.
    ///
    /// # Errors
    /// The same.
    pub fn post_protobuf(&mut self, body: &[u8]) -> anyhow::Result<()> {
        self.ask(Tag::PostProtobuf, body).map(drop)
    }

    fn ask(&mut self, tag: Tag, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let gone = || anyhow!("the process that asks {} is gone", self.url);
        let requests = self.requests.as_mut().with_context(gone)?;
        let asked = frames::write(requests, tag, body);
        let answer = asked.and_then(|()| frames::read(&mut self.answers));
        match answer {
            Ok(Some((Tag::Answered, body))) => Ok(body),
            Ok(Some((Tag::Failed, why))) => Err(anyhow!("{}", String::from_utf8_lossy(&why))),
            Ok(Some(_)) => Err(anyhow!("the process that asks {} is odd", self.url)),
            Ok(None) => Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error.into()),
            Err(_) => Err(gone()),
        }
    }
}

impl Drop for Outward {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It may be in the middle of a question that nobody waits for any more.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}
