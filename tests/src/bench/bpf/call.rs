//! bpf(2).

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

/// Commands of bpf(2) (`enum bpf_cmd` in <linux/bpf.h>).
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    LoadProgram = 5,
    ProgramById = 13,
    ObjectInformation = 15,
    OpenRawTracepoint = 17,
    EnableStatistics = 32,
}

/// Calls bpf(2). The result is a descriptor for the commands that open something.
///
/// # Safety
/// `attribute` is laid out as the command wants it in `union bpf_attr`, and the pointers in it are valid for it.
pub(super) unsafe fn bpf<T>(command: Command, attribute: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's, for the attribute; its size is passed, and it outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_int,
            std::ptr::from_mut(attribute),
            size_of::<T>(),
        )
    };
    match libc::c_int::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// As [`bpf`], for commands that open a descriptor.
///
/// # Safety
/// As for [`bpf`], and the command gives a new descriptor.
pub(super) unsafe fn open<T>(command: Command, attribute: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's.
    let descriptor = unsafe { bpf(command, attribute) }?;
    // SAFETY: the kernel has just given it to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
