//! Tensors, experts' slices of them, and groups of them.

use std::collections::BTreeMap;

use crate::{schema::TensorRecord, stats::formulas::reread_factor};

use super::{definition::figures, reads::NO_SECTORS};

const UNOBSERVED: &str = "not observed";

figures! {
    /// Figures of a tensor, in the order of `run.json`; of a group of tensors, too.
    TENSOR of TensorRecord;

    BYTES, "bytes", "size", Bytes, UserSpace, null: "",
        "its size",
        |tensor| tensor.bytes;
    READ_BYTES, "read_bytes", "read", Bytes, Stream, null: NO_SECTORS,
        "bytes of it in reads; they sum to `reads.total_bytes`",
        |tensor| tensor.read_bytes;
    READS, "reads", "reads", Count, Stream, null: NO_SECTORS,
        "reads that touch it",
        |tensor| tensor.reads;
    READAHEAD_BYTES, "readahead_bytes", "by read-ahead", Bytes, Stream, null: NO_SECTORS,
        "those of reads marked as read-ahead",
        |tensor| tensor.readahead_bytes;
    REREAD, "reread", "read / size", Factor, Stream, null: "no sectors, an empty tensor",
        "bytes read / size: how often it was read, on average",
        |tensor| tensor.reread;
    INSERTED_BYTES, "inserted_bytes", "inserted", Bytes, Stream, null: UNOBSERVED,
        "bytes of it in folios that entered the page cache",
        |tensor| tensor.inserted_bytes;
    EVICTIONS_BYTES, "evictions_bytes", "evicted", Bytes, Stream, null: UNOBSERVED,
        "bytes of it in folios that left it",
        |tensor| tensor.evictions_bytes;
    REFAULTS_BYTES, "refaults_bytes", "refaulted", Bytes, Stream, null: UNOBSERVED,
        "bytes of it that entered it after an eviction seen in this run",
        |tensor| tensor.refaults_bytes;
    UNUSED_AT_LEAST_BYTES, "unused_at_least_bytes", "evicted unused, at least", Bytes, Stream, null: "uses not observed",
        "inserted and evicted in this run, certainly not used in between: as of `page_cache`. A lower bound",
        |tensor| tensor.unused_at_least_bytes;
    UNUSED_AT_MOST_BYTES, "unused_at_most_bytes", "evicted unused, at most", Bytes, Stream, null: "uses not observed",
        "inserted and evicted, in no fault and no look-up: as of `page_cache`. An upper bound",
        |tensor| tensor.unused_at_most_bytes;
    RESIDENT_BYTES, "resident_bytes", "resident at the end", Bytes, Stream, null: "residency at the start is not known",
        "resident at the end by the events",
        |tensor| tensor.resident_bytes;
}

/// Tensors put together by what `key` says of them, each group as one record whose name is empty; those of which it says
/// nothing are left out. A sum of which one part was not observed is not observed. `reads` of a group are null: one read
/// may touch several tensors.
pub fn grouped<'t, K: Ord>(
    tensors: impl IntoIterator<Item = &'t TensorRecord>,
    key: impl Fn(&'t TensorRecord) -> Option<K>,
) -> BTreeMap<K, TensorRecord> {
    let mut groups: BTreeMap<K, TensorRecord> = BTreeMap::new();
    for tensor in tensors {
        if let Some(key) = key(tensor) {
            match groups.entry(key) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(TensorRecord {
                        name: String::new(),
                        reads: None,
                        ..tensor.clone()
                    });
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    let sum = sum(entry.get(), tensor);
                    entry.insert(sum);
                }
            }
        }
    }
    groups
}

fn sum(group: &TensorRecord, tensor: &TensorRecord) -> TensorRecord {
    let both = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
    // No `..`: a new member must be thought of.
    let TensorRecord {
        name,
        kind,
        layer,
        expert,
        file,
        offset_bytes,
        bytes,
        read_bytes,
        reads,
        readahead_bytes,
        reread: _,
        inserted_bytes,
        evictions_bytes,
        refaults_bytes,
        unused_at_least_bytes,
        unused_at_most_bytes,
        resident_bytes,
    } = group.clone();
    let bytes = bytes + tensor.bytes;
    let read_bytes = both(read_bytes, tensor.read_bytes);
    TensorRecord {
        name,
        kind,
        layer,
        expert,
        file,
        offset_bytes,
        bytes,
        read_bytes,
        reads,
        readahead_bytes: both(readahead_bytes, tensor.readahead_bytes),
        reread: read_bytes.and_then(|read| reread_factor(read, bytes)),
        inserted_bytes: both(inserted_bytes, tensor.inserted_bytes),
        evictions_bytes: both(evictions_bytes, tensor.evictions_bytes),
        refaults_bytes: both(refaults_bytes, tensor.refaults_bytes),
        unused_at_least_bytes: both(unused_at_least_bytes, tensor.unused_at_least_bytes),
        unused_at_most_bytes: both(unused_at_most_bytes, tensor.unused_at_most_bytes),
        resident_bytes: both(resident_bytes, tensor.resident_bytes),
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::TensorRecord;

    use super::grouped;

    fn tensor(kind: &str, bytes: u64, read: u64, unused: Option<u64>) -> TensorRecord {
        TensorRecord {
            kind: kind.into(),
            bytes,
            read_bytes: Some(read),
            reads: Some(1),
            unused_at_least_bytes: unused,
            ..TensorRecord::default()
        }
    }

    #[test]
    fn a_group_sums_what_was_observed_of_all_its_parts() {
        let tensors = [
            tensor("norm", 10, 10, Some(3)),
            tensor("attention", 100, 250, Some(7)),
            tensor("attention", 100, 150, Some(5)),
            tensor("norm", 10, 20, None),
        ];
        let groups = grouped(&tensors, |tensor| Some(tensor.kind.as_str()));
        let attention = &groups["attention"];
        assert_eq!((attention.bytes, attention.read_bytes), (200, Some(400)));
        assert_eq!(attention.reread, Some(2.0));
        assert_eq!(attention.unused_at_least_bytes, Some(12));
        assert_eq!(attention.reads, None);
        assert_eq!(groups["norm"].unused_at_least_bytes, None);
        assert_eq!(groups["norm"].read_bytes, Some(30));
        assert!(grouped(&tensors, |tensor| tensor.layer).is_empty());
    }
}
