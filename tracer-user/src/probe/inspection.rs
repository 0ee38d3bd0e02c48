//! Loads and attaches every program of the object, also those that no run on this kernel would use.

use anyhow::{Context as _, anyhow, bail};
use aya::{Btf, Ebpf, EbpfLoader, programs::Program as LoadedProgram};
use tracer_common::{
    extent::MAX_DEVICES,
    program::Program,
    ring::LEAST_RING_SLOTS,
    settings::{DeviceFilter, ExtentIndex, Settings},
    slice::SpanIndex,
};

use super::{
    KernelTypes, Requirement,
    aggregates::Plain,
    attach::{self, Hook},
    object::OBJECT,
    object::raise_memlock_limit,
    probes,
    programs::traced_event,
};

/// A program, what it would sit on, and what the kernel must have for it.
struct Candidate {
    program: &'static str,
    /// None: a function of an engine's.
    hook: Option<Hook>,
    /// A helper, by its name without `bpf_`.
    helper: Option<&'static str>,
}

/// What each program of the object does on this kernel: it is loaded and attached, with the gate closed, and taken away
/// again. A program is missing only where the kernel has all that it needs and refuses it.
#[must_use]
pub fn programs() -> Vec<Requirement> {
    const NAME: &str = "eBPF programs";
    const REMEDY: &str = "the lines above say what this machine lacks";
    raise_memlock_limit();
    let prepared = KernelTypes::of_running_kernel()
        .map_err(anyhow::Error::from)
        .and_then(|types| {
            let btf = Btf::from_sys_fs()?;
            let ebpf = loaded(&types, &btf)?;
            Ok((types, btf, ebpf))
        });
    let (types, btf, mut ebpf) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return vec![Requirement::missing(NAME, format!("{error:#}"), REMEDY)],
    };
    candidates()
        .map(|candidate| inspect(&candidate, &types, &btf, &mut ebpf))
        .collect()
}

fn candidates() -> impl Iterator<Item = Candidate> {
    Program::ALL.iter().copied().flat_map(of_program)
}

/// All programs of the object that do the same.
fn of_program(program: Program) -> Vec<Candidate> {
    let Some(event) = traced_event(program) else {
        return vec![Candidate {
            program: program.name(),
            hook: None,
            helper: Some("get_attach_cookie"),
        }];
    };
    let on_tracepoint = |program, helper| Candidate {
        program,
        hook: Some(Hook::Tracepoint(event.tracepoint)),
        helper,
    };
    // What has an early twin walks over extents with bpf_loop.
    let early = program.early_name();
    let helper = early.is_some().then_some("loop");
    let mut list = vec![on_tracepoint(program.name(), helper)];
    list.extend(early.map(|early| on_tracepoint(early, None)));
    let stand_in = program.stand_in_name().zip(event.on_function);
    list.extend(stand_in.map(|(program, stand_in)| Candidate {
        program,
        hook: Some(Hook::Function(stand_in.function)),
        helper: None,
    }));
    list
}

fn inspect(candidate: &Candidate, types: &KernelTypes, btf: &Btf, ebpf: &mut Ebpf) -> Requirement {
    let name = format!("program {}", candidate.program);
    if let Some(lacking) = lacking(candidate, types) {
        return Requirement::reduced(name, format!("this kernel has no {lacking}"));
    }
    match try_out(candidate, btf, ebpf) {
        Ok(found) => Requirement::present(name, found),
        // Trampolines are an architecture's and may be locked down; no run fails for want of them.
        Err(error) if matches!(candidate.hook, Some(Hook::Function(_))) => {
            Requirement::reduced(name, format!("functions cannot be traced here: {error:#}"))
        }
        Err(error) => Requirement::missing(
            name,
            format!("{error:#}"),
            "this kernel is not supported yet: report these lines, with `uname -a`",
        ),
    }
}

fn lacking(candidate: &Candidate, types: &KernelTypes) -> Option<String> {
    let hook = candidate.hook.and_then(|hook| match hook {
        Hook::Tracepoint(tracepoint) => types
            .tracepoint_arguments(tracepoint)
            .is_none()
            .then(|| format!("tracepoint {tracepoint}")),
        Hook::Function(function) => {
            (!types.has_function(function)).then(|| format!("function {function}"))
        }
    });
    hook.or_else(|| {
        let helper = candidate.helper?;
        (!types.has_helper(helper)).then(|| format!("helper bpf_{helper}"))
    })
}

/// The object's maps, and its programs ready to be verified.
fn loaded(types: &KernelTypes, btf: &Btf) -> anyhow::Result<Ebpf> {
    let settings = Settings {
        // All the devices that there may be, each in many extents: what costs the verifier most.
        devices: std::array::from_fn(|slot| DeviceFilter {
            major: 8,
            first_minor: slot as u32,
            extents: 1000,
            tags: 256,
            hardware_queues: 4,
            ..DeviceFilter::default()
        }),
        extent_indices: [ExtentIndex {
            pieces: 8192,
            shift: 10,
            ..ExtentIndex::default()
        }; MAX_DEVICES],
        first_sector_bit: 1 << 20,
        device_count: u32::try_from(MAX_DEVICES)?,
        ring_slots: LEAST_RING_SLOTS,
        records: 1,
        hides_from_process_1: u32::from(types.hides_from_process_1()),
        counts_read_calls: u32::from(types.counts_read_calls()),
        // With records and counts by slice: only a run that may step down has both.
        slices: u32::from(types.counts_models()),
        takes_in_late: u32::from(types.has_stacks_of_programs()),
        steps_down: 1,
        cpus: 64,
        span_blocks: 8,
        read_spans: SpanIndex {
            spans: 1000,
            shift: 10,
        },
        page_spans: SpanIndex {
            spans: 1000,
            shift: 7,
        },
        wake_above_bytes: 0,
        members: types.members()?,
        constants: types.constants()?,
    };
    EbpfLoader::new()
        .btf(Some(btf))
        .override_global("SETTINGS", &Plain(settings), true)
        .override_global("AYA_LOG_LEVEL", &0u8, false)
        .load(OBJECT)
        .context("the kernel refused the maps")
}

/// Loads and attaches one program, alone, and takes it away again; what the verifier did for it.
fn try_out(candidate: &Candidate, btf: &Btf, ebpf: &mut Ebpf) -> anyhow::Result<String> {
    let name = candidate.program;
    match candidate.hook {
        None => probes::load_one(ebpf, name)?,
        Some(hook) => attach::load(ebpf, btf, name, hook).context("it was refused")?,
    }
    let counts = instructions(ebpf, name)?;
    match candidate.hook {
        None => probes::attach_to_ourselves(ebpf, name)?,
        Some(hook) => attach::attach_one(ebpf, name, hook).context("it cannot be attached")?,
    }
    match ebpf.program_mut(name) {
        Some(LoadedProgram::BtfTracePoint(program)) => program.unload(),
        Some(LoadedProgram::FEntry(program)) => program.unload(),
        Some(LoadedProgram::UProbe(program)) => program.unload(),
        _ => Ok(()),
    }
    .context("it cannot be taken away")?;
    let hook = candidate.hook.map_or_else(
        || "an engine's function".to_owned(),
        |hook| hook.to_string(),
    );
    Ok(format!("{hook}: {counts}"))
}

fn instructions(ebpf: &Ebpf, name: &str) -> anyhow::Result<String> {
    let information = ebpf
        .program(name)
        .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?
        .info()?;
    let Some(translated) = information.size_translated() else {
        bail!("the kernel does not say how large it is");
    };
    // Of Linux 5.16, commit aba64c7da983.
    let verified = information.verified_instruction_count().map_or_else(
        || "a number of instructions that this kernel does not tell".to_owned(),
        |count| format!("{count} instructions"),
    );
    Ok(format!(
        "the verifier went through {verified}, translated to {}",
        translated / 8
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use object::{Object as _, ObjectSymbol as _, SymbolKind};

    use super::{OBJECT, candidates};

    #[test]
    fn every_program_of_the_object_is_tried() {
        let object = object::File::parse(OBJECT).expect("an ELF file");
        let in_object: BTreeSet<&str> = object
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_global())
            .filter(|symbol| {
                // Functions that programs call lie in `.text`.
                symbol
                    .section_index()
                    .and_then(|index| object.section_by_index(index).ok())
                    .is_some_and(|section| object::ObjectSection::name(&section) != Ok(".text"))
            })
            .map(|symbol| symbol.name().expect("UTF-8"))
            .collect();
        let tried: BTreeSet<&str> = candidates().map(|candidate| candidate.program).collect();
        assert_eq!(tried, in_object);
    }
}
