//! Patterns.

/// A pattern.
#[derive(Debug, Clone)]
pub struct Pattern;
/// The interner of patterns.
#[derive(Debug, Default)]
pub struct Patterns;
