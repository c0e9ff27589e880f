//! The live page: a run's report served on the loopback interface while the run trains (feature `watch`).
//!
//! [`server::Server`] answers three questions: `GET /` the page, `GET /state` the news, `POST /draw` what the net makes of
//! a drawing. Whoever is not this page gets no answer ([`guard`]). [`live::Live`] knows the answers.

pub mod guard;
pub mod live;
pub mod server;
