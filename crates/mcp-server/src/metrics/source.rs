//! Metrics that are looked at when somebody asks, or that other parts of a server count.

use resource_server::metrics::Text;

/// A part of a server that has something to add to its metrics.
pub trait MetricSource: Send + Sync {
    /// The bounds of its work, and how much of each is used.
    fn gates(&self) -> Vec<Gate> {
        Vec::new()
    }

    /// Writes its own families.
    fn write(&self, text: &mut Text);
}

/// A bound of work under way.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Of which work.
    pub name: &'static str,
    /// How much waits or is under way.
    pub depth: usize,
    /// How much there may be.
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
