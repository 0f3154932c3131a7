//! Each part of the read path alone, over data in memory: what is left when nothing stands between the parts.

use std::io::Read;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Crc, Decompress, FlushDecompress};
use memchr::memchr2_iter;
use nightshift_archive::{ArchiveReader, Limits};
use nightshift_metadata::{Assembler, Described, Rules, Scratch, XmlLimits, parse_with, registry};
use quick_xml::{Reader, events::Event};

use crate::answer::{Answer, File, zip_text};

/// Text that is decoded at a time.
const CHUNK: usize = 64 << 10;

/// The path itself: what an ingest does to a zip's text before anything is compressed or stored.
pub fn read_path(text: impl Read) -> usize {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let mut archive = ArchiveReader::new(Decoded::new(text), Limits::default());
    let (mut bytes, mut members) = (Vec::new(), 0);
    while let Some(name) = archive.next_entry(&mut bytes).unwrap() {
        members += assembler.file(&name, &bytes).assembled.iter().count();
    }
    members + assembler.finish().len()
}

/// A zip's text as its bytes, in pieces as long as production's. Crate base64's own reader goes in steps of a kilobyte.
struct Decoded<R> {
    text: R,
    piece: Vec<u8>,
    bytes: Vec<u8>,
    at: usize,
}

impl<R: Read> Decoded<R> {
    fn new(text: R) -> Self {
        let (piece, bytes) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
        Self {
            text,
            piece,
            bytes,
            at: 0,
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.bytes.len() {
            self.at = 0;
            self.piece.clear();
            self.bytes.clear();
            self.text
                .by_ref()
                .take(CHUNK as u64)
                .read_to_end(&mut self.piece)?;
            BASE64_STANDARD.decode_vec(&self.piece, &mut self.bytes).unwrap();
        }
        let taken = (self.bytes.len() - self.at).min(buffer.len());
        buffer[..taken].copy_from_slice(&self.bytes[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Base64 and zip by the path's own readers, nothing made of the files.
pub fn unzip(text: impl Read) -> usize {
    let mut archive = ArchiveReader::new(Decoded::new(text), Limits::default());
    let (mut bytes, mut total) = (Vec::new(), 0);
    while archive.next_entry(&mut bytes).unwrap().is_some() {
        total += bytes.len();
    }
    total
}

/// The zip as text, and the deflated bytes of each entry.
pub struct Packed {
    pub text: Vec<u8>,
    entries: Vec<Vec<u8>>,
    files: Vec<File>,
}

impl Packed {
    pub fn read(answer: &Answer) -> Self {
        let mut text = Vec::new();
        zip_text(&answer.path, answer.text)
            .read_to_end(&mut text)
            .unwrap();
        let zip = BASE64_STANDARD.decode(&text).unwrap();
        let files: Vec<File> = answer.size.files().collect();
        let entries = deflated(&zip, 1 + files.len());
        Self { text, entries, files }
    }

    /// The files, as they come out of the zip; the manifest aside.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.files.iter().map(|file| file.bytes.as_slice())
    }

    pub fn decode(&self) {
        let mut out = Vec::with_capacity(CHUNK);
        for chunk in self.text.chunks(CHUNK) {
            out.clear();
            BASE64_STANDARD.decode_vec(chunk, &mut out).unwrap();
            std::hint::black_box(&out);
        }
    }

    pub fn inflate(&self) {
        let (mut inflate, mut out) = (Decompress::new(false), Vec::new());
        for entry in &self.entries {
            inflate_into(&mut inflate, entry, &mut out);
            std::hint::black_box(&out);
        }
    }
}

fn inflate_into(inflate: &mut Decompress, entry: &[u8], out: &mut Vec<u8>) {
    inflate.reset(false);
    out.clear();
    out.reserve(CHUNK);
    loop {
        let taken = inflate.total_in() as usize;
        let status = inflate
            .decompress_vec(&entry[taken..], out, FlushDecompress::None)
            .unwrap();
        if status == flate2::Status::StreamEnd {
            return;
        }
        out.reserve(out.capacity());
    }
}

/// Where the entries lie is read from the central directory, whose sizes need no search.
fn deflated(zip: &[u8], entries: usize) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(zip[at..at + 2].try_into().unwrap()));
    let mut at = word(zip.len() - 6);
    (0..entries)
        .map(|_| {
            let (packed, name, local) = (word(at + 20), half(at + 28), word(at + 42));
            at += 46 + name;
            let data = local + 30 + half(local + 26);
            zip[data..data + packed].to_vec()
        })
        .collect()
}

/// The files, unpacked.
pub struct Inflated<'p>(&'p [File]);

impl<'p> Inflated<'p> {
    pub fn of(packed: &'p Packed) -> Self {
        Self(&packed.files)
    }

    pub fn check(&self) {
        for file in self.0 {
            let mut crc = Crc::new();
            crc.update(&file.bytes);
            std::hint::black_box(crc.sum());
        }
    }

    fn xml(&self) -> impl Iterator<Item = &str> {
        let xml = self.0.iter().filter(|file| file.is_xml());
        xml.map(|file| std::str::from_utf8(&file.bytes).unwrap())
    }

    /// quick-xml at its fastest: borrowed, text trimmed, names of end tags not compared.
    pub fn tokens(&self) -> usize {
        let mut count = 0;
        for text in self.xml() {
            let mut reader = Reader::from_str(text);
            reader.config_mut().trim_text(true);
            reader.config_mut().check_end_names = false;
            while !matches!(reader.read_event().unwrap(), Event::Eof) {
                count += 1;
            }
        }
        count
    }

    /// The floor of any tokeniser.
    pub fn brackets(&self) -> usize {
        self.xml()
            .map(|text| memchr2_iter(b'<', b'>', text.as_bytes()).fold(0, |sum, at| sum ^ at))
            .sum()
    }

    pub fn canonical(&self) {
        let mut scratch = Scratch::default();
        for file in self.0.iter().filter(|file| file.is_xml()) {
            let info = registry().by_name(file.type_name).unwrap();
            let rules = if file.is_parsed() {
                Rules::of(info)
            } else {
                Rules::PLAIN
            };
            let parsed = parse_with(
                rules,
                &file.full_name,
                &file.bytes,
                XmlLimits::DEFAULT,
                &mut scratch,
            );
            std::hint::black_box(parsed.unwrap());
        }
    }

    pub fn raw_hashes(&self) {
        for file in self.0 {
            std::hint::black_box(blake3::hash(&file.bytes));
        }
    }
}
