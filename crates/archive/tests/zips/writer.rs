//! A zip writer that can lie: each field of each record may be set to what no honest writer would write.

use std::{collections::BTreeMap, io::Write};

use flate2::{Compression, Crc, write::DeflateEncoder};

pub const LOCAL: u32 = 0x0403_4b50;
pub const CENTRAL: u32 = 0x0201_4b50;
pub const DESCRIPTOR: u32 = 0x0807_4b50;

pub fn crc(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// What a record says of an entry's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    pub crc: u32,
    pub packed: u64,
    pub unpacked: u64,
}

pub const NOTHING: Said = Said {
    crc: 0,
    packed: 0,
    unpacked: 0,
};

/// The record behind the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    pub signature: bool,
    pub said: Said,
}

/// An entry: what stands where.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub header: Said,
    pub extra: Vec<u8>,
    /// Sizes of 64 bits, in an extra field of the header, in the descriptor and in the directory.
    pub wide: bool,
    pub data: Vec<u8>,
    pub descriptor: Option<Descriptor>,
    pub central_name: Vec<u8>,
    pub central: Said,
}

impl Entry {
    fn new(name: impl AsRef<[u8]>, method: u16, packed: Vec<u8>, data: &[u8]) -> Self {
        let said = Said {
            crc: crc(data),
            packed: packed.len() as u64,
            unpacked: data.len() as u64,
        };
        Self {
            name: name.as_ref().to_vec(),
            method,
            flags: 0x800,
            header: said,
            extra: Vec::new(),
            wide: false,
            data: packed,
            descriptor: None,
            central_name: name.as_ref().to_vec(),
            central: said,
        }
    }

    pub fn stored(name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        Self::new(name, 0, data.to_vec(), data)
    }

    pub fn deflated(name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        Self::new(name, 8, deflate(data), data)
    }

    /// As a server streams: what is said of the data stands behind it alone.
    pub fn streamed(mut self, signature: bool) -> Self {
        self = self.described(signature);
        self.header = NOTHING;
        self
    }

    /// With a descriptor, and sizes in the header all the same.
    pub fn described(mut self, signature: bool) -> Self {
        self.flags |= 8;
        self.descriptor = Some(Descriptor {
            signature,
            said: self.central,
        });
        self
    }

    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn fixed(&self, into: &mut Vec<u8>, said: Said) {
        for half in [45, self.flags, self.method, 0x1234, 0x5678] {
            into.extend(half.to_le_bytes());
        }
        into.extend(said.crc.to_le_bytes());
        for size in [said.packed, said.unpacked] {
            let narrow = if self.wide { u32::MAX } else { size as u32 };
            into.extend(narrow.to_le_bytes());
        }
    }

    fn extra(&self, said: Said) -> Vec<u8> {
        let mut extra = self.extra.clone();
        if self.wide {
            extra.extend([1, 0, 16, 0]);
            extra.extend(said.unpacked.to_le_bytes());
            extra.extend(said.packed.to_le_bytes());
        }
        extra
    }

    pub fn local(&self) -> Vec<u8> {
        let mut bytes = LOCAL.to_le_bytes().to_vec();
        self.fixed(&mut bytes, self.header);
        let extra = self.extra(self.header);
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend((extra.len() as u16).to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(extra);
        bytes.extend(&self.data);
        if let Some(Descriptor { signature, said }) = self.descriptor {
            if signature {
                bytes.extend(DESCRIPTOR.to_le_bytes());
            }
            bytes.extend(said.crc.to_le_bytes());
            for size in [said.packed, said.unpacked] {
                let bytes_of = size.to_le_bytes();
                bytes.extend(if self.wide { &bytes_of[..] } else { &bytes_of[..4] });
            }
        }
        bytes
    }

    fn record(&self, offset: usize) -> Vec<u8> {
        let mut bytes = CENTRAL.to_le_bytes().to_vec();
        bytes.extend(45_u16.to_le_bytes());
        self.fixed(&mut bytes, self.central);
        let extra = self.extra(self.central);
        bytes.extend((self.central_name.len() as u16).to_le_bytes());
        bytes.extend((extra.len() as u16).to_le_bytes());
        // comment, disk, attributes
        bytes.extend([0; 10]);
        bytes.extend((offset as u32).to_le_bytes());
        bytes.extend(&self.central_name);
        bytes.extend(extra);
        bytes
    }
}

/// A zip in its parts.
#[derive(Clone, Debug)]
pub struct Zip {
    pub locals: Vec<Vec<u8>>,
    pub records: Vec<Vec<u8>>,
    pub count: u16,
    /// What a zip64 end record counts, if there is one.
    pub wide_count: Option<u64>,
    pub disk: u16,
    pub comment: Vec<u8>,
    pub behind: Vec<u8>,
}

impl Zip {
    pub fn of(entries: &[Entry]) -> Self {
        let mut at = 0;
        let mut records = Vec::new();
        let locals: Vec<Vec<u8>> = entries.iter().map(Entry::local).collect();
        for (entry, local) in entries.iter().zip(&locals) {
            records.push(entry.record(at));
            at += local.len();
        }
        Self {
            locals,
            records,
            count: entries.len() as u16,
            wide_count: None,
            disk: 0,
            comment: Vec::new(),
            behind: Vec::new(),
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.locals.concat();
        let start = bytes.len();
        bytes.extend(self.records.concat());
        let (end, size) = (bytes.len() as u64, (bytes.len() - start) as u64);
        if let Some(count) = self.wide_count {
            bytes.extend(*b"PK\x06\x06");
            bytes.extend(44_u64.to_le_bytes());
            bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [count, count, size, start as u64] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(*b"PK\x06\x07\0\0\0\0");
            bytes.extend(end.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
        }
        bytes.extend(*b"PK\x05\x06");
        for half in [self.disk, self.disk, self.count, self.count] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend((size as u32).to_le_bytes());
        bytes.extend((start as u32).to_le_bytes());
        bytes.extend((self.comment.len() as u16).to_le_bytes());
        bytes.extend(&self.comment);
        bytes.extend(&self.behind);
        bytes
    }
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    Zip::of(entries).bytes()
}

/// Every honest way to write one entry.
pub fn every_way(name: &str, data: &[u8]) -> Vec<Entry> {
    let mut ways = vec![Entry::stored(name, data), Entry::deflated(name, data)];
    for signature in [true, false] {
        ways.push(Entry::deflated(name, data).streamed(signature));
        ways.push(Entry::deflated(name, data).described(signature));
        if !data.is_empty() {
            ways.push(Entry::stored(name, data).described(signature));
        }
    }
    let wide: Vec<Entry> = ways.iter().cloned().map(Entry::wide).collect();
    ways.extend(wide);
    ways
}

/// Zips of three files and a folder that use all of the format between them.
pub fn samples() -> Vec<Zip> {
    let text = b"<CustomObject><label>Region</label></CustomObject>".repeat(3);
    let plain = Zip::of(&[
        Entry::deflated("unpackaged/objects/A__c.object", &text).streamed(true),
        Entry::stored("unpackaged/classes/", b""),
        Entry::stored("unpackaged/classes/B.cls", b"class B {}"),
        Entry::deflated("unpackaged/package.xml", b"<Package/>").streamed(false),
    ]);
    let wide = Zip::of(&[
        Entry::deflated("a.xml", &text).streamed(true).wide(),
        Entry::deflated("b.xml", &text).wide().described(false),
        Entry::stored("c.xml", &text).wide(),
    ])
    .with(|zip| {
        zip.wide_count = Some(3);
        zip.count = u16::MAX;
        zip.comment = b"made by hand".to_vec();
    });
    vec![plain, wide]
}

/// Files by name, each written in the honest way that its number draws.
pub fn drawn(files: &BTreeMap<String, (Vec<u8>, usize)>) -> Vec<Entry> {
    let entry = |(name, (data, way)): (&String, &(Vec<u8>, usize))| {
        let ways = every_way(name, data);
        ways[way % ways.len()].clone()
    };
    files.iter().map(entry).collect()
}
