//! HTTP/1 towards a service. A [connection](connection) belongs to whoever uses it: to nobody while it is idle, then to a
//! [request](exchange), and then to the [body](body) of its answer, with whose end it is free again. It has no task, no lock
//! and no channel, and whoever lets go of it before has closed it. Only a service that answers before it has the whole request
//! has the two bodies driven by a [task](conversation), because nobody knows which of them ends first. What is the same towards
//! clients is in [`crate::http1`].

mod answer_head;
mod body;
mod connection;
mod conversation;
mod error;
mod exchange;
mod outgoing;

pub(super) use body::Http1Body;
pub(super) use connection::Http1Connection;
pub(crate) use connection::SwitchedConnection;
pub(super) use conversation::ConversationBody;
pub(crate) use error::Http1Error;
pub(super) use exchange::Http1Answer;
pub(super) use outgoing::RequestTarget;

#[cfg(test)]
mod tests;
