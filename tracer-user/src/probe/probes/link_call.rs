//! The kernel's calls for a link of a function's probe (`BPF_LINK_CREATE` with `BPF_TRACE_UPROBE_MULTI`), which aya 0.14 does not
//! make.

use std::{
    ffi::{CStr, CString},
    io,
    mem::size_of,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};

/// `BPF_F_UPROBE_MULTI_RETURN` (include/uapi/linux/bpf.h).
const ON_RETURN: u32 = 1;

/// Puts a program on a place of a file that is open, for every process that maps it.
///
/// # Errors
/// What the kernel says.
pub fn link_by_descriptor(
    program: &OwnedFd,
    file: &OwnedFd,
    offset_bytes: u64,
    cookie: u64,
    returns: bool,
) -> io::Result<OwnedFd> {
    let file = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    link(
        program,
        &Place {
            file: &file,
            offset_bytes,
            cookie,
            returns,
            process_id: 0,
        },
    )
}

/// Whether such probes may be made here: found out by making one on a place of this program, for this process.
///
/// # Errors
/// What the kernel says.
pub fn try_out(own_offset_bytes: u64) -> io::Result<()> {
    // r0 = 0; exit
    let mut nothing: [bpf_insn; 2] = [bpf_insn {
        code: 0xb7,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm: 0,
    }; 2];
    nothing[1].code = 0x95;
    let program = load_program(&nothing, c"GPL")?;
    link(
        &program,
        &Place {
            file: c"/proc/self/exe",
            offset_bytes: own_offset_bytes,
            cookie: 0,
            returns: false,
            process_id: std::process::id(),
        },
    )
    .map(drop)
}

/// Has the kernel verify a program for such links.
///
/// # Errors
/// The kernel refuses it.
pub fn load_program(instructions: &[bpf_insn], license: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: a union of plain numbers, for which zero is a value.
    let mut attributes: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the member that this command takes.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    load.license = license.as_ptr() as u64;
    // SAFETY: instructions and licence outlive the call.
    unsafe { call(bpf_cmd::BPF_PROG_LOAD, &attributes) }
}

/// A place of a file.
pub struct Place<'a> {
    pub file: &'a CStr,
    pub offset_bytes: u64,
    /// What the program is told when it is reached.
    pub cookie: u64,
    /// Whether its return is probed instead of its entry.
    pub returns: bool,
    /// 0: every process.
    pub process_id: u32,
}

/// Puts a program on a place, until the link is dropped.
///
/// # Errors
/// What the kernel says.
pub fn link(program: &OwnedFd, place: &Place<'_>) -> io::Result<OwnedFd> {
    // SAFETY: a union of plain numbers, for which zero is a value.
    let mut attributes: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the member that this command takes.
    let create = unsafe { &mut attributes.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: the member that this kind of link takes.
    let probes = unsafe { &mut create.__bindgen_anon_3.uprobe_multi };
    probes.path = place.file.as_ptr() as u64;
    probes.offsets = std::ptr::from_ref(&place.offset_bytes) as u64;
    probes.cookies = std::ptr::from_ref(&place.cookie) as u64;
    probes.cnt = 1;
    probes.flags = if place.returns { ON_RETURN } else { 0 };
    probes.pid = place.process_id;
    // SAFETY: path, offset and cookie outlive the call.
    unsafe { call(bpf_cmd::BPF_LINK_CREATE, &attributes) }
}

/// # Safety
/// What the attributes point to must be there.
unsafe fn call(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as large as is said, and the caller answers for what they point to.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<bpf_attr>(),
        )
    };
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel made it for us; it is closed with a program that is started (both commands set O_CLOEXEC).
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
