//! What every case stands on.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{DeviceStatistics, FileSystem, LoopDisk},
    environment::{
        MachineLock, Scratch, clean_up_on_signals, enter_private_mount_namespace,
        forget_what_was_warned_of,
    },
    model_file::{Checksum, ModelFile},
    plan::{ExpectedFigures, ReadPlan},
    reader::{ReadMode, ReaderCommand, ReaderReport, RunningProgram},
    reference::mount_tracefs,
    run_record::RunRecord,
    tracer::{TracedRun, TracerCall},
};

/// Longest that a reader may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Size of the test disks.
pub const DISK_BYTES: u64 = 400 << 20;

pub const FILE_SYSTEMS: [FileSystem; 2] = [FileSystem::Ext4, FileSystem::Xfs];

type Run = Box<dyn Fn(&Ground, &MachineLock) -> Result<()> + Send + Sync>;

pub struct Case {
    /// Its name: topic, then what is tested.
    pub name: String,
    /// The test. It holds the machine's lock.
    pub run: Run,
    /// Whether it says what is in memory at each moment, which a kernel that pages out by itself makes wrong.
    pub needs_its_pages: bool,
}

impl Case {
    /// A case that fails while the kernel pages out by itself is tried again.
    pub fn needs_its_pages(self) -> Self {
        Self {
            needs_its_pages: true,
            ..self
        }
    }
}

pub fn case(
    name: impl Into<String>,
    run: impl Fn(&Ground, &MachineLock) -> Result<()> + Send + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        run: Box::new(run),
        needs_its_pages: false,
    }
}

/// What the process prepares once.
#[derive(Debug)]
pub struct Ground {
    pub scratch: Scratch,
}

impl Ground {
    /// Prepares the process: before it has threads.
    pub fn prepare() -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "tests on the kernel need root: `cargo xtask test` asks for it"
        );
        enter_private_mount_namespace()?;
        clean_up_on_signals()?;
        // Whatever needs it says why it is not there.
        let _ = mount_tracefs();
        let root = match env::var_os("TRACER_TESTS_DIRECTORY") {
            Some(directory) => PathBuf::from(directory),
            None => {
                // target/PROFILE/deps/kernel-HASH
                let this = env::current_exe().context("find this binary")?;
                let target = this
                    .ancestors()
                    .nth(3)
                    .context("this binary lies in no target folder")?;
                target.join("tests")
            }
        };
        let scratch = Scratch::new(&root)?;
        forget_what_was_warned_of(&scratch.fresh_directory("debugfs")?);
        Ok(Self { scratch })
    }

    /// A new disk, with its read-ahead off.
    pub fn disk(&self, file_system: FileSystem) -> Result<LoopDisk> {
        let disk = LoopDisk::new(&self.scratch, file_system, DISK_BYTES)?;
        disk.set_read_ahead_kb(0)?;
        Ok(disk)
    }

    /// A call of the reader.
    pub fn reader(
        &self,
        file: &ModelFile,
        plan: &ReadPlan,
        mode: ReadMode,
    ) -> Result<ReaderCommand> {
        self.reader_of(file.path(), plan, mode)
    }

    /// A call of the reader on whatever lies there.
    pub fn reader_of(&self, path: &Path, plan: &ReadPlan, mode: ReadMode) -> Result<ReaderCommand> {
        ReaderCommand::new(
            Path::new(env!("CARGO_BIN_EXE_scripted_reader")),
            &self.scratch,
            path,
            plan,
            mode,
        )
    }

    /// Runs a reader without the tracer.
    pub fn run_reader(&self, reader: &ReaderCommand) -> Result<ReaderReport> {
        let finished = self.start_reader(reader)?.finish(LIMIT)?;
        ReaderReport::find_in(finished.succeeded()?)
    }

    pub fn start_reader(&self, reader: &ReaderCommand) -> Result<RunningProgram> {
        let mut command = Command::new(reader.program());
        command.args(reader.arguments());
        RunningProgram::start(&self.scratch, command)
    }

    /// Traces a reader of a model to its end; both must succeed.
    pub fn trace_reader(&self, file: &ModelFile, reader: &ReaderCommand) -> Result<Traced> {
        self.trace_reader_with(file, reader, Programs::OfThisKernel)
    }

    /// The same, with a choice of programs.
    pub fn trace_reader_with(
        &self,
        file: &ModelFile,
        reader: &ReaderCommand,
        programs: Programs,
    ) -> Result<Traced> {
        let mut call = TracerCall::launch(&self.scratch, file.path())?;
        match programs {
            Programs::OfThisKernel => {}
            Programs::Early => call = call.flag("--early-programs"),
            Programs::Counting => call = call.option("--detail", "counts"),
        }
        Traced::of(call.reader(reader).run()?)
    }
}

/// Which of the twins of the eBPF programs are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Those that the tracer chooses.
    OfThisKernel,
    /// Those for kernels before 5.17.
    Early,
    /// Those that the tracer chooses, of which none records anything.
    Counting,
}

/// A traced reader that succeeded.
#[derive(Debug)]
pub struct Traced {
    /// What the tracer says.
    pub record: RunRecord,
    /// What the reader says.
    pub report: ReaderReport,
}

impl Traced {
    /// Takes what a run of a reader left.
    pub fn of(run: TracedRun) -> Result<Self> {
        let output = run.finished.succeeded().context("the traced run")?;
        Ok(Self {
            report: ReaderReport::find_in(output)?,
            record: run.record()?,
        })
    }
}

/// The reader brought what the file holds.
pub fn check_content(report: &ReaderReport, file: &ModelFile, plan: &ReadPlan) -> Result<()> {
    let mut checksum = Checksum::default();
    let mut bytes = 0;
    for read in &plan.reads {
        let length = read
            .length_bytes
            .min(file.size_bytes().saturating_sub(read.offset_bytes));
        let mut content = vec![0u8; usize::try_from(length).context("a read is too large")?];
        file.expected_content(read.offset_bytes, &mut content);
        checksum.add(&content);
        bytes += length;
    }
    ensure!(
        (report.reads, report.bytes) == (plan.reads.len() as u64, bytes),
        "the reader read {report:?}, the plan is {} reads of {bytes} bytes",
        plan.reads.len()
    );
    ensure!(
        report.checksum == checksum.value(),
        "the reader read other bytes than the file holds"
    );
    Ok(())
}

/// The record has exactly these figures.
pub fn check_figures(record: &RunRecord, expected: &ExpectedFigures) -> Result<()> {
    let mut found = ExpectedFigures {
        reads: record.count("reads.count")?,
        total_bytes: record.count("reads.total_bytes")?,
        unique_bytes: record.count("reads.unique_bytes")?,
        ..ExpectedFigures::default()
    };
    found.gaps.sequential = record.count("gaps.sequential.count")?;
    found.gaps.small = record.count("gaps.small.count")?;
    found.gaps.medium = record.count("gaps.medium.count")?;
    found.gaps.large = record.count("gaps.large.count")?;
    found.gaps.backward = record.count("gaps.backward.count")?;
    ensure!(
        found == *expected,
        "the tracer counted\n  {found:?}\nand the plan is\n  {expected:?}"
    );
    for (class, count) in expected.gaps.named() {
        let path = format!("gaps.{class}.share");
        if expected.gaps.total() == 0 {
            ensure!(
                record.is_null(&path)?,
                "{path} is not null, without any gap"
            );
            continue;
        }
        let (share, of_plan) = (
            record.number(&path)?,
            count as f64 / expected.gaps.total() as f64,
        );
        ensure!(
            (share - of_plan).abs() < 1e-9,
            "{path} is {share}, and the plan's is {of_plan}"
        );
    }
    Ok(())
}

/// No self-check is violated, nothing was lost, and the record says so.
pub fn check_sound(record: &RunRecord) -> Result<()> {
    check_no_violation(record)?;
    check_no_loss(record)
}

/// Whether the machine is emulated in software: a program then takes so long that interrupts find it running all the
/// time, and the kernel skips it for what they bring. Figures must be right all the same, and the run incomplete.
pub fn is_emulated() -> bool {
    env::var_os("TRACER_TESTS_EMULATED").is_some_and(|value| value == "1")
}

/// No self-check is violated. What cannot be compared is a failure too, with one exception: the kernel hides
/// an issue or a completion now and then (`docs/KERNELS.md`), and what needs each of them is then not observed.
pub fn check_no_violation(record: &RunRecord) -> Result<()> {
    let checks = record.checks()?;
    ensure!(!checks.is_empty(), "the record has no checks");
    let hidden =
        record.count("loss.unseen_completions")? > 0 || record.count("loss.late_issues")? > 0;
    let violated: Vec<_> = checks
        .iter()
        .filter(|check| !(is_emulated() && check.name == "no program was skipped by the kernel"))
        .filter(|check| !check.holds.unwrap_or(hidden))
        .collect();
    ensure!(
        violated.is_empty(),
        "checks do not hold: {violated:#?}\nlosses: {}",
        record.value("loss")?
    );
    Ok(())
}

fn check_no_loss(record: &RunRecord) -> Result<()> {
    let lost = record.count("loss.ring_buffer_records")?;
    ensure!(lost == 0, "{lost} records of the ring buffer were lost");
    let skipped = record.count("loss.recursion_misses")?;
    ensure!(
        skipped == 0 || is_emulated(),
        "the kernel skipped programs {skipped} times"
    );
    let unseen = record.count("loss.unseen_completions")?;
    // What hides a completion can hide an issue as well.
    let late = record.count("loss.late_issues")?;
    let complete = record.flag("complete")?;
    ensure!(
        complete == (unseen == 0 && late == 0 && skipped == 0),
        "the record's complete is {complete}, with {unseen} unseen completions, {late} late issues and {skipped} skipped programs"
    );
    ensure!(!record.flag("partial")?, "the record calls itself partial");
    Ok(())
}

/// Sectors that a device read between two looks at its counters.
pub fn sectors_between(before: &DeviceStatistics, after: &DeviceStatistics) -> u64 {
    after.sectors_read - before.sectors_read
}
