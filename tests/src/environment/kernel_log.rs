//! The kernel's log: what a test makes the kernel complain of.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount, umount};

/// Longest record that /dev/kmsg gives (`CONSOLE_EXT_LOG_MAX` in kernel/printk).
const LONGEST_RECORD: usize = 8192;

/// How a complaint about the kernel itself begins.
const COMPLAINTS: [&str; 10] = [
    "WARNING: ",
    "BUG: ",
    "kernel BUG at ",
    "Oops",
    "general protection fault",
    "Kernel panic",
    "UBSAN: ",
    "KASAN: ",
    "INFO: task ",
    "INFO: rcu",
];

/// What the kernel logs from a moment on.
#[derive(Debug)]
pub struct KernelLog {
    records: File,
}

impl KernelLog {
    /// From now on.
    ///
    /// # Errors
    /// Where /dev/kmsg cannot be read.
    pub fn from_now_on() -> Result<Self> {
        let mut records = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("open /dev/kmsg")?;
        records
            .seek(SeekFrom::End(0))
            .context("go to the end of /dev/kmsg")?;
        Ok(Self { records })
    }

    /// Fails where the kernel has complained of itself since then.
    ///
    /// # Errors
    /// The complaints, each with the lines that follow it.
    pub fn check_clean(&mut self) -> Result<()> {
        let messages = self.messages()?;
        let found = complaints(&messages);
        if found.is_empty() {
            return Ok(());
        }
        bail!("the kernel complains of itself:\n{}", found.join("\n"))
    }

    fn messages(&mut self) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        let mut record = vec![0; LONGEST_RECORD];
        loop {
            match self.records.read(&mut record) {
                Ok(0) => return Ok(messages),
                Ok(length) => messages.extend(
                    record
                        .get(..length)
                        .and_then(|bytes| message_of(&String::from_utf8_lossy(bytes))),
                ),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                // EPIPE: the oldest were overwritten; the next read goes on with what is there.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error).context("read /dev/kmsg"),
            }
        }
    }
}

/// The text of "level,number,time,flags;text", up to the end of the line (Documentation/ABI/testing/dev-kmsg). What a
/// process wrote there itself is not the kernel's: its level has a facility, 8 and more.
fn message_of(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let level: u32 = head.split(',').next()?.parse().ok()?;
    (level < 8).then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn complaints(messages: &[String]) -> Vec<String> {
    const SHOWN_LINES: usize = 25;
    let is_complaint = |message: &&String| {
        COMPLAINTS
            .iter()
            .any(|beginning| message.trim_start().starts_with(beginning))
    };
    let mut found = Vec::new();
    let mut rest = messages;
    while let Some(first) = rest.iter().position(|message| is_complaint(&message)) {
        let shown = rest.iter().skip(first).take(SHOWN_LINES);
        found.push(shown.cloned().collect::<Vec<_>>().join("\n"));
        rest = rest.get(first + SHOWN_LINES..).unwrap_or_default();
    }
    found
}

/// Has the kernel say again what it says once only (`WARN_ONCE`), where it can be asked to.
pub fn forget_what_was_warned_of(folder: &Path) {
    // A kernel without debugfs, or one that does not show it: then a warning that came before is not repeated.
    if mount(
        None::<&str>,
        folder,
        Some("debugfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .is_ok()
    {
        let _ = std::fs::write(folder.join("clear_warn_once"), "1");
        let _ = umount(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_says_of_itself_is_a_complaint() {
        let record =
            "4,1234,5678,-;WARNING: CPU: 0 PID: 1 at fs/ext4/inode.c:460 f+0x1\n SUBSYSTEM=x\n";
        let warning = message_of(record).expect("a message");
        assert!(warning.ends_with("f+0x1"), "{warning}");
        assert_eq!(message_of("12,1,2,-;WARNING: from a process"), None);
        let messages = [
            "loop1: detected capacity change",
            "XFS (loop0): Mounting V5 Filesystem",
            &warning,
            "Call Trace:",
            "EXT4-fs (loop2): a WARNING: in the middle",
        ]
        .map(str::to_owned);
        let found = complaints(&messages);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("Call Trace"), "{found:?}");
        assert_eq!(complaints(&messages[..2]), Vec::<String>::new());
    }
}
