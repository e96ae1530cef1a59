use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// An address as it is written, without any memory but its place. Almost all are of IPv4, and the machinery that formats
/// anything would cost more than the rest of these headers.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    octets: [u8; Self::LENGTH_MAX],
    length: usize,
}

impl AddressText {
    /// As the last one of IPv6 that ends with one of IPv4 is written.
    const LENGTH_MAX: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

    /// Writes an address.
    pub fn of(address: IpAddr) -> Self {
        let mut text = Self { octets: [0; Self::LENGTH_MAX], length: 0 };
        match address {
            IpAddr::V4(address) => text.put_ipv4(address),
            IpAddr::V6(address) => {
                let mut room = text.octets.as_mut_slice();
                // No address is longer than there is room.
                let _ = write!(room, "{address}");
                text.length = Self::LENGTH_MAX - room.len();
            }
        }
        text
    }

    fn put_ipv4(&mut self, address: Ipv4Addr) {
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                self.put(b'.');
            }
            if octet >= 100 {
                self.put(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.put(b'0' + octet / 10 % 10);
            }
            self.put(b'0' + octet % 10);
        }
    }

    fn put(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.octets.get(..self.length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_always_is() {
        for octet in u8::MIN..=u8::MAX {
            for address in [[octet, 0, 10, 255].into(), IpAddr::from([9, 99, octet, octet])] {
                assert_eq!(AddressText::of(address).as_str(), address.to_string());
            }
        }
        for address in
            ["2001:db8::1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:255.255.255.255"]
        {
            assert_eq!(AddressText::of(address.parse().expect("an address")).as_str(), address);
        }
    }
}
