//! What flows through the door after the heads: bodies and tunnels, with their bounds, and what ends them before their
//! own end.
//!
//! [`body`] puts the bounds around a body of either side, [`tunnel`] joins the two of a WebSocket. What bounds them is the
//! [`lease`] of their user, the [`pace`] of a client, and for streams that nobody reads the list of what is [`overdue`]; how
//! each is ended before its end is [`ending`]'s.

mod body;
mod boundary;
mod client_body;
mod contained_body;
mod copied_body;
mod ending;
mod grpc;
mod lease;
mod overdue;
mod pace;
mod progress;
mod received_body;
mod rewound;
mod tunnel;
mod web_socket;

pub(crate) use body::{Body, BodyError, BoundedBody, Bounds, Streamed, full};
pub(crate) use client_body::{ClientBody, SentBody};
pub(crate) use contained_body::ContainedBody;
pub(crate) use copied_body::copied;
pub(crate) use ending::Ending;
pub(crate) use lease::Lease;
pub(crate) use overdue::{
    ClientConnection, ConnectionEnd, ConnectionStreams, CutConnections, CutFigures, CutNotice, OpenStream,
    OpenStreams, RequestOnConnection, SignsOfUse,
};
pub(crate) use pace::Pace;
pub(crate) use progress::{BodyFailure, BodyProgress, Side};
pub(crate) use received_body::ReceivedBody;
pub(crate) use rewound::Rewound;
pub(crate) use tunnel::{ClientUpgrade, SwitchedStream, TunnelClient, Tunnels};
