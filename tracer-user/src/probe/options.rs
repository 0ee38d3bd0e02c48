//! How the programs are loaded.

#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Size of the rings of all CPUs together: a power of two, at least a page.
    pub ring_buffer_bytes: u32,
    /// Whether each page-cache event and each wait gives a record; otherwise page-cache events are counted only.
    pub page_records: bool,
    /// Whether the stages that a read passes before its issue give records as well, for the audit.
    pub audit: bool,
    /// Use the programs for old kernels, whatever this kernel can do.
    pub early_programs: bool,
    /// Whether the eBPF side's diagnostics are on.
    pub diagnostics: bool,
    /// Whether to measure the programs' run time, which costs about 50 ns a call.
    pub measure_overhead: bool,
}
