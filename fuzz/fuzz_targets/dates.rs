//! See `epicme_fuzz::dates`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::dates(data);
});
