//! See `epicme_fuzz::issuer_metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::issuer_metadata(data);
});
