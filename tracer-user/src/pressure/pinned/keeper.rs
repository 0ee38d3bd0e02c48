//! The process that holds the pages.

use std::{
    fs::File,
    io::{self, BufRead as _, Write as _},
    path::Path,
};

use memmap2::{Advice, Mmap, MmapOptions};

use super::PIN_SUBCOMMAND;

/// What the hidden subcommand does: reads `group PATH` (the `cgroup.procs` to go into), `range OFFSET<tab>LENGTH<tab>PATH` and
/// `lock` from standard input, a line each, answers `locked BYTES` or `failed REASON`, and holds on until standard input closes.
pub fn keeper_main() -> i32 {
    // So that who looks at processes knows it. Without the name it does the same.
    let _ = std::fs::write("/proc/self/comm", PIN_SUBCOMMAND);
    // Where memory runs out, it goes before the engine.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut held = Vec::new();
    let mut bytes = 0;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let done = match line.split_once(' ') {
            Some(("group", procs)) => std::fs::write(procs, "0")
                .map_err(|error| format!("cannot go into the engine's cgroup: {error}")),
            Some(("range", range)) => hold(range).map(|mapping| {
                bytes += mapping.len();
                held.push(mapping);
            }),
            _ => {
                say(&format!("locked {bytes}"));
                Ok(())
            }
        };
        if let Err(reason) = done {
            say(&format!("failed {}", reason.replace('\n', " ")));
            return 1;
        }
    }
    0
}

fn hold(range: &str) -> Result<Mmap, String> {
    let mut words = range.splitn(3, '\t');
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
    let (Some(offset), Some(length)) = (number(), number()) else {
        return Err(format!("{range:?} is no range"));
    };
    let path = Path::new(words.next().unwrap_or_default());
    let failed = |action: &str, error: io::Error| {
        format!(
            "cannot {action} {length} bytes at {offset} of {}: {error}",
            path.display()
        )
    };
    let file = File::open(path).map_err(|error| failed("open", error))?;
    let length_in_memory = usize::try_from(length).map_err(|error| error.to_string())?;
    // SAFETY: the mapping is never read as Rust memory, so that it does not matter who changes the file.
    let mapping = unsafe {
        MmapOptions::new()
            .offset(offset)
            .len(length_in_memory)
            .map(&file)
    }
    .map_err(|error| failed("map", error))?;
    // Else each fault would bring in what lies around the range, which is not to be held.
    mapping
        .advise(Advice::Random)
        .map_err(|error| failed("advise about", error))?;
    mapping.lock().map_err(|error| failed("lock", error))?;
    Ok(mapping)
}

fn say(line: &str) {
    // Where nobody listens any more, nobody is to be told.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
