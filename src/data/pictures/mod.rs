//! Pictures: read, prepared for a model, and drawn as sheets.

pub mod contact;
pub mod index;
mod ink;
pub mod mask;
pub mod picture;
pub mod prepare;
