//! IP addresses and their ranges.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Reads an address; an IPv4 address in IPv6's clothes is the IPv4 address.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Reads a range in CIDR's form; bits behind the prefix do not count.
pub(crate) fn range(text: &[u8]) -> Option<IpNet> {
    let range: IpNet = str::from_utf8(text).ok()?.parse().ok()?;
    let mapped = match range {
        IpNet::V6(range) if range.prefix_len() >= 96 => range.addr().to_ipv4_mapped().and_then(|address| {
            Some(IpNet::V4(Ipv4Net::new(address, range.prefix_len().checked_sub(96)?).ok()?))
        }),
        _ => None,
    };
    Some(mapped.unwrap_or(range).trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_addresses_of_their_own_family() {
        let check = |ip: &str, net: &str, expected: Option<bool>| {
            let found = address(ip.as_bytes()).zip(range(net.as_bytes())).map(|(ip, net)| net.contains(&ip));
            assert_eq!(found, expected, "{ip} in {net}");
        };
        check("192.168.0.1", "192.168.0.0/16", Some(true));
        check("192.167.1.1", "192.168.0.0/16", Some(false));
        check("192.168.0.1", "192.168.77.0/16", Some(true));
        check("::ffff:192.168.0.1", "192.168.0.0/16", Some(true));
        check("192.168.0.1", "::ffff:192.168.0.0/112", Some(true));
        check("192.168.0.1", "::/0", Some(false));
        check("2001:db8::1", "2001:db8::/32", Some(true));
        check("2001:db8::1", "0.0.0.0/0", Some(false));
        check("192.168.0.1", "192.168.0.1", None);
        check("192.168.0.1", "192.168.0.0/33", None);
        check("192.168.0.01", "192.168.0.0/16", None);
        check("fe80::1%eth0", "fe80::/10", None);
        check("", "0.0.0.0/0", None);
        check("192.168.0.1 ", "0.0.0.0/0", None);
    }
}
