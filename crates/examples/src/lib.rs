//! Nothing but the example `rmcp`, in `examples/`, and the tests that run the examples of all crates, in `tests/`.
//! `docs/BUILD_YOUR_OWN.md` explains them.
