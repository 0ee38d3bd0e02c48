//! A run's charts: pure functions of its record and of its list of reads.
//!
//! A chart that the record has no figures for is left out, with a sentence that says why.

mod bandwidth;
mod latency;
mod memory;
mod over_time;
mod pages;
mod pieces;
mod places;
mod reads;
mod requests;
mod tokens;

use crate::{
    read_list::ReadList,
    report::document::{Document, Drawing},
    schema::{DeviceTestRecord, ModelRecord, RunRecord},
};

use self::reads::ReadCourse;
use super::names::titled;

pub use reads::TimeWindow;

/// What charts are made of.
#[derive(Clone, Copy, Default)]
pub struct ChartSources<'a> {
    /// The list of the run's reads, or why there is none.
    pub reads: Option<&'a ReadList>,
    /// What the device can do, where it was tested.
    pub device: Option<&'a DeviceTestRecord>,
    /// Show this part of the run only.
    pub window: Option<TimeWindow>,
}

/// The charts of a model, in a page's order; or why one is left out.
pub struct ModelCharts {
    /// Each group has a heading.
    pub groups: Vec<(&'static str, Vec<Result<Drawing, String>>)>,
}

/// All charts of all models.
pub(super) fn charts(record: &RunRecord, sources: ChartSources<'_>) -> Vec<ModelCharts> {
    let models: Vec<&ModelRecord> = record.all_models().collect();
    let courses = read_courses(record, &models, sources);
    let made = models.iter().enumerate().map(|(slot, model)| {
        let course = courses.as_ref().map(|courses| courses.get(slot));
        let course = course
            .map_err(|why| why.clone())
            .and_then(|course| course.ok_or_else(String::new));
        let mut groups = of_model(record, model, slot, course, sources);
        if slot == 0 {
            let shares = record
                .device_share
                .iter()
                .map(|share| Ok(pieces::device_share(share)));
            groups.push(("The device", shares.collect()));
        } else {
            for chart in groups.iter_mut().flat_map(|(_, charts)| charts).flatten() {
                chart.chart.name = format!("{}-{}", chart.chart.name, slot + 1);
            }
        }
        ModelCharts { groups }
    });
    made.collect()
}

fn of_model(
    record: &RunRecord,
    model: &ModelRecord,
    slot: usize,
    course: Result<&ReadCourse, String>,
    sources: ChartSources<'_>,
) -> Vec<(&'static str, Vec<Result<Drawing, String>>)> {
    let with_reads =
        |what: &str, draw: &dyn Fn(&ReadCourse) -> Result<Drawing, String>| match &course {
            Ok(course) if course.count == 0 => Err(format!("{what}: nothing was read")),
            Ok(course) => draw(course),
            Err(why) => Err(format!("{what}: {why}")),
        };
    let window = sources.window;
    vec![
        (
            "Over time",
            vec![
                match (&course, &model.arrivals) {
                    (Ok(course), _) if course.count > 0 => {
                        let arrived = bandwidth::Arrived::of_reads(course);
                        Ok(bandwidth::bandwidth(
                            record,
                            model,
                            &arrived,
                            sources.device,
                        ))
                    }
                    (Err(_), Some(arrivals)) if window.is_none() => {
                        let arrived = bandwidth::Arrived::of_record(record, arrivals);
                        Ok(bandwidth::bandwidth(
                            record,
                            model,
                            &arrived,
                            sources.device,
                        ))
                    }
                    (Err(why), _) => Err(format!("bandwidth over time: {why}")),
                    _ => Err("bandwidth over time: nothing was read".to_owned()),
                },
                bandwidth::residency(record, model, slot, window),
            ],
        ),
        (
            "Where in the file",
            vec![
                with_reads("where in the file it read, over time", &|course| {
                    Ok(places::offset_time(record, model, course))
                }),
                pages::evicted(record, model, window),
                places::along_the_file(model),
            ],
        ),
        (
            "Token by token",
            vec![tokens::read(model), tokens::stall(model)],
        ),
        (
            "Which parts of the model",
            vec![
                pieces::experts(model),
                pieces::kinds(model),
                pieces::by_layer(model),
            ],
        ),
        (
            "How it read",
            vec![
                model.gaps.as_ref().map_or_else(
                    || Err("distances between reads: the model's sectors are not known".into()),
                    requests::gaps,
                ),
                requests::sizes(model, course.as_ref().ok().copied()),
                with_reads("latency", &|course| latency::latency(model, course)),
                with_reads("how many reads the disk had at once", &latency::queue_depth),
            ],
        ),
        (
            "Read again, and read in vain",
            vec![
                with_reads("how often each byte was read", &requests::access_counts),
                pieces::unused(model),
            ],
        ),
        (
            "Memory",
            vec![
                memory::memory(record, model, window),
                pages::reclaim(record, model, window),
                memory::pressure(record, model, window),
            ],
        ),
    ]
}

/// Looks at every read once; or why that cannot be.
fn read_courses(
    record: &RunRecord,
    models: &[&ModelRecord],
    sources: ChartSources<'_>,
) -> Result<Vec<ReadCourse>, String> {
    let Some(list) = sources.reads else {
        let known = record.read_list.as_ref();
        return Err(match known.and_then(|list| list.error.as_ref()) {
            Some(error) => format!("there is no list of reads: {error}"),
            None if known.is_none() => {
                "the run was made with --no-read-list; without that option it shows".into()
            }
            None => "reads.parquet is not beside the record".into(),
        });
    };
    let new = |model: &&ModelRecord| ReadCourse::new(record, model, sources.window);
    let mut courses: Vec<ReadCourse> = models.iter().map(new).collect();
    for row in list.rows() {
        let row = row.map_err(|error| format!("reads.parquet cannot be read: {error}"))?;
        if let Some(course) = courses.get_mut(usize::from(row.model)) {
            course.add(&row);
        }
    }
    Ok(courses)
}

/// The charts as a document, with a line for each that is left out.
pub(super) fn document(record: &RunRecord, sources: ChartSources<'_>) -> Document {
    let mut document = Document::default();
    for (model, charts) in record.all_models().zip(charts(record, sources)) {
        let mut left_out = Vec::new();
        for (heading, charts) in charts.groups {
            let (drawn, missing): (Vec<_>, Vec<_>) = charts.into_iter().partition(Result::is_ok);
            left_out.extend(missing.into_iter().filter_map(Result::err));
            if !drawn.is_empty() {
                document.heading(2, titled(record, model, heading));
            }
            for drawing in drawn.into_iter().flatten() {
                document.drawing(drawing);
            }
        }
        if record.detail.as_deref() == Some("counts") {
            left_out.insert(0, "This run was made with --detail counts, which records no single event: --detail events shows all of these.".to_owned());
        }
        if !left_out.is_empty() {
            document.heading(2, titled(record, model, "Not shown"));
            document.list(left_out);
        }
    }
    document
}
