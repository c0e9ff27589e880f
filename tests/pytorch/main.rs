//! Comparison with PyTorch: single ops and short chains forward and backward, a model that it
//! wrote, and the losses of whole training runs.
//!
//! Each runs on the oracle, on the native CPU's fast forms and on every usable adapter, in every class of plan
//! that the adapter can run. `tests/fixtures/make_fixtures.py` made the stored values and says what each is.
//! All of it takes about half a minute on two cores without a GPU, most of that the oracle's.

#[path = "../common/adapter.rs"]
mod adapter;
#[path = "../common/fixtures.rs"]
mod fixtures;

mod convs;
mod curves;
mod forms;
mod layers;
mod net;
mod norms;
mod ops;
mod optim;
mod recurrent;
mod sequences;
