//! Which parts of the model were read: experts, layers, kinds of tensor.

use std::collections::BTreeMap;

use crate::{
    chart::{Across, Axis, Cell, Chart, Ink, Mark},
    figures::{Unit, tensor::grouped},
    report::document::{Column, Drawing, Table},
    schema::{ModelRecord, TensorRecord},
    units::{bytes, count, factor},
};

/// Most columns and rows of the map; larger ones are put together.
const MOST_CELLS: usize = 128;

/// How often each expert of each layer was read.
pub(super) fn experts(model: &ModelRecord) -> Result<Drawing, String> {
    let experts = grouped(model.tensors.iter().flatten(), |tensor| {
        Some((tensor.layer?, tensor.expert?))
    });
    if experts.is_empty() {
        return Err("experts: the model has none, or its headers could not be read".into());
    }
    let times: Option<BTreeMap<(u32, u32), (f64, u64)>> = experts
        .iter()
        .map(|(place, sum)| {
            let read = sum.read_bytes?;
            Some((*place, (read as f64 / sum.bytes.max(1) as f64, read)))
        })
        .collect();
    let Some(times) = times else {
        return Err("which experts were read: the model's sectors are not known".into());
    };
    let layers: Vec<u32> = distinct(times.keys().map(|(layer, _)| *layer));
    let numbers: Vec<u32> = distinct(times.keys().map(|(_, expert)| *expert));
    if numbers.len() > MOST_CELLS * 4 || layers.len() > MOST_CELLS {
        return Err("experts: more of them than can be drawn; all are in run.json".into());
    }
    let most = times.values().map(|(times, _)| *times).fold(0.0, f64::max);
    let least = times
        .values()
        .map(|(times, _)| *times)
        .fold(f64::INFINITY, f64::min);
    let cells = times
        .iter()
        .filter_map(|((layer, expert), (of_it, read))| {
            Some(Cell {
                column: numbers.binary_search(expert).ok()?,
                row: layers.binary_search(layer).ok()?,
                value: *of_it,
                says: format!(
                    "layer {layer}, expert {expert}: read {} times over, {}",
                    shown(*of_it),
                    bytes(*read)
                ),
            })
        })
        .collect();
    let mut ranking: Vec<_> = times.iter().collect();
    ranking.sort_by(|(_, a), (_, b)| b.0.total_cmp(&a.0));
    let mut table = Table::new([
        Column::right("rank"),
        Column::left("expert"),
        Column::right("read"),
        Column::right("read / size"),
    ]);
    for (at, ((layer, expert), (of_it, read))) in ranking.iter().enumerate() {
        table.row([
            (at + 1).to_string(),
            format!("layer {layer}, expert {expert}"),
            bytes(*read),
            factor(Some(*of_it)),
        ]);
    }
    let hottest = ranking
        .first()
        .map(|((layer, expert), _)| format!("expert {expert} of layer {layer}"));
    Ok(Drawing {
        chart: Chart {
            name: "experts".into(),
            title: "Which experts were read".into(),
            sees: format!(
                "One cell is one expert of one layer, with more colour the more often its bytes were read: from {} to {} times, most often {}. Even shades mean that no expert stays in memory.",
                shown(least),
                shown(most),
                hottest.unwrap_or_default()
            ),
            x: Axis::of_names("expert", numbers.iter().map(ToString::to_string).collect()),
            y: Axis::of_names("layer", layers.iter().map(ToString::to_string).collect()),
            edges: Vec::new(),
            marks: vec![Mark::Cells {
                name: "bytes read / size of the expert (more colour: more)".into(),
                unit: Unit::Factor,
                most,
                cells,
            }],
        },
        table,
    })
}

fn shown(times: f64) -> String {
    format!("{times:.1}")
}

fn distinct(values: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// How often each kind of tensor was read.
pub(super) fn kinds(model: &ModelRecord) -> Result<Drawing, String> {
    let groups = grouped(model.tensors.iter().flatten(), |tensor| {
        Some(tensor.kind.clone())
    });
    let named = groups
        .iter()
        .map(|(kind, sum)| (kind.replace('_', " "), sum));
    lying(
        "kinds",
        "What kinds of weights were read",
        "How often each kind of tensor was read. What every token uses ought to stay in memory: a long bar beside such a kind is memory that is missing.",
        named.collect(),
    )
}

/// How often each layer was read.
pub(super) fn by_layer(model: &ModelRecord) -> Result<Drawing, String> {
    let groups = grouped(model.tensors.iter().flatten(), |tensor| tensor.layer);
    if groups.len() > MOST_CELLS {
        return Err("layers: more of them than can be drawn; all are in run.json".into());
    }
    let named = groups
        .iter()
        .map(|(layer, sum)| (format!("layer {layer}"), sum));
    lying(
        "layers",
        "How often each layer was read",
        "Equal bars: the model is read from front to back, again and again. Shorter ones are layers of which a part stayed in memory.",
        named.collect(),
    )
}

fn lying(
    name: &str,
    title: &str,
    sees: &str,
    groups: Vec<(String, &TensorRecord)>,
) -> Result<Drawing, String> {
    let mut rows: Vec<(String, u64, u64)> = Vec::new();
    for (name, sum) in groups {
        match sum.read_bytes {
            Some(read) if sum.bytes > 0 => rows.push((name, sum.bytes, read)),
            Some(_) => {}
            None => {
                return Err(format!(
                    "{}: the model's sectors are not known",
                    title.to_lowercase()
                ));
            }
        }
    }
    if rows.is_empty() {
        return Err(format!(
            "{}: the model's headers could not be read, or pages were only counted",
            title.to_lowercase()
        ));
    }
    if name == "kinds" {
        rows.sort_by_key(|(_, _, read)| std::cmp::Reverse(*read));
    }
    let times = |bytes: u64, read: u64| read as f64 / bytes as f64;
    let most = rows
        .iter()
        .map(|(_, bytes, read)| times(*bytes, *read))
        .fold(1.0, f64::max);
    let mut table = Table::new([
        Column::left("part"),
        Column::right("size"),
        Column::right("read"),
        Column::right("read / size"),
    ]);
    let mut bars = Vec::new();
    for (row, (name, size, read)) in rows.iter().enumerate() {
        let of_it = times(*size, *read);
        bars.push(Across {
            row,
            from: 0.0,
            to: of_it,
            says: format!("{}×, {} of {}", shown(of_it), bytes(*read), bytes(*size)),
        });
        table.row([
            name.clone(),
            bytes(*size),
            bytes(*read),
            factor(Some(of_it)),
        ]);
    }
    Ok(Drawing {
        chart: Chart {
            name: name.into(),
            title: title.into(),
            sees: sees.into(),
            x: Axis::linear(
                "times read: bytes read / size",
                Unit::Factor,
                0.0,
                most * 1.02,
            ),
            y: Axis::of_names("", rows.into_iter().map(|(name, _, _)| name).collect()),
            edges: Vec::new(),
            marks: vec![
                Mark::Upright {
                    name: "once".into(),
                    ink: Ink::Limit,
                    at: 1.0,
                },
                Mark::Across {
                    name: String::new(),
                    ink: Ink::Read,
                    bars,
                },
            ],
        },
        table,
    })
}

/// Bytes that left memory without having been used, by kind: a lower and an upper bound.
pub(super) fn unused(model: &ModelRecord) -> Result<Drawing, String> {
    let groups = grouped(model.tensors.iter().flatten(), |tensor| {
        Some(tensor.kind.clone())
    });
    let mut rows: Vec<(String, u64, u64)> = groups
        .iter()
        .filter_map(|(kind, sum)| {
            Some((
                kind.replace('_', " "),
                sum.unused_at_least_bytes?,
                sum.unused_at_most_bytes?,
            ))
        })
        .filter(|(_, _, most)| *most > 0)
        .collect();
    if rows.is_empty() {
        return Err(
            "bytes that were read ahead and evicted unused: none, or uses were not observed".into(),
        );
    }
    rows.sort_by_key(|(_, least, _)| std::cmp::Reverse(*least));
    let (least, most): (u64, u64) = rows
        .iter()
        .fold((0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2));
    let longest = rows.iter().map(|(_, _, most)| *most).max().unwrap_or(1);
    let mut table = Table::new([
        Column::left("kind"),
        Column::right("at least"),
        Column::right("at most"),
    ]);
    let (mut certain, mut possible) = (Vec::new(), Vec::new());
    for (row, (name, low, high)) in rows.iter().enumerate() {
        certain.push(Across {
            row,
            from: 0.0,
            to: *low as f64,
            says: String::new(),
        });
        possible.push(Across {
            row,
            from: *low as f64,
            to: *high as f64,
            says: format!("{} – {}", bytes(*low), bytes(*high)),
        });
        table.row([name.clone(), bytes(*low), bytes(*high)]);
    }
    Ok(Drawing {
        chart: Chart {
            name: "unused".into(),
            title: "Read, and thrown out before it was used".into(),
            sees: format!(
                "Bytes that came into memory and left it again in vain: at least {}, at most {}. Much of it points to read-ahead that is larger than the memory has room for.",
                bytes(least),
                bytes(most)
            ),
            x: Axis::linear("bytes", Unit::Bytes, 0.0, longest as f64),
            y: Axis::of_names("", rows.into_iter().map(|(name, _, _)| name).collect()),
            edges: Vec::new(),
            marks: vec![
                Mark::Across {
                    name: "certainly unused".into(),
                    ink: Ink::Again,
                    bars: certain,
                },
                Mark::Across {
                    name: "perhaps unused".into(),
                    ink: Ink::Other,
                    bars: possible,
                },
            ],
        },
        table,
    })
}

/// How a device's bytes divide.
pub(super) fn device_share(share_of: &crate::schema::DeviceShareRecord) -> Drawing {
    let rows: Vec<_> = share_of
        .classes
        .iter()
        .filter(|class| class.bytes > 0)
        .collect();
    let model: u64 = rows
        .iter()
        .filter(|class| class.class.starts_with("model,"))
        .map(|class| class.bytes)
        .sum();
    let most = rows.iter().map(|class| class.bytes).max().unwrap_or(1);
    let mut table = Table::new([
        Column::left("reads of"),
        Column::right("bytes"),
        Column::right("share"),
    ]);
    let mut bars = Vec::new();
    for (row, class) in rows.iter().enumerate() {
        let part = crate::units::share(class.share);
        bars.push(Across {
            row,
            from: 0.0,
            to: class.bytes as f64,
            says: format!("{}, {part}", bytes(class.bytes)),
        });
        table.row([class.class.clone(), bytes(class.bytes), part]);
    }
    let others = share_of.read_bytes.saturating_sub(model);
    Drawing {
        chart: Chart {
            name: format!("device-share-{}", share_of.device),
            title: format!("Whose reads the device {} served", share_of.device),
            sees: format!(
                "Of {} that the device read, {} were the model's. What others read ({}) slows the model down as if the device were slower.",
                bytes(share_of.read_bytes),
                bytes(model),
                bytes(others)
            ),
            x: Axis::linear("bytes", Unit::Bytes, 0.0, most as f64),
            y: Axis::of_names("", rows.iter().map(|class| class.class.clone()).collect()),
            edges: Vec::new(),
            marks: vec![Mark::Across {
                name: String::new(),
                ink: Ink::Read,
                bars,
            }],
        },
        table: table.captioned(format!("{} classes.", count(rows.len() as u64))),
    }
}
