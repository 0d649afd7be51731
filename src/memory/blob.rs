//! Bytes that are stored: short ones in place, long ones in an exact allocation.
//!
//! Most keys, fields and members are short. Keeping up to 22 bytes inside the 24 that a pointer, a
//! length and a tag need anyway saves the allocation (16 to 32 bytes) and the cache miss to reach it.

use std::fmt;

const INLINE: usize = 22;

/// Immutable stored bytes, 24 bytes in size.
#[derive(Clone)]
pub enum Blob {
    /// Length and bytes of a short one.
    Inline(u8, [u8; INLINE]),
    /// A long one.
    Heap(Box<[u8]>),
}

impl Blob {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Blob {
        if !Blob::fits_inline(bytes) {
            return Blob::Heap(bytes.into());
        }
        let mut inline = [0; INLINE];
        inline[..bytes.len()].copy_from_slice(bytes);
        Blob::Inline(bytes.len() as u8, inline)
    }

    /// Whether a blob of these bytes allocates nothing.
    pub fn fits_inline(bytes: &[u8]) -> bool {
        bytes.len() <= INLINE
    }

    /// Puts other bytes in the place of these: in the same allocation if they are as many.
    pub fn replace(&mut self, bytes: &[u8]) {
        match self {
            Blob::Heap(old) if old.len() == bytes.len() => old.copy_from_slice(bytes),
            _ => *self = Blob::new(bytes),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Blob::Inline(len, bytes) => &bytes[..*len as usize],
            Blob::Heap(bytes) => bytes,
        }
    }

    /// Bytes allocated outside of the blob itself.
    pub fn heap(&self) -> usize {
        match self {
            Blob::Inline(..) => 0,
            Blob::Heap(bytes) => allocated(bytes.len()),
        }
    }
}

impl std::ops::Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Blob {}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// What the allocator (jemalloc) really takes for `n` bytes: its size classes are multiples of 16 up
/// to 128, then four per power of two.
pub fn allocated(n: usize) -> usize {
    match n {
        0 => 0,
        1..=8 => 8,
        9..=128 => n.div_ceil(16) * 16,
        _ => {
            let step = 1 << ((n - 1).ilog2() - 2);
            n.div_ceil(step) * step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_bytes_of_any_length() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 1000] {
            let bytes = vec![7; len];
            assert_eq!(Blob::new(&bytes).as_bytes(), &bytes[..]);
        }
        assert_eq!(size_of::<Blob>(), 24);
    }

    #[test]
    fn allocation_sizes_are_jemallocs() {
        for (asked, given) in
            [(0, 0), (1, 8), (9, 16), (17, 32), (100, 112), (128, 128), (129, 160), (257, 320), (4097, 5120)]
        {
            assert_eq!(allocated(asked), given, "{asked}");
        }
    }
}
