//! See `epicme_fuzz::dpop_proof`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::dpop_proof(data);
});
