//! Why a request would go where it goes: the way through rules, who could answer it, and what they would be sent.

mod asked;
mod candidate;
mod desk;
mod graph;
mod servers;
mod tree;
mod way;

pub use asked::Asked;
pub use candidate::candidate;
pub use desk::Explainer;
pub use graph::Drawing;
pub use tree::tree;
