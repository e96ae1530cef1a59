//! Moduli whose private keys can be computed: CVE-2017-15361, "ROCA". The library of one maker of chips chose its primes
//! as powers of 65537 modulo a product of small primes, and that shows in the public modulus.

/// The small primes whose traces are looked for. A good modulus shows all of them with a probability of about 2⁻²⁸: of
/// M. Nemec et al., "The Return of Coppersmith's Attack", ACM CCS 2017, section 2.
const SMALL_PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// The base of the powers.
const GENERATOR: u32 = 65537;

/// Whether a modulus, in big-endian bytes, bears the fingerprint.
pub(super) fn is_roca_modulus(modulus: &[u8]) -> bool {
    SMALL_PRIMES.iter().all(|prime| {
        let residue = modulus.iter().fold(0, |residue, byte| (residue * 256 + u32::from(*byte)) % prime);
        powers_of_the_generator(*prime).any(|power| power == residue)
    })
}

/// `65537^0, 65537^1, …` modulo `prime`, until they repeat.
fn powers_of_the_generator(prime: u32) -> impl Iterator<Item = u32> {
    let next = move |power: &u32| Some(power * (GENERATOR % prime) % prime).filter(|power| *power != 1);
    std::iter::successors(Some(1), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_go_round_once() {
        assert_eq!(powers_of_the_generator(11).collect::<Vec<_>>(), [1, 10]);
        assert_eq!(powers_of_the_generator(13).collect::<Vec<_>>(), [1, 4, 3, 12, 9, 10]);
        assert_eq!(powers_of_the_generator(17).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 15, 13, 9]);
    }

    #[test]
    fn a_power_of_the_generator_is_recognised_and_its_neighbour_is_not() {
        // 65537² is such a power modulo every prime; adding one takes it out of the powers modulo 11.
        assert!(is_roca_modulus(&4_295_098_369_u64.to_be_bytes()));
        assert!(!is_roca_modulus(&4_295_098_370_u64.to_be_bytes()));
    }
}
