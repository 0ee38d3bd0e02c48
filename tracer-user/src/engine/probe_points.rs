//! Functions that do nothing but be called, so that a uprobe can sit on them: the same as a real engine's exported
//! functions are for the tracer.

use std::{hint::black_box, io, os::unix::fs::MetadataExt as _, path::Path};

/// The model has been loaded.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_loaded() {
    black_box(0);
}

/// A step begins. `step` counts from 0; `work` has the number of its tokens in the lower half, and 1 in the upper half
/// where they are of the prompt.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_step_begins(step: u64, work: u64) {
    black_box((step, work));
}

/// A step has ended.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_step_ends(step: u64) {
    black_box(step);
}

/// Where they lie in the file of a program, bytes, where that is this program: it may have been stripped of its symbols, as
/// packaged ones are, and then nothing in the file names them. Empty for every other program.
///
/// # Errors
/// `/proc/self` or the file cannot be read.
pub fn offsets_in(program: &Path) -> io::Result<Vec<(String, u64)>> {
    let (asked, own) = (program.metadata()?, Path::new("/proc/self/exe").metadata()?);
    if (asked.dev(), asked.ino()) != (own.dev(), own.ino()) {
        return Ok(Vec::new());
    }
    let maps = procfs::process::Process::myself()
        .and_then(|process| process.maps())
        .map_err(io::Error::other)?;
    let points = [
        (
            "tracer_engine_loaded",
            tracer_engine_loaded as *const () as u64,
        ),
        (
            "tracer_engine_step_begins",
            tracer_engine_step_begins as *const () as u64,
        ),
        (
            "tracer_engine_step_ends",
            tracer_engine_step_ends as *const () as u64,
        ),
    ];
    Ok(points
        .into_iter()
        .filter_map(|(name, address)| {
            let map = maps
                .iter()
                .find(|map| (map.address.0..map.address.1).contains(&address))?;
            Some((name.to_owned(), address - map.address.0 + map.offset))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::exported_symbols;

    #[test]
    fn they_lie_where_the_symbols_of_this_program_say_and_in_no_other_program() {
        let own = std::env::current_exe().expect("a program");
        let mut found = offsets_in(&own).expect("read");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let mut by_symbols = exported_symbols(&own, &names).expect("symbols");
        found.sort();
        by_symbols.sort();
        assert_eq!(found, by_symbols);
        assert_eq!(found.len(), 3);
        assert_eq!(offsets_in(Path::new("/bin/sh")).expect("read"), []);
    }
}
