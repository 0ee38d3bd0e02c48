//! A virtual machine: QEMU by software emulation, one start and one job.
//!
//! With hardware acceleration these kernels hang in QEMU on some machines, so it is never used. The guest's processors
//! take turns in one thread: with a thread each, a processor was seen to stop at a breakpoint that another had just
//! taken out of the kernel's code, as attaching to a tracepoint does ("Oops: int3", QEMU 7.2, Linux 6.18).

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{ending::Ending, initramfs, job::Job, kernel::Kernel, programs::Files, qemu::wait};
use crate::vm::{folder::Folder, host_tools};
use crate::{kept, packages::Architecture};

/// Memory of the guest, MiB.
const MEMORY_MIB: u32 = 2048;

/// Processors of the guest.
const PROCESSORS: u32 = 2;

/// Space for the guest's own files, which is taken as it is written.
const WORK_BYTES: u64 = 4 << 30;

/// Space for what the guest hands out.
const OUT_BYTES: u64 = 1 << 30;

/// Size of an empty disk for tests.
const SPARE_BYTES: u64 = 1 << 30;

/// How a job is run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Longest that the machine may run.
    pub limit: Option<Duration>,
    /// Where what the job left in `/guest/out` goes.
    pub out: Option<PathBuf>,
}

/// Starts a kernel with a job, and waits for its end. What the job prints goes to our standard output.
///
/// # Errors
/// The machine cannot be started, or its end was forced: by the limit, or by a signal.
pub fn run(
    folder: &Folder,
    kernel: &Kernel,
    programs: &Files,
    job: &Job,
    settings: &Settings,
) -> Result<Ending> {
    let run = folder.run()?;
    let files = RunFiles::make(run.path(), &folder.console(kernel.series.name))?;
    initramfs::write(&files.initramfs, kernel, programs, job)?;
    let mut command = command(kernel, &files, job.terminal.is_some());
    let ended = wait(&mut command, settings.limit)?;
    let report = fs::read(&files.report).context("cannot read what the guest reported")?;
    let report = String::from_utf8_lossy(&report).into_owned();
    let console = fs::read(&files.console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let ending = Ending::parse(&report, ended, &console);
    if let (Some(out), Some(_)) = (&settings.out, ending.status()) {
        unpack(&files.out, out)?;
    }
    Ok(ending)
}

/// Files of one start.
#[derive(Debug)]
struct RunFiles {
    initramfs: PathBuf,
    work: PathBuf,
    out: PathBuf,
    spare_virtio: PathBuf,
    spare_nvme: PathBuf,
    report: PathBuf,
    console: PathBuf,
}

impl RunFiles {
    fn make(run: &Path, console: &Path) -> Result<Self> {
        let files = Self {
            initramfs: run.join("initramfs"),
            work: run.join("work"),
            out: run.join("out"),
            spare_virtio: run.join("spare-virtio"),
            spare_nvme: run.join("spare-nvme"),
            report: run.join("report"),
            console: console.to_owned(),
        };
        for (path, bytes) in [
            (&files.work, WORK_BYTES),
            (&files.out, OUT_BYTES),
            (&files.spare_virtio, SPARE_BYTES),
            (&files.spare_nvme, SPARE_BYTES),
        ] {
            // Sparse.
            File::create(path)
                .and_then(|file| file.set_len(bytes))
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        let made = host_tools::command("mkfs.ext4")
            .args(["-q", "-F", "-b", "4096"])
            .arg(&files.work)
            .output()
            .context("cannot run mkfs.ext4")?;
        ensure!(
            made.status.success(),
            "mkfs.ext4 ended with {}: {}",
            made.status,
            String::from_utf8_lossy(&made.stderr).trim_end()
        );
        kept::write(&files.console, b"")?;
        Ok(files)
    }
}

/// What differs between the architectures' machines.
#[derive(Debug)]
struct Board {
    /// Options of QEMU's.
    options: &'static [&'static str],
    /// The terminal of the kernel's console: the first serial port of the machine itself.
    console: &'static str,
    /// The terminals of the job and of the report, with the option of QEMU's that makes one.
    job: &'static str,
    report: &'static str,
    serial_port: fn(&str) -> [String; 2],
}

const fn board(architecture: Architecture) -> Board {
    match architecture {
        Architecture::Amd64 => Board {
            options: &["-cpu", "max"],
            console: "ttyS0",
            job: "ttyS1",
            report: "ttyS2",
            serial_port: |channel| ["-serial".to_owned(), format!("chardev:{channel}")],
        },
        // This machine has one serial port, of another kind; more are on the PCI bus. A processor of servers: `max` has
        // also what takes long to emulate, such as the signing of pointers.
        Architecture::Arm64 => Board {
            options: &["-machine", "virt", "-cpu", "neoverse-n1"],
            console: "ttyAMA0",
            job: "ttyS0",
            report: "ttyS1",
            serial_port: |channel| {
                [
                    "-device".to_owned(),
                    format!("pci-serial,chardev={channel}"),
                ]
            },
        },
    }
}

/// Where the guest writes what the host reads: init.sh makes this link.
pub const REPORT: &str = "/dev/report";

/// The call of QEMU.
fn command(kernel: &Kernel, files: &RunFiles, interactive: bool) -> Command {
    let architecture = kernel.series.architecture;
    let (emulator, _) = architecture.emulator();
    let board = board(architecture);
    let mut command = host_tools::command(emulator);
    command
        .args(["-accel", "tcg,thread=single"])
        .args(board.options)
        .args(["-m", &MEMORY_MIB.to_string()])
        .args(["-smp", &PROCESSORS.to_string()])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&files.initramfs)
        // A kernel that is in trouble ends, and QEMU with it.
        .arg("-append")
        // What the kernel does not know it hands to the first process, in its environment.
        .arg(format!(
            "console={} quiet panic=-1 oops=panic mitigations=off job_terminal={} report_terminal={}",
            board.console, board.job, board.report
        ))
        .args(["-chardev", &format!("file,path={},id=console", escaped(&files.console))])
        .args(["-serial", "chardev:console"]);
    // The guest numbers its ports in this order.
    let mut channel = |id: &str, kind: String| {
        command
            .args(["-chardev", &format!("{kind},id={id}")])
            .args((board.serial_port)(id));
    };
    // Ctrl-C is the guest's where a person sits at it, and ours where not.
    let signal = if interactive { "off" } else { "on" };
    channel("job", format!("stdio,signal={signal}"));
    channel("report", format!("file,path={}", escaped(&files.report)));
    for (id, path) in [
        ("work", &files.work),
        ("out", &files.out),
        ("spare", &files.spare_virtio),
    ] {
        command
            .args(["-drive", &drive(id, path)])
            .args(["-device", &format!("virtio-blk-pci,drive={id},serial={id}")]);
    }
    command
        .args(["-drive", &drive("nvme", &files.spare_nvme)])
        .args(["-device", "nvme,drive=nvme,serial=spare"]);
    command
}

/// A disk whose content nobody needs after a crash.
fn drive(id: &str, path: &Path) -> String {
    format!(
        "file={},format=raw,if=none,id={id},cache=unsafe",
        escaped(path)
    )
}

/// A path in an option of QEMU's, where a comma ends a value.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Unpacks what the guest left, which is nothing where it wrote no archive.
fn unpack(disk: &Path, out: &Path) -> Result<()> {
    let mut first = [0];
    File::open(disk)
        .and_then(|mut file| file.read_exact(&mut first))
        .with_context(|| format!("cannot read {}", disk.display()))?;
    if first == [0] {
        return Ok(());
    }
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let output = host_tools::command("tar")
        .args(["-x", "--no-same-owner", "-f"])
        .arg(disk)
        .arg("-C")
        .arg(out)
        .output()
        .context("cannot run tar")?;
    ensure!(
        output.status.success(),
        "tar ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::guest::qemu::command_is_interactive;

    fn files(folder: &str) -> RunFiles {
        let place = |name: &str| Path::new(folder).join(name);
        RunFiles {
            initramfs: place("i"),
            work: place("w"),
            out: place("o"),
            spare_virtio: place("v"),
            spare_nvme: place("n"),
            report: place("r"),
            console: place("c"),
        }
    }

    fn kernel(name: &str) -> Kernel {
        Kernel {
            series: name.parse().unwrap(),
            release: name.to_owned(),
            image: "/k".into(),
            modules: "/m".into(),
        }
    }

    fn words(interactive: bool) -> Vec<String> {
        words_for("6.12", interactive)
    }

    fn words_for(name: &str, interactive: bool) -> Vec<String> {
        command(&kernel(name), &files("/a,b"), interactive)
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_machine_is_emulated_in_software() {
        let words = words(false);
        let after = |option: &str| {
            let place = words.iter().position(|word| word == option).unwrap();
            words[place + 1].as_str()
        };
        assert_eq!(after("-accel"), "tcg,thread=single");
        assert!(after("-append").contains("panic=-1"));
    }

    /// Channels in their order, with the terminals that the guest is told.
    #[test]
    fn the_guest_is_told_the_names_of_its_terminals() {
        for (name, channels, terminals) in [
            (
                "6.12",
                ["chardev:console", "chardev:job", "chardev:report"],
                [
                    "console=ttyS0",
                    "job_terminal=ttyS1",
                    "report_terminal=ttyS2",
                ],
            ),
            (
                "6.12-arm64",
                [
                    "chardev:console",
                    "pci-serial,chardev=job",
                    "pci-serial,chardev=report",
                ],
                [
                    "console=ttyAMA0",
                    "job_terminal=ttyS0",
                    "report_terminal=ttyS1",
                ],
            ),
        ] {
            let words = words_for(name, false);
            let ports: Vec<_> = words
                .iter()
                .filter(|word| word.starts_with("chardev:") || word.starts_with("pci-serial,"))
                .collect();
            assert_eq!(ports, channels);
            let place = words.iter().position(|word| word == "-append").unwrap();
            for terminal in terminals {
                assert!(words[place + 1].split(' ').any(|word| word == terminal));
            }
        }
    }

    #[test]
    fn paths_with_a_comma_stay_whole() {
        assert!(
            words(false)
                .contains(&"file=/a,,b/w,format=raw,if=none,id=work,cache=unsafe".to_owned())
        );
    }

    #[test]
    fn ctrl_c_is_the_guests_only_where_a_person_sits_at_it() {
        for interactive in [false, true] {
            let command = command(&kernel("6.12"), &files("/a"), interactive);
            assert_eq!(command_is_interactive(&command), interactive);
        }
    }

    #[test]
    fn a_disk_without_an_archive_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, out) = (folder.path().join("disk"), folder.path().join("out"));
        fs::write(&disk, [0; 1024]).unwrap();
        unpack(&disk, &out).unwrap();
        assert!(!out.exists());
        fs::write(folder.path().join("a"), "1").unwrap();
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&disk)
            .arg("-C")
            .arg(folder.path())
            .arg("a")
            .status();
        assert!(packed.unwrap().success());
        // The rest of the disk.
        let file = fs::OpenOptions::new().append(true).open(&disk).unwrap();
        file.set_len(1 << 20).unwrap();
        unpack(&disk, &out).unwrap();
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "1");
    }
}
