//! What a search can add to an engine's command: what this build of it says that it can do.

use std::thread::available_parallelism;

/// A load mode or the like, by the word of `--help` that shows it, and what is added then. Of one kind the first that is
/// there counts: builds have had several names for one thing (`docs/ENGINES` in llama.cpp's own `--help`).
const KINDS: [&[(&str, &str)]; 6] = [
    // read() into memory of its own.
    &[
        ("--no-mmap", "--no-mmap"),
        ("--mmap <0|1>", "--mmap 0"),
        ("--load-mode", "--load-mode none"),
    ],
    // Past the page cache.
    &[
        ("--direct-io", "--direct-io"),
        ("--load-mode", "--load-mode dio"),
    ],
    // Mapped and locked.
    &[("--mlock", "--mlock"), ("--load-mode", "--load-mode mlock")],
    // Weights stay as they are in the file, which then need not stay cached beside a copy.
    &[("--no-repack", "--no-repack")],
    // No prefetch, and no read-ahead of mapped weights.
    &[("--numa", "--numa distribute")],
    // Mapped and not read while loading.
    &[("--lazy", "--lazy")],
];

/// What is to be tried beside a command, each as words with blanks between them.
#[must_use]
pub fn flags(command: &[String], help: &str) -> Vec<String> {
    let has = |option: &str| {
        command
            .iter()
            .any(|word| word == option || word.starts_with(&format!("{option}=")))
    };
    let mut all = Vec::new();
    for kind in KINDS {
        let found = kind.iter().find(|(shown, _)| names(help, shown));
        if let Some((_, added)) = found
            && let Some(option) = added.split(' ').next()
            && !has(option)
        {
            all.push((*added).to_owned());
        }
    }
    if names(help, "--threads") {
        let now = threads(command);
        let most = available_parallelism().map_or(1, usize::from);
        let mut counts: Vec<usize> = [most, most / 2]
            .into_iter()
            .filter(|count| *count > 0 && Some(*count) != now)
            .collect();
        counts.dedup();
        all.extend(counts.iter().map(|count| format!("--threads {count}")));
    }
    all
}

/// Whether a help names an option, as a word of its own.
fn names(help: &str, option: &str) -> bool {
    help.match_indices(option).any(|(at, found)| {
        let rest = help.get(at + found.len()..).unwrap_or_default();
        let before = help.get(..at).unwrap_or_default();
        !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
            && !before.ends_with(|last: char| last.is_alphanumeric() || last == '-')
    })
}

/// The threads that a command asks for.
fn threads(command: &[String]) -> Option<usize> {
    let mut words = command.iter();
    let mut found = None;
    while let Some(word) = words.next() {
        let value = match word.as_str() {
            "-t" | "--threads" => words.next().cloned(),
            _ => word.strip_prefix("--threads=").map(str::to_owned),
        };
        if let Some(value) = value {
            found = value.parse().ok();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::flags;

    fn command(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    fn without_threads(words: &str, help: &str) -> Vec<String> {
        let mut all = flags(&command(words), help);
        all.retain(|added| !added.starts_with("--threads"));
        all
    }

    #[test]
    fn only_what_the_build_knows_is_tried() {
        let help = "--mlock   keep in RAM\n--mmap, --no-mmap   map\n-dio, --direct-io, -ndio, --no-direct-io\n-nr, --no-repack\n--numa TYPE";
        assert_eq!(
            without_threads("llama-cli -m m", help),
            [
                "--no-mmap",
                "--direct-io",
                "--mlock",
                "--no-repack",
                "--numa distribute"
            ]
        );
        assert_eq!(
            without_threads("llama-cli -m m --no-mmap --numa=isolate", help),
            ["--direct-io", "--mlock", "--no-repack"]
        );
        assert_eq!(
            without_threads("llama-cli", "-lm, --load-mode MODE"),
            ["--load-mode none", "--load-mode dio", "--load-mode mlock"]
        );
        assert_eq!(
            without_threads("llama-bench", "-mmp, --mmap <0|1>  (default: 1)"),
            ["--mmap 0"]
        );
        assert!(without_threads("x", "--mlocked --no-mmap-at-all").is_empty());
    }

    #[test]
    fn threads_are_others_than_now() {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let all = flags(&command(&format!("x -t {most}")), "-t, --threads N");
        assert!(!all.contains(&format!("--threads {most}")), "{all:?}");
        assert!(flags(&command("x"), "nothing").is_empty());
    }
}
