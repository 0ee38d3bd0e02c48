//! What a program says of its options.

use std::{
    io::{self, Read as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::unistd::Uid;

use super::Caller;

/// A program that takes longer to say what it can do is no help.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any help.
const LONGEST_BYTES: u64 = 4 << 20;

/// What `program … --help` prints, run as the calling user.
///
/// # Errors
/// It could not be run, or did not end.
pub fn help_text(program: &Path, arguments: &[&str], caller: &Caller) -> io::Result<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--help")
        .env_clear()
        .envs(caller.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if Uid::effective().is_root() && !caller.uid.is_root() {
        // Without supplementary groups: none is needed to print a text.
        command.uid(caller.uid.as_raw()).gid(caller.gid.as_raw());
    }
    let mut child = command.spawn()?;
    let (sender, received) = mpsc::channel();
    let outputs: [Option<Box<dyn io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    for pipe in outputs.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What was read until then is what there is.
            let _ = pipe.take(LONGEST_BYTES).read_to_end(&mut text);
            let _ = sender.send(text);
        });
    }
    drop(sender);
    let mut text = Vec::new();
    let mut ended = true;
    loop {
        match received.recv_timeout(PATIENCE) {
            Ok(part) => text.extend(part),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                ended = false;
                break;
            }
        }
    }
    if !ended {
        child.kill()?;
    }
    child.wait()?;
    if ended {
        Ok(String::from_utf8_lossy(&text).into_owned())
    } else {
        Err(io::Error::other(format!(
            "it has not ended {} after it was asked for --help",
            humantime::format_duration(PATIENCE)
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Caller, help_text};

    #[test]
    fn both_outputs_are_taken() {
        let caller = Caller::of_this_process().expect("a caller");
        let text = help_text(
            Path::new("/bin/sh"),
            &["-c", "echo out $1; echo err >&2", "sh"],
            &caller,
        )
        .expect("a text");
        assert!(
            text.contains("out --help") && text.contains("err"),
            "{text}"
        );
        assert!(help_text(Path::new("/nonexistent"), &[], &caller).is_err());
    }
}
