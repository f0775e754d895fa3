//! Nothing but the examples `rmcp` and `hello`, in `examples/`, and the tests that run the examples of all crates, in `tests/`.
//! `docs/BUILD_YOUR_OWN.md` and `docs/tutorial` explain them.
