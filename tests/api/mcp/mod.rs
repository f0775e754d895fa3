//! The Model Context Protocol: validation, lists, tools, resources, prompts and notifications. Mostly its
//! modern revision; where a rule holds in every revision, the test runs in all of them.

mod capabilities;
mod completions;
mod custom_features;
mod elicitation;
mod feature_lists;
mod lenient_clients;
mod logging;
mod messages;
mod progress;
mod prompts;
mod request_states;
mod resources;
mod sampling;
mod statelessness;
mod subscriptions;
mod validation_order;
