//! The parser against an encoder that was written from `struct blk_io_trace`, in both byte orders.

use std::path::Path;

use proptest::prelude::*;
use tracer_common::counters::Operation;

use crate::{
    old_trace::{
        TraceError,
        encoder::{self, Encoder},
        record::{Action, TraceRecord},
    },
    stats::Nanos,
    storage::KernelDevice,
};

use super::{BinaryEnd, BinaryTrace, ByteOrder};

fn read(bytes: &[u8], order: ByteOrder) -> Result<(Vec<TraceRecord>, BinaryEnd), TraceError> {
    let mut trace = BinaryTrace::new(Path::new("t.blktrace.0"), order, bytes);
    let mut records = Vec::new();
    while let Some(record) = trace.next_record()? {
        records.push(record);
    }
    Ok((records, trace.end()))
}

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

#[test]
fn both_byte_orders_say_the_same() {
    let all = ORDERS.map(|order| {
        let mut encoder = Encoder::new(order);
        encoder
            .process("llama cli")
            .timestamp(5, 1_700_000_000, 250)
            .message(6, "anything")
            .record(
                7,
                encoder::REMAP,
                encoder::READ | encoder::AHEAD,
                2128,
                4096,
            )
            .remap((254, 16), (254, 17), 80)
            .record(
                8,
                encoder::QUEUE,
                encoder::READ | encoder::META | encoder::SYNC,
                2128,
                4096,
            )
            .record(
                9,
                encoder::ISSUE,
                encoder::READ | encoder::AHEAD,
                2128,
                4096,
            )
            .cgroup(77)
            .record(10, encoder::COMPLETE, encoder::READ, 2128, 4096)
            .error(65531);
        let bytes = encoder.bytes();
        assert_eq!(ByteOrder::of(*bytes.first_chunk().unwrap()), Some(order));
        read(&bytes, order).unwrap()
    });
    assert_eq!(all[0], all[1]);
    let (records, end) = &all[0];
    let [remap, queue, issue, complete] = records.as_slice() else {
        panic!("{records:?}");
    };
    // As blkparse prints it: the disk, from the partition.
    assert_eq!(remap.device, KernelDevice::new(254, 16).unwrap());
    let partition = KernelDevice::new(254, 17).unwrap();
    assert_eq!(remap.remapped_from, Some((partition, 80)));
    assert_eq!(remap.action, Action::Remap);
    assert!(queue.metadata && queue.synchronous && !queue.readahead);
    assert!(issue.readahead && !issue.failed);
    assert_eq!((issue.sector, issue.sectors, issue.sequence), (2128, 8, 3));
    assert!(complete.failed);
    assert_eq!(complete.time, Nanos(10));
    let clock = end.wall_clock.unwrap();
    assert_eq!(
        (clock.time, clock.seconds, clock.nanos),
        (Nanos(5), 1_700_000_000, 250)
    );
    assert_eq!((end.missing, &end.cut_off), (0, &None));
}

#[test]
fn kinds_of_requests_are_those_of_blkparse() {
    for (kinds, bytes, operation) in [
        (encoder::READ, 4096, Operation::Read),
        (encoder::READ | encoder::PASSTHROUGH, 36, Operation::Other),
        (encoder::WRITE | encoder::SYNC, 4096, Operation::Write),
        (encoder::WRITE | encoder::DISCARD, 4096, Operation::Discard),
        (encoder::WRITE | encoder::FLUSH, 0, Operation::Write),
        (encoder::FLUSH, 0, Operation::Flush),
        (encoder::READ, 0, Operation::Other),
    ] {
        let mut encoder = Encoder::new(ByteOrder::Little);
        encoder.record(1, encoder::ISSUE, kinds, 8, bytes);
        let (records, _) = read(&encoder.bytes(), ByteOrder::Little).unwrap();
        assert_eq!(records[0].operation, operation, "{kinds:#x}");
    }
}

#[test]
fn missing_numbers_are_counted_from_the_first_one_on() {
    let mut encoder = Encoder::new(ByteOrder::Little);
    encoder
        .skip(3)
        .record(1, encoder::QUEUE, encoder::READ, 8, 512);
    encoder
        .skip(5)
        .record(2, encoder::ISSUE, encoder::READ, 8, 512);
    let (_, end) = read(&encoder.bytes(), ByteOrder::Little).unwrap();
    assert_eq!(end.missing, 8);
}

#[test]
fn every_truncation_is_noticed_or_ends_with_a_record() {
    let mut encoder = Encoder::new(ByteOrder::Little);
    encoder.record(1, encoder::QUEUE, encoder::READ, 8, 512);
    let first = encoder.bytes().len();
    encoder
        .record(2, encoder::REMAP, encoder::READ, 8, 512)
        .remap((8, 0), (8, 1), 1);
    let bytes = encoder.bytes();
    for length in 0..bytes.len() {
        let (records, end) = read(&bytes[..length], ByteOrder::Little).unwrap();
        assert_eq!(records.len(), usize::from(length >= first), "{length}");
        let whole = length == 0 || length == first;
        assert_eq!(end.cut_off.is_none(), whole, "{length}");
        if length > first {
            assert!(end.cut_off.unwrap().contains("byte 48:"), "{length}");
        }
    }
}

#[test]
fn what_is_no_record_is_named_with_its_offset() {
    let mut encoder = Encoder::new(ByteOrder::Little);
    encoder.record(1, encoder::QUEUE, encoder::READ, 8, 512);
    let good = encoder.bytes();
    let mut garbage = good.clone();
    garbage.extend([0xab; 60]);
    let error = read(&garbage, ByteOrder::Little).unwrap_err().to_string();
    assert!(
        error.contains("t.blktrace.0, byte 48: no record") && error.contains("0xabababab"),
        "{error}"
    );
    let mut newer = good.clone();
    newer[0] = 8;
    let error = read(&newer, ByteOrder::Little).unwrap_err().to_string();
    assert!(error.contains("byte 0: version 8"), "{error}");
    let mut beyond = Encoder::new(ByteOrder::Little);
    beyond.record(1, encoder::ISSUE, encoder::READ, 1 << 55, 512);
    let error = read(&beyond.bytes(), ByteOrder::Little)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("byte 0: sector 36028797018963968"),
        "{error}"
    );
    let mut short = Encoder::new(ByteOrder::Little);
    short.record(1, encoder::REMAP, encoder::READ, 8, 512);
    let error = read(&short.bytes(), ByteOrder::Little)
        .unwrap_err()
        .to_string();
    assert!(error.contains("0 bytes, expected 16"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), big: bool) {
        let order = ORDERS[usize::from(big)];
        let _ = read(&bytes, order);
    }

    #[test]
    fn any_header_with_the_magic_gives_an_answer(
        headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 42), 0..8),
    ) {
        let mut bytes = Vec::new();
        for header in &headers {
            bytes.extend([7, b't', b'a', b'e']);
            bytes.extend(header);
            // The length of the data: none.
            bytes.extend([0, 0]);
        }
        if let Ok((records, end)) = read(&bytes, ByteOrder::Little) {
            prop_assert!(records.len() <= headers.len());
            prop_assert!(end.cut_off.is_none());
        }
    }
}
