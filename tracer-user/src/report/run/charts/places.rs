//! Where in the file: reads over time, and what became of each part.

use crate::{
    chart::{Axis, Chart, Edge, Ink, Mark, Piece, Point, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{ModelRecord, RunRecord, TensorRecord},
    units::{bytes, count, factor, share},
};

use super::{
    over_time,
    reads::{MOST_SINGLE, ReadCourse},
};

/// Reads by time and place. The sawtooth of a scan that begins again and again is to be seen here.
pub(super) fn offset_time(record: &RunRecord, model: &ModelRecord, course: &ReadCourse) -> Drawing {
    let mut marks = over_time::phases(model);
    match &course.singles {
        Some(singles) => {
            for (again, ink, name) in [
                (false, Ink::Read, "read for the first time"),
                (true, Ink::Again, "read again"),
            ] {
                let of_kind = singles.iter().filter(|read| read.again == again);
                let pieces: Vec<Piece> = of_kind
                    .map(|read| Piece {
                        x: read.at_s,
                        low: read.offset as f64,
                        high: (read.offset + read.bytes) as f64,
                    })
                    .collect();
                if !pieces.is_empty() {
                    marks.push(Mark::Pieces {
                        name: name.into(),
                        ink,
                        pieces,
                    });
                }
            }
        }
        None => {
            for (grid, ink, name) in [
                (&course.first, Ink::Read, "read for the first time"),
                (&course.again, Ink::Again, "read again"),
            ] {
                if grid.largest() > 0.0 {
                    marks.push(Mark::Density {
                        name: format!("{name} (more colour: more bytes)"),
                        ink,
                        grid: grid.clone(),
                    });
                }
            }
        }
    }
    let again = course.again_bytes as f64 / course.bytes.max(1) as f64;
    let mut sees = format!(
        "Every read at its moment and its place in the file: {} reads",
        count(course.count)
    );
    if again >= 0.05 {
        sees.push_str(&format!(
            ", {} of their bytes not for the first time. A slope that begins anew for each token is the file being read from front to back again.",
            share(Some(again))
        ));
    } else {
        sees.push_str(", nearly all of them of bytes that had not been read before.");
    }
    if course.unplaced > 0 {
        sees.push_str(&format!(
            " {} reads that are not one piece of one file are left out.",
            count(course.unplaced)
        ));
    }
    if course.singles.is_none() {
        sees.push_str(&format!(
            " There are more than {}, so they are added up in a grid.",
            count(MOST_SINGLE as u64)
        ));
    }
    Drawing {
        chart: Chart {
            name: "offset-time".into(),
            title: "Where in the file it read, over time".into(),
            sees,
            x: over_time::axis(record, Some(course.window)),
            y: Axis::linear(
                "place in the file",
                Unit::Bytes,
                0.0,
                course.model_bytes as f64,
            ),
            edges: layers(model),
            marks,
        },
        table: by_layer(model),
    }
}

/// First byte of each file of the model, its files one after the other.
fn bases(model: &ModelRecord) -> Vec<u64> {
    let mut end = 0;
    let files = model.model.files.iter();
    files
        .map(|file| {
            let base = end;
            end += file.size_bytes;
            base
        })
        .collect()
}

fn place(bases: &[u64], tensor: &TensorRecord) -> Option<u64> {
    let file = usize::try_from(tensor.file).ok()?;
    Some(bases.get(file)? + tensor.offset_bytes)
}

/// Where each layer lies, where it is one piece; what is in no layer by its kind.
pub(super) fn layers(model: &ModelRecord) -> Vec<Edge> {
    let bases = bases(model);
    let mut edges: Vec<(u64, u64, String)> = Vec::new();
    let mut tensors: Vec<(u64, &TensorRecord)> = model
        .tensors
        .iter()
        .flatten()
        .filter_map(|tensor| Some((place(&bases, tensor)?, tensor)))
        .collect();
    tensors.sort_by_key(|(from, _)| *from);
    for (from, tensor) in tensors {
        if matches!(tensor.kind.as_str(), "padding" | "header") {
            continue;
        }
        let to = from + tensor.bytes;
        let name = tensor.layer.map_or_else(
            || tensor.kind.replace('_', " "),
            |layer| format!("layer {layer}"),
        );
        match edges.last_mut() {
            Some((_, end, known)) if *known == name => *end = to,
            _ => edges.push((from, to, name)),
        }
    }
    // Of a file whose layers do not lie one after the other no names would help.
    if edges.len() > 2 * usize::try_from(model.model.layers.unwrap_or(0)).unwrap_or(0) + 8 {
        return Vec::new();
    }
    edges
        .into_iter()
        .map(|(from, to, name)| Edge {
            from: from as f64,
            to: to as f64,
            name,
        })
        .collect()
}

/// What each layer has been read, thrown out, brought back.
fn by_layer(model: &ModelRecord) -> Table {
    let mut table = Table::new([
        Column::left("part of the file"),
        Column::right("size"),
        Column::right("read"),
        Column::right("read / size"),
        Column::right("evicted"),
        Column::right("brought back"),
    ]);
    for (name, sums) in sums_by_layer(model) {
        let seen = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), bytes);
        table.row([
            name,
            bytes(sums.bytes),
            seen(sums.read),
            factor(sums.read.map(|read| read as f64 / sums.bytes.max(1) as f64)),
            seen(sums.evicted),
            seen(sums.refaulted),
        ]);
    }
    table
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    bytes: u64,
    read: Option<u64>,
    evicted: Option<u64>,
    refaulted: Option<u64>,
}

fn sums_by_layer(model: &ModelRecord) -> Vec<(String, Sums)> {
    let mut found: Vec<(Option<u32>, String, Sums)> = Vec::new();
    for tensor in model.tensors.iter().flatten() {
        let name = tensor.layer.map_or_else(
            || tensor.kind.replace('_', " "),
            |layer| format!("layer {layer}"),
        );
        let at = found
            .iter()
            .position(|(_, known, _)| *known == name)
            .unwrap_or_else(|| {
                let none = Sums {
                    bytes: 0,
                    read: Some(0),
                    evicted: Some(0),
                    refaulted: Some(0),
                };
                found.push((tensor.layer, name.clone(), none));
                found.len() - 1
            });
        if let Some((_, _, sums)) = found.get_mut(at) {
            let add = |sum: &mut Option<u64>, more: Option<u64>| {
                *sum = sum.zip(more).map(|(sum, more)| sum + more);
            };
            sums.bytes += tensor.bytes;
            add(&mut sums.read, tensor.read_bytes);
            add(&mut sums.evicted, tensor.evictions_bytes);
            add(&mut sums.refaulted, tensor.refaults_bytes);
        }
    }
    found.sort_by_key(|(layer, _, _)| layer.map_or(0, |layer| layer + 1));
    found
        .into_iter()
        .map(|(_, name, sums)| (name, sums))
        .collect()
}

/// A figure of a tensor; `None`: not observed.
type Pick = fn(&TensorRecord) -> Option<u64>;

/// How often each part of the file was read, thrown out and brought back, along the file.
pub(super) fn along_the_file(model: &ModelRecord) -> Result<Drawing, String> {
    const MOST: usize = 300;
    let bases = bases(model);
    let size = model.model.size_bytes;
    let mut parts: Vec<(u64, &TensorRecord)> = model
        .tensors
        .iter()
        .flatten()
        .filter(|tensor| tensor.bytes > 0)
        .filter_map(|tensor| Some((place(&bases, tensor)?, tensor)))
        .collect();
    if parts.is_empty() || size == 0 {
        return Err("what became of each part of the file: the model's headers could not be read, or pages were only counted".into());
    }
    parts.sort_by_key(|(from, _)| *from);
    let figures: [(&str, Ink, Pick); 3] = [
        ("read", Ink::Read, |tensor| tensor.read_bytes),
        ("thrown out of memory", Ink::Other, |tensor| {
            tensor.evictions_bytes
        }),
        ("brought back", Ink::Again, |tensor| tensor.refaults_bytes),
    ];
    let mut marks = Vec::new();
    let mut most: f64 = 1.0;
    for (name, ink, pick) in figures {
        let mut bins = vec![(0.0, 0.0); MOST];
        let mut seen = false;
        for (from, tensor) in &parts {
            let Some(value) = pick(tensor) else { continue };
            seen = true;
            spread(&mut bins, *from, tensor.bytes, value, size);
        }
        if !seen {
            continue;
        }
        let points: Vec<Point> = bins
            .iter()
            .enumerate()
            .map(|(at, (amount, length))| {
                let times = (*length > 0.0).then(|| amount / length);
                most = most.max(times.unwrap_or(0.0));
                Point {
                    x: at as f64 * size as f64 / MOST as f64,
                    y: times,
                }
            })
            .collect();
        marks.push(Mark::Line {
            name: name.into(),
            ink,
            shape: Shape::Steps,
            points,
        });
    }
    if marks.is_empty() {
        return Err("what became of each part of the file was not observed".into());
    }
    Ok(Drawing {
        chart: Chart {
            name: "along-the-file".into(),
            title: "How often each part of the file was read".into(),
            sees: "How many times each part was read, thrown out of memory, and brought back: flat means that all parts share one fate, peaks are parts that do not stay.".into(),
            x: Axis::linear("place in the file", Unit::Bytes, 0.0, size as f64),
            y: Axis::linear("times its size", Unit::Factor, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table: by_layer(model),
    })
}

/// Adds an amount to the bins that a part covers, by its bytes in each: the amount, and the bytes that can have one.
fn spread(bins: &mut [(f64, f64)], from: u64, length: u64, amount: u64, size: u64) {
    let bin = size as f64 / bins.len() as f64;
    let (from, to) = (from as f64, (from + length) as f64);
    let (first, last) = ((from / bin) as usize, (to / bin) as usize);
    for at in first..=last.min(bins.len() - 1) {
        let (begin, end) = (at as f64 * bin, (at + 1) as f64 * bin);
        let part = (to.min(end) - from.max(begin)).max(0.0);
        if let Some((sum, bytes)) = bins.get_mut(at) {
            *sum += amount as f64 * part / length.max(1) as f64;
            *bytes += part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_part_is_spread_over_its_bins_and_none_is_lost() {
        let mut bins = vec![(0.0, 0.0); 4];
        spread(&mut bins, 50, 100, 300, 400);
        spread(&mut bins, 350, 50, 7, 400);
        let sums: Vec<f64> = bins.iter().map(|(sum, _)| *sum).collect();
        assert_eq!(sums, [150.0, 150.0, 0.0, 7.0]);
        assert!((bins.iter().map(|(_, bytes)| bytes).sum::<f64>() - 150.0).abs() < 1e-9);
    }
}
