//! Which program serves an event on this kernel, and attaching it.

use std::fmt;

use anyhow::{Context as _, anyhow};
use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry},
};
use tracer_common::program::Program;

use super::{
    KernelTypes, SessionOptions,
    programs::{DeviceKind, Need, TracedEvent, traced_events},
};

/// A program in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// What it does.
    pub program: Program,
    /// Its name in the object.
    pub name: &'static str,
}

/// What a program sits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// A tracepoint's own hook (`tp_btf`).
    Tracepoint(&'static str),
    /// The entry of a function of the kernel's (`fentry`).
    Function(&'static str),
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracepoint(name) => write!(formatter, "tracepoint {name}"),
            Self::Function(name) => write!(formatter, "function {name}"),
        }
    }
}

/// The program for an event, and what it sits on; None where this kernel has neither tracepoint nor function.
fn choose(
    event: &TracedEvent,
    types: &KernelTypes,
    counts_models: bool,
) -> Option<(&'static str, Hook)> {
    if types.tracepoint_arguments(event.tracepoint).is_some() {
        let name = match event.program.early_name() {
            Some(early) if !counts_models => early,
            _ => event.program.name(),
        };
        return Some((name, Hook::Tracepoint(event.tracepoint)));
    }
    let (name, stand_in) = event.program.stand_in_name().zip(event.on_function)?;
    types
        .has_function(stand_in.function)
        .then_some((name, Hook::Function(stand_in.function)))
}

/// Loads and attaches what this kernel has.
///
/// # Errors
/// A required event that this kernel does not have; an argument that is not what a program reads; a program that the
/// kernel refuses. A function that cannot be traced is none.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    btf: &Btf,
    types: &KernelTypes,
    device_kind: DeviceKind,
    options: SessionOptions,
    counts_models: bool,
) -> anyhow::Result<Vec<Attached>> {
    let mut chosen = Vec::with_capacity(Program::ALL.len());
    for event in traced_events() {
        let for_these_devices = event.devices == DeviceKind::Any || event.devices == device_kind;
        let is_needed = match event.need {
            Need::Always => true,
            Need::From(detail) => options.detail >= detail,
        };
        if !for_these_devices || !is_needed {
            continue;
        }
        let Some((name, hook)) = choose(&event, types, counts_models) else {
            if event.required {
                return Err(types.missing_tracepoint(event.tracepoint).into());
            }
            continue;
        };
        types.check_arguments(&event)?;
        let loaded = load(ebpf, btf, name, hook).with_context(|| {
            let way_out = if event.program.early_name().is_some() && counts_models {
                "; `--early-programs` takes simpler ones"
            } else {
                ""
            };
            format!("the kernel refused program {name}{way_out}")
        });
        match (loaded, hook) {
            (Err(_), Hook::Function(_)) => continue,
            (loaded, _) => loaded?,
        }
        chosen.push((event.program, name, hook));
    }
    let mut attached = Vec::with_capacity(chosen.len());
    for (program, name, hook) in chosen {
        let done =
            attach_one(ebpf, name, hook).with_context(|| format!("cannot attach program {name}"));
        match (done, hook) {
            // A kernel without trampolines, or under lockdown: what it would have shown is unobserved.
            (Err(_), Hook::Function(_)) => continue,
            (done, _) => done?,
        }
        attached.push(Attached { program, name });
    }
    Ok(attached)
}

/// Has the kernel verify a program for its hook.
pub(super) fn load(ebpf: &mut Ebpf, btf: &Btf, program: &str, hook: Hook) -> anyhow::Result<()> {
    match hook {
        Hook::Tracepoint(tracepoint) => {
            of_tracepoint(ebpf, program)?.load(tracepoint, btf)?;
        }
        Hook::Function(function) => of_function(ebpf, program)?.load(function, btf)?,
    }
    Ok(())
}

/// Puts a loaded program in force.
pub(super) fn attach_one(ebpf: &mut Ebpf, program: &str, hook: Hook) -> anyhow::Result<()> {
    match hook {
        Hook::Tracepoint(_) => {
            of_tracepoint(ebpf, program)?.attach()?;
        }
        Hook::Function(_) => {
            of_function(ebpf, program)?.attach()?;
        }
    }
    Ok(())
}

fn of_tracepoint<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut BtfTracePoint> {
    ebpf.program_mut(name)
        .map(<&mut BtfTracePoint>::try_from)
        .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?
        .map_err(Into::into)
}

fn of_function<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut FEntry> {
    ebpf.program_mut(name)
        .map(<&mut FEntry>::try_from)
        .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?
        .map_err(Into::into)
}
