//! The library: one test program, since each program takes as long to build as all of them together.

#[path = "../common/adapter.rs"]
mod adapter;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/noise.rs"]
mod noise;
#[path = "../common/photo.rs"]
mod photo;
#[path = "../common/plans.rs"]
mod plans;
#[path = "../common/threads.rs"]
mod threads;

mod activations;
mod carry;
mod convolutions;
mod custom;
mod data;
mod files;
mod fusion;
mod generate;
mod gradients;
mod imports;
mod in_place;
mod joins;
mod kernels;
mod layer_types;
mod layers;
mod lora;
mod losses;
mod mnist;
mod model;
mod norm_forms;
mod norms;
mod prepare;
mod pretrained;
mod processes;
mod recompute;
mod recurrences;
mod registry;
mod sequences;
mod structure;
mod tied;
mod training;
mod transformers;
mod translation;
mod weights;
