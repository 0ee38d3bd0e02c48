//! The eBPF object, with calls of the kernel's functions put in.
//!
//! A call of a function of the kernel carries its BTF id, which differs from kernel to kernel, and aya (0.14) has no
//! relocation for it.

use anyhow::{Context as _, bail};
use object::{Object as _, ObjectSection as _, SectionKind};
use tracer_common::kernel_function::NAMES;

use super::KernelTypes;

/// The eBPF object that the build script made.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// Length of an instruction, bytes: operation, registers, offset (2), constant (4).
const INSTRUCTION_BYTES: usize = 8;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as source register.
const OF_KERNEL_FUNCTION: u8 = 2 << 4;
/// `BPF_ALU64 | BPF_MOV | BPF_K`: what a call becomes that there is nothing for; its result, register 0, is 0.
const SET_TO_CONSTANT: u8 = 0xb7;

/// The object for this kernel.
///
/// # Errors
/// The object is none.
pub(super) fn object(types: &KernelTypes) -> anyhow::Result<Vec<u8>> {
    let functions = NAMES.map(|(number, name)| (number, types.function_id(name)));
    // One without the other would leave a program in a state that the verifier refuses.
    let all = functions.iter().all(|(_, id)| id.is_some());
    patched(OBJECT, |number| {
        functions
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, id)| id.filter(|_| all))
    })
}

/// Puts into each call of a number what `function` has for it: a BTF id, or nothing. Other numbers it does not know.
fn patched(
    object: &[u8],
    function: impl Fn(u32) -> Option<Option<u32>>,
) -> anyhow::Result<Vec<u8>> {
    let file = object::File::parse(object).context("the eBPF object is no ELF file")?;
    let mut patched = object.to_vec();
    for section in file
        .sections()
        .filter(|section| section.kind() == SectionKind::Text)
    {
        let Some((start, length)) = section.file_range() else {
            continue;
        };
        let range = usize::try_from(start)?..usize::try_from(start + length)?;
        let Some(program) = patched.get_mut(range) else {
            bail!("a section of the eBPF object lies outside of it");
        };
        for instruction in program.chunks_exact_mut(INSTRUCTION_BYTES) {
            let [CALL, 0, 0, 0, a, b, c, d] = *instruction else {
                continue;
            };
            match function(u32::from_le_bytes([a, b, c, d])) {
                None => {}
                Some(Some(id)) => {
                    instruction[1] = OF_KERNEL_FUNCTION;
                    instruction[4..].copy_from_slice(&id.to_le_bytes());
                }
                Some(None) => {
                    instruction.copy_from_slice(&[SET_TO_CONSTANT, 0, 0, 0, 0, 0, 0, 0]);
                }
            }
        }
    }
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSymbol as _, SymbolKind};
    use tracer_common::kernel_function::{NAMES, PREEMPT_DISABLE, PREEMPT_ENABLE};

    use super::{CALL, INSTRUCTION_BYTES, OBJECT, OF_KERNEL_FUNCTION, patched};

    fn calls(object: &[u8], registers: u8, constant: u32) -> usize {
        let mut wanted = vec![CALL, registers, 0, 0];
        wanted.extend(constant.to_le_bytes());
        object
            .windows(INSTRUCTION_BYTES)
            .filter(|window| *window == wanted)
            .count()
    }

    #[test]
    fn each_call_by_number_becomes_one_of_the_function() {
        let ids = |number| match number {
            PREEMPT_DISABLE => Some(Some(77_001)),
            PREEMPT_ENABLE => Some(Some(77_002)),
            _ => None,
        };
        let new = patched(OBJECT, ids).expect("an ELF file");
        assert_eq!(new.len(), OBJECT.len());
        for (number, id) in [(PREEMPT_DISABLE, 77_001), (PREEMPT_ENABLE, 77_002)] {
            let before = calls(OBJECT, 0, number);
            assert!(before > 10, "{before} calls");
            assert_eq!(calls(&new, OF_KERNEL_FUNCTION, id), before);
            assert_eq!(calls(&new, 0, number), 0);
        }
    }

    #[test]
    fn without_the_functions_nothing_is_called() {
        let known = |number| {
            NAMES
                .iter()
                .any(|(name, _)| *name == number)
                .then_some(None)
        };
        let new = patched(OBJECT, known).expect("an ELF file");
        for (number, _) in NAMES {
            assert_eq!(calls(&new, 0, number), 0);
        }
        // All else is as it was: helpers are called, and the symbols are there.
        let names = |bytes: &[u8]| {
            let file = object::File::parse(bytes).expect("an ELF file");
            file.symbols()
                .filter(|symbol| symbol.kind() == SymbolKind::Text)
                .count()
        };
        assert_eq!(names(&new), names(OBJECT));
        let ktime_get_ns = 5;
        assert_eq!(calls(&new, 0, ktime_get_ns), calls(OBJECT, 0, ktime_get_ns));
        assert!(patched(b"no ELF", known).is_err());
    }
}
