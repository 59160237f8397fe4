//! Any bytes, as the texts of any messages: what `tests/it/transcript.rs` says of frames must hold.
//!
//! `tests/run` fuzzes for seconds. For an hour, on two cores, with stable Rust:
//! `tests/fuzz/run frames -max_total_time=3600 -fork=2`
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../it/parser.rs"]
mod parser;
#[path = "../../it/transcript.rs"]
mod transcript;

use transcript::{Entry, Kind};

// 0xff ends a message and 0xfe a text: neither is a byte of UTF-8. A message begins with its kind; the bytes
// also tell in which pieces the stream arrives.
fuzz_target!(|input: &[u8]| {
    let entries: Vec<Entry> = input.split(|byte| *byte == 0xff).filter_map(entry).collect();
    let sizes: Vec<usize> = input.iter().map(|byte| usize::from(*byte)).chain([1]).collect();
    transcript::check(&entries, &sizes);
});

fn entry(bytes: &[u8]) -> Option<Entry> {
    let (kind, texts) = bytes.split_first()?;
    let texts = texts.split(|byte| *byte == 0xfe).map(|it| String::from_utf8_lossy(it).into_owned());
    Some(Entry { kind: Kind::ALL[usize::from(*kind) % Kind::ALL.len()], texts: texts.collect() })
}
