//! The former name of `mcp-load`, kept for one release.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("epicme-load is now called mcp-load; this name goes away with the next release");
    mcp_load::main()
}
