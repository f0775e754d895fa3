//! Metrics of other parts of a program.

use resource_server::metrics::Text;

/// A part of a program that adds metrics to `/metrics`.
pub trait MetricSource: Send + Sync {
    /// Limits of concurrent work, for `gate_depth` and `gate_capacity`.
    fn gates(&self) -> Vec<Gate> {
        Vec::new()
    }

    /// Writes its metric families.
    fn write(&self, text: &mut Text);
}

/// A limit of concurrent work.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// The label `gate`.
    pub name: &'static str,
    /// Work that waits or is in progress.
    pub depth: usize,
    /// The limit.
    pub capacity: usize,
}

pub(crate) fn write(sources: &[&dyn MetricSource], text: &mut Text) {
    let gates: Vec<Gate> = sources.iter().flat_map(|source| source.gates()).collect();
    let name = "gate_depth";
    text.family(name, "gauge", "Work that waits or is under way.");
    for gate in &gates {
        text.sample(name, &[("gate", gate.name)], gate.depth);
    }
    let name = "gate_capacity";
    text.family(name, "gauge", "How much of it there may be.");
    for gate in &gates {
        text.sample(name, &[("gate", gate.name)], gate.capacity);
    }
    for source in sources {
        source.write(text);
    }
}
