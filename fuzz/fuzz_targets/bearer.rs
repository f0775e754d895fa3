//! See `epicme_fuzz::bearer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::bearer(data);
});
