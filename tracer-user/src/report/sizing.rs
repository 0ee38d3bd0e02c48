//! How much memory is enough, as a document and as a page.

use crate::{
    chart::{Axis, Bar, Chart, Dot, Ink, Mark, Point, Shape},
    figures::Unit,
    schema::{BandRecord, MeasuredSize, SizePointRecord, SizeRegion, SizingRecord},
    units::{bytes, share, unobserved},
};

use super::{
    document::{self, Column, Document, Drawing, Table, Text, Tone},
    page::{Page, page},
};

/// A measured run is told apart from what was predicted by its name in the read-out.
const MEASURED: &str = "measured";

/// In lines of at most `columns` characters; `only` are the amounts of memory that the table shows, all where it is empty.
#[must_use]
pub fn sizing_terminal(record: &SizingRecord, only: &[u64], columns: Option<u16>) -> String {
    let mut document = head(record);
    document.table(table(record, only));
    append_rest(&mut document, record);
    document::terminal(&document, columns)
}

/// As a page of its own, with the curve.
#[must_use]
pub fn sizing_page(record: &SizingRecord) -> String {
    let (mut charts, mut details) = (Document::default(), Document::default());
    charts.drawing(Drawing {
        chart: chart(record),
        table: table(record, &[]),
    });
    append_rest(&mut details, record);
    page(&Page {
        title: title(record),
        first: head(record),
        results: Vec::new(),
        meanings: Document::default(),
        charts,
        details,
    })
}

fn title(record: &SizingRecord) -> String {
    let name = std::path::Path::new(&record.model).file_name();
    let name = name.map_or_else(
        || record.model.clone(),
        |name| name.to_string_lossy().into_owned(),
    );
    format!("How much memory is enough for {name}")
}

fn head(record: &SizingRecord) -> Document {
    let mut document = Document::default();
    document.heading(1, title(record));
    for sentence in sentences(record) {
        document.paragraph(Text::default().strong(sentence));
    }
    for note in &record.notes {
        document.note(Tone::Caution, Text::with_code(note));
    }
    document
}

fn band(band: Option<BandRecord>, shown: impl Fn(f64) -> String) -> String {
    band.map_or_else(unobserved, |band| {
        let (least, most) = (shown(band.least), shown(band.most));
        if least == most {
            least
        } else {
            format!("{least} – {most}")
        }
    })
}

fn read(of: Option<BandRecord>) -> String {
    match of {
        Some(of) if of.most <= 0.0 => "nothing".to_owned(),
        of => band(of, |value| bytes(value.round() as u64)),
    }
}

/// What the curve says: from where on it is enough, how it goes with what the run had, what more would buy.
fn sentences(record: &SizingRecord) -> Vec<String> {
    let mut says = Vec::new();
    if let Some(enough) = record.enough_bytes {
        says.push(format!(
            "With {} it reads nothing for a token: {} of weights that tokens use, and {} beside them.",
            bytes(enough),
            bytes(record.used_bytes),
            bytes(record.beside_bytes)
        ));
    }
    if let Some(collapsed) = record.collapsed_bytes {
        says.push(format!(
            "Up to {} it collapses: each token reads half of the {} that it needs, or more.",
            bytes(collapsed),
            bytes(record.need_bytes)
        ));
    }
    let at = |memory: u64| {
        record
            .points
            .iter()
            .find(|point| point.memory_bytes == memory)
    };
    // From what the run had, or from where it no longer collapses.
    let from = record
        .run
        .map(|run| run.memory_bytes)
        .filter(|memory| at(*memory).is_some_and(|point| point.region != SizeRegion::Enough));
    if let Some(from) = from
        && let (Some(less), Some(more)) = (at(from), at(from + record.step_bytes))
    {
        says.push(format!(
            "With {} a token reads {}; {} more memory makes that {}.",
            bytes(from),
            read(less.read_bytes),
            bytes(record.step_bytes),
            read(more.read_bytes)
        ));
    }
    if record.weights_scale != 1.0 {
        says.push(format!(
            "All of this is if the weights had {} of their bytes; how long computing takes then is not known.",
            share(Some(record.weights_scale))
        ));
    }
    if record.read_ahead_is_asked {
        says.push(format!(
            "All of this is if the disk's read-ahead were {}.",
            bytes(record.read_ahead_bytes / 2)
        ));
    }
    if !record.pinned_experts.is_empty() {
        says.push(format!(
            "All of this is if {} experts, the most used ones, were kept in memory ({}).",
            record.pinned_experts.len(),
            bytes(record.pinned_bytes)
        ));
    }
    says
}

fn table(record: &SizingRecord, only: &[u64]) -> Table {
    let measured = &record.measured;
    let mut columns = vec![
        Column::right("memory"),
        Column::left("what happens"),
        Column::right("read for a token"),
        Column::right("waits for a token"),
        Column::right("tok/s"),
    ];
    if !measured.is_empty() {
        columns.push(Column::right(MEASURED));
    }
    let shown = |point: &&SizePointRecord| only.is_empty() || only.contains(&point.memory_bytes);
    let rows = record.points.iter().filter(shown).map(|point| {
        let mut row = vec![
            bytes(point.memory_bytes),
            point.region.words().to_owned(),
            read(point.read_bytes),
            band(point.stall_s, |value| format!("{:.0} ms", value * 1000.0)),
            band(point.tokens_per_s, |value| format!("{value:.2}")),
        ];
        if !measured.is_empty() {
            let of_size: Vec<String> = measured
                .iter()
                .filter(|run| run.memory_bytes == point.memory_bytes)
                .map(|run| bytes(run.read_bytes.round() as u64))
                .collect();
            row.push(of_size.join(", "));
        }
        row
    });
    Table::new(columns).with_rows(rows)
}

fn append_rest(document: &mut Document, record: &SizingRecord) {
    document.heading(2, "What this is made of");
    let mut facts = vec![
        format!(
            "A token needs {}, of which every token uses {}. The rest is of the experts that it picks.",
            bytes(record.need_bytes),
            bytes(record.every_token_bytes.min(record.need_bytes))
        ),
        format!(
            "Beside the weights: {} (highest use of the engine's {} that is no page cache, while it generated).",
            bytes(record.beside_bytes),
            record.beside_source
        ),
        format!(
            "Simulated: {} steps, {}; read-ahead of up to {} at a time; blocks of {}.",
            record.steps,
            if record.experts_seen.is_some() {
                "the experts as this run's page-cache events show them"
            } else {
                "each uses the same weights in the same order"
            },
            bytes(record.read_ahead_bytes),
            bytes(record.block_bytes)
        ),
    ];
    if let (Some([seen, all]), Some(certain)) = (record.experts_seen, record.uses_certain) {
        facts.push(format!(
            "Of {all} experts {seen} were seen in use. {} of their uses are certain; the others were filled in, in two ways, and the band holds both.",
            share(Some(certain))
        ));
    }
    if let (Some(run), Some([least, most])) = (record.run, record.stretched) {
        facts.push(format!(
            "This run had {} and read {} for a token. To hold that, the band's lower end was multiplied by {least:.2}, its upper one by {most:.2}.",
            bytes(run.memory_bytes),
            bytes(run.read_bytes.round() as u64)
        ));
    }
    if !record.pinned_experts.is_empty() {
        let names: Vec<String> = record
            .pinned_experts
            .iter()
            .map(|[layer, expert]| format!("{layer}/{expert}"))
            .collect();
        facts.push(format!(
            "Kept in memory (layer/expert): {}.",
            names.join(", ")
        ));
    }
    match (record.computing_s, record.bytes_per_s, &record.rate_source) {
        (Some(computing), Some(rate), Some(source)) => facts.push(format!(
            "Times are estimates: {:.1} ms of computing, and {}/s ({source}).",
            computing * 1000.0,
            bytes(rate.round() as u64)
        )),
        _ => facts.push("Times are not known: neither the waits of this run nor a device test say how fast the disk is.".to_owned()),
    }
    document.list(facts.iter().map(|fact| Text::with_code(fact)));
    document.paragraph("The band lies between two caches: one as the kernel's two lists, and one that throws out any page. It is a forecast, not a measurement: `docs/ADVICE.md` says how often it held.");
}

fn chart(record: &SizingRecord) -> Chart {
    let measured = &record.measured;
    let known: Vec<(&SizePointRecord, BandRecord)> = record
        .points
        .iter()
        .filter_map(|point| Some((point, point.read_bytes?)))
        .collect();
    let x = |point: &SizePointRecord| point.memory_bytes as f64;
    let most = known
        .iter()
        .map(|(_, band)| band.most)
        .chain(measured.iter().map(|run| run.read_bytes))
        .fold(record.need_bytes as f64, f64::max);
    // A bar reaches to the middle between its point and the next one.
    let middle = |left: usize, right: usize| match (known.get(left), known.get(right)) {
        (Some((left, _)), Some((right, _))) => f64::midpoint(x(left), x(right)),
        (Some((only, _)), None) | (None, Some((only, _))) => x(only),
        (None, None) => 0.0,
    };
    let bars = known.iter().enumerate().map(|(place, (point, band))| Bar {
        from: if place == 0 {
            x(point)
        } else {
            middle(place - 1, place)
        },
        to: middle(place, place + 1),
        low: band.least,
        high: band.most,
        says: format!(
            "{}: reads {} for a token ({})",
            bytes(point.memory_bytes),
            read(point.read_bytes),
            point.region.words()
        ),
    });
    let line = |name: &str, ink, of: fn(&SizePointRecord) -> Option<f64>| Mark::Line {
        name: name.to_owned(),
        ink,
        shape: Shape::Straight,
        points: known
            .iter()
            .map(|(point, _)| Point {
                x: x(point),
                y: of(point),
            })
            .collect(),
    };
    let mut marks = vec![
        Mark::Bars {
            name: "read for a token, least to most".to_owned(),
            ink: Ink::Read,
            bars: bars.collect(),
        },
        line("the best possible policy", Ink::Memory, |point| {
            point.best_bytes
        }),
        Mark::Level {
            name: "what a token needs".to_owned(),
            ink: Ink::Limit,
            at: record.need_bytes as f64,
        },
    ];
    if let Some(enough) = record.enough_bytes {
        marks.push(Mark::Upright {
            name: "enough".to_owned(),
            ink: Ink::Limit,
            at: enough as f64,
        });
    }
    let dot = |run: &MeasuredSize, what: &str| Dot {
        x: run.memory_bytes as f64,
        y: run.read_bytes,
        says: format!(
            "{what}: {} read with {}",
            bytes(run.read_bytes.round() as u64),
            bytes(run.memory_bytes)
        ),
    };
    if let Some(run) = &record.run {
        marks.push(Mark::Dots {
            name: "this run".to_owned(),
            ink: Ink::Wait,
            dots: vec![dot(run, "this run")],
        });
    }
    if !measured.is_empty() {
        marks.push(Mark::Dots {
            name: "measured in other runs".to_owned(),
            ink: Ink::Again,
            dots: measured.iter().map(|run| dot(run, MEASURED)).collect(),
        });
    }
    let ends = known
        .iter()
        .map(|(point, _)| x(point))
        .chain(measured.iter().map(|run| run.memory_bytes as f64));
    let (from, to) = ends.fold((f64::INFINITY, 0.0f64), |(from, to), at| {
        (from.min(at), to.max(at))
    });
    Chart {
        name: "sizes".to_owned(),
        title: "Read for a token, by memory".to_owned(),
        sees: "Where the band comes down it stops reading; where it is high and wide, small differences decide.".to_owned(),
        x: Axis::linear("memory of the engine, page cache included", Unit::Bytes, if from.is_finite() { from } else { 0.0 }, to),
        y: Axis::linear("read for a token", Unit::Bytes, 0.0, most * 1.05),
        edges: Vec::new(),
        marks,
    }
}

#[cfg(test)]
mod tests {
    use super::{sizing_page, sizing_terminal};
    use crate::schema::{BandRecord, MeasuredSize, SizePointRecord, SizeRegion, SizingRecord};

    const GIB: u64 = 1 << 30;

    fn point(gib: u64, region: SizeRegion, least: f64, most: f64) -> SizePointRecord {
        SizePointRecord {
            memory_bytes: gib * GIB,
            region,
            read_bytes: Some(BandRecord {
                least: least * GIB as f64,
                most: most * GIB as f64,
            }),
            best_bytes: Some(least / 2.0),
            ..SizePointRecord::default()
        }
    }

    fn record() -> SizingRecord {
        SizingRecord {
            model: "/m/<b>big</b>.gguf".into(),
            need_bytes: 4 * GIB,
            used_bytes: 8 * GIB,
            beside_bytes: GIB,
            enough_bytes: Some(9 * GIB),
            collapsed_bytes: Some(3 * GIB),
            step_bytes: GIB,
            weights_scale: 1.0,
            run: Some(MeasuredSize {
                memory_bytes: 5 * GIB,
                read_bytes: 1.5 * GIB as f64,
                tokens_per_s: None,
            }),
            points: vec![
                SizePointRecord {
                    memory_bytes: GIB / 2,
                    ..SizePointRecord::default()
                },
                point(3, SizeRegion::Collapsed, 3.0, 4.0),
                point(5, SizeRegion::Partly, 1.0, 2.0),
                point(6, SizeRegion::Partly, 0.5, 0.75),
                point(10, SizeRegion::Enough, 0.0, 0.0),
            ],
            ..SizingRecord::default()
        }
    }

    #[test]
    fn it_says_what_is_enough_what_collapses_and_what_one_more_gib_buys() {
        let text = sizing_terminal(&record(), &[], None);
        for said in [
            "With 9.00 GiB it reads nothing for a token",
            "Up to 3.00 GiB it collapses",
            "With 5.00 GiB a token reads 1.00 GiB – 2.00 GiB; 1.00 GiB more memory makes that 512.00 MiB – 768.00 MiB.",
            "too small",
            "Times are not known",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(!text.contains("measured |"), "{text}");
    }

    #[test]
    fn only_what_is_asked_for_is_shown_and_measured_runs_stand_beside_it() {
        let mut record = record();
        record.measured.push(MeasuredSize {
            memory_bytes: 6 * GIB,
            read_bytes: 0.625 * GIB as f64,
            tokens_per_s: None,
        });
        let text = sizing_terminal(&record, &[6 * GIB], None);
        assert!(text.contains("640.00 MiB"), "{text}");
        assert!(!text.contains("too small"), "{text}");
    }

    #[test]
    fn a_what_if_is_never_shown_as_the_run_itself() {
        let mut record = record();
        record.weights_scale = 0.5;
        record.pinned_experts = vec![[3, 7]];
        let text = sizing_terminal(&record, &[], None);
        assert!(
            text.contains("if the weights had 50.0 % of their bytes"),
            "{text}"
        );
        assert!(text.contains("3/7"), "{text}");
    }

    #[test]
    fn the_page_has_the_curve_and_takes_no_markup_from_names() {
        let page = sizing_page(&record());
        assert!(page.contains("<svg") && page.contains("this run"));
        assert!(!page.contains("<b>big"), "the model's name is markup");
    }
}
