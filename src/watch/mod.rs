//! The live page: a run's report served on the loopback interface while the run trains (feature `watch`).
//!
//! [`server::Server`] answers four questions: `GET /` the page, `GET /state` the news, `POST /draw` and `POST /picture` what the
//! net makes of a drawing and of a picture's file. Whoever is not this page gets no answer ([`guard`]). [`live::Live`] knows the answers.

pub mod guard;
pub mod live;
pub mod server;
