//! Arguments of tracepoints and functions: that the programs read what they think they read.
//!
//! The verifier knows the type of each argument, but a load at an offset of one struct can be a valid load in another.

use btf_rs::{Parameter, Type};

use crate::probe::programs::{Argument, TracedEvent, traced_events};

use super::{KernelTypes, TypesError, value::Value};

impl KernelTypes {
    /// Number of arguments of a tracepoint, without the context that comes first: the parameters of
    /// `btf_trace_<name>`. None where the kernel has no such tracepoint, or none that programs can sit on.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        self.tracepoint_parameters(name)
            .map(|parameters| parameters.len())
    }

    /// Checks the arguments that the program for an event reads: those of its tracepoint, or of the function that takes
    /// its place. Nothing to check where the kernel has neither.
    ///
    /// # Errors
    /// The first one that is not there, or is something else.
    pub fn check_arguments(&self, event: &TracedEvent) -> Result<(), TypesError> {
        if let Some(parameters) = self.tracepoint_parameters(event.tracepoint) {
            for argument in event.arguments {
                self.position("tracepoint", event.tracepoint, argument, &parameters)?;
            }
        } else if let Some(stand_in) = event.on_function
            && let Some(parameters) = self.function_parameters(stand_in.function)
        {
            for argument in stand_in.arguments {
                self.position("function", stand_in.function, argument, &parameters)?;
            }
        }
        Ok(())
    }

    /// Position of the first argument that a tracepoint's programs read; 0 where the kernel has no such tracepoint.
    pub(super) fn first_argument(&self, tracepoint: &str) -> Result<u32, TypesError> {
        let Some(parameters) = self.tracepoint_parameters(tracepoint) else {
            return Ok(0);
        };
        traced_events()
            .find(|event| event.tracepoint == tracepoint)
            .and_then(|event| Some((event, event.arguments.first()?)))
            .map_or(Ok(0), |(event, argument)| {
                self.position("tracepoint", event.tracepoint, argument, &parameters)
            })
    }

    /// Where an argument is: at the first of its possible positions that has one of its type.
    fn position(
        &self,
        place: &str,
        name: &str,
        argument: &Argument,
        parameters: &[Parameter],
    ) -> Result<u32, TypesError> {
        let kind = |position: &u32| {
            parameters
                .get(*position as usize)
                .map(|parameter| self.kind_of(parameter))
        };
        if let Some(position) = argument
            .positions
            .iter()
            .find(|position| kind(position).is_some_and(|kind| self.fits(argument.value, &kind)))
        {
            return Ok(*position);
        }
        let found: Vec<String> = argument
            .positions
            .iter()
            .map(|position| kind(position).map_or("missing".to_owned(), |kind| kind.to_string()))
            .collect();
        let positions: Vec<String> = argument.positions.iter().map(u32::to_string).collect();
        Err(TypesError::UnexpectedArgument {
            kernel: self.kernel.clone(),
            place: format!("{place} {name}"),
            argument: format!("{} ({})", positions.join(" or "), argument.name),
            found: found.join(" and "),
            expected: match argument.value {
                Value::Folio => format!("a pointer to struct {}", self.folio_structure()),
                value => value.to_string(),
            },
        })
    }

    fn tracepoint_parameters(&self, name: &str) -> Option<Vec<Parameter>> {
        let types = self
            .btf
            .resolve_types_by_name(&format!("btf_trace_{name}"))
            .ok()?;
        types.into_iter().find_map(|candidate| {
            let Type::Typedef(definition) = candidate else {
                return None;
            };
            self.parameters(&definition)
                .map(|mut parameters| parameters.split_off(parameters.len().min(1)))
        })
    }

    fn function_parameters(&self, name: &str) -> Option<Vec<Parameter>> {
        self.btf
            .resolve_types_by_name(name)
            .ok()?
            .into_iter()
            .find_map(|candidate| match candidate {
                Type::Func(function) => self.parameters(&function),
                _ => None,
            })
    }

    fn parameters(&self, reference: &dyn btf_rs::BtfType) -> Option<Vec<Parameter>> {
        self.btf
            .chained_type_iter(reference)
            .find_map(|target| match target {
                Type::FuncProto(prototype) => Some(prototype.parameters),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests;
