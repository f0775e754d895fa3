//! The index of a feature in the catalogue.

/// The declared feature that a request names, as its index in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// None: the method is not about a feature, such as `tools/list`.
    Method,
    /// A tool.
    Tool(usize),
    /// A prompt.
    Prompt(usize),
    /// A resource with a fixed URI.
    Resource(usize),
    /// A resource of a template.
    Template(usize),
    /// An argument of a prompt.
    PromptCompletion(usize),
    /// A variable of a template.
    TemplateCompletion(usize),
}
