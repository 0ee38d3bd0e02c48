//! For whom a read is, told from the first page that it fills.
//!
//! Pages are not followed as typed pointers: how a page leads to its folio differs by kernel, and the head of a
//! large folio is known as a number only. Each step is a checked read of kernel memory; one that fails ends the
//! walk with "no file".

use core::arch::asm;

use tracer_common::{origin::ReadOrigin, page::FileKey};

use crate::{
    abilities::Abilities,
    field::{Bio, read},
    maps::FILES,
    page_cache::known_file,
    settings::setting,
};

/// `BDEVFS_MAGIC` of `include/uapi/linux/magic.h`: the file system of the block devices' own page cache.
const BLOCK_DEVICE_MAGIC: u64 = 0x6264_6576;

/// Masks lie above it, and addresses of `struct page` below: on x86_64 they end at 0xfffffe0000000000
/// (Documentation/arch/x86/x86_64/mm.rst), on arm64 here (`VMEMMAP_END` of arch/arm64/include/asm/memory.h). The head of
/// 1 GiB is at most 16 MiB away.
const LEAST_MASK: u64 = 0xffff_ffff_c000_0000;

/// For whom a read with these flags and this first bio is.
#[inline(always)]
pub fn of_read<A: Abilities>(command_flags: u32, bio: Bio) -> ReadOrigin {
    if command_flags & setting!(constants.flag_swap) != 0 {
        return ReadOrigin::Swap;
    }
    if command_flags & setting!(constants.flag_metadata) != 0 {
        return ReadOrigin::Metadata;
    }
    if A::LATE {
        // There the stack is too short for another call.
        return of_page(bio.first_page()).unwrap_or(ReadOrigin::Unbuffered);
    }
    let mut number = u64::from(origin_of_page(bio.first_page()));
    // The verifier does not look into what a function returns, and the compiler, which does, would leave a mask out.
    // SAFETY: changes a number that is below 4, and nothing else.
    unsafe { asm!("{number} &= 3", number = inout(reg) number, options(nomem, nostack)) };
    match number as u32 {
        number if number == ReadOrigin::TracedFile as u32 => ReadOrigin::TracedFile,
        number if number == ReadOrigin::OtherFile as u32 => ReadOrigin::OtherFile,
        number if number == ReadOrigin::BlockDevice as u32 => ReadOrigin::BlockDevice,
        _ => ReadOrigin::Unbuffered,
    }
}

/// A function of its own to the verifier (global, with numbers only), which so follows it once and not on each way to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn origin_of_page(page: u64) -> u32 {
    of_page(page).unwrap_or(ReadOrigin::Unbuffered) as u32
}

#[inline(always)]
fn of_page(page: u64) -> Option<ReadOrigin> {
    if page == 0 {
        return None;
    }
    // `page_folio()` of include/linux/page-flags.h: the lowest bit says that the rest is the head's address, or from
    // `compound_info` on (Linux 7) a mask that makes it of the page's own.
    let head: u64 = read(page, setting!(members.page_compound_head))?;
    let folio = if head & 1 == 0 {
        page
    } else if head >= LEAST_MASK {
        page & head
    } else {
        head - 1
    };
    // The two lowest bits mark anonymous and movable pages (`FOLIO_MAPPING_FLAGS`).
    let mapping: u64 = read(folio, setting!(members.folio_mapping))?;
    if mapping == 0 || mapping & 3 != 0 {
        return None;
    }
    if known_file::is_models(mapping) {
        return Some(ReadOrigin::TracedFile);
    }
    let inode: u64 = read(mapping, setting!(members.mapping_host))?;
    if inode == 0 {
        return None;
    }
    let superblock: u64 = read(inode, setting!(members.inode_superblock))?;
    let magic: u64 = read(superblock, setting!(members.superblock_magic))?;
    if magic == BLOCK_DEVICE_MAGIC {
        return Some(ReadOrigin::BlockDevice);
    }
    let device: u32 = read(superblock, setting!(members.superblock_device))?;
    let key = FileKey {
        inode: read(inode, setting!(members.inode_number))?,
        device: u64::from(device),
    };
    Some(if FILES.get_ptr(key).is_some() {
        ReadOrigin::TracedFile
    } else {
        ReadOrigin::OtherFile
    })
}
