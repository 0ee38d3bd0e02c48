//! The whole of it over simulated streams.

use crate::stats::{
    ModelFigures, Nanos, ReadCompleted, RequestId,
    followed_model::FollowedModel,
    simulated_device::{Device, Event, Script, script, simulate},
};

use super::{FileData, ModelAccumulator};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn fed(events: &[Event], files: Vec<FileData>) -> FollowedModel {
    let mut model = FollowedModel::new(Nanos(0), files);
    events.iter().for_each(|event| model.take(event));
    model
}

fn figures(events: &[Event], device: &Device) -> ModelFigures {
    let end = Nanos(1_000_000_000);
    fed(events, device.files()).finish(end)
}

#[test]
fn no_event_gives_no_share_and_no_latency() {
    let figures = ModelAccumulator::new(Nanos(5), vec![FileData::default()]).finish(Nanos(5));
    assert!(figures.all_laws_hold());
    assert_eq!(
        (figures.reads.coverage, figures.reads.amplification),
        (None, None)
    );
    assert_eq!(
        (figures.gaps.sequential.share, figures.latency_us.p50),
        (None, None)
    );
    assert_eq!(figures.bandwidth.average_bytes_per_s, None);
}

#[test]
fn a_completion_without_issue_is_in_no_figure() {
    let mut model = FollowedModel::new(
        Nanos(0),
        vec![FileData {
            size_bytes: 4096,
            hole_bytes: 0,
        }],
    );
    model.complete(
        &ReadCompleted {
            time: Nanos(9),
            request: RequestId(1),
            bytes: 512,
            failed: false,
            last: true,
        },
        &[crate::stats::FileRange {
            file: 0,
            offset_bytes: 0,
            length_bytes: 512,
        }],
    );
    let figures = model.finish(Nanos(10));
    assert_eq!(
        (figures.reads.unique_bytes, figures.latency_us.count),
        (0, 0)
    );
    assert_eq!(figures.bandwidth.average_bytes_per_s, Some(0.0));
    assert_eq!(figures.requests.unmatched_bytes, 512);
}

#[test]
fn more_than_there_is_gives_no_coverage() {
    let device = Device {
        holes: 1,
        ..Device::default()
    };
    let mut files = device.files();
    files[0] = FileData {
        size_bytes: 512,
        hole_bytes: 0,
    };
    let script = Script::sequential(4, 8);
    let model = fed(&simulate(&script, &device).events, files);
    let figures = model.finish(Nanos(1_000_000_000));
    assert_eq!(figures.reads.coverage, None);
    assert!(!figures.all_laws_hold());
}

#[test]
fn figures_survive_json() {
    let simulated = simulate(&Script::sequential(20, 8), &Device::default());
    let figures = figures(&simulated.events, &Device::default());
    let json = serde_json::to_string(&figures).unwrap();
    let read: ModelFigures = serde_json::from_str(&json).unwrap();
    // Fractions may lose their last bit on the way.
    assert_eq!((read.requests, read.gaps), (figures.requests, figures.gaps));
    assert_eq!(
        (&read.laws, &read.laws_of_completions, &read.devices),
        (
            &figures.laws,
            &figures.laws_of_completions,
            &figures.devices
        )
    );
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["gaps"]["sequential"]["share"], 1.0);
    assert_eq!(value["reads"]["amplification"], 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Requeues, partial completions, failures, requests that end in flight: every law holds, and the
    /// figures are those of a naive count over what the device was asked to do.
    #[test]
    fn figures_are_those_of_a_naive_count(script in script()) {
        let device = Device::default();
        let simulated = simulate(&script, &device);
        let figures = figures(&simulated.events, &device);
        prop_assert!(figures.all_laws_hold(), "{:?}", figures.laws);
        let truth = &simulated.truth;
        prop_assert_eq!(figures.reads.count, truth.reads);
        prop_assert_eq!(figures.reads.total_bytes, truth.total_bytes);
        prop_assert_eq!(figures.reads.unique_bytes, truth.unique_bytes);
        prop_assert_eq!(figures.requests.failed_bytes, truth.failed_bytes);
        prop_assert_eq!(figures.requests.requeues, truth.requeues);
        prop_assert_eq!(figures.requests.in_flight_reads, truth.in_flight_reads);
        prop_assert_eq!(figures.latency_us.count, truth.ended_reads);
        prop_assert_eq!(
            figures.gaps.map(|figure| figure.count).in_slots(),
            truth.gaps,
        );
        let overlap = figures.backward_overlap;
        prop_assert_eq!([overlap.overlapping, overlap.repeated, overlap.apart], truth.backward);
        prop_assert!(figures.reads.coverage.is_none_or(|coverage| (0.0..=1.0).contains(&coverage)));
        prop_assert!(figures.reads.amplification.is_none_or(|factor| factor >= 1.0));
        let depths: u64 = figures.queue_depth.reads.iter().map(|depth| depth.reads).sum();
        prop_assert_eq!(depths, truth.reads);
        prop_assert!(figures.bandwidth.busy_s.is_some_and(|busy| busy <= 1.0));
    }

    /// Issue records that arrive a little out of order change no figure, but for the queue depth.
    #[test]
    fn reordered_records_give_the_same_figures(script in script(), noise in prop::collection::vec(0u8..12, 1..40)) {
        let device = Device { distinct_ends: true, ..Device::default() };
        let simulated = simulate(&script, &device);
        let in_order = figures(&simulated.events, &device);
        let reordered = figures(&simulated.reordered(&noise), &device);
        prop_assert!(reordered.all_laws_hold(), "{:?}", reordered.laws);
        prop_assert_eq!(reordered.gaps, in_order.gaps);
        prop_assert_eq!(reordered.gaps_stream_aware, in_order.gaps_stream_aware);
        prop_assert_eq!(reordered.gaps_file_order, in_order.gaps_file_order);
        prop_assert_eq!(reordered.backward_overlap, in_order.backward_overlap);
        prop_assert_eq!(reordered.reads, in_order.reads);
        prop_assert_eq!(reordered.requests, in_order.requests);
        prop_assert_eq!(reordered.latency_us, in_order.latency_us);
    }

    /// A lost record never passes unseen, whatever it was.
    #[test]
    fn a_lost_record_breaks_a_law(script in script(), at: prop::sample::Index) {
        let device = Device { distinct_ends: true, ..Device::default() };
        let simulated = simulate(&script, &device);
        let mut events = simulated.events.clone();
        prop_assume!(!events.is_empty());
        let lost = events.remove(at.index(events.len()));
        let figures = figures(&events, &device);
        // The kernel's last ends are what only it can tell.
        let last_ends: BTreeMap<_, _> = figures.devices.iter()
            .filter_map(|device| Some((device.device, device.exchange.last_end?))).collect();
        let seen = !figures.all_laws_hold()
            || last_ends != simulated.truth.last_ends
            || figures.requests.unmatched_completions > 0
            // What never came back looks like a read in flight, or back in the queue.
            || figures.requests.in_flight_reads > simulated.truth.in_flight_reads
            || figures.requests.requeued_waiting_reads > 0
            || figures.requests.implied_requeued_bytes > 0;
        prop_assert!(seen, "{lost:?}");
    }
}
