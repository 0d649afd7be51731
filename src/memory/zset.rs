//! (placeholder of this family's structure)

/// To be filled.
#[derive(Clone, Default)]
pub struct ZSet {}

impl ZSet {
    pub fn len(&self) -> usize {
        0
    }

    pub fn heap(&self) -> usize {
        0
    }

    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
}
