//! What flows through the door after the heads: bodies and tunnels, with their bounds, and what ends them before their
//! own end.

mod body;
mod lease;
mod tunnel;

pub(crate) use body::{Body, BodyProgress, BoundedBody, Bounds, ClientBody};
pub(crate) use lease::Lease;
pub(crate) use tunnel::Tunnels;
