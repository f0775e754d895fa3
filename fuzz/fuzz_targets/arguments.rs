//! See `epicme_fuzz::arguments`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::arguments(data);
});
