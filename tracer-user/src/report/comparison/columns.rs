//! What stands side by side: runs, groups of runs, and cells of experiments that belong together.

use std::collections::BTreeMap;

use crate::{
    report::experiment::groups::groups,
    schema::{ExperimentRecord, ModelRecord, RunRecord},
};

/// More columns cannot be read side by side.
const MOST_COLUMNS: usize = 6;

/// What one argument of a comparison holds.
#[derive(Clone, Debug)]
pub enum Compared {
    /// A run, or several that did the same.
    Runs(Vec<RunRecord>),
    Experiment(Box<ExperimentRecord>),
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Side {
    /// What it was called on the command line.
    pub name: String,
    pub compared: Compared,
}

/// A run of a column.
#[derive(Clone, Copy)]
pub(super) struct OneRun<'a> {
    /// Its place in the group, or its number in the experiment.
    pub number: u64,
    /// The block of the experiment in which it was made.
    pub block: Option<u64>,
    pub record: &'a RunRecord,
    pub model: &'a ModelRecord,
}

/// Runs whose figures stand in one column.
#[derive(Clone)]
pub(super) struct ColumnRuns<'a> {
    /// The side that they are from.
    pub side: usize,
    pub name: String,
    /// The last part of the model's path.
    pub model: &'a str,
    /// The values of the experiment's axes, but for the model; `None` of plain runs.
    cell: Option<BTreeMap<&'a str, &'a str>>,
    pub runs: Vec<OneRun<'a>>,
    /// Why there is no median over them.
    pub not_pooled: Option<String>,
}

/// A table's columns, the first of which the others are compared with.
pub(super) struct Beside<'a> {
    /// The model, or the cell; empty where there is one table only.
    pub title: String,
    pub columns: Vec<ColumnRuns<'a>>,
}

/// What is put side by side, and why some of it is not.
pub(super) fn side_by_side(sides: &[Side]) -> (Vec<Beside<'_>>, Vec<String>) {
    let columns: Vec<Vec<ColumnRuns<'_>>> = (0..)
        .zip(sides)
        .map(|(at, side)| of_side(at, side))
        .collect();
    let mut left_out: Vec<String> = sides
        .iter()
        .zip(&columns)
        .filter(|(_, columns)| columns.is_empty())
        .map(|(side, _)| format!("{} has no finished run with a model.", side.name))
        .collect();
    let mut tables = match columns.as_slice() {
        [only] => within_one(only),
        _ => over_sides(sides, &columns, &mut left_out),
    };
    for table in &mut tables {
        let more = table
            .columns
            .split_off(MOST_COLUMNS.min(table.columns.len()));
        if !more.is_empty() {
            let names: Vec<&str> = more.iter().map(|column| column.name.as_str()).collect();
            left_out.push(format!(
                "More than {MOST_COLUMNS} columns cannot be read side by side. Left out: {}. The report of an experiment has all of its cells.",
                names.join(", ")
            ));
        }
    }
    (tables, left_out)
}

fn of_side(at: usize, side: &Side) -> Vec<ColumnRuns<'_>> {
    match &side.compared {
        Compared::Runs(records) => of_runs(at, &side.name, records),
        Compared::Experiment(experiment) => of_experiment(at, &side.name, experiment),
    }
}

/// One column for each model of the runs.
fn of_runs<'a>(side: usize, name: &str, records: &'a [RunRecord]) -> Vec<ColumnRuns<'a>> {
    let mut columns: Vec<ColumnRuns<'a>> = Vec::new();
    for (number, record) in (0..).zip(records) {
        for model in record.all_models() {
            let run = OneRun {
                number,
                block: None,
                record,
                model,
            };
            let own = short(&model.model.path);
            match columns.iter_mut().find(|column| column.model == own) {
                Some(column) => column.runs.push(run),
                None => columns.push(ColumnRuns {
                    side,
                    name: name.to_owned(),
                    model: own,
                    cell: None,
                    runs: vec![run],
                    not_pooled: None,
                }),
            }
        }
    }
    columns
}

/// One column for each cell and model.
fn of_experiment<'a>(
    side: usize,
    name: &str,
    experiment: &'a ExperimentRecord,
) -> Vec<ColumnRuns<'a>> {
    let groups = groups(experiment);
    let alone = groups.len() == 1;
    groups
        .into_iter()
        .map(|group| ColumnRuns {
            side,
            name: if alone {
                name.to_owned()
            } else {
                format!("{name}: {}", group.name)
            },
            model: group.model,
            cell: group.runs.first().map(|run| {
                let axes = run.run.cell.iter();
                axes.filter(|(axis, _)| *axis != "model")
                    .map(|(axis, value)| (axis.as_str(), value.as_str()))
                    .collect()
            }),
            not_pooled: group.pooled.as_ref().err().map(ToString::to_string),
            runs: group
                .runs
                .iter()
                .map(|run| OneRun {
                    number: run.run.number,
                    block: Some(run.run.block),
                    record: run.record,
                    model: run.model,
                })
                .collect(),
        })
        .collect()
}

/// The cells of one experiment, or the runs' models: a table for each model.
fn within_one<'a>(columns: &[ColumnRuns<'a>]) -> Vec<Beside<'a>> {
    let mut tables: Vec<Beside<'a>> = Vec::new();
    for column in columns {
        match tables.iter_mut().find(|table| table.title == column.model) {
            Some(table) => table.columns.push(column.clone()),
            None => tables.push(Beside {
                title: column.model.to_owned(),
                columns: vec![column.clone()],
            }),
        }
    }
    tables.retain(|table| table.columns.len() > 1);
    if let [only] = tables.as_mut_slice() {
        only.title.clear();
    }
    tables
}

/// Each column of the side that has the most, beside those of the other sides that belong to it.
fn over_sides<'a>(
    sides: &[Side],
    columns: &[Vec<ColumnRuns<'a>>],
    left_out: &mut Vec<String>,
) -> Vec<Beside<'a>> {
    let most = columns.iter().map(Vec::len).max().unwrap_or(0);
    let Some(widest) = columns.iter().position(|columns| columns.len() == most) else {
        return Vec::new();
    };
    let one_model_each = columns.iter().all(|columns| {
        let mut models = columns.windows(2);
        models.all(|pair| matches!(pair, [one, other] if one.model == other.model))
    });
    let mut tables = Vec::new();
    let mut used: Vec<(usize, String)> = Vec::new();
    for of_widest in columns.get(widest).into_iter().flatten() {
        let mut beside = Vec::new();
        for (at, own) in columns.iter().enumerate() {
            let found = if at == widest {
                Some(of_widest)
            } else {
                own.iter()
                    .find(|column| belong_together(of_widest, column, one_model_each))
            };
            match found {
                Some(column) => {
                    used.push((at, key(column)));
                    beside.push(column.clone());
                }
                None if own.is_empty() => {}
                None => left_out.push(format!(
                    "{} has nothing that belongs to {} ({}).",
                    sides.get(at).map_or("", |side| &side.name),
                    of_widest.name,
                    of_widest.model
                )),
            }
        }
        if beside.len() > 1 {
            tables.push(Beside {
                title: if most == 1 {
                    String::new()
                } else {
                    title(of_widest, one_model_each)
                },
                columns: beside,
            });
        }
    }
    for (at, own) in columns.iter().enumerate() {
        for column in own.iter().filter(|_| at != widest) {
            if !used.contains(&(at, key(column))) {
                left_out.push(format!(
                    "{} ({}) has nothing beside it.",
                    column.name, column.model
                ));
            }
        }
    }
    tables
}

fn belong_together(one: &ColumnRuns<'_>, other: &ColumnRuns<'_>, one_model_each: bool) -> bool {
    // A plain run belongs to every cell.
    let cells = match (&one.cell, &other.cell) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    cells && (one_model_each || one.model == other.model)
}

fn key(column: &ColumnRuns<'_>) -> String {
    format!("{} {:?}", column.model, column.cell)
}

fn title(column: &ColumnRuns<'_>, one_model_each: bool) -> String {
    let mut parts = Vec::new();
    if !one_model_each {
        parts.push(column.model.to_owned());
    }
    for (axis, value) in column.cell.iter().flatten() {
        parts.push(format!("{axis} = {value}"));
    }
    if parts.is_empty() {
        column.model.to_owned()
    } else {
        parts.join(", ")
    }
}

/// The last part of a path.
pub(super) fn short(path: &str) -> &str {
    path.rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(path)
}
