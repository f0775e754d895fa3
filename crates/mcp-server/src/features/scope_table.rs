//! A Markdown table of the scopes of each feature, generated from the declarations.

use std::fmt::Write;

use super::{catalogue::Catalogue, completion::Completer};
use resource_server::scope::{ScopeSet, Scopes};

/// A Markdown page: a heading, the introduction, and the table.
#[must_use]
pub fn markdown(catalogue: &Catalogue, introduction: &str) -> String {
    let mut table = Table {
        text: format!("# Scopes\n\n{introduction}\n\n| Feature | Name | Scopes |\n|---|---|---|\n"),
        scopes: catalogue.scopes(),
    };
    for tool in catalogue.tools() {
        let scopes = tool.scopes();
        table.row("tool", tool.name(), scopes);
        for (argument, more) in tool.scopes_of_arguments() {
            let name = format!("{}` with `{argument}", tool.name());
            table.row("tool", &name, scopes.union(more));
        }
    }
    for resource in catalogue.resources() {
        table.row("resource", &resource.descriptor.uri, resource.scopes());
    }
    for template in catalogue.templates() {
        let uri = &template.descriptor.uri_template;
        table.row("resource template", uri, template.scopes());
        table.completion(uri, "id", template.scopes(), template.completer());
    }
    for prompt in catalogue.prompts() {
        table.row("prompt", prompt.name(), prompt.scopes());
        for argument in prompt.descriptor.arguments.iter().flatten() {
            let completer = prompt.completer(&argument.name);
            table.completion(prompt.name(), &argument.name, prompt.scopes(), completer);
        }
    }
    table.text
}

struct Table<'a> {
    text: String,
    scopes: &'a Scopes,
}

impl Table<'_> {
    fn row(&mut self, kind: &str, name: &str, scopes: ScopeSet) {
        let scopes = self.scopes.list(scopes);
        writeln!(self.text, "| {kind} | `{name}` | `{scopes}` |")
            .expect("a string takes what is written to it");
    }

    /// A row for suggestions, if there are any.
    fn completion(
        &mut self,
        of: &str,
        name: &str,
        scopes: ScopeSet,
        completer: Option<&Completer>,
    ) {
        if let Some(completer) = completer {
            let name = format!("{of}`: `{name}");
            self.row("completion", &name, scopes.union(completer.scopes()));
        }
    }
}
