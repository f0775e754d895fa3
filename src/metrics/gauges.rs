//! What is not counted but looked at when somebody asks.

use super::{
    labels::{CircuitState, ConnectionState, Gate, Label},
    text::Text,
};

/// How things stand at the moment.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// How many legacy sessions are open.
    pub sessions: usize,
    /// How many places of each gate are taken, and how many there are.
    pub gates: Vec<(Gate, usize, usize)>,
    /// How many connections to the database there are of each kind.
    pub connections: Vec<(ConnectionState, u32)>,
    /// Whether each authorization server is asked.
    pub circuits: Vec<(String, CircuitState)>,
}

impl Gauges {
    pub(super) fn write(&self, text: &mut Text) {
        let name = "epicme_sessions_open";
        text.family(name, "gauge", "Legacy sessions that are open.");
        text.sample(name, &[], self.sessions);
        let name = "epicme_gate_depth";
        text.family(name, "gauge", "Work that waits or is under way.");
        for (gate, taken, _) in &self.gates {
            text.sample(name, &[("gate", gate.as_str())], taken);
        }
        let name = "epicme_gate_capacity";
        text.family(name, "gauge", "How much of it there may be.");
        for (gate, _, places) in &self.gates {
            text.sample(name, &[("gate", gate.as_str())], places);
        }
        let name = "epicme_database_connections";
        text.family(name, "gauge", "Connections to the database.");
        for (state, count) in &self.connections {
            text.sample(name, &[("state", state.as_str())], count);
        }
        let name = "epicme_issuer_circuit_state";
        let help = "1 at the state that an authorization server is in, 0 at the others.";
        text.family(name, "gauge", help);
        for (issuer, now) in &self.circuits {
            for state in CircuitState::ALL {
                let labels = [("issuer", issuer.as_str()), ("state", state.as_str())];
                text.sample(name, &labels, u8::from(state == now));
            }
        }
    }
}
