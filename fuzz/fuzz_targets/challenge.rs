//! See `epicme_fuzz::challenge`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::challenge(data);
});
