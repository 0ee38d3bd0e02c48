//! The tracer of a user who is not root: with the capabilities of its file, and nothing else.

mod bare_root;
mod steps;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, MountedDisk},
    environment::unavailable,
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{Finished, ReadMode, ReaderReport, RunningProgram},
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::{self, TracerCall},
};

use crate::{
    golden::{self, Workload},
    ground::{Case, Ground, case, check_content, check_figures, check_sound, sectors_between},
    processes::{children, holds_open},
    shapes,
};

const LIMIT: Duration = Duration::from_secs(120);
const SECTOR_BYTES: u64 = 512;

/// Some user who is not root; it needs no entry in any database.
pub const SOMEBODY: u32 = 54_321;

/// CAP_PERFMON and CAP_BPF (include/uapi/linux/capability.h), as /proc shows a set.
const TRACING: u64 = 1 << 38 | 1 << 39;
/// CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER: what root reads and writes files with.
const FILES: u64 = 0b1111;

pub fn cases() -> Vec<Case> {
    vec![
        case("plain_user::launch", |ground, _| {
            undisturbed(ground, launch)
        }),
        case("plain_user::steps", |ground, _| {
            undisturbed(ground, steps::steps)
        }),
        case("plain_user::steps_of_a_later_program", |ground, _| {
            undisturbed(ground, steps::steps_of_a_later_program)
        }),
        case("plain_user::without_a_user_database", |ground, _| {
            undisturbed(ground, bare_root::without_a_user_database)
        }),
        case("plain_user::attach", |ground, _| {
            undisturbed(ground, attach)
        }),
        case("plain_user::a_redacted_record", |ground, _| {
            undisturbed(ground, a_redacted_record)
        }),
        case("plain_user::rights_while_a_record_is_read", |ground, _| {
            rights_while_a_record_is_read(ground)
        }),
        case("plain_user::what_needs_more_is_said", |ground, _| {
            undisturbed(ground, what_needs_more_is_said)
        }),
    ]
}

/// Everything that such a user needs, in a folder of its own.
struct Place {
    // First: what is shown in the folder is taken away before the folder is.
    _shown: Bound,
    folder: OpenFolder,
    tracer: PathBuf,
    reader: PathBuf,
    plan: PathBuf,
    /// The model, as the user reaches it.
    model: PathBuf,
    file: ModelFile,
    reads: ReadPlan,
    disk: MountedDisk,
}

impl Place {
    fn new(ground: &Ground) -> Result<Self> {
        let disk: MountedDisk = ground.disk(FileSystem::Ext4)?.into();
        let workload = Workload::Direct;
        let file = golden::prepare(&disk, workload)?;
        let reads = workload.plan(&file);
        let folder = open_folder()?;
        let tracer = folder.path.join("tracer");
        fs::copy(tracer::binary()?, &tracer).context("copy the tracer")?;
        give_capabilities(&tracer, TRACING)?;
        let reader = folder.path.join("scripted_reader");
        fs::copy(env!("CARGO_BIN_EXE_scripted_reader"), &reader).context("copy the reader")?;
        let plan = folder.path.join("plan");
        fs::write(&plan, reads.to_text()).context("write the plan")?;
        let shown = folder.path.join("disk");
        fs::create_dir(&shown).context("make a folder")?;
        let mount_point = file.path().parent().context("the model lies on a disk")?;
        let bound = Bound::new(mount_point, &shown)?;
        std::os::unix::fs::chown(file.path(), Some(SOMEBODY), Some(SOMEBODY))
            .context("give the model away")?;
        // What was changed of the inode is written now, and read by nobody later.
        disk.synchronise()?;
        let model = shown.join(file.path().file_name().context("the model has a name")?);
        Ok(Self {
            _shown: bound,
            folder,
            tracer,
            reader,
            plan,
            model,
            file,
            reads,
            disk,
        })
    }

    /// A command of that user.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder.path)
            .uid(SOMEBODY)
            .gid(SOMEBODY);
        command
    }

    fn tracer(&self, ground: &Ground, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.command(&self.tracer);
        command.args(arguments);
        RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)
    }

    /// A call of the tracer by that user.
    fn call<'ground>(&self, ground: &'ground Ground, what: &str) -> TracerCall<'ground> {
        let mut command = self.command(&self.tracer);
        command.arg(what);
        TracerCall::of_copy(&ground.scratch, command, self.folder.path.join("run"))
    }

    /// What the reader is given; it waits for a line, and stays a moment after its last read.
    fn reader_arguments(&self) -> Vec<&std::ffi::OsStr> {
        let mut arguments = vec![self.model.as_os_str(), "--plan".as_ref()];
        arguments.push(self.plan.as_os_str());
        arguments.extend(["--mode", "direct", "--start-on-line"].map(std::ffi::OsStr::new));
        arguments
    }

    /// The reader alone, once it has the model open.
    fn waiting_reader(&self, ground: &Ground) -> Result<RunningProgram> {
        let mut command = self.command(&self.reader);
        command.args(self.reader_arguments());
        let reader = RunningProgram::start(&ground.scratch, command)?;
        reader.wait_until("it has the model open", LIMIT, |reader| {
            holds_open(reader.process_id(), &self.model)
        })?;
        Ok(reader)
    }

    /// The figures are those of the plan, and all that the device read is what its own counter says.
    fn check(&self, record: &RunRecord, output: &str, sectors: u64) -> Result<()> {
        check_content(&ReaderReport::find_in(output)?, &self.file, &self.reads)?;
        check_figures(
            record,
            &shapes::expected(&self.reads, ReadMode::Direct, &self.file, &self.disk)?,
        )?;
        check_sound(record)?;
        let (by_counter, by_tracer) = (
            record.count("devices.0.statistics_sectors_read")?,
            record.count("devices.0.read_bytes")?,
        );
        ensure!(
            by_counter == sectors && by_tracer == sectors * SECTOR_BYTES,
            "the device read {sectors} sectors, by its own counter in the window {by_counter}, and the tracer counted {by_tracer} bytes"
        );
        Ok(())
    }
}

fn undisturbed(ground: &Ground, test: fn(&Ground, &Place) -> Result<()>) -> Result<()> {
    let place = Place::new(ground)?;
    let before = Surroundings::observe()?;
    test(ground, &place)?;
    Surroundings::check_nothing_left_since(&before)
}

fn launch(ground: &Ground, place: &Place) -> Result<()> {
    // What the reader has without a tracer is all that it may have under one.
    let alone = place.waiting_reader(ground)?;
    let (descriptors_alone, variables_alone) = (
        descriptors(alone.process_id())?,
        variables(alone.process_id())?,
    );
    drop(alone);
    place.disk.synchronise()?;

    let before = place.disk.statistics()?;
    let mut tracer = place
        .call(ground, "launch")
        .option("--model", &place.model)
        .engine(&place.reader, &place.reader_arguments())
        .start()?;
    let reader = || {
        children(tracer.process_id())
            .into_iter()
            // Until it is the reader, a new process is a copy of the tracer, with its files.
            .filter(|child| {
                fs::read_link(format!("/proc/{child}/exe")).is_ok_and(|it| it == place.reader)
            })
            .find(|child| holds_open(*child, &place.model))
    };
    tracer.wait_until("the reader has the model open", LIMIT, |_| {
        reader().is_some()
    })?;
    let reader = reader().context("the reader has ended")?;
    check_rights(tracer.process_id(), TRACING, Some(false))?;
    check_rights(reader, 0, Some(false))?;
    let own = descriptors(reader)?;
    ensure!(
        own == descriptors_alone,
        "the engine has descriptors {own:?}, and without a tracer {descriptors_alone:?}"
    );
    let added: Vec<_> = variables(reader)?
        .difference(&variables_alone)
        .filter(|name| *name != tests::tracer::ENVIRONMENT_MARK)
        .cloned()
        .collect();
    ensure!(added.is_empty(), "the engine has variables {added:?}");
    tracer.send_line("go")?;
    let finished = tracer.finish(LIMIT)?;
    let output = finished.succeeded()?;
    let after = place.disk.statistics()?;
    let run = place.folder.path.join("run");
    let record = RunRecord::load(&run)?;
    place.check(&record, output, sectors_between(&before, &after))?;
    check_private(&run)
}

/// What is shown to others names neither the model, nor the command, nor the machine.
fn a_redacted_record(ground: &Ground, place: &Place) -> Result<()> {
    let arguments: Vec<_> = place
        .reader_arguments()
        .into_iter()
        .filter(|argument| *argument != "--start-on-line")
        .collect();
    let finished = place
        .call(ground, "launch")
        .flag("--redact")
        .option("--model", &place.model)
        .engine(&place.reader, &arguments)
        .run()?
        .finished;
    finished.succeeded()?;
    let run = place.folder.path.join("run");
    check_sound(&RunRecord::load(&run)?)?;
    let folder = place.folder.path.to_string_lossy().into_owned();
    let host = nix::unistd::gethostname().context("the host's name")?;
    let secrets = [folder.as_str(), "scripted_reader", "--plan"];
    for entry in fs::read_dir(&run).context("list the run's folder")? {
        let path = entry.context("list the run's folder")?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        ensure!(!name.starts_with("engine."), "{name} was kept");
        let content = fs::read(&path).with_context(|| format!("read {name}"))?;
        let holds = |secret: &str| {
            content
                .windows(secret.len())
                .any(|bytes| bytes == secret.as_bytes())
        };
        let host = host.to_string_lossy();
        for secret in secrets
            .into_iter()
            .chain((host.len() > 3).then_some(&*host))
        {
            ensure!(!holds(secret), "{name} holds {secret:?}");
        }
    }
    Ok(())
}

fn attach(ground: &Ground, place: &Place) -> Result<()> {
    let mut reader = place.waiting_reader(ground)?;
    place.disk.synchronise()?;
    let before = place.disk.statistics()?;
    let tracer = place
        .call(ground, "attach")
        .option("--pid", reader.process_id().to_string())
        .option("--model", &place.model)
        .start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    if steps::has_links()? {
        // The tracer itself has none any more; a process that reads nothing has those for probes.
        check_rights(tracer.process_id(), 0, Some(true))?;
        let prober = prober_of(tracer.process_id())?;
        check_rights(prober, TRACING, Some(true))?;
        let open = descriptors(prober)?;
        ensure!(
            // What every process has, the socket, and two programs.
            open.len() == 6,
            "the process that probes has descriptors {open:?}"
        );
    } else {
        check_rights(tracer.process_id(), TRACING, Some(true))?;
    }
    reader.send_line("go")?;
    let read = reader.finish(LIMIT)?;
    tracer.finish(LIMIT)?.succeeded()?;
    let after = place.disk.statistics()?;
    let record = RunRecord::load(&place.folder.path.join("run"))?;
    place.check(&record, read.succeeded()?, sectors_between(&before, &after))
}

/// The process that probes functions for a tracer.
fn prober_of(tracer: u32) -> Result<u32> {
    let name = |process: &u32| fs::read_to_string(format!("/proc/{process}/comm"));
    children(tracer)
        .into_iter()
        .find(|child| name(child).is_ok_and(|name| name.trim() == "tracer-prober"))
        .context("the tracer has no process that probes")
}

/// Whoever reads what others wrote has no rights that it could be misused for: the record never comes here, so that the
/// tracer can be looked at.
fn rights_while_a_record_is_read(ground: &Ground) -> Result<()> {
    let place = Place::new(ground)?;
    let record = place.folder.path.join("record");
    nix::unistd::mkfifo(&record, nix::sys::stat::Mode::from_bits_truncate(0o644))
        .context("make a pipe")?;
    for (as_root, rights) in [(false, 0), (true, FILES)] {
        let mut command = if as_root {
            Command::new(&place.tracer)
        } else {
            place.command(&place.tracer)
        };
        command.arg("explain").arg(&record);
        let tracer = RunningProgram::start(&ground.scratch, command)?;
        let process = tracer.process_id();
        let reads_with_them = || check_rights(process, rights, Some(true));
        tracer
            .wait_until("it has given up its rights", LIMIT, |_| {
                reads_with_them().is_ok()
            })
            .or_else(|error| reads_with_them().context(error.to_string()))?;
    }
    Ok(())
}

/// Without a right a command says what it lacks, and does what it can.
fn what_needs_more_is_said(ground: &Ground, place: &Place) -> Result<()> {
    let doctor = place.tracer(ground, &["doctor"])?;
    ensure!(doctor.code() == 0, "doctor ends with {}", doctor.code());
    for words in [
        "rights: user 54321",
        "for launch and attach to a process of yours: allowed",
        "not without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        "sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep",
        "--cap-add SYS_PTRACE --cap-add DAC_READ_SEARCH",
        "AmbientCapabilities=CAP_BPF CAP_PERFMON",
        "drop_caches: EACCES",
    ] {
        ensure!(
            doctor.output.contains(words),
            "doctor does not say {words:?}:\n{}",
            doctor.output
        );
    }
    let model = place.model.to_string_lossy().into_owned();
    for (option, value, words) in [
        (
            "--memory-max",
            Some("64M"),
            "needs root or a delegated subtree",
        ),
        ("--drop-caches", None, "needs root"),
        ("--read-ahead", Some("128K"), "root"),
        ("--measure-overhead", None, "CAP_SYS_ADMIN"),
    ] {
        let mut arguments = vec!["launch", "--model", &model, "--out", "refused", option];
        arguments.extend(value);
        arguments.extend(["--", "/bin/true"]);
        let finished = place.tracer(ground, &arguments)?;
        ensure!(
            finished.code() == 125 && finished.errors.contains(words),
            "{option} ends with {} and does not say {words:?}:\n{}",
            finished.code(),
            finished.errors
        );
    }
    Ok(())
}

/// All threads of a process have exactly these rights.
fn check_rights(process: u32, rights: u64, no_new_privileges: Option<bool>) -> Result<()> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).context("list the threads")?;
    let mut threads = 0;
    for task in tasks {
        let path = task.context("list the threads")?.path().join("status");
        let Ok(status) = fs::read_to_string(&path) else {
            continue;
        };
        let value = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .with_context(|| format!("{} has no {name}", path.display()))
        };
        let set = |name: &str| u64::from_str_radix(value(name)?, 16).context("a set of rights");
        for (name, expected) in [
            ("CapEff", rights),
            ("CapPrm", rights),
            ("CapInh", 0),
            ("CapAmb", 0),
        ] {
            let found = set(name)?;
            ensure!(
                found == expected,
                "{}, a thread called {}: {name} is {found:x}, not {expected:x}",
                path.display(),
                value("Name")?
            );
        }
        if let Some(expected) = no_new_privileges {
            ensure!(
                value("NoNewPrivs")? == if expected { "1" } else { "0" },
                "{}: NoNewPrivs is {}",
                path.display(),
                value("NoNewPrivs")?
            );
            // With it goes a filter of system calls; 2 is SECCOMP_MODE_FILTER.
            ensure!(
                !expected || value("Seccomp")? == "2",
                "{}: no system call is refused",
                path.display()
            );
        }
        threads += 1;
    }
    ensure!(threads > 0, "process {process} has no thread");
    Ok(())
}

/// Numbers of the descriptors that a process has.
fn descriptors(process: u32) -> Result<BTreeSet<String>> {
    fs::read_dir(format!("/proc/{process}/fd"))
        .context("list the descriptors")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Names of the variables that a process was started with.
fn variables(process: u32) -> Result<BTreeSet<String>> {
    let bytes = fs::read(format!("/proc/{process}/environ")).context("read its variables")?;
    Ok(bytes
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.split(|byte| *byte == b'=').next())
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}

/// Nobody but their owner reads a run's files.
fn check_private(run: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let entries = fs::read_dir(run).with_context(|| format!("list {}", run.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    for path in paths.chain([Ok(run.to_owned())]) {
        let path: PathBuf = path.map_err(|error: std::io::Error| error)?;
        let metadata = path.symlink_metadata().context("look at a file")?;
        ensure!(
            metadata.permissions().mode() & 0o077 == 0 && metadata.uid() == SOMEBODY,
            "{} has mode {:o} and belongs to {}",
            path.display(),
            metadata.permissions().mode(),
            metadata.uid()
        );
        if metadata.is_dir() && path != run {
            check_private(&path)?;
        }
    }
    Ok(())
}

/// What setcap does: `struct vfs_cap_data` of version 2, with the effective bit (include/uapi/linux/capability.h).
fn give_capabilities(program: &Path, capabilities: u64) -> Result<()> {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let low = u32::try_from(capabilities & u64::from(u32::MAX))?;
    let high = u32::try_from(capabilities >> 32)?;
    let words = [REVISION_2_EFFECTIVE, low, 0, high, 0];
    let value: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let path = std::ffi::CString::new(program.as_os_str().as_encoded_bytes())?;
    // SAFETY: two strings with an end, and a buffer with its length.
    let result = unsafe {
        libc::setxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        return Err(unavailable(format!(
            "{} cannot have capabilities: {error}",
            program.display()
        )));
    }
    Ok(())
}

/// A folder that everybody can reach, removed on drop.
pub struct OpenFolder {
    pub path: PathBuf,
    _cleanup: tests::environment::Cleanup,
}

pub fn open_folder() -> Result<OpenFolder> {
    let path = std::env::temp_dir().join(format!("tracer-tests-{}", std::process::id()));
    let cleanup = tests::environment::on_exit({
        let path = path.clone();
        move || {
            let _ = fs::remove_dir_all(path);
        }
    });
    fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
    std::os::unix::fs::chown(&path, Some(SOMEBODY), Some(SOMEBODY))
        .context("give the folder away")?;
    Ok(OpenFolder {
        path,
        _cleanup: cleanup,
    })
}

/// A folder shown at a second place, until it is dropped.
pub struct Bound {
    _cleanup: tests::environment::Cleanup,
}

impl Bound {
    pub fn new(from: &Path, to: &Path) -> Result<Self> {
        nix::mount::mount(
            Some(from),
            to,
            None::<&str>,
            nix::mount::MsFlags::MS_BIND,
            None::<&str>,
        )
        .with_context(|| format!("show {} at {}", from.display(), to.display()))?;
        let to = to.to_owned();
        Ok(Self {
            _cleanup: tests::environment::on_exit(move || {
                let _ = nix::mount::umount(&to);
            }),
        })
    }
}
