//! Any text, as the id or the time by which a client names its place in the log: what is taken has one meaning.
//! `tests/fuzz/run cursors -max_total_time=3600`
#![no_main]

use libfuzzer_sys::fuzz_target;
use taskhub::domain::clock::Timestamp;
use taskhub::domain::event::EventId;

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<EventId>() {
        // A database's integer holds it, and it goes back to the client as it came.
        assert!(i64::try_from(id.seq).is_ok());
        assert_eq!(id.to_string(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(Timestamp::from_ms(time.ms()), time);
    }
});
