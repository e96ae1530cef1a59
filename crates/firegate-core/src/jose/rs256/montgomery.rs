//! Numbers of an RSA key of 2048 bits in limbs of 52, and what multiplication after Montgomery needs to know of a modulus
//! (P. L. Montgomery, "Modular Multiplication Without Trial Division", 1985).

/// The length of a modulus, and so of a signature.
pub(super) const NUMBER_BYTES: usize = 256;

/// The bits of a limb: what the processor multiplies at once.
pub(super) const LIMB_BITS: u32 = 52;

/// The bits of a limb that are all set.
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// Two limbs are thirteen bytes.
const PAIR_BYTES: usize = 13;

/// The limbs of a number. They have room for 2080 bits: a sum of two residues needs no look at its size.
pub(super) const LIMBS: usize = (8 * NUMBER_BYTES).div_ceil(2 * LIMB_BITS as usize) * 2;

/// A number, the least significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Number(pub(super) [u64; LIMBS]);

impl Number {
    const ZERO: Self = Self([0; LIMBS]);

    /// The number of these bytes, the most significant first.
    pub(super) fn of(bytes: &[u8; NUMBER_BYTES]) -> Self {
        let mut little_endian = [0; LIMBS / 2 * PAIR_BYTES];
        little_endian.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        let mut number = Self::ZERO;
        let pairs = number.0.as_chunks_mut::<2>().0.iter_mut();
        for (pair, bytes) in pairs.zip(little_endian.as_chunks::<PAIR_BYTES>().0) {
            let mut wide = [0; 16];
            wide[..PAIR_BYTES].copy_from_slice(bytes);
            let wide = u128::from_le_bytes(wide);
            *pair = [wide as u64 & LIMB_MASK, (wide >> LIMB_BITS) as u64 & LIMB_MASK];
        }
        number
    }

    /// Whether it is less than `other`.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.0.iter().rev().lt(other.0.iter().rev())
    }

    /// What is left of it when `modulus` is taken away as often as once.
    pub(super) fn reduced_once(self, modulus: &Self) -> Self {
        if self.is_below(modulus) {
            return self;
        }
        let mut rest = Self::ZERO;
        let mut borrow = 0;
        for ((rest, limb), less) in rest.0.iter_mut().zip(self.0).zip(modulus.0) {
            let difference = limb.wrapping_sub(less).wrapping_sub(borrow);
            (*rest, borrow) = (difference & LIMB_MASK, difference >> 63);
        }
        rest
    }

    fn doubled(mut self) -> Self {
        let mut carry = 0;
        for limb in &mut self.0 {
            let double = *limb << 1 | carry;
            (*limb, carry) = (double & LIMB_MASK, double >> LIMB_BITS);
        }
        self
    }
}

/// A modulus, and what is computed of it.
#[derive(Clone, Debug)]
pub(super) struct Modulus {
    pub(super) number: Number,
    /// What the lowest limb is multiplied with to become -1, as far as a limb goes.
    pub(super) negated_inverse: u64,
}

impl Modulus {
    /// An odd modulus of 2048 bits exactly, in big-endian bytes; `None` if it has another length.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = <&[u8; NUMBER_BYTES]>::try_from(bytes).ok().filter(|bytes| bytes[0] >= 0x80)?;
        let number = Number::of(bytes);
        Some(Self { number, negated_inverse: inverse(number.0[0]).wrapping_neg() & LIMB_MASK })
    }

    /// What is left of R, the power of two that a [`Number`] has no room for any more, when it is doubled so many times.
    pub(super) fn r_doubled(&self, doublings: usize) -> Number {
        // The greatest power of two that is less than every modulus.
        let bits = NUMBER_BYTES * 8 - 1;
        let mut power = Number::ZERO;
        power.0[bits / LIMB_BITS as usize] = 1 << (bits % LIMB_BITS as usize);
        let all = LIMBS * LIMB_BITS as usize + doublings;
        (bits..all).fold(power, |power, _| power.doubled().reduced_once(&self.number))
    }
}

/// The inverse of an odd number modulo 2⁶⁴, after Newton: each step doubles the bits that are right, of which there are three.
fn inverse(odd: u64) -> u64 {
    (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
}
