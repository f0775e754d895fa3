//! See `epicme_fuzz::search`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::search(data);
});
