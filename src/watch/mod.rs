//! The live page: a run's report served on the loopback interface while the run trains (feature `watch`).
//!
//! [`server::Server`] answers five questions: `GET /` the page, `GET /state` the news, `POST /draw`, `POST /picture` and `POST
//! /text` what the net makes of a drawing, of a picture's file and of a text. No other page gets an answer ([`guard`]).
//! [`live::Live`] knows the answers.

mod clients;
pub mod guard;
pub mod live;
mod patience;
pub mod server;
mod texts;
