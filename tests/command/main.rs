//! The command `wgrad`, called as a user does: one test program, since each program takes as long to build as all of
//! them together.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/noise.rs"]
mod noise;
#[path = "../common/photo.rs"]
mod photo;

mod answers;
mod archive;
mod attack;
mod augment;
mod batch_offer;
mod cli;
mod cli_input;
mod cli_report;
mod defaults;
mod device;
mod examples;
mod finetune;
mod folder;
mod formats;
mod import;
mod labels;
mod listed;
mod mask_nets;
mod masks;
mod messages;
mod near;
mod onnx;
mod parts;
mod pipeline_cache;
mod predict;
mod right;
mod runs;
mod segmentation;
mod stream;
mod sweep;
mod table;
mod terminal;
mod text;
mod trace;
mod translate;
mod validated;
mod watchdog;
