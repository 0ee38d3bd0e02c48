//! What tokens read with other amounts of memory.

use std::collections::BTreeMap;

use crate::{
    schema::{
        BandRecord, MeasuredSize, SIZING_SCHEMA_VERSION, SizePointRecord, SizeRegion, SizingRecord,
    },
    stats::{
        experiment::threshold::COLLAPSED_SHARE,
        reuse::{
            OrderOfUse, PageCache, PageLists, RandomPolicy, ReadAround, StackDistances,
            fewest_reads, reads_of_steps,
        },
    },
    units,
};

use super::{
    Facts, NotKnown, SeenExperts, Weights, experts::FilledIn, facts::advised_read_ahead, sizes,
    weights::Expert,
};

/// How exactly the memory that is left for the weights is known: the kernel's own share, and pages that wait in each CPU's lists.
const MEMORY_UNSURE: f64 = 0.015;
/// How much smaller than they are the lists act at most: what is being read, or is held by a CPU, cannot be thrown out, and two
/// threads do not use the weights in exactly one order. It moves the collapse of a model with experts (`docs/ADVICE.md`).
const LISTS_HOLD_LESS: f64 = 0.08;
/// Tokens that a dense model is simulated for: each is as the one before.
const DENSE_STEPS: usize = 32;
/// Pages that reclaim frees at a time (`SWAP_CLUSTER_MAX`).
const RECLAIM_PAGES: u64 = 32;
/// How much more than the two lists' figure was read where they keep nearly nothing, since what was read ahead was gone before its
/// use: so many times what their read-ahead reads in vain, and at most so large a part of the figure (`docs/ADVICE.md`).
const IN_VAIN: (f64, f64) = (1.5, 0.16);
/// Windows of read-ahead that must have room in the cache. With fewer, what is read ahead drives itself out, and how much of it is read
/// in vain depends on what no simulation here knows.
const FEWEST_WINDOWS: f64 = 6.0;
/// What is read for a token is little up to this share of what it needs.
const LITTLE: f64 = 0.1;
/// What a simulation counts of a step, below which it is nothing.
const NOTHING: f64 = 0.5;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Amounts of memory that the curve must have, bytes.
    pub memory_bytes: Vec<u64>,
    /// What other runs read, to be shown beside it.
    pub measured: Vec<MeasuredSize>,
    /// What if so many experts, the most used ones, were kept in memory?
    pub pinned_experts: usize,
    /// What if the weights had this share of their bytes (another quantisation)?
    pub weights_scale: Option<f64>,
    /// What if the disk's read-ahead were so large, bytes?
    pub read_ahead_bytes: Option<u64>,
}

/// The curve of a run. `experts` is what was seen of them, of a model that has some.
///
/// # Errors
/// The run says nothing of its experts.
pub fn predict(
    facts: &Facts<'_>,
    weights: &Weights,
    experts: Option<&SeenExperts>,
    asked: &Asked,
) -> Result<SizingRecord, NotKnown> {
    let tokens: Vec<Vec<Vec<Expert>>> = match experts {
        None => vec![vec![Vec::new(); DENSE_STEPS]],
        Some(seen) => [FilledIn::Latest, FilledIn::Any]
            .map(|filled_in| seen.tokens(filled_in))
            .into(),
    };
    let orders = |but: &[Expert]| -> Vec<OrderOfUse> {
        let of_token = |token: &Vec<Expert>| {
            let left: Vec<Expert> = token
                .iter()
                .filter(|expert| !but.contains(expert))
                .copied()
                .collect();
            weights.step(&left)
        };
        tokens
            .iter()
            .map(|tokens| OrderOfUse {
                steps: tokens.iter().map(of_token).collect(),
            })
            .collect()
    };
    let scale = asked.weights_scale.unwrap_or(1.0);
    let scaled = |bytes: u64| (bytes as f64 * scale).round() as u64;
    let pinned = most_used(&tokens, asked.pinned_experts);
    let pinned_bytes = scaled(weights.bytes_of(&pinned));
    let as_it_was = WhatIf::of(facts);
    let mut simulated = Simulated::new(facts, weights, orders(&[]), as_it_was);
    let stretched = facts
        .measured
        .and_then(|measured| simulated.stretch(measured));
    let read_ahead_bytes = asked
        .read_ahead_bytes
        .map_or(facts.read_ahead_bytes, advised_read_ahead);
    if !pinned.is_empty() || asked.weights_scale.is_some() || asked.read_ahead_bytes.is_some() {
        let stretched = simulated.stretched;
        let what_if = WhatIf {
            scale,
            pinned_bytes,
            read_ahead_bytes,
        };
        simulated = Simulated::new(facts, weights, orders(&pinned), what_if);
        simulated.stretched = stretched;
    }
    let used_bytes = scaled(weights.every_token_bytes() + weights.expert_bytes());
    let mut record = SizingRecord {
        schema_version: SIZING_SCHEMA_VERSION,
        tracer_version: facts.run.tracer_version.clone(),
        model: facts.model.model.path.clone(),
        model_bytes: facts.model.model.size_bytes,
        need_bytes: scaled(facts.need_bytes),
        every_token_bytes: scaled(weights.every_token_bytes()),
        used_bytes,
        beside_bytes: facts.beside_bytes,
        beside_source: if facts.beside_of_cgroup {
            "cgroup"
        } else {
            "process"
        }
        .to_owned(),
        run: facts.measured,
        order: if experts.is_some() {
            "seen in the run"
        } else {
            "every token uses the same"
        }
        .to_owned(),
        steps: simulated
            .orders
            .first()
            .map_or(0, |order| order.steps.len() as u64),
        experts_seen: experts.map(SeenExperts::seen),
        uses_certain: experts.and_then(SeenExperts::certain_share),
        read_ahead_bytes,
        read_ahead_is_asked: asked.read_ahead_bytes.is_some(),
        block_bytes: weights.blocks.block_bytes,
        // With other weights computing takes another time.
        computing_s: facts.computing_s.filter(|_| asked.weights_scale.is_none()),
        bytes_per_s: facts.rate.map(|(rate, _)| rate),
        rate_source: facts.rate.map(|(_, source)| source.to_owned()),
        stretched,
        measured: asked.measured.clone(),
        pinned_experts: pinned
            .iter()
            .map(|(layer, expert)| [*layer, *expert])
            .collect(),
        pinned_bytes,
        weights_scale: scale,
        notes: notes(facts, weights),
        ..SizingRecord::default()
    };
    record.stretched = facts
        .measured
        .and_then(|measured| simulated.stretch(measured));
    let mut wanted = asked.memory_bytes.clone();
    wanted.extend(asked.measured.iter().map(|run| run.memory_bytes));
    record.step_bytes = sizes::step(used_bytes);
    if let Some(measured) = facts.measured {
        wanted.extend([
            measured.memory_bytes,
            measured.memory_bytes + record.step_bytes,
        ]);
    }
    for memory_bytes in sizes::sizes(facts.beside_bytes, used_bytes, &wanted) {
        record.points.push(simulated.point(memory_bytes, &record));
    }
    let enough = record
        .points
        .iter()
        .rev()
        .take_while(|point| point.region == SizeRegion::Enough);
    record.enough_bytes = enough
        .last()
        .map(|_| enough_bytes(facts.beside_bytes, used_bytes));
    let collapsed = record
        .points
        .iter()
        .take_while(|point| matches!(point.region, SizeRegion::TooSmall | SizeRegion::Collapsed));
    record.collapsed_bytes = collapsed
        .filter(|point| point.region == SizeRegion::Collapsed)
        .last()
        .map(|point| point.memory_bytes);
    let windows = FEWEST_WINDOWS * record.read_ahead_bytes as f64;
    let with_room = record.beside_bytes + record.pinned_bytes + windows as u64;
    let without_room = |point: &SizePointRecord| {
        point.region == SizeRegion::NotKnown && point.memory_bytes < with_room
    };
    if record.points.iter().any(without_room) {
        record.notes.push(format!(
            "Below {} what is read is not known: up to {} are read ahead at a time, which leave too little room for anything else. A smaller read-ahead helps there (`--read-ahead 128K` asks what it would bring).",
            units::bytes(with_room),
            units::bytes(record.read_ahead_bytes)
        ));
    }
    Ok(record)
}

/// Memory with which all weights stay, with what is not known of it.
fn enough_bytes(beside_bytes: u64, used_bytes: u64) -> u64 {
    beside_bytes + (used_bytes as f64 * (1.0 + MEMORY_UNSURE)).ceil() as u64
}

fn notes(facts: &Facts<'_>, weights: &Weights) -> Vec<String> {
    let mut notes = Vec::new();
    match facts.run.machine.lru.as_deref() {
        Some("classic") => {}
        Some(_) => notes.push(
            "This kernel ages pages by MGLRU, and what is simulated is the classic way: expect other figures where the model does not fit.".to_owned(),
        ),
        None => notes.push("How this kernel ages pages was not observed: the classic way is assumed.".to_owned()),
    }
    let dense = weights.every_token_bytes();
    if weights.experts.is_empty() && dense.abs_diff(facts.need_bytes) * 100 > facts.need_bytes {
        notes.push(format!(
            "The tensors that every token uses have {}, and a token was said to need {}.",
            units::bytes(dense),
            units::bytes(facts.need_bytes)
        ));
    }
    if facts.run.pressure.shown_experts.is_some() {
        notes.push(
            "The experts were seen by throwing them out in turn: the fewer of their uses are certain, the rougher is which of them are used most, and no other run was held against such a curve.".to_owned(),
        );
    }
    if !facts.beside_of_cgroup {
        notes.push("The run had no limit of its own, so what the kernel needs for the engine is not in the memory beside the weights: it is a few MiB more.".to_owned());
    }
    notes
}

/// The experts that are used most, as many as are asked for: a use that was filled in counts as one that was seen.
fn most_used(tokens: &[Vec<Vec<Expert>>], count: usize) -> Vec<Expert> {
    let mut uses: BTreeMap<Expert, u64> = BTreeMap::new();
    for expert in tokens.iter().flatten().flatten() {
        *uses.entry(*expert).or_default() += 1;
    }
    let mut experts: Vec<(Expert, u64)> = uses.into_iter().collect();
    experts.sort_by_key(|(expert, uses)| (std::cmp::Reverse(*uses), *expert));
    experts
        .into_iter()
        .take(count)
        .map(|(expert, _)| expert)
        .collect()
}

/// What is taken to be other than in the run.
#[derive(Clone, Copy, Debug)]
struct WhatIf {
    /// Share of their bytes that the weights have.
    scale: f64,
    /// Bytes that are kept in memory whatever happens.
    pinned_bytes: u64,
    /// What is read ahead at most.
    read_ahead_bytes: u64,
}

impl WhatIf {
    /// As it was in the run.
    const fn of(facts: &Facts<'_>) -> Self {
        Self {
            scale: 1.0,
            pinned_bytes: 0,
            read_ahead_bytes: facts.read_ahead_bytes,
        }
    }
}

/// The simulations of one run.
struct Simulated<'a> {
    facts: &'a Facts<'a>,
    weights: &'a Weights,
    orders: Vec<OrderOfUse>,
    /// Of each order.
    distances: Vec<StackDistances>,
    flat: Vec<(Vec<u32>, usize)>,
    /// The least and the most that comes along with a missing block.
    read_around: [ReadAround; 2],
    what_if: WhatIf,
    stretched: [f64; 2],
}

impl<'a> Simulated<'a> {
    fn new(
        facts: &'a Facts<'a>,
        weights: &'a Weights,
        orders: Vec<OrderOfUse>,
        what_if: WhatIf,
    ) -> Self {
        let flat: Vec<(Vec<u32>, usize)> = orders.iter().map(OrderOfUse::flat).collect();
        // Blocks are of the weights as they are: of smaller ones, more of them are read ahead at a time.
        let ahead = |bytes: u64| {
            weights
                .blocks
                .nearest((bytes as f64 / what_if.scale) as u64)
        };
        Self {
            facts,
            weights,
            distances: flat
                .iter()
                .map(|(uses, from)| StackDistances::of(uses, *from))
                .collect(),
            orders,
            flat,
            // A fault reads a window around itself, half of it before (`do_sync_mmap_readahead`). Where a scan follows, up to one
            // more is read ahead of it; how much of that depends on where its mark lies.
            read_around: [what_if.read_ahead_bytes / 2, what_if.read_ahead_bytes].map(|after| {
                ReadAround {
                    before: ahead(what_if.read_ahead_bytes / 2),
                    after: ahead(after),
                }
            }),
            what_if,
            stretched: [1.0, 1.0],
        }
    }

    /// Steps that count, of one order.
    fn settled(&self) -> f64 {
        self.orders
            .first()
            .map_or(1, |order| order.steps.len() - order.settled_from())
            .max(1) as f64
    }

    fn bytes_a_step(&self, blocks: u64) -> f64 {
        blocks as f64 / self.settled() * self.weights.blocks.block_bytes as f64 * self.what_if.scale
    }

    /// Bytes that a token reads where so much memory is left for the weights: the least and the most of all that is simulated.
    fn band(&self, cache_bytes: f64) -> BandRecord {
        let mut band = BandRecord {
            least: f64::INFINITY,
            most: 0.0,
        };
        let [less, more] = self.read_around;
        for (lists, chance, read_around) in [
            (1.0 - LISTS_HOLD_LESS, 1.0 - MEMORY_UNSURE, more),
            (1.0 + MEMORY_UNSURE, 1.0 + MEMORY_UNSURE, less),
        ] {
            for (order, distances) in self.orders.iter().zip(&self.distances) {
                let by_chance = self.by_chance(order, cache_bytes * chance, read_around);
                let for_lists = cache_bytes * lists;
                let by_lists = self.by_lists(order, for_lists, read_around);
                let used = self.bytes_a_step(distances.reads(self.capacity(for_lists)));
                let in_vain = (IN_VAIN.0 * (by_lists - used)).clamp(0.0, IN_VAIN.1 * by_lists);
                band.least = band.least.min(by_lists).min(by_chance);
                band.most = band.most.max(by_lists + in_vain).max(by_chance);
            }
        }
        band
    }

    fn by_lists(&self, order: &OrderOfUse, cache_bytes: f64, read_around: ReadAround) -> f64 {
        let gib = cache_bytes / (1u64 << 30) as f64;
        let cache = PageCache {
            capacity_blocks: self.capacity(cache_bytes),
            batch_blocks: self.weights.blocks.nearest(RECLAIM_PAGES * 4096).max(1),
            active_per_inactive: if gib < 1.0 {
                1
            } else {
                (10.0 * gib.floor()).sqrt() as u32
            },
            read_around,
        };
        let mut lists = PageLists::new(cache, self.weights.blocks.count());
        self.settled_reads(&reads_of_steps(&mut lists, &order.steps), order)
    }

    fn by_chance(&self, order: &OrderOfUse, cache_bytes: f64, read_around: ReadAround) -> f64 {
        let mut random = RandomPolicy::new(
            self.capacity(cache_bytes),
            read_around,
            self.weights.blocks.count(),
        );
        self.settled_reads(&reads_of_steps(&mut random, &order.steps), order)
    }

    fn settled_reads(&self, reads: &[u64], order: &OrderOfUse) -> f64 {
        self.bytes_a_step(reads.iter().skip(order.settled_from()).sum())
    }

    fn capacity(&self, cache_bytes: f64) -> u32 {
        (cache_bytes / self.what_if.scale / self.weights.blocks.block_bytes as f64) as u32
    }

    fn cache_bytes(&self, memory_bytes: u64) -> Option<f64> {
        let beside = self.facts.beside_bytes + self.what_if.pinned_bytes;
        let cache = memory_bytes.checked_sub(beside)?;
        // What is read with one fault has to have room.
        let least = self.what_if.read_ahead_bytes.min(self.facts.need_bytes / 8);
        (cache > least).then_some(cache as f64)
    }

    /// Stretches the band so that it holds what the run itself read.
    fn stretch(&mut self, measured: MeasuredSize) -> Option<[f64; 2]> {
        let band = self.band(self.cache_bytes(measured.memory_bytes)?);
        if band.least <= 0.0 || measured.read_bytes <= 0.0 {
            return None;
        }
        self.stretched = [
            (measured.read_bytes / band.least).min(1.0),
            (measured.read_bytes / band.most).max(1.0),
        ];
        Some(self.stretched)
    }

    fn point(&self, memory_bytes: u64, record: &SizingRecord) -> SizePointRecord {
        let point = SizePointRecord {
            memory_bytes,
            ..SizePointRecord::default()
        };
        let Some(cache_bytes) = self.cache_bytes(memory_bytes) else {
            return point;
        };
        let fits = memory_bytes >= enough_bytes(record.beside_bytes, record.used_bytes);
        let mut band = if fits {
            BandRecord::default()
        } else {
            self.band(cache_bytes)
        };
        band.least *= self.stretched[0];
        band.most *= self.stretched[1];
        let nothing = NOTHING * self.weights.blocks.block_bytes as f64;
        let no_room = cache_bytes < FEWEST_WINDOWS * self.what_if.read_ahead_bytes as f64;
        let unseen = record.experts_seen.is_some_and(|[seen, all]| seen < all);
        let region = if fits {
            SizeRegion::Enough
        } else if no_room {
            SizeRegion::NotKnown
        } else if band.most <= nothing {
            if unseen {
                SizeRegion::NotKnown
            } else {
                SizeRegion::Unstable
            }
        } else if band.least >= COLLAPSED_SHARE * record.need_bytes as f64 {
            SizeRegion::Collapsed
        } else if band.most <= LITTLE * record.need_bytes as f64 {
            SizeRegion::Little
        } else if band.most > 2.0 * band.least {
            SizeRegion::Unstable
        } else {
            SizeRegion::Partly
        };
        if region == SizeRegion::NotKnown {
            return SizePointRecord { region, ..point };
        }
        let of_orders = |of: &dyn Fn(usize) -> u64| {
            // The first use of an expert reads nothing where the load has read all.
            if fits {
                return Some(0.0);
            }
            let most = (0..self.orders.len()).map(of).max();
            most.map(|blocks| self.bytes_a_step(blocks))
        };
        let capacity = self.capacity(cache_bytes);
        let waits = stall(record, band);
        SizePointRecord {
            region,
            read_bytes: Some(band),
            best_bytes: of_orders(&|order| {
                let (uses, from) = &self.flat[order];
                fewest_reads(uses, capacity, *from)
            }),
            oldest_leave_bytes: of_orders(&|order| self.distances[order].reads(capacity)),
            stall_s: waits,
            tokens_per_s: waits
                .zip(record.computing_s)
                .and_then(|(waits, computing)| {
                    (computing > 0.0).then(|| BandRecord {
                        least: 1.0 / (computing + waits.most),
                        most: 1.0 / (computing + waits.least),
                    })
                }),
            ..point
        }
    }
}

fn stall(record: &SizingRecord, band: BandRecord) -> Option<BandRecord> {
    let rate = record.bytes_per_s?;
    Some(BandRecord {
        least: band.least / rate,
        most: band.most / rate,
    })
}
