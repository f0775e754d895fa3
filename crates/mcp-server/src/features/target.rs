//! The place of a feature in the catalogue.

/// The declared feature that a request is about, by its place in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A method that is about no declared feature, such as `tools/list`.
    Method,
    /// A tool.
    Tool(usize),
    /// A prompt.
    Prompt(usize),
    /// Something that can be read at a URI: a resource of its own.
    Resource(usize),
    /// The resource of a template. The id is still in the URI.
    Template(usize),
    /// An argument of a prompt.
    PromptCompletion(usize),
    /// A variable of a template.
    TemplateCompletion(usize),
}
