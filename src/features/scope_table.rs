//! What each feature needs, as a table for people: written from the declarations that also decide.

use std::fmt::Write;

use super::{catalogue::Catalogue, completion::Source};
use crate::domain::scope::ScopeSet;

/// The table, in Markdown.
#[must_use]
pub fn markdown(catalogue: &Catalogue) -> String {
    let mut table = Table(HEADER.to_owned());
    for tool in catalogue.tools() {
        let scopes = tool.scopes();
        table.row("tool", tool.name(), scopes);
        if let Some((argument, more)) = tool.with_argument() {
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
        table.completion(uri, "id", template.scopes(), template.source("id"));
    }
    for prompt in catalogue.prompts() {
        table.row("prompt", prompt.name(), prompt.scopes());
        for argument in prompt.descriptor.arguments.iter().flatten() {
            let source = prompt.source(&argument.name);
            table.completion(prompt.name(), &argument.name, prompt.scopes(), source);
        }
    }
    table.0
}

const HEADER: &str = "\
# Scopes

What a call of each feature needs, all of it at once. One declaration per feature decides the lists, the refusals (403 `insufficient_scope`) and this
page, which `epicme scopes` prints.

Write does not imply read: a client that dictates may append to a journal that it cannot read. What reveals stored content needs the scope to read it.

| Feature | Name | Scopes |
|---|---|---|
";

struct Table(String);

impl Table {
    fn row(&mut self, kind: &str, name: &str, scopes: ScopeSet) {
        writeln!(self.0, "| {kind} | `{name}` | `{scopes}` |")
            .expect("a string takes whatever is written to it");
    }

    /// Where something is suggested.
    fn completion(&mut self, of: &str, name: &str, scopes: ScopeSet, source: Option<Source>) {
        if let Some(source) = source.filter(|source| *source != Source::Nothing) {
            let name = format!("{of}`: `{name}");
            self.row("completion", &name, scopes.union(source.scopes()));
        }
    }
}
