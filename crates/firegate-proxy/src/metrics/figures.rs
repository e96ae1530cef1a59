//! What is read from its owners when somebody asks, and never counted twice.

use crate::control::figures::ControlFigures;
use crate::listen::EntranceFigures;
use crate::reload::ConfigurationFigures;
use crate::stream::CutFigures;
use crate::upstream::{BackendFigures, EndpointFigures};

/// The owners' figures of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// The process as a whole.
    pub(crate) process: ProcessFigures,
    /// The control runtime's parts.
    pub(crate) control: ControlFigures,
    /// One for each endpoint of a backend.
    pub(crate) endpoints: Vec<EndpointFigures>,
    /// One for each backend.
    pub(crate) backends: Vec<BackendFigures>,
}

impl Figures {
    /// Whether requests may come.
    pub(super) fn is_ready(&self) -> bool {
        !self.process.entrance.is_stopping && self.control.is_ready
    }
}

/// The process as a whole.
#[derive(Clone, Debug)]
pub(crate) struct ProcessFigures {
    /// What became of the configurations that were read.
    pub(crate) configuration: ConfigurationFigures,
    /// Who came in.
    pub(crate) entrance: EntranceFigures,
    /// How many panics were caught.
    pub(crate) panics: u64,
    /// How many requests are under way.
    pub(crate) requests_in_flight: usize,
    /// How many connections were cut.
    pub(crate) cut_connections: CutFigures,
    /// How many lines of the log were dropped.
    pub(crate) log_lines_dropped: u64,
    /// How many requests were not mirrored for want of a place.
    pub(crate) mirrors_dropped: u64,
}
