//! In a container from scratch, where nothing is but the program.

use std::process::Command;

use anyhow::Result;
use tests::{run_record::RunRecord, tracer::TracerCall};

use super::{Place, SOMEBODY};
use crate::ground::{Ground, check_sound};

/// No `/etc/passwd`, no `/etc/group`: nobody has a name, and that is no error.
pub(super) fn without_a_user_database(ground: &Ground, place: &Place) -> Result<()> {
    let run = place.folder.path.join("run");
    let user = SOMEBODY.to_string();
    let mut command = Command::new("unshare");
    command
        .current_dir(&place.folder.path)
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(r#"mount -t tmpfs tmpfs /etc && user=$1 tracer=$2; shift 2; exec setpriv --reuid "$user" --regid "$user" --clear-groups "$tracer" launch "$@""#)
        .arg("sh")
        .arg(&user)
        .arg(&place.tracer);
    let arguments: Vec<_> = place
        .reader_arguments()
        .into_iter()
        .filter(|argument| *argument != "--start-on-line")
        .collect();
    TracerCall::of_copy(&ground.scratch, command, run.clone())
        .option("--model", &place.model)
        .engine(&place.reader, &arguments)
        .run()?
        .finished
        .succeeded()?;
    check_sound(&RunRecord::load(&run)?)
}
