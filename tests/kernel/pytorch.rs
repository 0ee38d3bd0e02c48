//! PyTorch as Debian has it, with a script that reads its layers from the disk in each forward pass.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem, environment::unavailable, model_file::ModelFile, reference::has_helper,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_sound},
    marks::{no_step_is_claimed, phases, steps},
};

const PASSES: u64 = 5;
const LAYERS: u64 = 3;
const WIDTH: u64 = 256;
const INNER_WIDTH: u64 = 1024;
const VOCABULARY: u64 = 1024;
/// Length of the header with its length before it: what follows begins with a page.
const HEADER_BYTES: u64 = 4096;
const EMBEDDING_BYTES: u64 = VOCABULARY * WIDTH * 4;
const BYTES_OF_A_PASS: u64 = LAYERS * 2 * WIDTH * INNER_WIDTH * 4;

pub fn cases() -> Vec<Case> {
    vec![case(
        "pytorch::forward_passes_that_read_their_layers",
        |ground, _| forward_passes_that_read_their_layers(ground),
    )]
}

fn python() -> Result<PathBuf> {
    env::var_os("TRACER_TESTS_PYTORCH_PYTHON")
        .map(PathBuf::from)
        .ok_or_else(|| {
            unavailable(
                "TRACER_TESTS_PYTORCH_PYTHON names no Python with PyTorch (`cargo xtask test` unpacks Debian's)",
            )
        })
}

/// A model in safetensors whose tensors lie one after the other from the second page on.
fn content() -> Result<Vec<u8>> {
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), [VOCABULARY, WIDTH])];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("up_proj", [INNER_WIDTH, WIDTH]),
            ("down_proj", [WIDTH, INNER_WIDTH]),
        ] {
            tensors.push((format!("model.layers.{layer}.mlp.{name}.weight"), shape));
        }
    }
    let mut header = String::from("{");
    let mut end = 0;
    for (number, (name, [rows, columns])) in tensors.iter().enumerate() {
        let begin = end;
        end += rows * columns * 4;
        let comma = if number == 0 { "" } else { "," };
        write!(
            header,
            r#"{comma}"{name}":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{begin},{end}]}}"#
        )?;
    }
    header.push('}');
    let length = HEADER_BYTES - 8;
    ensure!(header.len() as u64 <= length, "the header is too long");
    let mut content = length.to_le_bytes().to_vec();
    content.extend(header.bytes());
    content.resize(usize::try_from(HEADER_BYTES)?, b' ');
    content.extend((0..end / 4).flat_map(|number| ((number % 13) as f32 * 1e-3).to_le_bytes()));
    Ok(content)
}

fn forward_passes_that_read_their_layers(ground: &Ground) -> Result<()> {
    let python = python()?;
    let disk = ground.disk(FileSystem::Ext4)?;
    let path = disk.mount_point().join("model.safetensors");
    fs::write(&path, content()?).with_context(|| format!("write {}", path.display()))?;
    disk.remount()?;
    let model = ModelFile::existing(path)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/torch_generate.py");
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .engine(
            &python,
            &[
                script.as_ref(),
                model.path().as_os_str(),
                PASSES.to_string().as_ref(),
            ],
        )
        .run()?;
    run.finished.succeeded().context("the traced script")?;
    let record = run.record()?;
    check_sound(&record)?;

    let bytes = HEADER_BYTES + EMBEDDING_BYTES + PASSES * BYTES_OF_A_PASS;
    ensure!(
        record.count("reads.total_bytes")? == bytes
            && record.number("reads.coverage")? == 1.0
            && record.count("devices.0.read_bytes")? == bytes
            && record.count("devices.0.statistics_sectors_read")? * 512 == bytes,
        "the script read {bytes} bytes, the tracer counted {}, of the device {}",
        record.value("reads")?,
        record.value("devices")?
    );
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    ensure!(
        record.text("marks.source")? == "uprobes"
            && record.text("marks.calls.0.symbol")? == "at::_ops::embedding::call"
            && record.count("marks.calls.0.calls")? == PASSES,
        "the marks are {}",
        record.value("marks")?
    );
    let found = steps(&record)?;
    let expected: Vec<_> = [
        "prompt",
        "generation",
        "generation",
        "generation",
        "unended_step",
    ]
    .map(|phase| (phase.to_owned(), None))
    .into();
    ensure!(found == expected, "the steps are {found:?}");
    for step in 0..PASSES - 1 {
        let read = record.count(&format!("tokens.{step}.read_bytes"))?;
        ensure!(
            read == BYTES_OF_A_PASS,
            "pass {step} read {BYTES_OF_A_PASS} bytes, its step {read}"
        );
    }
    ensure!(
        record.is_null(&format!("tokens.{}.read_bytes", PASSES - 1))?,
        "nothing says where the last pass ends, and it read {}",
        record.value(&format!("tokens.{}", PASSES - 1))?
    );
    // The load ends where the first pass begins: it has what is read before, and nothing of a layer.
    let found = phases(&record)?;
    let load = record.count("phases.0.read_bytes")?;
    ensure!(
        found == ["load", "prompt", "generation", "unended_step"]
            && load == HEADER_BYTES + EMBEDDING_BYTES,
        "the phases are {found:?}, and the load read {load} bytes"
    );
    Ok(())
}
