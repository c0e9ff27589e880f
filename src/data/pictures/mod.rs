//! Pictures: read, prepared for a model, and drawn as sheets.

mod bounded;
pub mod contact;
pub mod index;
mod ink;
mod lettering;
pub mod mask;
pub mod overlay;
pub mod picture;
pub mod placing;
pub mod prepare;
pub(in crate::data) mod undecoded;
