//! See `epicme_fuzz::sse_event_id`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::sse_event_id(data);
});
