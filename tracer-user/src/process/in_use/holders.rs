//! Which processes have models open or mapped: those of a pid and its descendants, of a name, of a container, or all.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::process::observed::{
    ObservedProcess, ProcessError, ProcessIdentity, classify, descendants_of,
};

use super::open_models::{OpenModel, OpenModels};

/// Length of a thread's name in the kernel, without the 0 at its end (`TASK_COMM_LEN`).
const LONGEST_COMMAND_NAME: usize = 15;

/// Least length of a container's id in its beginning.
const SHORTEST_CONTAINER_ID: usize = 4;

/// A process with the models that it has open or mapped.
#[derive(Debug)]
pub struct ModelHolder {
    pub process: ObservedProcess,
    pub open: OpenModels,
}

impl ModelHolder {
    /// Bytes of its models' files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.open.models.iter().map(OpenModel::size_bytes).sum()
    }
}

/// Those of these processes that have models, or what looks like one and cannot be traced, in their order. Processes that
/// end meanwhile or may not be looked at are left out.
#[must_use]
pub fn holders_among(pids: &[i32]) -> Vec<ModelHolder> {
    pids.iter()
        .filter_map(|pid| ObservedProcess::open(*pid).ok())
        .filter_map(|process| {
            let open = OpenModels::find(&process).ok()?;
            Some(ModelHolder { process, open })
        })
        .filter(|holder| !holder.open.models.is_empty() || !holder.open.refused.is_empty())
        .collect()
}

/// A process and its descendants, itself first.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn with_descendants(pid: i32) -> Result<Vec<i32>, ProcessError> {
    let mut pids = vec![pid];
    pids.extend(descendants_of(pid)?);
    Ok(pids)
}

/// All processes but this one.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn all_processes() -> Result<Vec<i32>, ProcessError> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let processes = procfs::process::all_processes().map_err(|error| classify(own, "..", error))?;
    let mut pids: Vec<i32> = processes
        .filter_map(|process| Some(process.ok()?.pid()))
        .filter(|pid| *pid != own)
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Processes that are called so, without those that descend from another of them: by the name of the main thread, of
/// the program, or of the script that an interpreter runs.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn processes_named(name: &str) -> Result<Vec<i32>, ProcessError> {
    let called: Vec<i32> = all_processes()?
        .into_iter()
        .filter_map(|pid| ObservedProcess::open(pid).ok())
        .filter(|process| {
            let program = std::fs::read_link(format!("/proc/{}/exe", process.pid())).ok();
            process.is_running() && is_called(process.identity(), program.as_deref(), name)
        })
        .map(|process| process.pid())
        .collect();
    let mut below = BTreeSet::new();
    for pid in &called {
        below.extend(descendants_of(*pid)?);
    }
    Ok(called
        .into_iter()
        .filter(|pid| !below.contains(pid))
        .collect())
}

fn is_called(identity: &ProcessIdentity, program: Option<&Path>, name: &str) -> bool {
    let file_name = |path: &str| Path::new(path).file_name() == Some(OsStr::new(name));
    let cut = name
        .as_bytes()
        .get(..LONGEST_COMMAND_NAME)
        .unwrap_or(name.as_bytes());
    // `/usr/bin/python3 /usr/local/bin/vllm serve`.
    let script = identity
        .command_line
        .get(1)
        .filter(|argument| argument.contains('/'));
    identity.command_name.as_bytes() == cut
        || program.is_some_and(|program| program.file_name() == Some(OsStr::new(name)))
        || identity
            .command_line
            .first()
            .is_some_and(|it| file_name(it))
        || script.is_some_and(|script| file_name(script))
}

/// Processes of a container, by its id or the beginning of it, as it stands in the path of their control group.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn processes_of_container(id: &str) -> Result<Vec<i32>, ProcessError> {
    Ok(all_processes()?
        .into_iter()
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cgroup"))
                .is_ok_and(|text| is_in_container(&text, id))
        })
        .collect())
}

/// From the text of `/proc/P/cgroup`: `docker-ID.scope`, `/docker/ID`, `cri-containerd-ID.scope`, `libpod-ID`,
/// `/lxc/NAME`.
fn is_in_container(cgroups: &[u8], id: &str) -> bool {
    cgroups
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.splitn(3, |&byte| byte == b':').nth(2))
        .flat_map(|path| path.split(|&byte| byte == b'/'))
        .any(|part| {
            let part = part.strip_suffix(b".scope").unwrap_or(part);
            let last = part.rsplit(|&byte| byte == b'-').next().unwrap_or(part);
            let is_id = last.len() >= 32 && last.iter().all(u8::is_ascii_hexdigit);
            part == id.as_bytes()
                || (is_id
                    && id.len() >= SHORTEST_CONTAINER_ID
                    && last.starts_with(OsStr::new(id).as_bytes()))
        })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_container_is_known_by_the_beginning_of_its_id() {
        let id = "3f9a1c".to_owned() + &"0".repeat(58);
        for path in [
            format!("0::/system.slice/docker-{id}.scope"),
            format!("11:memory:/docker/{id}\n0::/"),
            format!("0::/kubepods.slice/kubepods-burstable-pod1.slice/cri-containerd-{id}.scope"),
            format!("0::/machine.slice/libpod-{id}.scope/container"),
        ] {
            for (given, is_it) in [
                ("3f9a1c", true),
                (id.as_str(), true),
                ("3f9", false),
                ("9a1c", false),
                ("docker", path.contains("/docker/")),
            ] {
                assert_eq!(
                    is_in_container(path.as_bytes(), given),
                    is_it,
                    "{path} {given}"
                );
            }
        }
        assert!(is_in_container(b"0::/lxc/engine", "engine"));
        assert!(!is_in_container(b"0::/user.slice/session-2.scope", "2"));
    }

    #[test]
    fn a_script_is_known_by_its_own_name() {
        let identity = |command_name: &str, command_line: &[&str]| ProcessIdentity {
            pid: 1,
            start_time_ticks: 0,
            command_name: command_name.to_owned(),
            command_line: command_line.iter().map(|&it| it.to_owned()).collect(),
            uid: 0,
        };
        let vllm = identity("python3", &["/usr/bin/python3", "/usr/bin/vllm", "serve"]);
        assert!(is_called(&vllm, None, "vllm"));
        assert!(!is_called(&vllm, None, "serve"));
        let long = identity("llama-embedding", &["./bin/llama-embedding-server"]);
        assert!(is_called(&long, None, "llama-embedding-server"));
        assert!(is_called(
            &identity("x", &[]),
            Some(Path::new("/opt/ollama")),
            "ollama"
        ));
        assert!(!is_called(&identity("ollama", &["ollama"]), None, "llama"));
    }

    #[test]
    fn the_child_that_has_the_model_is_found() {
        let directory = tempfile::tempdir().expect("directory");
        let model = directory
            .path()
            .canonicalize()
            .expect("base")
            .join("m.gguf");
        std::fs::write(&model, "GGUF").expect("model");
        let name = "an-engine-of-tests";
        let engine = directory.path().join(name);
        std::fs::write(
            &engine,
            "#!/bin/sh\n(exec 3<\"$1\"; echo ready; exec sleep 60) & wait\n",
        )
        .expect("script");
        let mut parent = Command::new("sh")
            .arg(&engine)
            .arg(&model)
            .stdout(Stdio::piped())
            .spawn()
            .map(Killed)
            .expect("sh");
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(parent.0.stdout.take().expect("stdout")),
            &mut line,
        )
        .expect("line");
        let pid = parent.0.id() as i32;
        let named = processes_named(name).expect("processes");
        let holders = holders_among(&with_descendants(pid).expect("family"));
        for holder in &holders {
            let _ = holder.process.send(nix::sys::signal::Signal::SIGKILL);
        }
        assert_eq!(named, [pid]);
        let [holder] = holders.as_slice() else {
            panic!("{holders:?}")
        };
        assert_ne!(holder.process.pid(), pid);
        assert_eq!((holder.open.models.len(), holder.size_bytes()), (1, 4));
    }
}
