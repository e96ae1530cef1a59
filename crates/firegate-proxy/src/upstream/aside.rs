//! Which addresses of a host are put aside, because no connection to them could be made lately: every new connection would
//! find that out anew, and wait for it.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::UPSTREAM_ADDRESS_ASIDE_TIME;

/// The addresses, and when they were put aside.
#[derive(Debug, Default)]
pub(super) struct Aside(Mutex<Vec<(SocketAddr, Instant)>>);

impl Aside {
    /// Puts an address aside.
    pub(super) fn put(&self, address: SocketAddr) {
        let mut aside = self.current();
        aside.retain(|(other, _)| *other != address);
        aside.push((address, Instant::now()));
    }

    /// Takes an address back that does.
    pub(super) fn take_back(&self, address: SocketAddr) {
        self.current().retain(|(other, _)| *other != address);
    }

    /// The same addresses in the same order, but those that are aside behind the others: they are tried all the same.
    pub(super) fn last(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let aside = self.current();
        let is_aside = |address: &SocketAddr| aside.iter().any(|(other, _)| other == address);
        let (aside, mut order): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_aside);
        order.extend(aside);
        order
    }

    /// Those whose time is not over.
    fn current(&self) -> MutexGuard<'_, Vec<(SocketAddr, Instant)>> {
        let mut aside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        aside.retain(|(_, since)| since.elapsed() < UPSTREAM_ADDRESS_ASIDE_TIME);
        aside
    }
}
