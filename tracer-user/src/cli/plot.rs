//! `tracer plot`: charts of a run that is over, or of an experiment, as files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    chart::{Chart, standalone},
    experiment,
    finished_run::FinishedRunFolder,
    report::{TimeWindow, experiment_charts, experiment_page},
};

use super::{console::print_ignoring_a_closed_pipe, examples};

/// `tracer plot`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::PLOT)]
pub struct PlotArguments {
    /// The folder of a run, with its run.json, or of an experiment.
    pub run: PathBuf,
    /// The chart to draw; without it, and without --svg and --page, the names of all charts are printed.
    #[arg(long, value_name = "NAME", requires = "output")]
    pub chart: Option<String>,
    /// Where to write the chart (SVG).
    #[arg(short, long, value_name = "FILE", requires = "chart")]
    pub output: Option<PathBuf>,
    /// Write every chart into this folder, each as NAME.svg.
    #[arg(long, value_name = "DIR", conflicts_with = "chart")]
    pub svg: Option<PathBuf>,
    /// Write the page anew, such as after `tracer device --run DIR --out DIR`, whose figures it shows.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["chart", "svg"])]
    pub page: Option<PathBuf>,
    /// Begin here, such as 3s or 250ms after the run's start.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration)]
    pub from: Option<Duration>,
    /// End here.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration)]
    pub to: Option<Duration>,
}

pub(super) fn plot(arguments: &PlotArguments) -> anyhow::Result<i32> {
    if experiment::is_experiment(&arguments.run) {
        return of_experiment(arguments);
    }
    let run = FinishedRunFolder::open(&arguments.run)?;
    if let Some(path) = &arguments.page {
        write(path, &run.page())?;
        return Ok(0);
    }
    let window = window(arguments, run.length_s())?;
    let (charts, left_out) = run.charts(window);
    give(arguments, &charts, &left_out)
}

fn of_experiment(arguments: &PlotArguments) -> anyhow::Result<i32> {
    if arguments.from.is_some() || arguments.to.is_some() {
        bail!(
            "--from and --to choose a time of one run, and {} is an experiment: name one of its runs, such as {}",
            arguments.run.display(),
            arguments.run.join("runs/0000").display()
        );
    }
    let record = experiment::load(&arguments.run)?;
    if let Some(path) = &arguments.page {
        write(path, &experiment_page(&record))?;
        return Ok(0);
    }
    give(arguments, &experiment_charts(&record), &[])
}

/// Writes the charts that were asked for, or prints which there are.
fn give(arguments: &PlotArguments, charts: &[Chart], left_out: &[String]) -> anyhow::Result<i32> {
    if let (Some(name), Some(path)) = (&arguments.chart, &arguments.output) {
        let chart = charts.iter().find(|chart| chart.name == *name);
        let chart = chart.with_context(|| no_such_chart(name, charts, left_out))?;
        write(path, &standalone(chart))?;
    } else if let Some(folder) = &arguments.svg {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for chart in charts {
            write(
                &folder.join(format!("{}.svg", chart.name)),
                &standalone(chart),
            )?;
        }
        eprintln!(
            "tracer: {} charts are in {}",
            charts.len(),
            folder.display()
        );
        for why in left_out {
            eprintln!("tracer: not shown: {why}");
        }
    } else {
        print_ignoring_a_closed_pipe(&names(charts))?;
    }
    Ok(0)
}

fn window(arguments: &PlotArguments, length_s: f64) -> anyhow::Result<Option<TimeWindow>> {
    if arguments.from.is_none() && arguments.to.is_none() {
        return Ok(None);
    }
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let from_s = seconds(arguments.from).unwrap_or(0.0);
    let to_s = seconds(arguments.to).unwrap_or(length_s).min(length_s);
    if from_s >= to_s {
        bail!("nothing lies between --from {from_s} s and {to_s} s: the run took {length_s:.2} s");
    }
    Ok(Some(TimeWindow { from_s, to_s }))
}

fn names(charts: &[Chart]) -> String {
    let lines = charts
        .iter()
        .map(|chart| format!("{:20} {}\n", chart.name, chart.title));
    lines.collect()
}

fn no_such_chart(name: &str, charts: &[Chart], left_out: &[String]) -> String {
    let names: Vec<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
    let missing = if left_out.is_empty() {
        String::new()
    } else {
        format!("; not shown are: {}", left_out.join("; "))
    };
    format!(
        "there is no chart {name:?}; there are {}{missing}",
        names.join(", ")
    )
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
