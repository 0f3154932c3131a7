//! The read path of a large retrieve answer beside its parts alone: base64, inflate, XML tokens; and its peak memory for
//! a small and a large tree, each in a process of its own. Prints figures and ratios. `make bench`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::Path,
    time::Instant,
};

use base64::{Engine, prelude::BASE64_STANDARD, read::DecoderReader};
use flate2::{Compression, Crc, write::DeflateEncoder};
use nightshift_archive::{ArchiveReader, Limits};
use nightshift_metadata::{Assembler, Described};
use quick_xml::{Reader, events::Event};

const ROUNDS: usize = 3;

/// More entries than a fleet accepts: the tree is large by its number of files.
fn many() -> Limits {
    Limits {
        entries: 65_000,
        ..Limits::default()
    }
}

/// The small real org, copied under new names until it has `copies` of each file.
fn answer(copies: usize) -> (String, u64) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/small-org/night-1");
    let (mut zip, mut central, mut entries, mut unpacked) = (Vec::new(), Vec::new(), 0_u16, 0_u64);
    for (path, bytes) in files(&root) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(&bytes);
        for n in 0..copies {
            let (folder, file) = path.split_once('/').unwrap_or(("", &path));
            let name = format!("unpackaged/{folder}/C{n}_{file}");
            let mut header = Vec::new();
            for half in [20_u16, 0, 8, 0, 0] {
                header.extend(half.to_le_bytes());
            }
            for word in [crc.sum(), packed.len() as u32, bytes.len() as u32] {
                header.extend(word.to_le_bytes());
            }
            header.extend((name.len() as u16).to_le_bytes());
            header.extend([0; 2]);
            let offset = zip.len() as u32;
            zip.extend(0x0403_4b50_u32.to_le_bytes());
            zip.extend(&header);
            zip.extend(name.as_bytes());
            zip.extend(&packed);
            central.extend(0x0201_4b50_u32.to_le_bytes());
            central.extend(20_u16.to_le_bytes());
            central.extend(&header);
            central.extend([0; 10]);
            central.extend(offset.to_le_bytes());
            central.extend(name.as_bytes());
            entries += 1;
            unpacked += bytes.len() as u64;
        }
    }
    let (start, size) = (zip.len() as u32, central.len() as u32);
    zip.append(&mut central);
    zip.extend(0x0605_4b50_u32.to_le_bytes());
    zip.extend([0; 4]);
    zip.extend([entries.to_le_bytes(), entries.to_le_bytes()].concat());
    zip.extend(size.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    (BASE64_STANDARD.encode(zip), unpacked)
}

fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.file_name().is_some_and(|name| name != "package.xml") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn decoder(text: &str) -> impl Read + '_ {
    DecoderReader::new(Cursor::new(text.as_bytes()), &BASE64_STANDARD)
}

fn base64_alone(text: &str) {
    std::io::copy(&mut decoder(text), &mut std::io::sink()).unwrap();
}

fn unzip(text: &str, mut each: impl FnMut(&str, &[u8])) {
    let mut reader = ArchiveReader::new(decoder(text), many());
    let mut bytes = Vec::new();
    while let Some(name) = reader.next_entry(&mut bytes).unwrap() {
        each(&name, &bytes);
    }
}

fn tokens(bytes: &[u8]) -> usize {
    let (mut reader, mut buffer, mut count) = (Reader::from_reader(bytes), Vec::new(), 0);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) | Err(_) => return count,
            Ok(_) => count += 1,
        }
    }
}

fn path(text: &str) -> usize {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let mut members = 0;
    unzip(text, |name, bytes| {
        members += assembler.file(name, bytes).assembled.iter().count();
    });
    members + assembler.finish().len()
}

/// Median seconds of some rounds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[ROUNDS / 2]
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In a process of its own: the answer comes from a file, as from a network, and is never whole in memory.
fn child(file: &str) {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let source = std::io::BufReader::new(fs::File::open(file).unwrap());
    let mut reader = ArchiveReader::new(DecoderReader::new(source, &BASE64_STANDARD), many());
    let mut bytes = Vec::new();
    while let Some(name) = reader.next_entry(&mut bytes).unwrap() {
        drop(assembler.file(&name, &bytes));
    }
    drop(assembler.finish());
    println!("{}", peak_kib());
}

fn memory(copies: usize) -> (u64, u64) {
    let (text, unpacked) = answer(copies);
    let file = std::env::temp_dir().join(format!("ns-bench-{}-{copies}", std::process::id()));
    fs::write(&file, text).unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--child")
        .arg(&file)
        .output()
        .unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let kib = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    (unpacked, kib)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        child(&arguments[at + 1]);
        return;
    }
    let (text, unpacked) = answer(100);
    let members = path(&text);
    let base64 = median(|| base64_alone(&text));
    let inflate = median(|| unzip(&text, |_, _| {})) - base64;
    let with_tokens = median(|| {
        unzip(&text, |_, bytes| {
            std::hint::black_box(tokens(bytes));
        });
    });
    let whole = median(|| {
        std::hint::black_box(path(&text));
    });
    let megabytes = unpacked as f64 / 1e6;
    println!(
        "read path: {megabytes:.0} MB unpacked, {members} members; base64 {base64:.2} s, zip {inflate:.2} s, tokens {:.2} s; \
         parts {with_tokens:.2} s, path {whole:.2} s ({:.0} MB/s): {:.0} % of its parts' speed (must 45)",
        with_tokens - inflate - base64,
        megabytes / whole,
        100.0 * with_tokens / whole,
    );
    let ((small, small_kib), (big, big_kib)) = (memory(20), memory(1_000));
    println!(
        "peak memory: {:.0} MB tree {:.0} MiB, {:.0} MB tree {:.0} MiB: {:.1} times (must 64 MiB both)",
        small as f64 / 1e6,
        small_kib as f64 / 1024.0,
        big as f64 / 1e6,
        big_kib as f64 / 1024.0,
        big_kib as f64 / small_kib as f64,
    );
}
