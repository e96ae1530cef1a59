//! Which rules are for an address: found by its prefixes instead of by looking at every range.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

/// The rules by the ranges that they are for.
#[derive(Debug, Default)]
pub(super) struct SourceIndex {
    v4: Family,
    v6: Family,
}

/// The ranges of one family of addresses. Rules stand at the positions of their policy.
#[derive(Debug, Default)]
struct Family {
    /// By length, longest first; no more of them than there are lengths.
    lengths: Vec<(u8, RulesByNetwork)>,
}

type RulesByNetwork = HashMap<u128, Vec<u32>, BuildHasherDefault<Mixer>>;

/// Addresses are hashed by a multiplication: the keys are the operator's own, and a stranger's address finds one or none.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }

    fn write_u128(&mut self, value: u128) {
        /// An odd number with bits all over (the fraction of the golden ratio).
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed")]
        let (low, high) = (value as u64, (value >> 64) as u64);
        let mixed = (low ^ high.rotate_left(32) ^ self.0).wrapping_mul(FACTOR);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl SourceIndex {
    /// Adds a range of the rule at `position`; positions must not descend.
    pub(super) fn add(&mut self, range: &IpNet, position: u32) {
        let (family, bits) = match range {
            IpNet::V4(range) => (&mut self.v4, u128::from(range.network().to_bits())),
            IpNet::V6(range) => (&mut self.v6, range.network().to_bits()),
        };
        let length = range.prefix_len();
        let index = match family.lengths.binary_search_by(|(known, _)| length.cmp(known)) {
            Ok(index) => index,
            Err(index) => {
                family.lengths.insert(index, (length, HashMap::default()));
                index
            }
        };
        if let Some((_, ranges)) = family.lengths.get_mut(index) {
            let positions = ranges.entry(bits).or_default();
            if positions.last() != Some(&position) {
                positions.push(position);
            }
        }
    }

    /// The positions of the rules that are for an address, ascending, each once.
    pub(super) fn rules_for(&self, address: IpAddr) -> Vec<u32> {
        let (family, bits, width) = match address {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (&self.v6, address.to_bits(), 128),
        };
        let mut found = Vec::new();
        let mut lists = 0;
        for (length, ranges) in &family.lengths {
            let shift = width - u32::from(*length);
            let network = bits.checked_shr(shift).and_then(|kept| kept.checked_shl(shift)).unwrap_or(0);
            if let Some(positions) = ranges.get(&network) {
                found.extend_from_slice(positions);
                lists += 1;
            }
        }
        if lists > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(rules: &[&[&str]]) -> SourceIndex {
        let mut index = SourceIndex::default();
        for (position, ranges) in (0..).zip(rules) {
            for range in *ranges {
                index.add(&range.parse().expect("a range"), position);
            }
        }
        index
    }

    #[test]
    fn every_rule_with_a_range_around_the_address_is_found() {
        let index = index(&[
            &["10.0.0.0/8", "2001:db8::/32"],
            &["10.1.2.3/32"],
            &["0.0.0.0/0"],
            &["10.1.0.0/16", "10.0.0.0/8"],
            &["::/0"],
        ]);
        let check = |address: &str, expected: &[u32]| {
            assert_eq!(index.rules_for(address.parse().expect("an address")), expected, "{address}");
        };
        check("10.1.2.3", &[0, 1, 2, 3]);
        check("10.2.0.0", &[0, 2, 3]);
        check("192.0.2.1", &[2]);
        check("2001:db8::1", &[0, 4]);
        check("::1", &[4]);
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_every_range_finds(
            ranges in prop::collection::vec((any::<u32>(), 0_u8..=32, 0_u32..8), 0..40),
            address in any::<u32>(),
            near in any::<bool>(),
        ) {
            let mut ranges: Vec<(IpNet, u32)> = ranges
                .into_iter()
                .map(|(bits, length, rule)| {
                    let net = ipnet::Ipv4Net::new(bits.into(), length).expect("a range");
                    (IpNet::V4(net.trunc()), rule)
                })
                .collect();
            ranges.sort_by_key(|(_, rule)| *rule);
            let address = match ranges.first() {
                Some((net, _)) if near => net.network(),
                _ => IpAddr::V4(address.into()),
            };
            let mut index = SourceIndex::default();
            ranges.iter().for_each(|(net, rule)| index.add(net, *rule));
            let mut expected: Vec<u32> =
                ranges.iter().filter(|(net, _)| net.contains(&address)).map(|(_, rule)| *rule).collect();
            expected.dedup();
            prop_assert_eq!(index.rules_for(address), expected);
        }
    }
}
