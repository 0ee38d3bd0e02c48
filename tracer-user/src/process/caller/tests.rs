//! Callers from made-up environments, and the environment of a real process.

use std::process::{Command, Stdio};

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn root() -> OwnIds {
    OwnIds {
        uid: Uid::from_raw(0),
        gid: Gid::from_raw(0),
        groups: vec![Gid::from_raw(0)],
    }
}

fn sudo(extra: &[(&str, &str)]) -> Environment {
    let mut pairs = vec![
        ("SUDO_UID", "65534"),
        ("SUDO_GID", "65533"),
        ("SUDO_USER", "x"),
        ("SUDO_COMMAND", "y"),
    ];
    pairs.extend([
        ("PATH", "/sbin"),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
    ]);
    pairs.extend(extra);
    environment(&pairs)
}

#[test]
fn under_sudo_the_caller_is_who_called_sudo() {
    let caller = Caller::identify(&sudo(&[("LANG", "C")]), &root()).expect("caller");
    assert_eq!((caller.uid.as_raw(), caller.gid.as_raw()), (65534, 65533));
    assert!(caller.groups.contains(&Gid::from_raw(65533)));
    assert!(!caller.groups.contains(&Gid::from_raw(0)));
    assert_eq!(caller.environment_source, EnvironmentSource::OwnAdjusted);
    assert_eq!(caller.variable("SUDO_UID"), None);
    assert_eq!(caller.variable("SUDO_COMMAND"), None);
    assert_eq!(caller.variable("LANG"), Some(OsStr::new("C")));
    assert_ne!(caller.variable("HOME"), Some(OsStr::new("/root")));
    assert_eq!(
        caller.variable("USER").map(OsStr::to_owned),
        caller.user_name.clone().map(OsString::from)
    );
    assert_eq!(caller.variable("USER"), caller.variable("LOGNAME"));
}

#[test]
fn a_uid_without_a_name_has_its_own_group_only_and_no_home() {
    let own = environment(&[
        ("SUDO_UID", "3999999999"),
        ("SUDO_GID", "3999999998"),
        ("HOME", "/root"),
    ]);
    let caller = Caller::identify(&own, &root()).expect("caller");
    assert_eq!(caller.groups, [Gid::from_raw(3_999_999_998)]);
    assert_eq!(
        (caller.user_name.as_deref(), caller.variable("HOME")),
        (None, None)
    );
}

#[test]
fn sudo_variables_of_a_user_who_is_not_root_mean_nothing() {
    let own = OwnIds {
        uid: Uid::from_raw(1000),
        gid: Gid::from_raw(1000),
        groups: vec![Gid::from_raw(7)],
    };
    let given = sudo(&[(CALLER_PID_VARIABLE, "1")]);
    let caller = Caller::identify(&given, &own).expect("caller");
    assert_eq!((caller.uid, &caller.groups), (own.uid, &own.groups));
    assert_eq!(caller.environment.len(), given.len() - 1);
    assert_eq!(caller.variable(CALLER_PID_VARIABLE), None);
    let root_itself = Caller::identify(&environment(&[("A", "b")]), &root()).expect("caller");
    assert!(root_itself.uid.is_root());
}

#[test]
fn malformed_ids_are_refused() {
    for (uid, gid) in [
        ("", "1"),
        ("x", "1"),
        ("-1", "1"),
        ("+1", "1"),
        ("4294967295", "1"),
        ("1", "1 "),
        ("1", "99999999999"),
    ] {
        let own = environment(&[("SUDO_UID", uid), ("SUDO_GID", gid)]);
        let error = Caller::identify(&own, &root()).expect_err("malformed");
        assert!(
            matches!(error, CallerError::MalformedId { .. }),
            "{uid:?} {gid:?}: {error}"
        );
    }
    let half = Caller::identify(&environment(&[("SUDO_UID", "1")]), &root());
    assert!(matches!(
        half,
        Err(CallerError::HalfSet {
            missing: "SUDO_GID"
        })
    ));
    let half = Caller::identify(&environment(&[("SUDO_GID", "1")]), &root());
    assert!(matches!(
        half,
        Err(CallerError::HalfSet {
            missing: "SUDO_UID"
        })
    ));
}

#[test]
fn the_environment_of_the_process_that_called_sudo() {
    let me = OwnIds::current().expect("ids");
    let mut sleeper = Command::new("sleep")
        .arg("60")
        .env_clear()
        .env("PATH", "/home/x/bin:/bin")
        .env("LD_LIBRARY_PATH", "a=b")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep");
    let pid = sleeper.id().to_string();
    // The one that starts a program goes on before the kernel has laid out the new environment.
    for _ in 0..1000 {
        if std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| !text.is_empty()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let with = |uid: Uid, pid: &str| {
        let uid = uid.to_string();
        let own = environment(&[
            ("SUDO_UID", &uid),
            ("SUDO_GID", "5"),
            (CALLER_PID_VARIABLE, pid),
            ("PATH", "/sbin"),
        ]);
        Caller::identify(&own, &root())
    };
    let mine = with(me.uid, &pid);
    let foreign = with(Uid::from_raw(me.uid.as_raw() + 77), &pid);
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    let gone = with(me.uid, &pid);

    let mine = mine.expect("caller");
    assert_eq!(mine.variable("PATH"), Some(OsStr::new("/home/x/bin:/bin")));
    assert_eq!(mine.variable("LD_LIBRARY_PATH"), Some(OsStr::new("a=b")));
    assert!(matches!(
        mine.environment_source,
        EnvironmentSource::CallerProcess(_)
    ));
    assert!(
        matches!(foreign, Err(CallerError::ForeignCallerPid { .. })),
        "{foreign:?}"
    );
    assert!(
        matches!(gone, Err(CallerError::UnreadableCallerPid { .. })),
        "{gone:?}"
    );
    for pid in ["", "x", "0", "-5"] {
        assert!(
            matches!(with(me.uid, pid), Err(CallerError::MalformedCallerPid(_))),
            "{pid}"
        );
    }
}

#[test]
fn files_are_given_to_the_caller_but_not_through_links() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: giving files away needs root");
        return;
    }
    let caller = Caller::identify(&sudo(&[]), &root()).expect("caller");
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("run.json");
    std::fs::write(&file, "x").expect("file");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    caller.give_path(&link).expect_err("a symbolic link");
    let second = directory.path().join("second");
    std::fs::hard_link(&file, &second).expect("hard link");
    caller.give_path(&file).expect_err("two names");
    assert_eq!(file.metadata().expect("metadata").uid(), 0);
    std::fs::remove_file(&second).expect("remove");
    caller.give_path(&file).expect("given");
    caller.give_path(directory.path()).expect("given");
    let metadata = file.metadata().expect("metadata");
    assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533));
    assert_eq!(directory.path().metadata().expect("metadata").uid(), 65534);
}

#[test]
fn without_a_user_database_nobody_is_in_it_and_one_that_fails_is_an_error() {
    use nix::errno::Errno;
    assert_eq!(entry(Err(Errno::ENOENT)), Ok(None));
    assert_eq!(entry(Err(Errno::EIO)), Err(Errno::EIO));
}
