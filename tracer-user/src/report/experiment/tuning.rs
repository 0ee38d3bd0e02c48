//! What a search for the fastest settings has found, in words and as a table.

use crate::{
    advice::tuning,
    figures::{InRun, selections::CURVE},
    report::document::{Column, Document, Table, Text},
    schema::{ExperimentRecord, Standing, TriedSetting, TuneGoal, TuneRecord, TuneSetting},
    stats::experiment::summary::FigureKind,
    units::{bytes, count, unobserved},
};

use super::{tables::spread, trust::runs_made};

/// The answer, and all that was tried.
pub(super) fn tuned(document: &mut Document, experiment: &ExperimentRecord) {
    let record = tuning(experiment);
    document.paragraph(format!(
        "Asked: with which settings is {} the fastest? {}",
        what(record.goal),
        runs_made(experiment)
    ));
    document.paragraph(Text::default().strong(answer(&record)));
    if let Some(best) = record.best.as_ref().filter(|_| record.helps) {
        document.paragraph("To make it lasting:");
        lasting(document, experiment, best);
    }
    if record.tried.is_empty() {
        return;
    }
    document.paragraph(spread::explanation(experiment.seed));
    document.table(table(experiment, &record));
    if record
        .tried
        .iter()
        .filter(|tried| tried.standing == Standing::Races)
        .count()
        > 0
    {
        document.paragraph(
            Text::plain(
                "What is not told apart from the best may be as good: more runs would tell (",
            )
            .code("--repetitions")
            .then(", ")
            .code("--budget")
            .then(")."),
        );
    }
}

const fn what(goal: TuneGoal) -> &'static str {
    match goal {
        TuneGoal::Generation => "generation",
        TuneGoal::Load => "the load of the model",
        TuneGoal::Prompt => "the prompt",
    }
}

fn answer(record: &TuneRecord) -> String {
    let Some(best) = &record.best else {
        return "A run with the settings as they are failed or gave no figure, so there is nothing to compare with.".to_owned();
    };
    if record.helps {
        return format!(
            "{} makes {} {} times as fast.",
            capitalised(&name(best)),
            what(record.goal),
            times(record.factor)
        );
    }
    if record.tried.len() < 2 {
        return "Nothing was tried beside the settings as they are.".to_owned();
    }
    "Nothing that was tried is clearly faster than the settings as they are.".to_owned()
}

/// Two digits behind the point: more than the runs tell.
fn times(factor: Option<f64>) -> String {
    factor.map_or_else(unobserved, |factor| format!("{factor:.2}"))
}

fn capitalised(words: &str) -> String {
    let mut characters = words.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// A setting in words.
fn name(setting: &TuneSetting) -> String {
    let read_ahead = setting.read_ahead_kb.map(|kb| match kb {
        0 => "no read-ahead".to_owned(),
        kb => format!("a read-ahead of {} KiB", count(kb)),
    });
    let added = (!setting.added_arguments.is_empty()).then(|| setting.added_arguments.join(" "));
    let pinned = setting
        .pinned
        .as_ref()
        .map(|which| format!("{which} tensors kept in memory"));
    let high = setting
        .memory_high_bytes
        .map(|high| format!("memory.high of {}", bytes(high)));
    let scheduler = setting
        .scheduler
        .as_ref()
        .map(|name| format!("the scheduler {name}"));
    let requests = setting
        .nr_requests
        .map(|number| format!("a queue of {} requests", count(number)));
    let parts: Vec<String> = [read_ahead, pinned, high, scheduler, requests, added]
        .into_iter()
        .flatten()
        .collect();
    match parts.split_last() {
        None => "as it is".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn lasting(document: &mut Document, experiment: &ExperimentRecord, best: &TuneSetting) {
    if let Some(kb) = best.read_ahead_kb {
        for disk in disks(experiment) {
            document.paragraph(format!(
                "read-ahead of {disk}, from now until the next boot, as root; then start the engine anew, since it is taken when a file is opened:"
            ));
            document.code(format!("echo {kb} > /sys/block/{disk}/queue/read_ahead_kb"));
            document
                .paragraph("and at each boot, as a rule in /etc/udev/rules.d/60-read-ahead.rules:");
            document.code(format!(
                "ACTION==\"add|change\", SUBSYSTEM==\"block\", KERNEL==\"{disk}\", ATTR{{queue/read_ahead_kb}}=\"{kb}\""
            ));
        }
    }
    let queue = [
        ("scheduler", best.scheduler.clone()),
        (
            "nr_requests",
            best.nr_requests.map(|count| count.to_string()),
        ),
    ];
    for (file, value) in queue {
        let Some(value) = value else {
            continue;
        };
        for disk in disks(experiment) {
            document.paragraph(format!(
                "{file} of {disk}, from now until the next boot, as root:"
            ));
            document.code(format!("echo {value} > /sys/block/{disk}/queue/{file}"));
            document.paragraph("and at each boot, as a rule in /etc/udev/rules.d/60-queue.rules:");
            document.code(format!(
                "ACTION==\"add|change\", SUBSYSTEM==\"block\", KERNEL==\"{disk}\", ATTR{{queue/{file}}}=\"{value}\""
            ));
        }
    }
    if let Some(high) = best.memory_high_bytes {
        document.paragraph("in the engine's unit, or memory.high of its group:");
        document.code(format!("MemoryHigh={high}"));
    }
    if let Some(which) = &best.pinned {
        let budget = experiment
            .tune
            .and_then(|tune| tune.pin_budget_bytes)
            .map_or_else(unobserved, |bytes| bytes.to_string());
        document.paragraph("tensors in memory: start the engine with these words before its command, RUN being runs/0000 of this folder; or lock the same ranges from a process of its own in the engine's cgroup:");
        document.code(format!(
            "tracer launch --pin {which} --pin-from RUN --pin-budget {budget} --"
        ));
    }
    if !best.added_arguments.is_empty() {
        document.paragraph("on the engine's command line, or in the ExecStart= of its unit:");
        document.code(best.added_arguments.join(" "));
    }
}

/// Names of the model's disks.
fn disks(experiment: &ExperimentRecord) -> Vec<String> {
    let mut names: Vec<String> = experiment
        .runs
        .iter()
        .filter_map(|run| run.record.as_ref())
        .flat_map(|record| {
            let read_ahead = record.pressure.read_ahead.iter().map(|set| &set.device);
            let queues = record.pressure.queues.iter().map(|set| &set.device);
            read_ahead.chain(queues)
        })
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

fn table(experiment: &ExperimentRecord, record: &TuneRecord) -> Table {
    let mut columns = vec![
        Column::left("settings"),
        Column::right("runs"),
        Column::right(match record.goal {
            TuneGoal::Generation => "tok/s",
            TuneGoal::Prompt => "prompt tok/s",
            TuneGoal::Load => "loads / s",
        }),
    ];
    // Speed has its own column.
    let beside: Vec<&InRun> = CURVE.iter().skip(1).collect();
    columns.extend(beside.iter().map(|figure| Column::right(figure.label())));
    columns.push(Column::left("standing"));
    let rows = record.tried.iter().map(|tried| {
        let mut row = vec![
            name(&tried.setting),
            runs(tried),
            spread::of_values(
                &tried.speeds,
                FigureKind::Amount,
                experiment.seed,
                &|speed| {
                    CURVE
                        .first()
                        .map_or_else(unobserved, |figure| figure.unit().show(speed))
                },
            ),
        ];
        row.extend(beside.iter().map(|figure| {
            let values = of_setting(experiment, &tried.setting, figure);
            spread::of_values(
                &values,
                spread::kind(figure.unit()),
                experiment.seed,
                &|value| figure.unit().show(value),
            )
        }));
        row.push(standing(tried.standing).to_owned());
        row
    });
    Table::new(columns).with_rows(rows)
}

fn runs(tried: &TriedSetting) -> String {
    let made = tried.speeds.len();
    match tried.failed {
        0 => made.to_string(),
        failed => format!("{made}, {failed} failed"),
    }
}

/// A figure of the finished runs with this setting.
fn of_setting(experiment: &ExperimentRecord, setting: &TuneSetting, figure: &InRun) -> Vec<f64> {
    experiment
        .runs
        .iter()
        .filter(|run| crate::advice::setting_of(run) == *setting)
        .filter_map(|run| {
            let record = run.record.as_ref()?;
            figure.value(record, record.all_models().next()?)
        })
        .collect()
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Leads => "the best",
        Standing::Races => "not told apart from the best",
        Standing::Behind => "clearly slower",
        Standing::Failed => "failed",
        Standing::NotTried => "not run",
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{experiment_markdown, experiment_page, experiment_terminal},
        schema::{
            ExperimentRecord, ExperimentRunRecord, PlannedPressure, SetReadAheadRecord,
            TunePlanRecord,
        },
    };

    use super::super::sample::{experiment, finished};

    fn run(read_ahead: &str, added: &str, speed: f64) -> ExperimentRunRecord {
        let mut run = finished("m.gguf", PlannedPressure::None);
        run.cell.insert("read_ahead".into(), read_ahead.into());
        run.cell.insert("added_arguments".into(), added.into());
        if let Some(record) = &mut run.record {
            record.engine.tokens_per_s = Some(speed);
            if read_ahead != "as-is" {
                record.pressure.read_ahead = vec![SetReadAheadRecord {
                    device: "nvme0n1".into(),
                    set_kb: 32,
                    before_kb: 128,
                }];
            }
        }
        run
    }

    fn search(runs: Vec<ExperimentRunRecord>) -> ExperimentRecord {
        ExperimentRecord {
            kind: "tune".into(),
            tune: Some(TunePlanRecord::default()),
            ..experiment(runs)
        }
    }

    #[test]
    fn the_answer_comes_first_and_says_how_to_make_it_lasting() {
        let all = search(vec![
            run("as-is", "as-is", 5.0),
            run("as-is", "as-is", 5.2),
            run("32K", "--no-mmap", 20.1),
            run("32K", "--no-mmap", 20.3),
        ]);
        let markdown = experiment_markdown(&all);
        assert!(
            markdown.contains(
                "A read-ahead of 32 KiB and --no-mmap makes generation 3.96 times as fast"
            ),
            "{markdown}"
        );
        for words in [
            "echo 32 > /sys/block/nvme0n1/queue/read_ahead_kb",
            "ATTR{queue/read_ahead_kb}=\"32\"",
            "ExecStart=",
            "clearly slower",
        ] {
            assert!(markdown.contains(words), "{words}: {markdown}");
        }
        let terminal = experiment_terminal(&all, Some(80));
        assert!(terminal.contains("3.96 times"), "{terminal}");
        // A line to copy is not broken.
        let mut lines = terminal.lines().filter(|line| !line.contains("ACTION=="));
        assert!(lines.all(|line| line.chars().count() <= 80), "{terminal}");
        assert!(experiment_page(&all).contains("3.96 times"));
    }

    #[test]
    fn nothing_is_claimed_where_nothing_is_told_apart() {
        let all = search(vec![run("as-is", "as-is", 20.0), run("32K", "as-is", 21.0)]);
        let markdown = experiment_markdown(&all);
        assert!(
            markdown.contains("Nothing that was tried is clearly faster"),
            "{markdown}"
        );
        assert!(!markdown.contains("To make it lasting"), "{markdown}");
        let alone = experiment_markdown(&search(vec![run("as-is", "as-is", 20.0)]));
        assert!(alone.contains("Nothing was tried"), "{alone}");
        let none = experiment_markdown(&search(Vec::new()));
        assert!(none.contains("nothing to compare"), "{none}");
    }

    #[test]
    fn words_of_the_command_are_no_markup() {
        let all = search(vec![
            run("as-is", "as-is", 5.0),
            run("as-is", "as-is", 5.0),
            run("32K", "--x=<script>alert(1)</script>", 50.0),
            run("32K", "--x=<script>alert(1)</script>", 50.0),
        ]);
        assert!(!experiment_page(&all).contains("<script>alert"));
    }
}
