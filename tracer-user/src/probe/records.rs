//! Bytes of the ring buffer → records.

use bytes::Buf;
use tracer_common::record::{
    CompleteRecord, IssueRecord, MarkRecord, PageRecord, RequeueRecord, StageRecord, UnseenRecord,
    WaitRecord, kind,
};

/// One record of the ring buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A read was handed to the driver.
    Issue(IssueRecord),
    /// A part of a read, or all of it, came back.
    Complete(CompleteRecord),
    /// A read went back to the queue.
    Requeue(RequeueRecord),
    /// A read has ended unseen.
    Unseen(UnseenRecord),
    /// Something happened to pages of a model's file.
    Page(PageRecord),
    Wait(WaitRecord),
    /// An engine's function was entered or left.
    Mark(MarkRecord),
    /// A read passed another stage of the block layer.
    Stage(StageRecord),
}

/// Bytes that are no record: the programs and this loader are not of the same build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first byte names no kind.
    #[error("a ring-buffer record has the unknown kind {0}")]
    UnknownKind(u8),
    /// Wrong number of bytes for the kind.
    #[error("a ring-buffer record of kind {kind} has {length} bytes instead of {expected}")]
    WrongLength {
        kind: u8,
        /// Bytes there were.
        length: usize,
        /// Bytes there should be.
        expected: usize,
    },
}

/// Decodes one record. The layout is that of `tracer_common::record`.
///
/// # Errors
/// An unknown kind, or the wrong length for the kind.
pub fn decode(mut bytes: &[u8]) -> Result<Record, DecodeError> {
    let length = bytes.len();
    let Some(&kind) = bytes.first() else {
        return Err(DecodeError::WrongLength {
            kind: 0,
            length: 0,
            expected: 1,
        });
    };
    let expected = match kind {
        kind::ISSUE => size_of::<IssueRecord>(),
        kind::COMPLETE => size_of::<CompleteRecord>(),
        kind::REQUEUE => size_of::<RequeueRecord>(),
        kind::UNSEEN => size_of::<UnseenRecord>(),
        kind::PAGE => size_of::<PageRecord>(),
        kind::WAIT => size_of::<WaitRecord>(),
        kind::MARK => size_of::<MarkRecord>(),
        kind::STAGE => size_of::<StageRecord>(),
        _ => return Err(DecodeError::UnknownKind(kind)),
    };
    if length != expected {
        return Err(DecodeError::WrongLength {
            kind,
            length,
            expected,
        });
    }
    bytes.advance(1);
    // The fields in the order of the struct; the kernel side writes them in this machine's byte order.
    Ok(match kind {
        kind::ISSUE => Record::Issue(IssueRecord {
            kind,
            device: bytes.get_u8(),
            model: bytes.get_u8(),
            flags: bytes.get_u8(),
            thread_id: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            request: bytes.get_u64_ne(),
            sector: bytes.get_u64_ne(),
            previous_end: bytes.get_u64_ne(),
            bytes: bytes.get_u32_ne(),
            process_id: bytes.get_u32_ne(),
        }),
        kind::COMPLETE => Record::Complete(CompleteRecord {
            kind,
            device: bytes.get_u8(),
            status: bytes.get_u8(),
            flags: bytes.get_u8(),
            bytes: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            request: bytes.get_u64_ne(),
            sector: bytes.get_u64_ne(),
        }),
        kind::UNSEEN => Record::Unseen(UnseenRecord {
            kind,
            device: bytes.get_u8(),
            reserved: bytes.get_u16_ne(),
            reserved_too: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            request: bytes.get_u64_ne(),
        }),
        kind::PAGE => Record::Page(PageRecord {
            kind,
            event: bytes.get_u8(),
            file: bytes.get_u16_ne(),
            process_id: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            first_page: bytes.get_u32_ne(),
            pages: bytes.get_u32_ne(),
        }),
        kind::WAIT => Record::Wait(WaitRecord {
            kind,
            wait: bytes.get_u8(),
            file: bytes.get_u16_ne(),
            thread_id: bytes.get_u32_ne(),
            start_ns: bytes.get_u64_ne(),
            end_ns: bytes.get_u64_ne(),
            process_id: bytes.get_u32_ne(),
            page: bytes.get_u32_ne(),
        }),
        kind::MARK => Record::Mark(MarkRecord {
            kind,
            returns: bytes.get_u8(),
            symbol: bytes.get_u16_ne(),
            process_id: bytes.get_u32_ne(),
            thread_id: bytes.get_u32_ne(),
            tokens: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            value: bytes.get_u64_ne(),
        }),
        kind::STAGE => Record::Stage(StageRecord {
            kind,
            device: bytes.get_u8(),
            stage: bytes.get_u8(),
            reserved: bytes.get_u8(),
            bytes: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            sector: bytes.get_u64_ne(),
            thread_id: bytes.get_u32_ne(),
            process_id: bytes.get_u32_ne(),
        }),
        _ => Record::Requeue(RequeueRecord {
            kind,
            device: bytes.get_u8(),
            reserved: bytes.get_u16_ne(),
            bytes: bytes.get_u32_ne(),
            time_ns: bytes.get_u64_ne(),
            request: bytes.get_u64_ne(),
            sector: bytes.get_u64_ne(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Record, decode};
    use proptest::prelude::*;
    use tracer_common::record::{
        CompleteRecord, IssueRecord, MarkRecord, PageRecord, RequeueRecord, StageRecord,
        UnseenRecord, WaitRecord, kind,
    };

    fn bytes_of<T: Copy>(record: &T) -> Vec<u8> {
        // SAFETY: the records are repr(C) without padding, so every byte is initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast(), size_of::<T>()) }
            .to_vec()
    }

    proptest! {
        #[test]
        fn records_come_back_as_the_kernel_side_lays_them_out(
            small: (u8, u8, u8), words: (u64, u64, u64, u64), halves: (u32, u32, u32),
        ) {
            let issue = IssueRecord {
                kind: kind::ISSUE, device: small.0, model: small.1, flags: small.2,
                thread_id: halves.0, time_ns: words.0, request: words.1, sector: words.2,
                previous_end: words.3, bytes: halves.1, process_id: halves.2,
            };
            prop_assert_eq!(decode(&bytes_of(&issue)), Ok(Record::Issue(issue)));
            let complete = CompleteRecord {
                kind: kind::COMPLETE, device: small.0, status: small.1, flags: small.2,
                bytes: halves.0, time_ns: words.0, request: words.1, sector: words.2,
            };
            prop_assert_eq!(decode(&bytes_of(&complete)), Ok(Record::Complete(complete)));
            let requeue = RequeueRecord {
                kind: kind::REQUEUE, device: small.0, reserved: u16::from(small.1),
                bytes: halves.0, time_ns: words.0, request: words.1, sector: words.2,
            };
            prop_assert_eq!(decode(&bytes_of(&requeue)), Ok(Record::Requeue(requeue)));
            let unseen = UnseenRecord {
                kind: kind::UNSEEN, device: small.0, reserved: u16::from(small.1),
                reserved_too: halves.0, time_ns: words.0, request: words.1,
            };
            prop_assert_eq!(decode(&bytes_of(&unseen)), Ok(Record::Unseen(unseen)));
            let page = PageRecord {
                kind: kind::PAGE, event: small.0, file: u16::from(small.1), process_id: halves.0,
                time_ns: words.0, first_page: halves.1, pages: halves.2,
            };
            prop_assert_eq!(decode(&bytes_of(&page)), Ok(Record::Page(page)));
            let wait = WaitRecord {
                kind: kind::WAIT, wait: small.0, file: u16::from(small.1), thread_id: halves.0,
                start_ns: words.0, end_ns: words.1, process_id: halves.1, page: halves.2,
            };
            prop_assert_eq!(decode(&bytes_of(&wait)), Ok(Record::Wait(wait)));
            let mark = MarkRecord {
                kind: kind::MARK, returns: small.0, symbol: u16::from(small.1), process_id: halves.0,
                thread_id: halves.1, tokens: halves.2, time_ns: words.0, value: words.1,
            };
            prop_assert_eq!(decode(&bytes_of(&mark)), Ok(Record::Mark(mark)));
            let stage = StageRecord {
                kind: kind::STAGE, device: small.0, stage: small.1, reserved: small.2,
                bytes: halves.0, time_ns: words.0, sector: words.1, thread_id: halves.1,
                process_id: halves.2,
            };
            prop_assert_eq!(decode(&bytes_of(&stage)), Ok(Record::Stage(stage)));
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(decode(&[99, 0, 0, 0]), Err(DecodeError::UnknownKind(99)));
        assert!(matches!(decode(&[]), Err(DecodeError::WrongLength { .. })));
        assert!(matches!(
            decode(&[kind::ISSUE; 39]),
            Err(DecodeError::WrongLength {
                length: 39,
                expected: 48,
                ..
            })
        ));
    }
}
