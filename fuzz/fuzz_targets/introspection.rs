//! See `epicme_fuzz::introspection`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epicme_fuzz::introspection(data);
});
