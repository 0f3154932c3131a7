//! Cuts what must be asked for into batches that Salesforce can hand out.
//!
//! A batch is cut by files and expected bytes, not by members (B15): a bundle is many files, one object may weigh
//! more than a hundred classes. What weighs more than a batch travels alone (B19). Members come in a stream sorted by
//! type, so that memory holds one batch, whatever the size of the org.

use serde::{Deserialize, Serialize};

/// One member or folder to ask for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Planned<M> {
    /// Who it is.
    pub member: M,
    /// Files it will bring.
    pub files: u32,
    /// Unpacked bytes it will bring, as seen last time or guessed.
    pub bytes: u64,
}

/// What one batch may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchLimits {
    /// Files.
    pub files: u32,
    /// Unpacked bytes.
    pub bytes: u64,
}

/// Collects members and hands out batches.
#[derive(Debug)]
pub struct BatchCutter<M> {
    limits: BatchLimits,
    open: Vec<Planned<M>>,
    files: u32,
    bytes: u64,
}

impl<M> BatchCutter<M> {
    /// With nothing collected.
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            files: 0,
            bytes: 0,
        }
    }

    /// Takes one more; gives the batch that it no longer fits into.
    #[must_use]
    pub fn push(&mut self, planned: Planned<M>) -> Option<Vec<Planned<M>>> {
        let fits = self.files.saturating_add(planned.files) <= self.limits.files
            && self.bytes.saturating_add(planned.bytes) <= self.limits.bytes;
        let full = if fits || self.open.is_empty() {
            None
        } else {
            self.take()
        };
        self.files = self.files.saturating_add(planned.files);
        self.bytes = self.bytes.saturating_add(planned.bytes);
        self.open.push(planned);
        full
    }

    /// What is left, if anything.
    #[must_use]
    pub fn take(&mut self) -> Option<Vec<Planned<M>>> {
        (self.files, self.bytes) = (0, 0);
        let batch = std::mem::take(&mut self.open);
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        files: 10,
        bytes: 1_000,
    };

    fn cut(members: &[Planned<usize>]) -> Vec<Vec<Planned<usize>>> {
        let mut cutter = BatchCutter::new(LIMITS);
        let mut batches: Vec<_> = members
            .iter()
            .cloned()
            .filter_map(|member| cutter.push(member))
            .collect();
        batches.extend(cutter.take());
        batches
    }

    fn members() -> impl Strategy<Value = Vec<Planned<usize>>> {
        proptest::collection::vec((1_u32..15, 0_u64..1_500), 0..80).prop_map(|weights| {
            weights
                .into_iter()
                .enumerate()
                .map(|(member, (files, bytes))| Planned { member, files, bytes })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_member_is_asked_for_exactly_once(members in members()) {
            prop_assert_eq!(cut(&members).concat(), members);
        }

        #[test]
        fn a_batch_passes_a_limit_only_when_it_is_one_member(members in members()) {
            for batch in cut(&members) {
                let files: u32 = batch.iter().map(|planned| planned.files).sum();
                let bytes: u64 = batch.iter().map(|planned| planned.bytes).sum();
                prop_assert!(batch.len() == 1 || (files <= LIMITS.files && bytes <= LIMITS.bytes));
            }
        }
    }

    #[test]
    fn b15_bundles_are_cut_by_their_files() {
        let bundles: Vec<_> = (0..4)
            .map(|member| Planned {
                member,
                files: 5,
                bytes: 1,
            })
            .collect();
        assert_eq!(cut(&bundles).len(), 2);
    }

    #[test]
    fn b19_the_heavy_one_travels_alone() {
        let mut all: Vec<_> = (0..5)
            .map(|member| Planned {
                member,
                files: 1,
                bytes: 20,
            })
            .collect();
        all.push(Planned {
            member: 5,
            files: 1,
            bytes: 60_000,
        });
        assert_eq!(cut(&all).iter().map(Vec::len).collect::<Vec<_>>(), [5, 1]);
    }
}
