extern crate std;

use core::slice;
use std::vec::Vec;

use proptest::prelude::*;

use super::{
    CompleteRecord, DecodeError, EventRecord, IssueRecord, Kind, KindByte, MarkRecord, PageRecord,
    Record, RequeueRecord, StageRecord, UnseenRecord, WaitRecord,
};

fn bytes_of<T: EventRecord>(record: &T) -> Vec<u8> {
    // SAFETY: the records are repr(C) without padding, so every byte is initialised.
    unsafe { slice::from_raw_parts(core::ptr::from_ref(record).cast(), size_of::<T>()) }.to_vec()
}

proptest! {
    #[test]
    fn records_come_back_as_the_kernel_side_lays_them_out(
        small: (u8, u8, u8), words: (u64, u64, u64, u64), halves: (u32, u32, u32),
    ) {
        let issue = IssueRecord {
            kind: KindByte::NEW, device: small.0, model: small.1, flags: small.2,
            thread_id: halves.0, time_ns: words.0, request: words.1, sector: words.2,
            previous_end: words.3, bytes: halves.1, process_id: halves.2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&issue)), Ok(Record::Issue(issue)));
        let complete = CompleteRecord {
            kind: KindByte::NEW, device: small.0, status: small.1, flags: small.2,
            bytes: halves.0, time_ns: words.0, request: words.1, sector: words.2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&complete)), Ok(Record::Complete(complete)));
        let requeue = RequeueRecord {
            kind: KindByte::NEW, device: small.0, reserved: u16::from(small.1),
            bytes: halves.0, time_ns: words.0, request: words.1, sector: words.2,
            issue_time_ns: words.0 / 2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&requeue)), Ok(Record::Requeue(requeue)));
        let unseen = UnseenRecord {
            kind: KindByte::NEW, device: small.0, reserved: u16::from(small.1),
            reserved_too: halves.0, time_ns: words.0, request: words.1,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&unseen)), Ok(Record::Unseen(unseen)));
        let page = PageRecord {
            kind: KindByte::NEW, event: small.0, file: u16::from(small.1), process_id: halves.0,
            time_ns: words.0, first_page: halves.1, pages: halves.2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&page)), Ok(Record::Page(page)));
        let wait = WaitRecord {
            kind: KindByte::NEW, wait: small.0, file: u16::from(small.1), thread_id: halves.0,
            start_ns: words.0, end_ns: words.1, process_id: halves.1, page: halves.2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&wait)), Ok(Record::Wait(wait)));
        let mark = MarkRecord {
            kind: KindByte::NEW, returns: small.0, symbol: u16::from(small.1), process_id: halves.0,
            thread_id: halves.1, tokens: halves.2, time_ns: words.0, value: words.1,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&mark)), Ok(Record::Mark(mark)));
        let stage = StageRecord {
            kind: KindByte::NEW, device: small.0, stage: small.1, reserved: small.2,
            bytes: halves.0, time_ns: words.0, sector: words.1, thread_id: halves.1,
            process_id: halves.2,
        };
        prop_assert_eq!(Record::decode(&bytes_of(&stage)), Ok(Record::Stage(stage)));
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Record::decode(&bytes);
    }
}

#[test]
fn foreign_bytes_are_refused() {
    assert_eq!(
        Record::decode(&[99, 0, 0, 0]),
        Err(DecodeError::UnknownKind(99))
    );
    assert!(matches!(
        Record::decode(&[]),
        Err(DecodeError::WrongLength { .. })
    ));
    assert!(matches!(
        Record::decode(&[Kind::Issue as u8; 39]),
        Err(DecodeError::WrongLength {
            length: 39,
            expected: 48,
            ..
        })
    ));
}
