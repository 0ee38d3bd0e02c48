//! One loaded and attached set of programs: gate, ring buffer, read-out.

use std::io;

use anyhow::{Context as _, anyhow, bail};
use aya::{
    Btf, Ebpf,
    maps::{Array, Map, MapData, RingBuf},
    util::nr_cpus,
};
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};
use tracer_common::{counters::LostRecords, page::FileKey, program::Program, record::Record};

use super::{
    Detail, KernelTypes, SessionOptions,
    aggregates::{self, Aggregates, CountsSoFar, FileAggregates, Sizes},
    apart::Prober,
    attach::{Attached, attach},
    object::{self, Loaded},
    preflight::{self, ProbeRoad},
    probes::{self, LinkedProbes},
    rings::{Rings, TimeOrder},
    slices::{Slice, SliceCutter, SliceMaps, Slices, SpanCounts},
    tables::FilterTables,
};

/// How often the reader of the ring buffer should come by itself.
pub const WAKE_INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);

/// Loaded and attached programs. Dropping it detaches and frees all of them.
pub struct Session {
    ebpf: Ebpf,
    tables: FilterTables,
    request_slots: u32,
    attached: Vec<Attached>,
    counts_models: bool,
    detail: Detail,
    can_probe: bool,
    probing_refused: Option<String>,
    /// Probes of functions, where they are made by links.
    linked: Option<LinkedProbes>,
    /// Pages of probed functions, held in the page cache.
    probed_pages: Vec<memmap2::Mmap>,
    can_skip: bool,
    counts_read_calls: bool,
    /// Slots of files whose page-cache events cannot be told from others'.
    unnamed_files: Vec<usize>,
    ring: AsyncFd<RingBuf<MapData>>,
    rings: Rings,
    order: TimeOrder,
    /// Where counts are kept by slice of time.
    slices: Option<Slices>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    statistics: Option<std::os::fd::OwnedFd>,
}

impl Session {
    /// Loads and attaches every program that this kernel has a tracepoint for. The gate is closed. Functions of the engine are
    /// probed by the prober, where there is one, and else by this process, which has to keep the rights for it.
    ///
    /// # Errors
    /// A kernel without a required type, tracepoint or right; a table that is too large; a prober that has ended.
    pub fn start(
        tables: FilterTables,
        options: SessionOptions,
        prober: Option<Prober>,
    ) -> anyhow::Result<Self> {
        if let Some(fault) = tables.fault() {
            bail!(fault);
        }
        object::raise_memlock_limit();
        let types = KernelTypes::of_running_kernel()?;
        let counts_models = types.counts_models() && !options.early_programs;
        let mut options = options;
        if !counts_models {
            // Without counts by model the records are the only road.
            options.detail = options.detail.max(Detail::Events);
        }
        let cpus = u32::try_from(nr_cpus().map_err(|(path, error)| {
            anyhow!(error).context(format!(
                "cannot read how many CPUs there may be from {path}"
            ))
        })?)?;
        let statistics = options
            .measure_overhead
            .then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime))
            .transpose()
            .context("cannot switch on the kernel's run-time statistics of eBPF programs: that takes CAP_SYS_ADMIN; leave --measure-overhead out")?;
        let btf = Btf::from_sys_fs()?;
        let Loaded {
            mut ebpf,
            request_slots,
            ring_slots,
            counts_slices,
            sizes,
        } = object::load(&btf, &types, &tables, options, cpus)?;
        let has_probes = types.has_helper("get_attach_cookie");
        let road = match &prober {
            // It has tried.
            Some(_) => Ok(has_probes.then_some(ProbeRoad::Link)),
            None => has_probes.then(preflight::probe_road).transpose(),
        };
        // Before anybody takes a map out.
        let linked = match road {
            Ok(Some(ProbeRoad::Link)) => Some(LinkedProbes::load(&ebpf, prober)?),
            _ => None,
        };
        let logger = options
            .diagnostics
            .then(|| EbpfLogger::init(&mut ebpf))
            .transpose()
            .context("cannot open the eBPF side's log")?;
        let attached = attach(
            &mut ebpf,
            &btf,
            &types,
            tables.device_kind,
            options,
            counts_models,
        )?;
        let can_probe = matches!(road, Ok(Some(_)));
        if can_probe && linked.is_none() {
            probes::load(&mut ebpf)?;
        }
        let ring = ebpf
            .take_map("RECORDS")
            .ok_or_else(|| anyhow!("the eBPF object has no map RECORDS"))?;
        // SAFETY: the ring buffer owns the map's descriptor and neither closes nor replaces it before it is
        // dropped together with the registration.
        let ring = unsafe {
            AsyncFd::register_with_interest(RingBuf::try_from(ring)?, Interest::READABLE)
        }
        .context("cannot poll the ring buffer")?;
        let rings = Rings::map(
            map_data(&ebpf, "RING_ENDS")?,
            map_data(&ebpf, "RING_SLOTS")?,
            cpus,
            ring_slots,
        )?;
        let slices = counts_slices
            .then(|| {
                let maps = SliceMaps {
                    clock: map_data(&ebpf, "SLICE_CLOCK")?,
                    starts: map_data(&ebpf, "SLICE_STARTS")?,
                    counts: map_data(&ebpf, "SLICE_COUNTS")?,
                    span_reads: map_data(&ebpf, "SPAN_READS")?,
                    span_pages: map_data(&ebpf, "SPAN_PAGES")?,
                };
                Slices::map(&maps, sizes)
            })
            .transpose()?;
        Ok(Self {
            ebpf,
            tables,
            request_slots,
            attached,
            counts_models,
            can_probe,
            probing_refused: road.err(),
            linked,
            probed_pages: Vec::new(),
            detail: options.detail,
            can_skip: types.can_skip(),
            counts_read_calls: types.counts_read_calls(),
            unnamed_files: Vec::new(),
            ring,
            rings,
            order: TimeOrder::default(),
            slices,
            logger,
            statistics,
        })
    }

    /// Whether this kernel has what a program needs.
    #[must_use]
    pub fn has_program(&self, program: Program) -> bool {
        self.attached
            .iter()
            .any(|attached| attached.program == program)
    }

    /// Whether the kernel side counts each model's reads; else the aggregates have none, and the records are all there
    /// is.
    #[must_use]
    pub const fn counts_models(&self) -> bool {
        self.counts_models
    }

    /// Whether a wait in `read()` is told from other I/O: by a look-up of the same call.
    #[must_use]
    pub fn tells_waits_of_reads(&self) -> bool {
        self.counts_read_calls && self.has_program(Program::PageLookup)
    }

    /// What gives records: at least [`Detail::Events`] on kernels that cannot count models.
    #[must_use]
    pub const fn detail(&self) -> Detail {
        self.detail
    }

    /// Whether [`Session::step_down`] is possible: records are given, and counts kept beside them.
    #[must_use]
    pub const fn can_step_down(&self) -> bool {
        matches!(self.detail, Detail::Events) && self.slices.is_some()
    }

    pub(super) const fn set_detail(&mut self, detail: Detail) {
        self.detail = detail;
    }

    /// Whether the kernel times the programs all the time.
    pub(super) const fn times_programs(&self) -> bool {
        self.statistics.is_some()
    }

    /// Whether this kernel skips programs that would interrupt themselves.
    pub(super) const fn skips_programs(&self) -> bool {
        self.can_skip
    }

    /// The programs that are in force.
    pub(super) fn loaded_programs(
        &self,
    ) -> impl Iterator<Item = (Program, &aya::programs::Program)> {
        self.attached
            .iter()
            .filter_map(|attached| Some((attached.program, self.ebpf.program(attached.name)?)))
    }

    /// Takes programs out of those in force; returns their names in the object.
    pub(super) fn take_attached(&mut self, which: impl Fn(Program) -> bool) -> Vec<&'static str> {
        let taken = self
            .attached
            .extract_if(.., |attached| which(attached.program));
        taken.map(|attached| attached.name).collect()
    }

    /// Whether functions of the engine are probed: it takes the helper `bpf_get_attach_cookie` (Linux 5.15).
    #[must_use]
    pub const fn can_probe(&self) -> bool {
        self.can_probe
    }

    /// Why functions of the engine are not probed, where the kernel could and this process may not.
    #[must_use]
    pub fn probing_refused(&self) -> Option<&str> {
        self.probing_refused.as_deref()
    }

    /// Events count from now on.
    ///
    /// # Errors
    /// The map could not be written.
    pub fn open_gate(&mut self) -> anyhow::Result<()> {
        let now_ns = monotonic_ns()?.max(1);
        if let Some(slices) = &self.slices {
            slices.begin(now_ns);
        }
        self.set_gate(now_ns)
    }

    /// What begins a slice of time from elsewhere; None where counts are not kept by slices.
    #[must_use]
    pub fn slice_cutter(&self) -> Option<SliceCutter> {
        self.slices.as_ref().map(Slices::cutter)
    }

    /// Hands the slices to `take` that nobody writes any more, in their order. With `all`, after [`Session::close_gate`], all
    /// of them.
    ///
    /// # Errors
    /// The clock cannot be read.
    pub fn take_slices(&self, all: bool, take: impl FnMut(Slice)) -> anyhow::Result<()> {
        if let Some(slices) = &self.slices {
            if !all {
                slices.cutter().look(monotonic_ns()?);
            }
            slices.take(all, take);
        }
        Ok(())
    }

    /// What was counted by place, and how many slices could not begin. Only after [`Session::close_gate`].
    #[must_use]
    pub fn span_counts(&self) -> Option<(SpanCounts, u64)> {
        let slices = self
            .slices
            .as_ref()
            .filter(|_| self.detail == Detail::Counts)?;
        Some((slices.spans(), slices.undivided()))
    }

    /// No event counts any more; when this returns, every program that had passed the gate has finished.
    ///
    /// # Errors
    /// The map could not be written.
    pub fn close_gate(&mut self) -> anyhow::Result<()> {
        self.set_gate(0)?;
        // Programs run inside RCU read sections; MEMBARRIER_CMD_GLOBAL is synchronize_rcu()
        // (kernel/sched/membarrier.c).
        const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
        // SAFETY: no memory is handed over.
        let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
        if result != 0 {
            // Not built in, or nohz_full: programs take microseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    }

    /// Changes the key of the file in a slot, and returns the one it had.
    pub(super) fn set_file_key(&mut self, slot: usize, key: FileKey) -> anyhow::Result<FileKey> {
        let file = self
            .tables
            .files
            .get_mut(slot)
            .ok_or_else(|| anyhow!("there is no file {slot}"))?;
        Ok(std::mem::replace(&mut file.key, key))
    }

    /// Holds a page of a probed file in memory to the session's end.
    pub(super) fn keep_while_probed(&mut self, page: memmap2::Mmap) {
        self.probed_pages.push(page);
    }

    pub(super) const fn linked_probes(&mut self) -> Option<&mut LinkedProbes> {
        self.linked.as_mut()
    }

    pub(super) fn programs(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    fn set_gate(&mut self, opened_ns: u64) -> anyhow::Result<()> {
        let map = self
            .ebpf
            .map_mut("GATE")
            .ok_or_else(|| anyhow!("the eBPF object has no map GATE"))?;
        Array::<_, u64>::try_from(map)?.set(0, opened_ns, 0)?;
        Ok(())
    }

    /// Waits until the ring buffer is filling up. Records that come slowly do not wake: call
    /// [`Session::drain`] every [`WAKE_INTERVAL`] as well.
    ///
    /// # Errors
    /// What epoll says.
    pub async fn filling(&self) -> io::Result<()> {
        self.ring.readable().await?.clear_ready();
        Ok(())
    }

    /// Hands records to `take` in the order of their times, and returns up to when it has handed out all that happened
    /// (`CLOCK_MONOTONIC`, nanoseconds): what is later waits for the next call, since another CPU may have something from
    /// before.
    ///
    /// # Errors
    /// Bytes that are no record.
    pub fn drain(&mut self, take: impl FnMut(Record)) -> anyhow::Result<u64> {
        let now_ns = monotonic_ns()?;
        let is_whole = self.collect()?;
        // A program is about to fill its place, and holds up what lies behind it: so that has to wait everywhere.
        let until_ns = if is_whole {
            now_ns
        } else {
            self.order.given_until_ns()
        };
        self.order.give(until_ns, take);
        Ok(until_ns)
    }

    /// Hands every record to `take` that is there. Only after [`Session::close_gate`], when nothing more comes.
    ///
    /// # Errors
    /// Bytes that are no record; a place that no program has filled.
    pub fn drain_rest(&mut self, take: impl FnMut(Record)) -> anyhow::Result<()> {
        if !self.collect()? {
            bail!(
                "a program took a place for a record and has not filled it, although none runs any more"
            );
        }
        self.order.give(u64::MAX, take);
        Ok(())
    }

    /// Takes all records out of the rings and the ring buffer. False where some had to be left.
    fn collect(&mut self) -> anyhow::Result<bool> {
        let order = &mut self.order;
        let is_whole = self.rings.drain(|record| order.add(record))?;
        let ring = self.ring.get_mut();
        while let Some(item) = ring.next() {
            order.add(Record::decode(&item)?);
        }
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        Ok(is_whole)
    }

    /// Reads what the kernel side counted. Only after [`Session::close_gate`] do the figures belong
    /// together. `idle_since` gives for each device a moment (`CLOCK_MONOTONIC`, nanoseconds) at which it had
    /// nothing in flight: a request that was issued before and not seen to end has ended all the same.
    ///
    /// # Errors
    /// A map that cannot be read.
    pub fn aggregates(&self, idle_since: &[Option<u64>]) -> anyhow::Result<Aggregates> {
        let mut aggregates = self.sized(idle_since, aggregates::read)?;
        self.forget_unnamed(&mut aggregates.files);
        Ok(aggregates)
    }

    /// Reads what is cheap to read of that, while the kernel side goes on counting: the figures are some microseconds apart.
    ///
    /// # Errors
    /// A map that cannot be read.
    pub fn counts_so_far(&self) -> anyhow::Result<CountsSoFar> {
        let mut counts = self.sized(&[], aggregates::so_far)?;
        self.forget_unnamed(&mut counts.files);
        Ok(counts)
    }

    /// Reads of each model by latency bucket (`tracer_common::latency`) by now.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn latencies_so_far(&self) -> anyhow::Result<Vec<Vec<u64>>> {
        self.sized(&[], aggregates::latencies)
    }

    /// Slices of time that could not begin by now; none where counts are not kept so.
    #[must_use]
    pub fn undivided_slices(&self) -> u64 {
        self.slices.as_ref().map_or(0, Slices::undivided)
    }

    /// Records that found no room in the ring buffer by now.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn lost_records(&self) -> anyhow::Result<LostRecords> {
        aggregates::lost_records(&self.ebpf)
    }

    fn sized<T>(
        &self,
        idle_since: &[Option<u64>],
        read: fn(&Ebpf, &Sizes<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let devices = self.tables.devices.iter();
        let extents_by_device = devices
            .map(|device| {
                let first = device.first_extent as usize;
                first..first + device.extents as usize
            })
            .collect();
        read(
            &self.ebpf,
            &Sizes {
                models: self.tables.models,
                files: self.tables.files.len(),
                devices: self.tables.devices.len(),
                request_slots: self.request_slots,
                extents: &self.tables.extents,
                extents_by_device,
                idle_since,
                attached: &|program| self.has_program(program),
                counts_models: self.counts_models,
            },
        )
    }

    /// What was counted of files that nothing names is somebody else's, if anything.
    fn forget_unnamed(&self, files: &mut [FileAggregates]) {
        for slot in &self.unnamed_files {
            if let Some(file) = files.get_mut(*slot) {
                *file = FileAggregates::default();
            }
        }
    }

    /// Leaves a file's page-cache events unobserved, since nothing shows how the tracepoints name it.
    pub fn leave_unobserved(&mut self, slot: usize) {
        self.unnamed_files.push(slot);
    }
}

fn monotonic_ns() -> anyhow::Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(std::time::Duration::from(now).as_nanos())?)
}

fn map_data<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a MapData> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data),
        _ => bail!("the eBPF object has no array {name}"),
    }
}
