//! Tokens by the engine's own metrics: a real llama-server, whose answers say how many there were.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{
    disk::{FileSystem, LoopDisk},
    reader::RunningProgram,
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_no_violation},
    metrics::{free_port, get},
    models::make_model,
    processes::children,
    real_engine::python,
};

const MODEL_SIZE: &str = "120M";
const DISK_BYTES: u64 = 300 << 20;
/// Read of the model past the page cache while tokens are made: whoever reads it, it counts.
const READ_MIB: u64 = 4;
const LIMIT: Duration = Duration::from_secs(120);
const TOKENS: u64 = 12;
const REQUESTS: usize = 3;
/// So that the first and the last answer are no large part of it.
const WINDOW: Duration = Duration::from_secs(12);

pub fn cases() -> Vec<Case> {
    vec![case("engine_metrics::llama_server", |ground, _| {
        let before = Surroundings::observe()?;
        llama_server(ground)?;
        Surroundings::check_nothing_left_since(&before)
    })]
}

/// What the record has of them is what the server's answers say, to the token; a port where nobody answers and the server of
/// another engine give no figure, and the reason.
fn llama_server(ground: &Ground) -> Result<()> {
    let python = python()?;
    let disk = LoopDisk::new(&ground.scratch, FileSystem::Ext4, DISK_BYTES)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_model(ground, &disk, "model.gguf", MODEL_SIZE, &[])?;
    disk.remount()?;
    let port = free_port()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/llama_server.py");
    let mut command = Command::new(&python);
    command
        .arg(script)
        .arg(&model)
        .args([&port.to_string(), "2"]);
    let server = RunningProgram::start(&ground.scratch, command)?;
    server.wait_until("it is ready", LIMIT, |_| get(port, "/health").is_ok())?;
    // What was generated before the window is in no figure.
    ask(port)?;

    let mut holding = Command::new("sh");
    holding
        .args(["-c", "exec 3<\"$0\"; read -r line"])
        .arg(&model);
    let stranger = RunningProgram::start(&ground.scratch, holding)?;
    let url = format!("http://127.0.0.1:{port}");
    let (traced, folder) = attach(ground, server.process_id(), &url)?;
    let (deaf, deaf_folder) = attach(
        ground,
        server.process_id(),
        &format!("http://127.0.0.1:{}/metrics", free_port()?),
    )?;
    let (others, others_folder) = attach(ground, stranger.process_id(), &url)?;
    check_helper(&traced)?;
    let (mut generated, mut prompt) = (0, 0);
    for _ in 0..REQUESTS {
        let timings = ask(port)?;
        generated += timings["predicted_n"].as_u64().context("predicted_n")?;
        prompt += timings["prompt_n"].as_u64().context("prompt_n")?;
    }
    let mut read = Command::new("dd");
    read.arg(format!("if={}", model.display()))
        .args(["of=/dev/null", "bs=1M", "iflag=direct", "status=none"])
        .arg(format!("count={READ_MIB}"));
    RunningProgram::start(&ground.scratch, read)?
        .finish(LIMIT)?
        .succeeded()?;
    thread::sleep(WINDOW);
    for tracer in [traced, deaf, others] {
        tracer.signal(Signal::SIGINT)?;
        tracer.finish(LIMIT)?.succeeded()?;
    }
    stranger.signal(Signal::SIGTERM)?;
    stranger.ended(LIMIT)?;
    server.signal(Signal::SIGTERM)?;
    server.ended(LIMIT)?;

    let record = RunRecord::load(&folder)?;
    check_no_violation(&record)?;
    let metrics = record.value("engine_metrics")?;
    ensure!(
        generated == TOKENS * REQUESTS as u64
            && metrics["generated_tokens"] == json!(generated)
            && metrics["generated_tokens_at_least"] == json!(generated)
            && metrics["generated_tokens_at_most"] == json!(generated)
            && metrics["prompt_tokens"] == json!(prompt)
            && metrics["names"] == "llama.cpp"
            && metrics["reason"].is_null(),
        "{generated} tokens and {prompt} of prompts by the answers: {metrics:#}"
    );
    // Each token has a call but the first one of a request, which the prompt's call gives.
    let calls = metrics["decode_calls"].as_u64().context("decode_calls")?;
    ensure!(
        (generated - REQUESTS as u64..=2 * generated).contains(&calls),
        "{metrics:#}"
    );
    let bytes = record.count("reads.total_bytes")?;
    ensure!(
        bytes == READ_MIB << 20
            && record.number("engine_metrics.read_bytes_per_generated_token")?
                == bytes as f64 / generated as f64
            && record.number("engine_metrics.read_bytes_per_decode_call")?
                == bytes as f64 / calls as f64,
        "{bytes} bytes read: {metrics:#}"
    );
    let page = fs::read_to_string(folder.join("report.md"))?;
    ensure!(page.contains("llama.cpp server's own metrics"), "{page}");

    for (folder, says) in [
        (deaf_folder, "could not be had"),
        (others_folder, "another process"),
    ] {
        let record = RunRecord::load(&folder)?;
        let metrics = record.value("engine_metrics")?;
        let reason = metrics["reason"].as_str().unwrap_or_default();
        ensure!(
            reason.contains(says)
                && metrics["generated_tokens"].is_null()
                && metrics["read_bytes_per_generated_token"].is_null(),
            "{metrics:#}"
        );
    }
    Ok(())
}

/// A tracer that has begun, and its folder.
fn attach(ground: &Ground, process_id: u32, url: &str) -> Result<(RunningProgram, PathBuf)> {
    let call = TracerCall::attach(&ground.scratch, process_id)?.option("--engine-metrics", url);
    let folder = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    Ok((tracer, folder))
}

/// Who connects has no rights, and whoever traces cannot connect.
fn check_helper(tracer: &RunningProgram) -> Result<()> {
    let named = |process: &u32| {
        fs::read_to_string(format!("/proc/{process}/comm"))
            .is_ok_and(|name| name == "outward-helper\n")
    };
    let helpers = children(tracer.process_id());
    let helper = helpers.into_iter().find(named).context("no helper")?;
    let status = fs::read_to_string(Path::new("/proc").join(helper.to_string()).join("status"))?;
    let has = |line: &str| status.lines().any(|own| own == line);
    ensure!(
        has("CapEff:\t0000000000000000")
            && has("CapPrm:\t0000000000000000")
            && has("NoNewPrivs:\t1")
            && has("Seccomp:\t2"),
        "{status}"
    );
    Ok(())
}

/// Has some tokens made, and returns what the server says of them.
fn ask(port: u16) -> Result<Value> {
    let body = json!({
        "prompt": "t5 t6 t7", "n_predict": TOKENS, "ignore_eos": true, "cache_prompt": false,
    })
    .to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "POST /completion HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no end of headers")?;
    let answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
    Ok(answer["timings"].clone())
}
