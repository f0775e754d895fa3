//! The journal itself, by way of its tools: what it stores, finds, exports and shows to its owner only.

mod activity;
mod exports;
mod imports;
mod isolation;
mod limits;
mod lists;
mod names;
mod portable_schemas;
mod search;
mod tool_arguments;
mod tools;
mod what_hosts_show;
