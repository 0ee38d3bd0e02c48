//! How the page-cache tracepoints name the files whose sectors nobody can tell.

use crate::{
    place::{Placement, Subject},
    probe::Session,
};

/// Finds out how the tracepoints name the files that have no sectors: on btrfs, on an overlay and elsewhere the file's own
/// numbers are not sure to be those. One byte of each is read for that.
///
/// # Errors
/// A map that cannot be written; two files that turn out to be one.
pub fn learn_keys(subject: &mut Subject, session: &mut Session) -> anyhow::Result<()> {
    for slot in 0..subject.files.len() {
        let Some(file) = subject
            .files
            .get(slot)
            .filter(|file| matches!(file.placement, Placement::CacheOnly(_)))
        else {
            continue;
        };
        let is_cold = file.is_cold();
        // One page is enough: no read-ahead.
        file.advise(libc::POSIX_FADV_RANDOM);
        let learnt = session.learn_key(&file.open)?;
        if is_cold {
            file.advise(libc::POSIX_FADV_DONTNEED);
        }
        if learnt.is_none() && file.filesystem == "overlay" {
            // Its own numbers are not those of the file that is read.
            session.leave_unobserved(slot);
        }
        if let Some(key) = learnt
            && key != file.key
        {
            // Seen through another mount, for instance: its events would count for one of the two only.
            subject.refuse_twice(key, &file.path)?;
            session.replace_file(slot, key)?;
            if let Some(file) = subject.files.get_mut(slot) {
                file.key = key;
            }
        }
    }
    Ok(())
}
