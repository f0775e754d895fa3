//! See `epicme_fuzz::envelope`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::envelope(data);
});
