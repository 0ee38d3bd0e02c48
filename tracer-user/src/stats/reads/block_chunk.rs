//! Which blocks of a stretch of a file are in a set: runs while they are few, a bit a block where they are many.

/// Blocks of a chunk.
pub const CHUNK_BLOCKS: u16 = 8192;

const WORD_BLOCKS: usize = 64;
const WORDS: usize = CHUNK_BLOCKS as usize / WORD_BLOCKS;

/// As many runs take about as long to look through as a few words of bits.
const MOST_RUNS: usize = 32;

/// Blocks are numbered within the chunk.
#[derive(Clone, Debug)]
pub enum BlockChunk {
    /// Ascending, disjoint, not touching: from a block up to another one.
    Runs(Vec<(u16, u16)>),
    Bits(Box<[u64; WORDS]>),
}

impl Default for BlockChunk {
    fn default() -> Self {
        Self::Runs(Vec::new())
    }
}

impl BlockChunk {
    pub fn contains(&self, block: u16) -> bool {
        match self {
            Self::Runs(runs) => runs.iter().any(|run| (run.0..run.1).contains(&block)),
            Self::Bits(words) => {
                let word = words.get(usize::from(block) / WORD_BLOCKS);
                word.is_some_and(|word| word >> (usize::from(block) % WORD_BLOCKS) & 1 == 1)
            }
        }
    }

    /// Adds the blocks `from..to` and calls `again` for those that were there, in disjoint runs. Returns how many were new.
    pub fn insert(&mut self, from: u16, to: u16, mut again: impl FnMut(u16, u16)) -> u64 {
        let mut repeated = 0;
        let mut was_there = |start: u16, end: u16| {
            repeated += u64::from(end - start);
            again(start, end);
        };
        match self {
            Self::Runs(runs) => {
                insert_run(runs, from, to, &mut was_there);
                if runs.len() > MOST_RUNS {
                    *self = Self::Bits(bits_of(runs));
                }
            }
            Self::Bits(words) => set_bits(words, from, to, &mut was_there),
        }
        u64::from(to.saturating_sub(from)) - repeated
    }

    /// Calls `take` for each run, ascending. Two of them may touch.
    pub fn for_each_run(&self, mut take: impl FnMut(u16, u16)) {
        match self {
            Self::Runs(runs) => runs.iter().for_each(|run| take(run.0, run.1)),
            Self::Bits(words) => {
                for (index, word) in words.iter().enumerate() {
                    for_each_run_of_word(index, *word, &mut take);
                }
            }
        }
    }
}

fn insert_run(
    runs: &mut Vec<(u16, u16)>,
    from: u16,
    to: u16,
    was_there: &mut impl FnMut(u16, u16),
) {
    let first = runs.partition_point(|run| run.1 < from);
    let last = runs.partition_point(|run| run.0 <= to);
    let Some(touched) = runs.get(first..last).filter(|touched| !touched.is_empty()) else {
        runs.insert(first, (from, to));
        return;
    };
    let (mut start, mut end) = (from, to);
    for run in touched {
        let (common_start, common_end) = (run.0.max(from), run.1.min(to));
        if common_start < common_end {
            was_there(common_start, common_end);
        }
        start = start.min(run.0);
        end = end.max(run.1);
    }
    runs.splice(first..last, [(start, end)]);
}

fn bits_of(runs: &[(u16, u16)]) -> Box<[u64; WORDS]> {
    let mut words = Box::new([0; WORDS]);
    for (from, to) in runs {
        set_bits(&mut words, *from, *to, &mut |_, _| {});
    }
    words
}

fn set_bits(words: &mut [u64; WORDS], from: u16, to: u16, was_there: &mut impl FnMut(u16, u16)) {
    let (mut from, to) = (usize::from(from), usize::from(to));
    while from < to {
        let index = from / WORD_BLOCKS;
        let end = to.min((index + 1) * WORD_BLOCKS);
        let mask = (u64::MAX >> (WORD_BLOCKS - (end - from))) << (from % WORD_BLOCKS);
        if let Some(word) = words.get_mut(index) {
            let both = *word & mask;
            *word |= mask;
            for_each_run_of_word(index, both, was_there);
        }
        from = end;
    }
}

fn for_each_run_of_word(index: usize, mut word: u64, take: &mut impl FnMut(u16, u16)) {
    while word != 0 {
        let start = word.trailing_zeros() as usize;
        let length = (word >> start).trailing_ones() as usize;
        // A chunk's blocks are numbered by a u16.
        let first = (index * WORD_BLOCKS + start) as u16;
        take(first, first + length as u16);
        let run = u64::MAX >> (WORD_BLOCKS - length);
        word &= !(run << start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BlockChunk, CHUNK_BLOCKS};

    /// Near the ends of words and of the chunk too.
    fn runs() -> impl Strategy<Value = Vec<(u16, u16)>> {
        let start = prop_oneof![
            0..300u16,
            8000..CHUNK_BLOCKS,
            Just(0),
            Just(64),
            Just(CHUNK_BLOCKS - 1)
        ];
        let run = (start, 1..200u16)
            .prop_map(|(start, length)| (start, (start + length).min(CHUNK_BLOCKS)));
        prop::collection::vec(run, 0..120)
    }

    proptest! {
        #[test]
        fn it_is_what_marking_every_block_gives(runs in runs()) {
            let mut chunk = BlockChunk::default();
            let mut marks = vec![false; usize::from(CHUNK_BLOCKS)];
            for (from, to) in runs {
                let mut again = Vec::new();
                let new = chunk.insert(from, to, |start, end| again.extend(start..end));
                let repeated: Vec<u16> = (from..to).filter(|block| marks[usize::from(*block)]).collect();
                prop_assert_eq!(&again, &repeated);
                prop_assert_eq!(new, u64::from(to - from) - repeated.len() as u64);
                (from..to).for_each(|block| marks[usize::from(block)] = true);
            }
            let mut shown = vec![false; usize::from(CHUNK_BLOCKS)];
            chunk.for_each_run(|start, end| (start..end).for_each(|block| shown[usize::from(block)] = true));
            prop_assert_eq!(&shown, &marks);
            for (block, mark) in marks.iter().enumerate() {
                prop_assert_eq!(chunk.contains(block as u16), *mark);
            }
        }
    }

    #[test]
    fn many_runs_become_bits_and_a_whole_chunk_is_one_run() {
        let mut chunk = BlockChunk::default();
        assert_eq!(chunk.insert(0, CHUNK_BLOCKS, |_, _| {}), 8192);
        assert!(matches!(&chunk, BlockChunk::Runs(runs) if runs == &[(0, CHUNK_BLOCKS)]));
        let mut chunk = BlockChunk::default();
        (0..40).for_each(|run| {
            chunk.insert(run * 2, run * 2 + 1, |_, _| {});
        });
        assert!(matches!(chunk, BlockChunk::Bits(_)));
    }
}
