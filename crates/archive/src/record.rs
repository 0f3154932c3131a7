//! The records of a zip: fixed layouts, little-endian, with sizes that zip64 keeps elsewhere (APPNOTE 4.3).
//!
//! Pure functions from bytes that are known to be there; whether the values are true is for others.

pub(crate) const LOCAL: u32 = 0x0403_4b50;
pub(crate) const DESCRIPTOR: u32 = 0x0807_4b50;
pub(crate) const CENTRAL: u32 = 0x0201_4b50;
pub(crate) const ZIP64_END: u32 = 0x0606_4b50;
pub(crate) const ZIP64_LOCATOR: u32 = 0x0706_4b50;
pub(crate) const END: u32 = 0x0605_4b50;
/// `PK00`, in front of a zip that was cut in parts and then fitted into one.
pub(crate) const SPANNED: u32 = 0x3030_4b50;

const ZIP64_EXTRA: u16 = 1;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The general purpose flags of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    /// Encrypted data (bit 0), strongly so (bit 6), or an encrypted central directory (bit 13).
    pub(crate) const fn encrypted(self) -> bool {
        self.0 & (1 | 1 << 6 | 1 << 13) != 0
    }

    /// A descriptor follows the data (bit 3).
    pub(crate) const fn descriptor(self) -> bool {
        self.0 & (1 << 3) != 0
    }

    /// The data is a patch (bit 5).
    pub(crate) const fn patch(self) -> bool {
        self.0 & (1 << 5) != 0
    }
}

/// What stands in front of a member's data.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    pub(crate) flags: Flags,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u64,
    pub(crate) unpacked: u64,
    pub(crate) name: &'a [u8],
}

impl<'a> Local<'a> {
    pub(crate) const FIXED: usize = 30;

    /// Length of the whole header, from its fixed part.
    pub(crate) fn length(fixed: &[u8]) -> usize {
        Self::FIXED + usize::from(u16_at(fixed, 26)) + usize::from(u16_at(fixed, 28))
    }

    /// `bytes` are the whole header.
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let (name, extra) = bytes[Self::FIXED..].split_at(usize::from(u16_at(bytes, 26)));
        let mut large = Zip64::find(extra);
        Self {
            flags: Flags(u16_at(bytes, 6)),
            method: u16_at(bytes, 8),
            crc: u32_at(bytes, 14),
            // the extra field has the unpacked size first
            unpacked: large.or(u32_at(bytes, 22)),
            packed: large.or(u32_at(bytes, 18)),
            name,
        }
    }
}

/// One line of the central directory.
#[derive(Debug)]
pub(crate) struct Central<'a> {
    pub(crate) flags: Flags,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u64,
    pub(crate) unpacked: u64,
    /// Where the member's local header is.
    pub(crate) offset: u64,
    pub(crate) disk: u16,
    pub(crate) name: &'a [u8],
}

impl<'a> Central<'a> {
    pub(crate) const FIXED: usize = 46;

    /// Length of the whole record, from its fixed part.
    pub(crate) fn length(fixed: &[u8]) -> usize {
        [28, 30, 32]
            .into_iter()
            .fold(Self::FIXED, |sum, at| sum + usize::from(u16_at(fixed, at)))
    }

    /// `bytes` are the whole record.
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let (name, rest) = bytes[Self::FIXED..].split_at(usize::from(u16_at(bytes, 28)));
        let mut large = Zip64::find(&rest[..usize::from(u16_at(bytes, 30))]);
        let unpacked = large.or(u32_at(bytes, 24));
        let packed = large.or(u32_at(bytes, 20));
        let offset = large.or(u32_at(bytes, 42));
        let disk = match u16_at(bytes, 34) {
            u16::MAX => large.disk().unwrap_or(u16::MAX),
            small => small,
        };
        Self {
            flags: Flags(u16_at(bytes, 8)),
            method: u16_at(bytes, 10),
            crc: u32_at(bytes, 16),
            packed,
            unpacked,
            offset,
            disk,
            name,
        }
    }
}

/// The values that did not fit, in their order; each is taken only where its field says that it is here.
struct Zip64<'a>(&'a [u8]);

impl<'a> Zip64<'a> {
    fn find(mut extra: &'a [u8]) -> Self {
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some(value) = extra.get(4..4 + length) else {
                break;
            };
            if id == ZIP64_EXTRA {
                return Self(value);
            }
            extra = &extra[4 + length..];
        }
        Self(&[])
    }

    /// `small`, or the next value when `small` says that it is kept here.
    fn or(&mut self, small: u32) -> u64 {
        match self.0.split_at_checked(8) {
            Some((value, rest)) if small == u32::MAX => {
                self.0 = rest;
                u64_at(value, 0)
            }
            _ => u64::from(small),
        }
    }

    /// The number of the part, which comes last and has four bytes.
    fn disk(&self) -> Option<u16> {
        (self.0.len() >= 4).then(|| u16::try_from(u32_at(self.0, 0)).unwrap_or(u16::MAX))
    }
}
