//! A power of a number modulo an RSA modulus, by instructions that multiply eight pairs of 52 bits at once (AVX-512 IFMA).

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_broadcastq_epi64,
    _mm512_castsi512_si128, _mm512_cmpeq_epu64_mask, _mm512_cmpgt_epu64_mask, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_add_epi64, _mm512_maskz_srli_epi64, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_srli_epi64,
};
use std::array::from_fn;

use fearless_simd::{Avx512, Level, SimdFrom, u64x8};

use super::montgomery::{LIMB_BITS, LIMB_MASK, LIMBS, Modulus, Number};

/// The limbs of a vector.
const LANES: usize = 8;

/// The vectors of a number.
const VECTORS: usize = LIMBS / LANES;

/// How often 65537, less one, is halved until it is one.
const SQUARINGS: usize = 16;

/// Raises numbers to the power 65537 modulo a modulus.
#[derive(Clone, Debug)]
pub(super) struct Power {
    processor: Avx512,
    modulus: Modulus,
    /// R², where R is the power of two that a [`Number`] has no room for any more: by it a number becomes a residue.
    r_squared: Number,
}

impl Power {
    /// `None` if this processor has no such instructions.
    pub(super) fn new(modulus: Modulus) -> Option<Self> {
        let processor = Level::new().as_avx512()?;
        let r_squared = r_squared(processor, &modulus);
        Some(Self { processor, modulus, r_squared })
    }

    pub(super) fn modulus(&self) -> &Number {
        &self.modulus.number
    }

    /// The power of a number that is less than the modulus.
    pub(super) fn of(&self, base: &Number) -> Number {
        power(self.processor, &self.modulus, &self.r_squared, base).reduced_once(&self.modulus.number)
    }
}

fearless_simd::kernel!(
    /// R², or that and the modulus. Each product of R·2ᵏ with itself is R·2²ᵏ, until that is R times R.
    fn r_squared(processor: Avx512, modulus: &Modulus) -> Number {
        let (number, inverse) =
            (vectors(processor, &modulus.number), _mm512_set1_epi64(modulus.negated_inverse as i64));
        let bits = LIMBS * LIMB_BITS as usize;
        let squarings = bits.trailing_zeros();
        let mut residue = modulus.r_doubled(bits >> squarings);
        for _ in 0..squarings {
            residue = product(processor, &residue, &residue, number, inverse);
        }
        residue
    }
);

fearless_simd::kernel!(
    /// The power of `base`, or that and the modulus.
    fn power(processor: Avx512, modulus: &Modulus, r_squared: &Number, base: &Number) -> Number {
        let number = vectors(processor, &modulus.number);
        let inverse = _mm512_set1_epi64(modulus.negated_inverse as i64);
        let multiply = |left: &Number, right: &Number| product(processor, left, right, number, inverse);
        let mut residue = multiply(base, r_squared);
        for _ in 0..SQUARINGS {
            residue = multiply(&residue, &residue);
        }
        // By what is no residue: the product is none any more.
        multiply(&residue, base)
    }
);

fearless_simd::kernel!(
    /// Montgomery's product, `left · right / R` modulo the modulus, limb by limb of `right`. Of factors below twice the
    /// modulus it is below twice the modulus too, for R is more than four times that.
    ///
    /// A lane takes four products of less than 2⁵² for each of forty limbs at most, and has room for 2⁶⁴. Each step waits for
    /// the lowest vector of the one before, so what it does not wait for is added up aside: the upper halves of products in
    /// `upper`, and that of the modulus and the lowest vector, with what is carried, in `lowest`.
    #[inline]
    fn product(
        processor: Avx512,
        left: &Number,
        right: &Number,
        modulus: [__m512i; VECTORS],
        inverse: __m512i,
    ) -> Number {
        let zero = _mm512_setzero_si512();
        let left = vectors(processor, left);
        let mut sum = [zero; VECTORS];
        let (mut upper, mut lowest) = ([zero; VECTORS], zero);
        let mask = _mm512_set1_epi64(LIMB_MASK as i64);
        for limb in right.0 {
            let limb = _mm512_set1_epi64(limb as i64);
            for ((sum, left), upper) in sum.iter_mut().zip(left).zip(upper) {
                *sum = _mm512_add_epi64(*sum, _mm512_madd52lo_epu64(upper, left, limb));
            }
            sum[0] = _mm512_add_epi64(sum[0], lowest);
            // With so many times the modulus the lowest limb becomes zero, and so it is known already what it carries.
            let carry = _mm512_maskz_srli_epi64::<LIMB_BITS>(1, _mm512_add_epi64(sum[0], mask));
            let times = _mm512_madd52lo_epu64(zero, sum[0], inverse);
            let times = _mm512_broadcastq_epi64(_mm512_castsi512_si128(times));
            for (sum, modulus) in sum.iter_mut().zip(modulus) {
                *sum = _mm512_madd52lo_epu64(*sum, modulus, times);
            }
            let mut above = zero;
            for sum in sum.iter_mut().rev() {
                (*sum, above) = (_mm512_alignr_epi64::<1>(above, *sum), *sum);
            }
            for (upper, left) in upper.iter_mut().zip(left) {
                *upper = _mm512_madd52hi_epu64(zero, left, limb);
            }
            lowest = _mm512_madd52hi_epu64(carry, modulus[0], times);
            for (upper, modulus) in upper.iter_mut().zip(modulus).skip(1) {
                *upper = _mm512_madd52hi_epu64(*upper, modulus, times);
            }
        }
        sum[0] = _mm512_add_epi64(sum[0], lowest);
        for (sum, upper) in sum.iter_mut().zip(upper) {
            *sum = _mm512_add_epi64(*sum, upper);
        }
        carried(processor, sum)
    }
);

fearless_simd::kernel!(
    /// The number whose limbs are these, each with what it has beyond its bits carried to the next one. A limb has less than
    /// twelve bits too many, and the number has room.
    #[inline]
    fn carried(processor: Avx512, lanes: [__m512i; VECTORS]) -> Number {
        let (mask, one) = (_mm512_set1_epi64(LIMB_MASK as i64), _mm512_set1_epi64(1));
        let mut lanes = lanes;
        // Those lanes that have one too many after the first round, and those that have one too many if they are given one. By
        // an addition of these bits each carry runs as far as it has to, as it does in an addition of digits.
        let (mut too_many, mut full) = (0, 0);
        let mut below = _mm512_setzero_si512();
        for (index, lanes) in lanes.iter_mut().enumerate() {
            let carries = _mm512_srli_epi64::<LIMB_BITS>(*lanes);
            let from_below = _mm512_alignr_epi64::<{ LANES as i32 - 1 }>(carries, below);
            below = carries;
            *lanes = _mm512_add_epi64(_mm512_and_si512(*lanes, mask), from_below);
            too_many |= u64::from(_mm512_cmpgt_epu64_mask(*lanes, mask)) << (LANES * index);
            full |= u64::from(_mm512_cmpeq_epu64_mask(*lanes, mask)) << (LANES * index);
        }
        if too_many == 0 {
            return number(processor, lanes);
        }
        let given = (full + (too_many << 1)) ^ full;
        for (index, lanes) in lanes.iter_mut().enumerate() {
            let given = (given >> (LANES * index)) as u8;
            *lanes = _mm512_and_si512(_mm512_mask_add_epi64(*lanes, given, *lanes, one), mask);
        }
        number(processor, lanes)
    }
);

/// A number's limbs, eight to a vector.
#[inline(always)]
fn vectors(processor: Avx512, number: &Number) -> [__m512i; VECTORS] {
    let lanes = number.0.as_chunks::<LANES>().0;
    from_fn(|index| u64x8::simd_from(processor, lanes[index]).into())
}

#[inline(always)]
fn number(processor: Avx512, vectors: [__m512i; VECTORS]) -> Number {
    let mut number = Number([0; LIMBS]);
    for (lanes, vector) in number.0.as_chunks_mut::<LANES>().0.iter_mut().zip(vectors) {
        *lanes = u64x8::simd_from(processor, vector).into();
    }
    number
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::super::montgomery::NUMBER_BYTES;
    use super::*;

    fn big(number: &Number) -> BigUint {
        number.0.iter().rev().fold(BigUint::default(), |number, limb| (number << LIMB_BITS) + limb)
    }

    /// The number that has these bits, as long as it has no more than a modulus has.
    fn of(number: &BigUint) -> Number {
        let mut bytes = [0; NUMBER_BYTES];
        let digits = number.to_bytes_be();
        bytes[NUMBER_BYTES - digits.len()..].copy_from_slice(&digits);
        Number::of(&bytes)
    }

    /// What the processor has, or a word that it has none of it.
    fn processor() -> Option<Avx512> {
        let processor = Level::new().as_avx512();
        if processor.is_none() {
            eprintln!("not tested: this processor has no AVX-512 IFMA, and the library verifies everything");
        }
        processor
    }

    /// Numbers in which carries run far: of few bits, or with few that are not set.
    fn number_bits() -> impl Strategy<Value = BigUint> {
        let one = || BigUint::from(1_u8);
        let bit = 0_u32..2048;
        prop_oneof![
            prop::collection::vec(any::<u8>(), NUMBER_BYTES).prop_map(|bytes| BigUint::from_bytes_be(&bytes)),
            (bit.clone(), bit.clone())
                .prop_map(move |(high, low)| (one() << high.max(low)) - (one() << high.min(low))),
            (bit, any::<u64>()).prop_map(move |(bit, less)| (one() << 2048_u32)
                - (one() << bit)
                - less % (1 << 20) * u64::from(bit > 20)),
        ]
    }

    /// A modulus of 2048 bits out of any number.
    fn odd_of_all_bits(number: BigUint) -> BigUint {
        number | (BigUint::from(1_u8) << 2047_u32) | BigUint::from(1_u8)
    }

    fn check_power(modulus: &BigUint, base: &BigUint) -> Result<(), TestCaseError> {
        let base = base % modulus;
        let Some(power) = Modulus::new(&modulus.to_bytes_be()).and_then(Power::new) else { return Ok(()) };
        prop_assert_eq!(big(&power.of(&of(&base))), base.modpow(&BigUint::from(65_537_u32), modulus));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_power_is_what_it_is(modulus in number_bits(), base in number_bits()) {
            check_power(&odd_of_all_bits(modulus), &base)?;
        }

        /// Limbs that are full, and lanes with as many bits too many as there can be.
        #[test]
        fn carries_run_as_far_as_they_have_to(
            limbs in prop::collection::vec(prop_oneof![Just(LIMB_MASK), 0..=LIMB_MASK], LIMBS - 1),
            beyond in prop::collection::vec(prop_oneof![Just(0), Just(1), 0_u64..1 << 10], LIMBS - 1),
        ) {
            let Some(processor) = processor() else { return Ok(()) };
            let mut lanes = Number([0; LIMBS]);
            for ((lane, limb), beyond) in lanes.0.iter_mut().zip(&limbs).zip(&beyond) {
                *lane = limb + (beyond << LIMB_BITS);
            }
            let carried = carried(processor, vectors(processor, &lanes));
            prop_assert!(carried.0.iter().all(|limb| *limb <= LIMB_MASK));
            prop_assert_eq!(big(&carried), big(&lanes));
        }
    }

    #[test]
    fn the_ends_of_what_there_is_have_their_powers() {
        let _ = processor();
        let one = || BigUint::from(1_u8);
        let greatest = (one() << 2048_u32) - one();
        let least = (one() << 2047_u32) + one();
        for modulus in [greatest, least] {
            for base in [BigUint::default(), one(), one() + one(), &modulus - one(), &modulus >> 1_u32] {
                check_power(&modulus, &base).expect("the power");
            }
        }
        // Of a factor of a square the power is nothing, and what is computed is the modulus.
        let factor = (one() << 1024_u32) - one();
        check_power(&(&factor * &factor), &factor).expect("the power");
    }
}
