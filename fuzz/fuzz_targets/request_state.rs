//! See `epicme_fuzz::request_state`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::request_state(data);
});
