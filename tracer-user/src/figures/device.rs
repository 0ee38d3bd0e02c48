//! Devices and all of their requests in the window.

use crate::schema::DeviceRecord;

use super::definition::figures;

const NOT_SAID: &str = "sysfs does not say";

figures! {
    /// Figures of a device, in the order of `run.json`.
    DEVICE of DeviceRecord;

    READ_AHEAD_KB, "read_ahead_kb", "read_ahead_kb", Kibibytes, UserSpace, null: NOT_SAID,
        "read-ahead at the start",
        |device| device.read_ahead_kb;
    MAX_SECTORS_KB, "max_sectors_kb", "max_sectors_kb", Kibibytes, UserSpace, null: NOT_SAID,
        "largest request at the start",
        |device| device.max_sectors_kb;
    READS, "reads", "reads", Count, Kernel, null: "",
        "all reads of the device, by first issue",
        |device| device.reads;
    READ_BYTES, "read_bytes", "read", Bytes, Kernel, null: "",
        "bytes of them",
        |device| device.read_bytes;
    OTHER_READS, "other_reads", "reads for others", Count, Kernel, null: "",
        "reads that touch no model",
        |device| device.other_reads;
    OTHER_READ_BYTES, "other_read_bytes", "read for others", Bytes, Kernel, null: "",
        "bytes that belong to no model",
        |device| device.other_read_bytes;
    METADATA_READS, "metadata_reads", "metadata reads", Count, Kernel, null: "",
        "reads with `REQ_META` (file systems do not mark all of theirs)",
        |device| device.metadata_reads;
    WRITES, "writes", "writes", Count, Kernel, null: "",
        "write requests, by first issue",
        |device| device.writes;
    WRITE_BYTES, "write_bytes", "written", Bytes, Kernel, null: "",
        "bytes of them",
        |device| device.write_bytes;
    FLUSHES, "flushes", "flushes", Count, Kernel, null: "",
        "flushes, by first issue",
        |device| device.flushes;
    DISCARDS, "discards", "discards", Count, Kernel, null: "",
        "discards, by first issue",
        |device| device.discards;
    OTHER_REQUESTS, "other_requests", "other requests", Count, Kernel, null: "",
        "passthrough and the rest",
        |device| device.other_requests;
    STATISTICS_SECTORS_READ, "statistics_sectors_read", "sectors by the device's own counter", Sectors, UserSpace,
        null: "something was read while the gate moved at either end; the device does not count",
        "change of the device's own counter",
        |device| device.statistics_sectors_read;
}
