//! Writes an answer to a file while it is made: envelope, file properties, base64, zip with data descriptors.

use std::{
    fs,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use base64::{prelude::BASE64_STANDARD, write::EncoderWriter};
use flate2::{Compression, Crc, write::DeflateEncoder};

use super::tree::Size;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
    xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"http://soap.sforce.com/2006/04/metadata\">\
    <soapenv:Body><checkRetrieveStatusResponse><result><done>true</done>";
const TAIL: &str = "</zipFile></result></checkRetrieveStatusResponse></soapenv:Body></soapenv:Envelope>";
const MANIFEST: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Package xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    <version>60.0</version>\n</Package>\n";

/// An answer in a file, which goes with it.
pub struct Answer {
    pub size: Size,
    pub path: PathBuf,
    /// Where in the file the zip's text is: from, and how long.
    pub text: (u64, u64),
    pub unpacked: u64,
    pub files: u64,
    pub zip: u64,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Generates a tree into an answer of its own.
pub fn write_answer(size: Size) -> Answer {
    let path = std::env::temp_dir().join(format!("ns-bench-{}-{}", std::process::id(), size.name));
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(&path).unwrap());
    out.write_all(HEAD.as_bytes()).unwrap();
    for (n, file) in size.files().enumerate() {
        if file.path.ends_with("-meta.xml") {
            continue;
        }
        let (path, full_name, type_name) = (&file.path, &file.full_name, file.type_name);
        write!(
            out,
            "<fileProperties><createdById>0055g00000{n:05}AAC</createdById><createdByName>A Person</createdByName>\
             <createdDate>2024-01-01T0{}:{:02}:00.000Z</createdDate><fileName>unpackaged/{path}</fileName>\
             <fullName>{full_name}</fullName><id>00N5g00000{n:05}EAC</id><lastModifiedById>0055g00000{n:05}AAC</lastModifiedById>\
             <lastModifiedByName>A Person</lastModifiedByName><lastModifiedDate>2025-02-03T04:05:06.000Z</lastModifiedDate>\
             <manageableState>unmanaged</manageableState><type>{type_name}</type></fileProperties>",
            n % 10,
            n % 60,
        )
        .unwrap();
    }
    write!(
        out,
        "<id>09S5g000000AbCdEAK</id><status>Succeeded</status><success>true</success><zipFile>"
    )
    .unwrap();
    let at = out.stream_position().unwrap();
    let mut zip = Zip::new(EncoderWriter::new(&mut out, &BASE64_STANDARD));
    zip.add("unpackaged/package.xml", MANIFEST);
    for file in size.files() {
        zip.add(&format!("unpackaged/{}", file.path), &file.bytes);
    }
    let (unpacked, files, length) = zip.finish();
    let end = out.stream_position().unwrap();
    out.write_all(TAIL.as_bytes()).unwrap();
    out.flush().unwrap();
    Answer {
        size,
        path,
        text: (at, end - at),
        unpacked,
        files,
        zip: length,
    }
}

/// The zip's text in an answer's file.
pub fn zip_text(path: &Path, (at, length): (u64, u64)) -> impl Read + Send + 'static {
    let mut file = fs::File::open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.take(length)
}

struct Zip<W> {
    out: W,
    central: Vec<u8>,
    offset: u64,
    unpacked: u64,
    entries: u16,
}

impl<W: Write> Zip<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            central: Vec::new(),
            offset: 0,
            unpacked: 0,
            entries: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).unwrap();
        self.offset += bytes.len() as u64;
    }

    /// As Java's writer does it, which Salesforce's zips look like: sizes and checksum in a descriptor behind the data.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(6));
        encoder.write_all(bytes).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(bytes);
        let facts: Vec<u8> = [crc.sum(), packed.len() as u32, bytes.len() as u32]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let (offset, length) = (self.offset as u32, (name.len() as u16).to_le_bytes());
        let fixed: Vec<u8> = [20_u16, 8, 8, 0, 0x5821]
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .collect();
        self.put(
            &[
                b"PK\x03\x04",
                &fixed[..],
                &[0; 12],
                &length,
                &[0; 2],
                name.as_bytes(),
            ]
            .concat(),
        );
        self.put(&packed);
        self.put(&[b"PK\x07\x08", &facts[..]].concat());
        self.central.extend(
            [
                b"PK\x01\x02",
                &20_u16.to_le_bytes()[..],
                &fixed,
                &facts,
                &length,
                &[0; 12],
            ]
            .concat(),
        );
        self.central.extend(offset.to_le_bytes());
        self.central.extend(name.as_bytes());
        self.entries += 1;
        self.unpacked += bytes.len() as u64;
    }

    fn finish(mut self) -> (u64, u64, u64) {
        let (start, central) = (self.offset as u32, std::mem::take(&mut self.central));
        self.put(&central);
        let count = self.entries.to_le_bytes();
        let sizes = [(central.len() as u32).to_le_bytes(), start.to_le_bytes()].concat();
        self.put(&[b"PK\x05\x06", &[0; 4][..], &count, &count, &sizes, &[0; 2]].concat());
        self.out.flush().unwrap();
        (self.unpacked, u64::from(self.entries), self.offset)
    }
}
