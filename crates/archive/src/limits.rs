//! What a zip may be. Beyond a limit it is damaged or hostile, and its batch fails with the limit's code.

/// Limits of one zip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Entries, folders included. Salesforce's own limit is 10,000 files and a package.xml.
    pub entries: u64,
    /// Unpacked bytes of one entry (128 MiB): it is held in memory.
    pub entry_bytes: u64,
    /// Compressed bytes of one entry (40 MiB): they are kept until its size and checksum are known to be right, and
    /// Salesforce's own limit of a whole zip is 39 MB.
    pub entry_compressed_bytes: u64,
    /// Unpacked bytes of the whole (4 GiB); Salesforce's own limit is 600 MB.
    pub unpacked_bytes: u64,
    /// Compressed bytes of the whole (400 MiB); Salesforce's own limit is 39 MB.
    pub compressed_bytes: u64,
    /// Unpacked for each compressed byte, of an entry beyond its first MiB and of the whole.
    pub ratio: u64,
    /// Bytes of a name.
    pub name_bytes: usize,
    /// Segments of a name.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 20_000,
            entry_bytes: 128 << 20,
            entry_compressed_bytes: 40 << 20,
            unpacked_bytes: 4 << 30,
            compressed_bytes: 400 << 20,
            ratio: 200,
            name_bytes: 1_024,
            depth: 16,
        }
    }
}
