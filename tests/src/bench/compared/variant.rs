//! What is compared.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Result, anyhow, ensure};

use crate::bench::record::NONE;

/// One of the things whose cost is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variant {
    /// No tracer.
    None,
    /// Programs that do nothing.
    Empty,
    /// The tracer, attached.
    Tracer(TracerVariant),
    /// bpftrace with the pair of probes that everybody uses for latency.
    Bpftrace(PathBuf),
    /// `perf record` of all events of the block layer.
    Perf(PathBuf),
    /// ftrace's `blk` tracer.
    Ftrace,
}

/// A tracer with some arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracerVariant {
    /// What the tables call it.
    pub name: String,
    /// The program; none: the one that is measured.
    pub program: Option<PathBuf>,
    /// Arguments after those that say what is traced.
    pub arguments: Vec<String>,
}

/// Written `NAME=ARGUMENTS`, or `NAME@PROGRAM=ARGUMENTS` for another build of the tracer.
impl FromStr for TracerVariant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (head, arguments) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("{text:?} is not NAME=ARGUMENTS or NAME@PROGRAM=ARGUMENTS"))?;
        let (name, program) = match head.split_once('@') {
            Some((name, program)) => (name, Some(PathBuf::from(program))),
            None => (head, None),
        };
        ensure!(!name.is_empty(), "{text:?} has no name before the `=`");
        Ok(Self {
            name: name.to_owned(),
            program,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

impl Variant {
    /// What the tables call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::None => NONE,
            Self::Empty => "empty",
            Self::Tracer(tracer) => &tracer.name,
            Self::Bpftrace(_) => "bpftrace",
            Self::Perf(_) => "perf",
            Self::Ftrace => "ftrace",
        }
    }
}

/// All that are compared, in the order of a round.
#[derive(Clone, Debug)]
pub struct Variants {
    /// Their order in odd rounds; even rounds go backwards, so that a drift of the machine cancels out.
    pub list: Vec<Variant>,
    /// The tracer that is measured.
    pub tracer: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::TracerVariant;

    #[test]
    fn a_variant_is_a_name_and_arguments() {
        let counts: TracerVariant = "counts=--detail counts".parse().expect("a variant");
        assert_eq!(
            (counts.name.as_str(), counts.program, counts.arguments),
            (
                "counts",
                None,
                vec!["--detail".to_owned(), "counts".to_owned()]
            )
        );
        let before: TracerVariant = "before@/b/tracer=".parse().expect("a variant");
        assert_eq!(before.program, Some("/b/tracer".into()));
        assert!(before.arguments.is_empty());
        assert!("counts".parse::<TracerVariant>().is_err());
        assert!("=--detail".parse::<TracerVariant>().is_err());
    }
}
