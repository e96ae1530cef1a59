//! How much each client has at once of what there is for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use firegate_core::forwarded::network;

/// What each client has. An entry is there only while it has anything.
#[derive(Debug)]
pub(crate) struct ClientPlaces {
    per_client_max: usize,
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

/// A place of a client's, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ClientPlace<'a> {
    places: &'a ClientPlaces,
    client: IpAddr,
}

impl ClientPlaces {
    pub(crate) fn new(per_client_max: usize) -> Self {
        Self { per_client_max, by_client: Mutex::default() }
    }

    /// A place for this client; `None` if it has as many as it may have.
    pub(crate) fn take(&self, address: IpAddr) -> Option<ClientPlace<'_>> {
        self.enter(address).map(|client| ClientPlace { places: self, client })
    }

    /// The same for whoever [leaves](Self::leave) it: under the name that is returned.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<IpAddr> {
        let client = network(address);
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.entry(client).or_default();
        // A client that is over its number has an entry already, so none is left behind.
        let has_place = *count < self.per_client_max;
        *count += usize::from(has_place);
        has_place.then_some(client)
    }

    pub(crate) fn leave(&self, client: IpAddr) {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = by_client.entry(client) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
impl ClientPlaces {
    /// Whether nothing is kept of anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Drop for ClientPlace<'_> {
    fn drop(&mut self) {
        self.places.leave(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_and_nothing_is_kept_of_who_had_it() {
        let places = ClientPlaces::new(2);
        let take = |address: &str| places.take(address.parse().expect("an address"));
        let (first, second) = (take("2001:db8:0:1::1"), take("2001:db8:0:1::2"));
        assert!(first.is_some() && second.is_some());
        assert!(take("2001:db8:0:1:ffff::").is_none() && take("2001:db8:0:2::1").is_some());
        drop(first);
        assert!(take("2001:db8:0:1::3").is_some());
        drop(second);
        assert!(places.is_empty());
    }
}
