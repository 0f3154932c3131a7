//! How much a zip may be, so that a lying or hostile one costs a batch and not a worker.
//!
//! The defaults are the table of limits for bad input; each is far above what Salesforce sends.

/// What a zip may hold. The defaults are for one retrieve answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries, directories among them (20,000): twice Salesforce's own limit of 10,000 files a retrieve.
    pub entries: usize,
    /// Bytes of one entry, unpacked (128 MiB): an entry is held in memory while it is parsed.
    pub entry_bytes: u64,
    /// Bytes of all entries, unpacked (4 GiB): far beyond any answer, there the zip lies.
    pub unpacked_bytes: u64,
    /// Bytes of the zip itself (400 MiB): Salesforce's own limit for a retrieve, as it is applied to the zip.
    pub packed_bytes: u64,
    /// Unpacked bytes for each packed one, of an entry and of the whole so far (200): text of Salesforce stays near
    /// 7, zeros reach 1,029.
    pub ratio: u64,
    /// Unpacked bytes for which no ratio is asked (1 MiB), of an entry and of the whole: a small file of blanks is no
    /// bomb.
    pub ratio_free_bytes: u64,
    /// Bytes of a name (1,024): no path in an org comes near.
    pub name_bytes: usize,
    /// Segments of a name (16): `unpackaged/reports/a/b/c.report` has 5.
    pub name_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 20_000,
            entry_bytes: 128 << 20,
            unpacked_bytes: 4 << 30,
            packed_bytes: 400 << 20,
            ratio: 200,
            ratio_free_bytes: 1 << 20,
            name_bytes: 1_024,
            name_depth: 16,
        }
    }
}

impl Limits {
    /// Whether `unpacked` bytes out of `packed` ones are more than the ratio allows.
    pub(crate) fn is_bomb(&self, packed: u64, unpacked: u64) -> bool {
        unpacked.saturating_sub(self.ratio_free_bytes) > packed.saturating_mul(self.ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_asked_only_beyond_the_free_bytes() {
        let limits = Limits::default();
        let free = limits.ratio_free_bytes;
        assert!(!limits.is_bomb(0, free));
        assert!(limits.is_bomb(0, free + 1));
        assert!(!limits.is_bomb(10, free + 2_000));
        assert!(limits.is_bomb(10, free + 2_001));
    }
}
