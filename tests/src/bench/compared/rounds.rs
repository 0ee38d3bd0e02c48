//! Rounds in which each variant has its turn.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result};

use super::{
    programs::add_figures,
    variant::{Variant, Variants},
};
use crate::bench::record::{RoundRecord, TracerRecord, VariantRecord};

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Rounds that count.
    pub count: usize,
    /// Rounds before them, which are left out: memory that a machine at rest gave back comes again slowly.
    pub warm_up: usize,
}

/// A turn that a variant has.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'variants> {
    /// Whose.
    pub variant: &'variants Variant,
    /// The tracer that is measured.
    pub variants: &'variants Variants,
    /// Which round, from 0 on.
    pub round: u64,
}

impl Rounds {
    /// Gives each variant its turn, in one order and in the next round in the reverse, so that a drift of the machine
    /// cancels out.
    pub fn take(
        self,
        variants: &Variants,
        mut turn: impl FnMut(Turn<'_>) -> Result<RoundRecord>,
    ) -> Result<Vec<VariantRecord>> {
        let mut records = variants
            .list
            .iter()
            .map(|variant| record(variant, variants))
            .collect::<Result<Vec<_>>>()?;
        let all = self.warm_up + self.count;
        for round in 0..all {
            let mut order: Vec<usize> = (0..variants.list.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            let mut taken = BTreeMap::new();
            for index in order {
                let variant = &variants.list[index];
                eprintln!(
                    "bench: round {} of {all}{}: {}",
                    round + 1,
                    if round < self.warm_up {
                        " (warm-up)"
                    } else {
                        ""
                    },
                    variant.name()
                );
                let measured = turn(Turn {
                    variant,
                    variants,
                    round: round as u64,
                })
                .with_context(|| format!("{}, round {}", variant.name(), round + 1))?;
                taken.insert(index, measured);
            }
            if round < self.warm_up {
                continue;
            }
            let empty = variants
                .list
                .iter()
                .position(|variant| *variant == Variant::Empty)
                .and_then(|index| taken.get(&index).cloned());
            for (index, mut measured) in taken {
                add_figures(&mut measured, empty.as_ref());
                records[index].rounds.push(measured);
            }
        }
        Ok(records)
    }
}

fn record(variant: &Variant, variants: &Variants) -> Result<VariantRecord> {
    let tracer = match variant {
        Variant::Tracer(tracer) => {
            let program = tracer.program.as_deref().unwrap_or(&variants.tracer);
            let output = Command::new(program)
                .arg("--version")
                .output()
                .with_context(|| format!("run {}", program.display()))?;
            Some(TracerRecord {
                version: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
                other_build: tracer.program.is_some(),
                arguments: tracer.arguments.clone(),
            })
        }
        _ => None,
    };
    Ok(VariantRecord {
        name: variant.name().to_owned(),
        tracer,
        rounds: Vec::new(),
    })
}
