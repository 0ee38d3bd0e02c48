//! Examples that `--help` prints. Each can be pasted; a test parses all of them.

/// `tracer --help`.
pub const TRACER: &str = "\
Examples:
  tracer demo                                        see what the tool shows, with a model of its own
  tracer attach --name llama-server --duration 30s
                                                     trace a server that runs, and leave it as it was
  tracer launch -- llama-cli -m m.gguf -n 100
                                                     start an engine and trace it to its end
  tracer doctor                                      what is missing on this machine, and how to get it";

/// `tracer launch --help`.
pub const LAUNCH: &str = "\
Examples:
  tracer launch -- llama-cli -m m.gguf -p Hello -n 100
                                       the model is the one that the command names
  tracer launch --model m.gguf --evict-model -- llama-cli -m m.gguf -n 100
                                       start with nothing of the model in memory
  tracer launch --model m.gguf --memory-max 8G -- llama-cli -m m.gguf -n 100
                                       give the engine and its cache 8 GiB
  tracer launch --memory-max 8G --pin shared --pin-from runs/1 --pin-budget 2G -- llama-cli -m m.gguf -n 100
                                       keep in memory what came back most in that earlier run
  tracer launch --live -- llama-cli -m m.gguf -p Hello -n 100
                                       with a screen that shows what happens; ? explains it
  tracer launch --model m.gguf --out runs/1 -- ./start-my-server.sh
                                       goes on while what the script started has the model open
  tracer launch --until-exit --model m.gguf -- ./start-my-server.sh
  tracer launch --model m.gguf --out runs/1 -- llama-bench -m m.gguf
  tracer launch --model m.gguf --phase-line '^READY=idle' --rate-line '([0-9.]+)tok/s' -- ./my-engine m.gguf
                                       an engine whose log is not known: what its lines mean

The engine runs as you, not as root. Its exit status becomes the tracer's. Ctrl-C stops it and still gives a report.";

/// `tracer attach --help`.
pub const ATTACH: &str = "\
Examples:
  tracer attach                        which processes have models open? Choose one
  tracer attach --name llama-server --duration 30s
  tracer attach --pid 4242             until the process ends, or Ctrl-C
  tracer attach --live --name llama-server
                                       look on; q ends the tracing, the server runs on
  tracer attach --name llama-server --serve 127.0.0.1:9464
                                       with metrics for Prometheus at http://127.0.0.1:9464/metrics
  tracer attach --name ollama          the process that ollama started and that has the model
  tracer attach --container 3f9a1c52   by the id that docker ps prints
  tracer attach --pid 4242 --log /var/log/engine.log
                                       with rates and phases from what it writes to its log
  tracer attach --pid 4242 --model /models/m-00001-of-00003.gguf --out runs/2

Without --pid, --name and --container, and where nobody can be asked, the list is printed and the status is 2.
The process is not stopped, changed or slowed down on purpose; when the tracer ends, it goes on as before.";

/// `tracer explain --help`.
pub const EXPLAIN: &str = "\
Examples:
  tracer explain runs/1                is it storage, where did the time go, what to do
  tracer explain runs/1 --device test  with what `tracer device m.gguf --run runs/1 --out test` measured
  tracer explain runs/1 --markdown
  tracer explain runs/1 --json";

/// `tracer size --help`.
pub const SIZE: &str = "\
Examples:
  tracer size runs/1                   the whole curve, from one run
  tracer size runs/1 --memory 4G,8G    with these amounts of memory
  tracer size runs/1 --page sizes.html --measured experiments/1
                                       the curve, and what runs of an experiment really read
  tracer size runs/1 --pin-experts 32  if the 32 most used experts were locked in memory
  tracer size runs/1 --weights-scale 0.5
                                       if the weights had half of their bytes";

/// `tracer plot --help`.
pub const PLOT: &str = "\
Examples:
  tracer plot runs/1                   which charts there are
  tracer plot runs/1 --chart offset-time -o offsets.svg
  tracer plot runs/1 --chart offset-time --from 3s --to 4s -o second.svg
  tracer plot runs/1 --svg charts/     all of them
  tracer plot runs/1 --page runs/1/report.html
  tracer plot exp --chart speed-memory -o speed.svg    an experiment's";

/// `tracer mark --help`.
pub const MARK: &str = "\
Examples:
  tracer mark generation               in the only run that goes on
  tracer mark end --run runs/1

The same without the tracer, from any script, as any user who may enter the folder:
  echo generation > runs/1/mark";

/// `tracer demo --help`.
pub const DEMO: &str = "\
Examples:
  tracer demo                          about a minute; the model is kept in tracer-demo/
  tracer demo --live                   with a screen that shows what happens
  tracer demo --model-size 160M --tokens 8
  tracer demo --memory-max 1G          with room for the whole model: it is read once";

/// `tracer watch --help`.
pub const WATCH: &str = "\
Examples:
  tracer watch --name llama-server --out /var/lib/tracer
                                       what each llama-server read, every hour
  tracer watch --any-model --out /var/lib/tracer --serve 127.0.0.1:9464
                                       whatever opens a model, with metrics for Prometheus
  tracer watch --cgroup ollama.service --out /var/lib/tracer --record-on 'refaults/s>1000'
                                       record it when it is thrown out of memory and read again

SIGUSR1 records every engine now, one after the other. What is counted, what is not, and a unit for systemd: docs/WATCH.md.";

/// `tracer doctor --help`.
pub const DOCTOR: &str = "\
Examples:
  tracer doctor
  tracer doctor --model m.gguf         also: can this file's reads be traced where it lies?";

/// `tracer model --help`.
pub const MODEL: &str = "\
Examples:
  tracer model m.gguf
  tracer model model-00001-of-00004.safetensors --json";

/// `tracer blktrace --help`.
pub const BLKTRACE: &str = "\
Examples:
  tracer blktrace t.txt                what blkparse printed
  tracer blktrace t.blktrace.0 t.blktrace.1 --model m.gguf
  tracer blktrace t.txt --model m.gguf --extents-from filefrag.txt
                                       a trace of another machine: filefrag -v m.gguf, taken there";

/// `tracer audit --help`.
pub const AUDIT: &str = "\
Examples:
  tracer audit t.txt                   the figures under every way of counting the trace's records
  tracer audit t.txt --expect amplification=3.02,backward=66.9
                                       which way gives these figures?";

/// `tracer compare --help`.
pub const COMPARE: &str = "\
Examples:
  tracer compare runs/1 runs/2         what changed from the first to the second
  tracer compare runs/a1,runs/a2,runs/a3 runs/b1,runs/b2,runs/b3
                                       the same of repeated runs: is it more than the runs differ among themselves?
  tracer compare before after --page compared.html
                                       two experiments, cell by cell
  tracer compare base new --fail-if 'tok/s<-5%' --fail-if 'tokens.read_bytes>10%'
                                       for a script: status 1 where one of them holds";

/// `tracer open --help`.
pub const OPEN: &str = "\
Examples:
  tracer open runs/1                   the figures of the run again, from what was recorded
  tracer open runs/1 --from 3s --to 9s
                                       as a run would have them that began and ended there
  tracer open runs/1 --phase generation --json
  tracer open runs/1 --tensor 'blk.3.*' --tensor 'output*'
                                       what was read of these tensors alone";

/// `tracer live --help`.
pub const LIVE: &str = "\
Examples:
  tracer live runs/1                   as it was; + and - play it faster and slower, p stops it, q leaves
  tracer live runs/1 --speed 10 --from 90s
  tracer live runs/1 --speed max > /dev/null 2> lines.txt
                                       without a terminal: a line a second, and one at the end";

/// `tracer validate --help`.
pub const VALIDATE: &str = "\
Example:
  tracer validate runs/1               status 1 where events are missing at the end, 125 where it cannot be read";

/// `tracer export --help`.
pub const EXPORT: &str = "\
Examples:
  tracer export runs/1 --perfetto      writes runs/1/trace.perfetto; open it in https://ui.perfetto.dev
  tracer export runs/1 --perfetto -o run.trace";

/// `tracer device --help`.
pub const DEVICE: &str = "\
Examples:
  tracer device m.gguf                 30 seconds: how fast this disk reads this file, in which order and size
  tracer device m.gguf --run runs/1    and what the order of that run's reads costs";

/// `tracer experiment --help`.
pub const EXPERIMENT: &str = "\
Examples:
  tracer experiment threshold --built-in --model m.gguf --pressure memory-max --from 400M --to 700M --out exp
                                       how much memory does this engine need before it thrashes?
  tracer experiment template memory > plan.toml
  tracer experiment run plan.toml --out exp --dry-run
  tracer experiment run plan.toml --out exp
  tracer experiment resume exp         after Ctrl-C, a crash, a full disk
  tracer experiment answer exp
  tracer experiment answer exp --device dev1
                                       with what `tracer device m.gguf --run exp/runs/0000 --out dev1` found";

/// `tracer tune --help`.
pub const TUNE: &str = "\
Examples:
  tracer tune -- llama-cli -m m.gguf -p Hello -n 100
                                       asks whether the read-ahead of the disk may be changed
  tracer tune --allow read-ahead --memory-max 8G --budget 20m -- llama-cli -m m.gguf -p Hello -n 100
  tracer tune --allow scheduler,nr-requests --memory-max 8G --pin-budget 2G -- llama-cli -m m.gguf -p Hello -n 100
                                       other settings of the disk's queue, and tensors kept in memory
  tracer tune --for load --allow read-ahead -- llama-cli -m m.gguf -p Hello -n 1
  tracer tune --try=--no-repack --out tune-1 -- llama-server -m m.gguf
  tracer tune --rate '([0-9.]+)tok/s' --model m.gguf -- ./my-engine m.gguf";

/// `tracer engine --help`.
pub const ENGINE: &str = "\
Example:
  tracer engine --model small.gguf --tokens 8 --threads 2";

/// `tracer make-model --help`.
pub const MAKE_MODEL: &str = "\
Example:
  tracer make-model small.gguf --size 160M";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Arguments;

    /// Command lines in a text: lines that begin with `tracer`, up to a comment set apart by two spaces. A shell's
    /// substitutions and redirections are taken out, as a shell would.
    pub fn command_lines(text: &str) -> Vec<Vec<String>> {
        text.lines()
            .map(str::trim)
            // With more than a space it is a line of the screen that has the tracer's own cost.
            .filter(|line| line.starts_with("tracer ") && !line.starts_with("tracer  "))
            .map(|line| line.split("  ").next().unwrap_or(line))
            .map(|line| line.split(" #").next().unwrap_or(line))
            .map(|line| line.split(" > ").next().unwrap_or(line))
            .map(|line| {
                let (mut plain, mut rest) = (String::new(), line);
                while let Some((before, after)) = rest.split_once("$(") {
                    plain.push_str(before);
                    plain.push_str("4242");
                    rest = after.split_once(')').map_or("", |(_, after)| after);
                }
                plain.push_str(rest);
                // Quotes are for the shell; none of the examples has a space in them.
                let unquoted = |word: &str| word.trim_matches('\'').to_owned();
                plain.split_whitespace().map(unquoted).collect()
            })
            .collect()
    }

    fn assert_parses(lines: &[Vec<String>]) {
        for line in lines {
            if let Err(error) = Arguments::try_parse_from(line) {
                panic!("{}: {error}", line.join(" "));
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_each_is_a_command_line() {
        for command in Arguments::command().get_subcommands() {
            if command.is_hide_set() || command.get_name() == "help" {
                continue;
            }
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let lines = command_lines(&help);
            assert!(!lines.is_empty(), "{} has no example", command.get_name());
            for line in &lines {
                assert_eq!(line.get(1).map(String::as_str), Some(command.get_name()));
            }
            assert_parses(&lines);
        }
        assert_parses(&command_lines(super::TRACER));
    }

    #[test]
    fn the_command_lines_of_the_documentation_are_command_lines() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let readme = std::fs::read_to_string(format!("{root}/README.md")).expect("it is there");
        let lines = command_lines(&readme);
        assert!(lines.len() >= 10, "{lines:?}");
        assert_parses(&lines);
    }
}
