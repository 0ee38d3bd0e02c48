//! Files that import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use super::{
    finding::Finding,
    modules::Modules,
    resolve::{Target, resolve},
};

/// Which file names something of which, with the first line that does.
type Arrows<'a> = BTreeMap<&'a Path, BTreeMap<&'a Path, usize>>;

/// One finding for each knot: files of which each leads to each.
pub fn check(modules: &Modules) -> Vec<Finding> {
    let arrows = arrows(modules);
    knots(&arrows)
        .iter()
        .filter_map(|knot| {
            let circle = shortest(&arrows, knot)?;
            Some(finding(&arrows, knot, &circle))
        })
        .collect()
}

fn arrows(modules: &Modules) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (index, module) in modules.all.iter().enumerate() {
        for reference in &module.references {
            if reference.handed_on {
                continue;
            }
            let Some(Target::ItemOf(defined)) = resolve(modules, index, &reference.segments) else {
                continue;
            };
            let to = modules.all[defined].file.as_path();
            if to != module.file {
                let line = arrows
                    .entry(&module.file)
                    .or_default()
                    .entry(to)
                    .or_insert(reference.line);
                *line = reference.line.min(*line);
            }
        }
    }
    arrows
}

/// Files that each lead to each, two or more.
fn knots<'a>(arrows: &Arrows<'a>) -> Vec<BTreeSet<&'a Path>> {
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = arrows
        .keys()
        .map(|&from| (from, reachable(arrows, from)))
        .collect();
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    let mut knots = Vec::new();
    for (&from, to) in &reached {
        if seen.contains(from) || !to.contains(from) {
            continue;
        }
        let knot: BTreeSet<_> = to
            .iter()
            .copied()
            .filter(|other| {
                reached
                    .get(other)
                    .is_some_and(|reached| reached.contains(from))
            })
            .collect();
        seen.extend(&knot);
        knots.push(knot);
    }
    knots
}

fn reachable<'a>(arrows: &Arrows<'a>, from: &Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(file) = ahead.pop() {
        for &next in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                ahead.push(next);
            }
        }
    }
    reached
}

/// The shortest way from a file of the knot back to it.
fn shortest<'a>(arrows: &Arrows<'a>, knot: &BTreeSet<&'a Path>) -> Option<Vec<&'a Path>> {
    knot.iter()
        .filter_map(|&start| way_back(arrows, start))
        .min_by_key(Vec::len)
}

fn way_back<'a>(arrows: &Arrows<'a>, start: &'a Path) -> Option<Vec<&'a Path>> {
    let mut before: BTreeMap<&Path, &'a Path> = BTreeMap::new();
    let mut ahead = VecDeque::from([start]);
    while let Some(file) = ahead.pop_front() {
        for &next in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![file];
                while let Some(&last) = way.last().filter(|&&last| last != start) {
                    way.push(before.get(last)?);
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(next) {
                before.insert(next, file);
                ahead.push_back(next);
            }
        }
    }
    None
}

fn finding(arrows: &Arrows<'_>, knot: &BTreeSet<&Path>, circle: &[&Path]) -> Finding {
    let line = |from: &Path, to: &Path| arrows[from][to];
    let mut message =
        "these files import each other in a circle: move what both need to a file of its own"
            .to_owned();
    for (index, &from) in circle.iter().enumerate() {
        let to = circle[(index + 1) % circle.len()];
        message += &format!(
            "\n    {}:{} -> {}",
            from.display(),
            line(from, to),
            to.display()
        );
    }
    let others: Vec<PathBuf> = knot
        .iter()
        .filter(|file| !circle.contains(file))
        .map(|file| file.to_path_buf())
        .collect();
    if !others.is_empty() {
        message += "\n  in longer circles with them:";
        for file in others {
            message += &format!("\n    {}", file.display());
        }
    }
    let (from, to) = (circle[0], circle[1 % circle.len()]);
    Finding::new(from, line(from, to), message)
}
