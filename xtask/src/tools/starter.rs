//! Scripts that start unpacked programs.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result};

use crate::shell;

/// Writes a script that starts an unpacked program with these variables, such as where the libraries are that were
/// unpacked beside it. What the tests start otherwise must not see them.
///
/// # Errors
/// The script cannot be written.
pub fn write_starter(starter: &Path, program: &Path, variables: &[(&str, OsString)]) -> Result<()> {
    let assignments: Vec<OsString> = variables
        .iter()
        .map(|(name, value)| {
            let mut assignment = OsString::from(format!("{name}="));
            assignment.push(value);
            assignment
        })
        .collect();
    let start = shell::command_line(
        ["exec".as_ref(), "env".as_ref()]
            .into_iter()
            .chain(assignments.iter().map(OsString::as_os_str))
            .chain([program.as_os_str()]),
    );
    let script = format!("#!/bin/sh\n{start} \"$@\"\n");
    // A shell that is at it now reads on where it was.
    if fs::read_to_string(starter).is_ok_and(|found| found == script) {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        fs::write(starter, script)?;
        fs::set_permissions(starter, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("cannot write {}", starter.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_starter_passes_its_arguments_on_and_its_variables_to_the_program_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a folder's");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("program");
        fs::write(
            &program,
            "#!/bin/sh\necho \"$LD_LIBRARY_PATH\" \"$OTHER\" \"$#\" \"$2\"\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let starter = folder.join("starter");
        let variables = [
            ("LD_LIBRARY_PATH", "/a b:/c".into()),
            ("OTHER", "it's".into()),
        ];
        write_starter(&starter, &program, &variables).unwrap();
        let output = Command::new(&starter)
            .args(["1", "2 '3'", ""])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "/a b:/c it's 3 2 '3'\n"
        );
    }
}
