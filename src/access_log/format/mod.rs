//! Lines of the access log. A form is a file here and a line in [`mod@line`].

mod combined;
mod date;
mod eru;
mod escape;
mod json;
pub mod line;
mod number;
