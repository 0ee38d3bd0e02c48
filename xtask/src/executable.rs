//! Programs on the search path.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Finds a program in the folders of `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH")?, name)
}

/// Finds a program, also where only root's search path leads.
pub fn find_for_root(name: &str) -> Option<PathBuf> {
    find(name).or_else(|| {
        FOLDERS_OF_ROOT
            .map(|folder| Path::new(folder).join(name))
            .into_iter()
            .find(|path| is_executable(path))
    })
}

/// Folders that may be in root's search path alone.
pub const FOLDERS_OF_ROOT: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path)
        // An empty entry would mean the current folder.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

/// A file, or a link to one, that someone may execute.
pub fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_executable_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| folder.path().join(name))
            .into();
        for path in &paths {
            fs::create_dir(path).unwrap();
        }
        fs::create_dir(paths[0].join("sudo")).unwrap();
        fs::write(paths[1].join("sudo"), "not executable").unwrap();
        for path in &paths[2..] {
            let file = path.join("sudo");
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = env::join_paths(&paths).unwrap();
        assert_eq!(find_in(&path, "sudo"), Some(paths[2].join("sudo")));
        assert_eq!(find_in(&path, "doas"), None);
    }
}
