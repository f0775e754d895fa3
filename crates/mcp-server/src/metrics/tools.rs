//! Calls of tools.

use resource_server::metrics::{Counters, Label, Text};

use super::{labels::CallEnd, source::MetricSource};

/// The calls of each declared tool, by how they ended. A tool is known by its place in the catalogue.
#[derive(Debug)]
pub(crate) struct ToolMetrics {
    names: Vec<String>,
    calls: Counters,
}

impl ToolMetrics {
    /// No calls of these tools, in the order of the catalogue.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self {
            calls: Counters::new(names.len() * CallEnd::ALL.len()),
            names,
        }
    }

    /// Counts a call of the tool at this place.
    pub(crate) fn ended(&self, tool: usize, end: CallEnd) {
        self.calls.add(tool * CallEnd::ALL.len() + end.index());
    }
}

impl MetricSource for ToolMetrics {
    fn write(&self, text: &mut Text) {
        let name = "tool_calls_total";
        text.family(name, "counter", "Calls of tools, by how they ended.");
        for (tool, tool_name) in self.names.iter().enumerate() {
            for end in CallEnd::ALL {
                let labels = [("tool", &**tool_name), ("outcome", end.as_str())];
                let count = self.calls.get(tool * CallEnd::ALL.len() + end.index());
                text.sample(name, &labels, count);
            }
        }
    }
}
