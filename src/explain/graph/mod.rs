//! A rule set as a drawing: what is asked, and where each answer leads.

mod json;
mod read;
mod text;
mod words;

pub use read::Drawing;
