//! docs/commands.md, written from the table.

/// The text of docs/commands.md.
pub fn render_docs() -> String {
    String::new()
}
