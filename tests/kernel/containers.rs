//! Real containers of Docker, where it is installed: a model in an image's layer, and one in a folder that is bound into
//! the container, each attached to by the container's id.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk},
    environment::unavailable,
    model_file::{ModelFile, content_at},
    plan::ReadPlan,
    reader::{ReadMode, RunningProgram},
    run_record::RunRecord,
    tracer::{self, TracerCall},
};

use crate::{
    ground::{Case, Ground, case, check_figures, check_sound},
    shapes,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 2 << 20;
/// For the image, twice: as it is imported, and as a layer.
const DISK_BYTES: u64 = 1 << 30;

pub fn cases() -> Vec<Case> {
    vec![
        case("containers::model_in_the_image", |ground, _| {
            traced(ground, Place::Image)
        }),
        case("containers::model_in_a_bound_folder", |ground, _| {
            traced(ground, Place::BoundFolder)
        }),
        case(
            "containers::a_tracer_inside_says_what_to_share",
            |ground, _| inside(ground),
        ),
    ]
}

/// Where the model lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Image,
    BoundFolder,
}

/// Docker's engine with its data on a disk of the test.
struct Engine {
    socket: String,
    _daemon: RunningProgram,
}

impl Engine {
    fn start(ground: &Ground, disk: &LoopDisk) -> Result<Self> {
        let folder = ground.scratch.fresh_directory("docker")?;
        let socket = format!("unix://{}", folder.join("s").display());
        let mut command = Command::new("dockerd");
        command
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver", "overlay2", "--host", &socket])
            .arg("--data-root")
            .arg(disk.mount_point().join("docker"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"));
        let daemon = RunningProgram::start(&ground.scratch, command)?;
        daemon.wait_until("it listens", LIMIT, |daemon| {
            daemon.errors_so_far().contains("API listen on")
        })?;
        Ok(Self {
            socket,
            _daemon: daemon,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.socket]);
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command()
            .args(arguments)
            .output()
            .map_err(|error| unavailable(format!("docker cannot be run: {error}")))?;
        ensure!(
            output.status.success(),
            "docker {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// Puts a program with its libraries into a folder that becomes an image.
fn put_program(root: &Path, program: &Path) -> Result<()> {
    let listed = Command::new("ldd")
        .arg(program)
        .output()
        .context("run ldd")?;
    let text = String::from_utf8(listed.stdout)?;
    let libraries = text
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from);
    for file in libraries {
        let target = root.join(file.strip_prefix("/")?);
        fs::create_dir_all(target.parent().context("a folder")?).context("make a folder")?;
        fs::copy(&file, &target).with_context(|| format!("copy {}", file.display()))?;
    }
    fs::copy(program, root.join("reader")).context("copy the reader")?;
    Ok(())
}

fn write_model(path: &Path) -> Result<()> {
    let mut content = vec![0; usize::try_from(MODEL_BYTES)?];
    content_at(0, &mut content);
    fs::create_dir_all(path.parent().context("a folder")?).context("make a folder")?;
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

/// The only file below a folder that ends so.
fn find(folder: &Path, ending: &str) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .flatten()
        .map(|layer| layer.path().join(ending))
        .find(|path| path.is_file())
        .with_context(|| format!("no layer in {} has {ending}", folder.display()))
}

fn traced(ground: &Ground, place: Place) -> Result<()> {
    let disk = LoopDisk::new(&ground.scratch, FileSystem::Ext4, DISK_BYTES)?;
    disk.set_read_ahead_kb(0)?;
    let engine = Engine::start(ground, &disk)?;
    let root = ground.scratch.fresh_directory("image")?;
    let plan = ReadPlan::sequential(MODEL_BYTES, 4096);
    put_program(&root, Path::new(env!("CARGO_BIN_EXE_scripted_reader")))?;
    fs::write(root.join("plan"), plan.to_text()).context("write the plan")?;
    let bound = disk.mount_point().join("models");
    match place {
        Place::Image => write_model(&root.join("models/model.gguf"))?,
        Place::BoundFolder => write_model(&bound.join("model.gguf"))?,
    }
    let archive = ground.scratch.fresh_path("image.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .status()
        .context("run tar")?;
    ensure!(packed.success(), "tar failed");
    engine.output(&["import", &archive.to_string_lossy(), "reader:1"])?;
    let file = ModelFile::existing(match place {
        Place::Image => find(
            &disk.mount_point().join("docker/overlay2"),
            "diff/models/model.gguf",
        )?,
        Place::BoundFolder => bound.join("model.gguf"),
    })?;
    let expected = shapes::expected(&plan, ReadMode::Direct, &file, &disk)?;

    let mut command = engine.command();
    command.args([
        "run",
        "--interactive",
        "--network",
        "none",
        "--name",
        "reader",
    ]);
    if place == Place::BoundFolder {
        let volume = format!("{}:/models:ro", bound.display());
        command.args(["--memory", "64m", "--volume", &volume]);
    }
    command.args(["reader:1", "/reader", "/models/model.gguf"]);
    command.args(["--plan", "/plan", "--mode", "direct", "--start-on-line"]);
    let mut client = RunningProgram::start(&ground.scratch, command)?;
    let pid = || engine.output(&["inspect", "--format", "{{.State.Pid}}", "reader"]);
    client.wait_until("the reader has the model open", LIMIT, |_| {
        pid().is_ok_and(|pid| {
            fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .flatten()
                .any(|fd| fs::read_link(fd.path()).is_ok_and(|it| it.ends_with("model.gguf")))
        })
    })?;
    let id = engine.output(&["inspect", "--format", "{{.Id}}", "reader"])?;
    // The container's own start has read the disk; what it wrote is written back before the window.
    disk.synchronise()?;
    let call = TracerCall::bare(&ground.scratch, &["attach"])?;
    let directory = call.directory().to_owned();
    let tracer = call
        .option("--out", &directory)
        .option("--container", id.get(..12).context("a long id")?)
        .start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    client.send_line("go")?;
    client.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_figures(&record, &expected)?;
    check_sound(&record)?;
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        by_counter == by_tracer && by_tracer >= MODEL_BYTES,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    ensure!(
        record.text("model.path")? == "/models/model.gguf"
            && record.count("model.files.0.inode")? == file.inode()?,
        "the model is {}",
        record.value("model")?
    );
    Ok(())
}

/// What the tracer says in such a place of its own.
fn said_in(ground: &Ground, place: &[&str], arguments: &[&str]) -> Result<String> {
    let (program, options) = place.split_first().context("a program")?;
    let mut command = Command::new(program);
    command.args(options).arg(tracer::binary()?).args(arguments);
    let finished = RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)?;
    Ok(format!("{}{}", finished.output, finished.errors))
}

/// A tracer in a container that shares too little: its own process ids, dropped capabilities, no sysfs.
fn inside(ground: &Ground) -> Result<()> {
    let own_ids = ["unshare", "--pid", "--fork", "--mount-proc"];
    let few_rights = ["setpriv", "--bounding-set", "-all,+bpf,+perfmon"];
    let no_rights = ["setpriv", "--bounding-set", "-all"];
    let no_sysfs = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        r#"mount -t tmpfs none /sys && exec "$@""#,
        "sh",
    ];
    // Nobody has this id in there.
    let attach = ["attach", "--pid", "4000000"];
    for (place, arguments, words) in [
        (&own_ids[..], &attach[..], "hostPID: true"),
        (
            &own_ids,
            &["attach", "--name", "no-such-engine"],
            "hostPID: true",
        ),
        (&own_ids, &["doctor"], "hostPID: true"),
        (&few_rights, &["doctor"], "CAP_SYS_PTRACE"),
        (&no_rights, &["doctor"], "CAP_BPF and CAP_PERFMON"),
        (&no_sysfs, &["doctor"], "mount the host's /sys"),
    ] {
        let said = said_in(ground, place, arguments)?;
        // Tables break lines between words.
        let words_in_order: Vec<&str> = said
            .split(|character: char| character.is_whitespace() || "│┆|".contains(character))
            .filter(|word| !word.is_empty())
            .collect();
        ensure!(
            words_in_order.join(" ").contains(words),
            "{place:?} {arguments:?} does not say {words:?}:\n{said}"
        );
    }
    let shared = said_in(ground, &["env"], &["doctor"])?;
    ensure!(
        !shared.contains("hostPID") && !shared.contains("CAP_SYS_PTRACE"),
        "on the host it says:\n{shared}"
    );
    Ok(())
}
