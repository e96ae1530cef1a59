//! What can be counted and measured, behind one module: [`Decisions`] is added to on a request's way, [`Figures`] are
//! read from their owners when somebody asks, and [`Exposition`] writes both in the formats of Prometheus.
//!
//! No label ever holds a client's bytes: outcomes, codes and issuers are closed sets of the code, backends and routes are the
//! configuration's.

mod accept;
mod decisions;
mod descriptions;
mod exposition;
mod figures;
mod histogram;
mod routes;
mod rule_matches;
mod traffic;

pub(crate) use accept::Format;
pub(crate) use decisions::{Decisions, Ending, Route};
pub(crate) use exposition::{Exposition, Source};
pub(crate) use figures::{Figures, ProcessFigures};
