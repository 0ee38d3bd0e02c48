//! `tracer attach` without a process: which ones have models open, to choose from.

use anyhow::{Context as _, bail};

use crate::run::{ListedProcess, processes_with_models};

use super::console::{ask, print_ignoring_a_closed_pipe};

/// What became of the choice.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Process(i32),
    /// Nobody could be asked: the list was printed.
    OnlyListed,
}

/// Lists the processes that have models open; asks on a terminal which one to trace.
///
/// # Errors
/// There is none; the answer is no number of the list.
pub(super) fn choose_process() -> anyhow::Result<Chosen> {
    let processes = processes_with_models()?;
    let Some(first) = processes.first() else {
        bail!(
            "no process that can be looked at has a GGUF or safetensors file open or mapped; start the engine first, run the tracer as root, or name a process with --pid and its file with --model"
        );
    };
    let question = format!(
        "{}\nWhich one? Number or process id [1]: ",
        list(&processes)
    );
    if let Some(answer) = ask(&question)? {
        return answered(&processes, &answer).map(Chosen::Process);
    }
    let advice = format!("\nTrace one with: tracer attach --pid {}\n", first.pid);
    print_ignoring_a_closed_pipe(&(list(&processes) + &advice))?;
    Ok(Chosen::OnlyListed)
}

/// One line for each process: number, process id, name, models.
fn list(processes: &[ListedProcess]) -> String {
    let width = |of: fn(&ListedProcess) -> usize, least: usize| {
        processes.iter().map(of).max().unwrap_or(0).max(least)
    };
    let pids = width(|process| process.pid.to_string().len(), 3);
    let names = width(|process| process.command_name.chars().count(), 4);
    let mut text = format!("     {:>pids$}  {:names$}  models open\n", "pid", "name");
    for (number, process) in (1..).zip(processes) {
        text += &format!(
            "{number:>3}  {:>pids$}  {:names$}  {}\n",
            process.pid,
            process.command_name,
            process.models.join(", ")
        );
    }
    text
}

/// The process that an answer means: a number of the list, a process id in it, or nothing for the first.
fn answered(processes: &[ListedProcess], answer: &str) -> anyhow::Result<i32> {
    if answer.is_empty() {
        return Ok(processes.first().context("an empty list")?.pid);
    }
    let number: i32 = answer
        .parse()
        .with_context(|| format!("{answer:?} is no number of the list"))?;
    let by_number = usize::try_from(number)
        .ok()
        .and_then(|number| processes.get(number.checked_sub(1)?));
    by_number
        .or_else(|| processes.iter().find(|process| process.pid == number))
        .map(|process| process.pid)
        .with_context(|| format!("{answer:?} is no number of the list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes() -> Vec<ListedProcess> {
        [
            (4242, "llama-server", "m.gguf (4.00 GiB)"),
            (7, "vllm", "model.safetensors (1.00 GiB)"),
        ]
        .map(|(pid, name, model)| ListedProcess {
            pid,
            command_name: name.to_owned(),
            models: vec![model.to_owned()],
        })
        .to_vec()
    }

    #[test]
    fn each_process_has_a_line_and_a_number() {
        assert_eq!(
            list(&processes()),
            "      pid  name          models open\n  1  4242  llama-server  m.gguf (4.00 GiB)\n  2     7  vllm          model.safetensors (1.00 GiB)\n"
        );
    }

    #[test]
    fn an_answer_is_a_number_of_the_list_or_a_process_id() {
        for (answer, pid) in [("", 4242), ("1", 4242), ("2", 7), ("7", 7), ("4242", 4242)] {
            assert_eq!(answered(&processes(), answer).expect(answer), pid);
        }
        for answer in ["0", "3", "-1", "x", "43"] {
            answered(&processes(), answer).expect_err(answer);
        }
    }
}
