//! From a path as it is written to the module that defines what it names.

use super::modules::{Binding, Modules};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A module.
    Module(usize),
    /// Something that this module defines.
    ItemOf(usize),
}

/// Re-exports of re-exports; more than this is a circle of them.
const DEEPEST: usize = 32;

/// Follows a path that stands in a module. None: it leads out of the crate, or to a local name.
pub fn resolve(modules: &Modules, from: usize, segments: &[String]) -> Option<Target> {
    follow(modules, from, segments, false, 0)
}

/// The names from the crate's root, where a path begins with `crate`, `self` or `super`.
pub fn absolute(modules: &Modules, from: usize, segments: &[String]) -> Option<Vec<String>> {
    let (module, rest) = start(modules, from, segments)?;
    Some([modules.all[module].path.as_slice(), rest].concat())
}

fn start<'a>(
    modules: &Modules,
    from: usize,
    segments: &'a [String],
) -> Option<(usize, &'a [String])> {
    let mut module = from;
    let mut rest = segments;
    let mut keyword = false;
    while let Some((first, others)) = rest.split_first() {
        module = match first.as_str() {
            "crate" | "$crate" => 0,
            "self" => module,
            "super" => modules.all[module].parent?,
            _ => break,
        };
        keyword = true;
        rest = others;
    }
    keyword.then_some((module, rest))
}

/// `goes_on`: more follows the last name, as where it is imported as a module.
fn follow(
    modules: &Modules,
    from: usize,
    segments: &[String],
    goes_on: bool,
    depth: usize,
) -> Option<Target> {
    let (module, mut rest) = start(modules, from, segments).unwrap_or((from, segments));
    let mut target = Target::Module(module);
    while let Some((name, others)) = rest.split_first() {
        let Target::Module(module) = target else {
            break;
        };
        target = look_up(modules, module, name, goes_on || !others.is_empty(), depth)?;
        rest = others;
    }
    Some(target)
}

/// What a name of a module stands for. A module and a function may have one name: `goes_on` tells which is meant.
fn look_up(
    modules: &Modules,
    module: usize,
    name: &str,
    goes_on: bool,
    depth: usize,
) -> Option<Target> {
    if depth > DEEPEST {
        return None;
    }
    let here = &modules.all[module];
    let bindings = here
        .names
        .get(name)
        .map_or(&[] as &[Binding], Vec::as_slice);
    let mut second = None;
    for binding in bindings {
        let target = match binding {
            Binding::Module(module) => Target::Module(*module),
            Binding::Item => Target::ItemOf(module),
            Binding::Import(_) => continue,
        };
        if matches!(target, Target::Module(_)) == goes_on {
            return Some(target);
        }
        second = Some(target);
    }
    for binding in bindings {
        let Binding::Import(path) = binding else {
            continue;
        };
        match follow(modules, module, path, goes_on, depth + 1) {
            Some(target) if matches!(target, Target::Module(_)) == goes_on => return Some(target),
            other => second = second.or(other),
        }
    }
    second.or_else(|| {
        here.globs.iter().find_map(
            |path| match follow(modules, module, path, true, depth + 1)? {
                Target::Module(other) if other != module => {
                    look_up(modules, other, name, goes_on, depth + 1)
                }
                _ => None,
            },
        )
    })
}
