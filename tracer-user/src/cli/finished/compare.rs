//! `tracer compare`: runs and experiments side by side.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::{
    experiment,
    figures::AcrossRuns,
    output::load_run,
    report::{
        Compared, Condition, Judgement, Side, compare as side_by_side, comparison_markdown,
        comparison_page, comparison_terminal,
    },
};

use crate::cli::{
    console::{print_ignoring_a_closed_pipe, terminal_columns},
    examples,
};

/// A condition holds.
const FAILED: i32 = 1;
/// None holds, and of one it cannot be told.
const NOT_TOLD: i32 = 3;

const EXIT_CODES: &str = "Exit status: 0 no --fail-if holds, 1 one holds, 3 none holds and one cannot be told since its figure is not \
compared, 125 a record cannot be read, 2 wrong command line.";

/// How a comparison is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What changed at first sight, and by phase.
    #[default]
    Terminal,
    /// All figures, as Markdown.
    Markdown,
    /// All figures, as JSON.
    Json,
}

/// `tracer compare`.
#[derive(Clone, Debug, Args)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", examples::COMPARE))]
pub struct CompareArguments {
    /// Folders of runs or experiments, or their run.json; the first is what the others are compared with. Several runs of the
    /// same with commas between them (runs/1,runs/2) are one side. Of one experiment alone its cells are compared.
    #[arg(required_unless_present = "figures", value_name = "RUN")]
    sides: Vec<PathBuf>,
    /// Fail where a figure changed by more than this: tok/s<-5%, 'total read>1G', coverage<-0.02. Of several runs the medians
    /// count. Can be given several times.
    #[arg(long = "fail-if", value_name = "FIGURE<CHANGE")]
    conditions: Vec<Condition>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write it as a page too, with the courses of the runs over each other.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// List the figures that --fail-if knows.
    #[arg(long)]
    figures: bool,
}

/// Prints the comparison, and judges the conditions.
pub(in crate::cli) fn compare(arguments: &CompareArguments) -> anyhow::Result<i32> {
    if arguments.figures {
        print_ignoring_a_closed_pipe(&names())?;
        return Ok(0);
    }
    let sides: Vec<Side> = arguments
        .sides
        .iter()
        .map(|path| open(path))
        .collect::<anyhow::Result<_>>()?;
    if let [
        Side {
            name,
            compared: Compared::Runs(_),
        },
    ] = sides.as_slice()
    {
        bail!("{name} alone has nothing to be compared with: name another run, or an experiment");
    }
    let comparison = side_by_side(&sides);
    if let Some(path) = &arguments.page {
        std::fs::write(path, comparison_page(&comparison, &sides))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = match arguments.format {
        Format::Json => {
            serde_json::to_string_pretty(&comparison).context("cannot write JSON")? + "\n"
        }
        _ if arguments.json => {
            serde_json::to_string_pretty(&comparison).context("cannot write JSON")? + "\n"
        }
        Format::Markdown => comparison_markdown(&comparison),
        Format::Terminal => comparison_terminal(&comparison, terminal_columns()),
    };
    print_ignoring_a_closed_pipe(&text)?;
    let (mut holds, mut unknown) = (false, false);
    for condition in &arguments.conditions {
        match condition.judge(&comparison) {
            Judgement::Holds(how) => {
                eprintln!("tracer: {how}");
                holds = true;
            }
            Judgement::Unknown(why) => {
                eprintln!("tracer: cannot be told: {why}");
                unknown = true;
            }
            Judgement::DoesNotHold => {}
        }
    }
    Ok(match (holds, unknown) {
        (true, _) => FAILED,
        (false, true) => NOT_TOLD,
        (false, false) => 0,
    })
}

fn open(path: &Path) -> anyhow::Result<Side> {
    let name = path.display().to_string();
    if experiment::is_experiment(path) {
        let compared = Compared::Experiment(Box::new(experiment::load(path)?));
        return Ok(Side { name, compared });
    }
    // A comma may be a part of a name.
    let paths: Vec<PathBuf> = if path.exists() {
        vec![path.to_owned()]
    } else {
        name.split(',').map(PathBuf::from).collect()
    };
    let runs = paths.iter().map(|path| {
        if experiment::is_experiment(path) {
            bail!(
                "{} is an experiment, and stands for itself: give it as an argument of its own",
                path.display()
            );
        }
        Ok(load_run(path)?)
    });
    Ok(Side {
        name,
        compared: Compared::Runs(runs.collect::<anyhow::Result<_>>()?),
    })
}

/// Every figure: its name, and what a person calls it.
fn names() -> String {
    let all = AcrossRuns::all();
    let lines = all
        .iter()
        .map(|figure| format!("{:52} {}\n", figure.name(), figure.label()));
    lines.collect()
}
