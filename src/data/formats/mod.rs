//! Files of data sets, one format a file.

pub mod cifar;
#[cfg(feature = "csv")]
pub mod csv;
pub mod emnist;
#[cfg(feature = "images")]
pub mod folder;
pub mod idx;
#[cfg(feature = "mnist-data")]
pub mod mnist;
pub mod npy;
