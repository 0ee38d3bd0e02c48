//! The process that connects.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;

use crate::rights::{Kept, forbid_calls, forgo_new_privileges, reduce_this_thread};

use super::{
    HttpUrl,
    frames::{self, LONGEST_BODY, Tag},
};

/// Name of the hidden subcommand, and of the process (at most 15 bytes).
pub(super) const SUBCOMMAND: &str = "outward-helper";

/// An address that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the hidden subcommand does: for each request on standard input it asks the address, and answers on standard output.
///
/// # Errors
/// Rights cannot be given up: then nothing is asked.
pub fn helper_main(url: &HttpUrl) -> anyhow::Result<i32> {
    // Whoever started it may be killed.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("cannot end with the tracer")?;
    // So that `pkill tracer` does not mean it.
    let _ = std::fs::write("/proc/self/comm", SUBCOMMAND);
    reduce_this_thread(Kept::Connecting).context("cannot give up rights")?;
    forgo_new_privileges().context("cannot give up new privileges")?;
    forbid_calls(Kept::Connecting).context("cannot give up system calls")?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        // What the environment says of proxies is not the address that was named.
        .proxy(None)
        // An address that sends elsewhere is another than the one that was named.
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
    while let Ok(Some((tag, body))) = frames::read(&mut requests) {
        let answer = ask(&agent, url, tag, &body);
        let told = answer.and_then(|body| tell(&mut answers, Tag::Answered, &body));
        if let Err(error) = told
            && tell(&mut answers, Tag::Failed, format!("{error:#}").as_bytes()).is_err()
        {
            break;
        }
    }
    Ok(0)
}

fn tell(answers: &mut impl Write, tag: Tag, body: &[u8]) -> anyhow::Result<()> {
    Ok(frames::write(answers, tag, body)?)
}

fn ask(agent: &ureq::Agent, url: &HttpUrl, tag: Tag, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let answer = match tag {
        Tag::Get => agent.get(url.to_string()).call(),
        Tag::PostProtobuf => agent
            .post(url.to_string())
            .header("Content-Type", "application/x-protobuf")
            .send(body),
        Tag::Answered | Tag::Failed => bail!("that is no request"),
    };
    let mut answer = answer.context("no answer")?;
    if !answer.status().is_success() {
        bail!("the answer is {}", answer.status());
    }
    let body = answer.body_mut().with_config();
    let body = body.limit(LONGEST_BODY as u64).read_to_vec();
    body.context("the answer cannot be read")
}
