//! The `mcp-load` program: puts load on an MCP server, and checks every answer.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_load::main()
}
