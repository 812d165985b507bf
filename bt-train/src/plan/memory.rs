//! Places in the scratch: buffers that are never alive together share words.

use super::Plan;
use super::chain::{Event, Stage, first_outer, orders_of_events};
use bt_core::internals::program::TILE;

/// Order of the stages and places in the scratch.
#[derive(Default)]
pub(super) struct Memory {
    /// The order in which the stages run.
    pub(super) events: Vec<Event>,
    /// (panel index, block or `None` for one that all blocks share) → word. Those of a stage that writes
    /// every block's lie one behind the other.
    panels: Vec<(usize, Option<usize>, usize)>,
    /// Event → word of its accumulators.
    accs: Vec<(usize, usize)>,
    pub(super) words: usize,
}

impl Memory {
    /// The order of events that needs least, the first of those that need as much.
    pub(super) fn allocate(chain: &[Stage], plan: &Plan, blocks: usize) -> Self {
        let orders = orders_of_events(blocks, chain.len(), plan).into_iter();
        let memories = orders.map(|events| Self::of(chain, plan, blocks, events));
        memories
            .min_by_key(|memory| memory.words)
            .unwrap_or_default()
    }

    /// First fit, largest first; two buffers share words when they are never alive together.
    fn of(chain: &[Stage], plan: &Plan, blocks: usize, events: Vec<Event>) -> Self {
        enum Owner {
            Panel(usize, Option<usize>),
            /// Of every block, one behind the other.
            Panels(usize),
            Acc(usize),
        }
        let last = chain.len() - 1;
        let first_outer = first_outer(chain);
        let mut wanted: Vec<(usize, std::ops::RangeInclusive<usize>, Owner)> = Vec::new();
        let always = 0..=events.len();
        // What collects several slabs outlives each of them.
        let alive = |panel: usize, written: usize, read: usize| {
            if plan.is_buffered() && panel == first_outer {
                always.clone()
            } else {
                written..=read
            }
        };
        let copies = plan.copies(blocks, 0, chain.len());
        // The slab is read by the first stage of every block.
        let slab_end = events.iter().rposition(|e| e.1 == 0).unwrap_or(0);
        wanted.push((chain[0].input_words(), 0..=slab_end, Owner::Panel(0, None)));
        for (event, &(block, index)) in events.iter().enumerate() {
            let slices_many = chain[index].sliced.is_some();
            if slices_many && (index != last || plan.wide) {
                let words = chain[index].n_tiles() * chain[index].m_tiles() * TILE;
                wanted.push((words, always.clone(), Owner::Acc(event)));
            }
            if index == 0 || block.is_none() || copies > 1 && index == 1 {
                continue;
            }
            let written = events.iter().position(|e| *e == (block, index - 1));
            wanted.push((
                chain[index].input_words(),
                alive(index, written.unwrap_or(0), event),
                Owner::Panel(index, block),
            ));
        }
        if copies > 1 {
            let read = events.iter().rposition(|e| e.1 == 1).unwrap_or(0);
            let words = copies * chain[1].input_words();
            wanted.push((words, alive(1, 0, read), Owner::Panels(1)));
        }
        if plan.joint {
            let first = events.iter().position(|e| e.1 + 1 == last).unwrap_or(0);
            wanted.push((
                chain[last].input_words(),
                alive(last, first, events.len() - 1),
                Owner::Panel(last, None),
            ));
        }
        wanted.sort_by_key(|(words, alive, _)| {
            (
                std::cmp::Reverse(alive.end() - alive.start()),
                std::cmp::Reverse(*words),
            )
        });
        let mut placed: Vec<(usize, usize, std::ops::RangeInclusive<usize>)> = Vec::new();
        let mut memory = Self {
            events,
            panels: Vec::new(),
            accs: Vec::new(),
            words: 0,
        };
        for (words, alive, owner) in wanted {
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|(_, _, other)| {
                    other.start() <= alive.end() && alive.start() <= other.end()
                })
                .map(|p| (p.0, p.1))
                .collect();
            taken.sort_unstable();
            let mut at = 0;
            for (start, end) in taken {
                if at + words <= start {
                    break;
                }
                at = at.max(end);
            }
            placed.push((at, at + words, alive));
            memory.words = memory.words.max(at + words);
            match owner {
                Owner::Panel(index, block) => memory.panels.push((index, block, at)),
                Owner::Panels(index) => {
                    let words = chain[index].input_words();
                    let places = (0..blocks).map(|n| (index, Some(n), at + n * words));
                    memory.panels.extend(places);
                }
                Owner::Acc(event) => memory.accs.push((event, at)),
            }
        }
        memory
    }

    /// Where the panels of a block lie; of all blocks, the first one's.
    pub(super) fn panel(&self, index: usize, block: Option<usize>) -> usize {
        let found = self
            .panels
            .iter()
            .find(|p| p.0 == index && (p.1 == block || p.1.is_none() || block.is_none()));
        found.map_or(0, |p| p.2)
    }

    pub(super) fn acc(&self, event: usize) -> usize {
        self.accs.iter().find(|a| a.0 == event).map_or(0, |a| a.1)
    }
}
