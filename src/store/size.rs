//! What an allocation really costs: jemalloc's size classes, so that byte bounds hold in memory.

/// The bytes that jemalloc reserves for a request of `len` bytes on a 64-bit machine.
///
/// Classes: 8, then multiples of 16 up to 128, then four per doubling. Zero-sized requests allocate
/// nothing.
pub const fn size_class(len: usize) -> usize {
    match len {
        0 => 0,
        1..=8 => 8,
        9..=128 => (len + 15) & !15,
        _ => {
            // Four classes between 2^k and 2^(k+1): the spacing is a quarter of the power below `len`.
            let power = (len - 1).ilog2();
            let spacing = 1usize << (power - 2);
            len.saturating_add(spacing - 1) & !(spacing - 1)
        }
    }
}

/// Bytes of a hashbrown table that has held up to `len` items of `item` bytes (it never shrinks).
pub const fn table_bytes(len: usize, item: usize) -> usize {
    if len == 0 {
        return 0;
    }
    let buckets = table_buckets(len);
    // Control bytes: one per bucket and a trailing group of 16.
    size_class(buckets * item + buckets + 16)
}

/// How many buckets hashbrown has for `len` items: a power of two at most 7/8 full.
pub const fn table_buckets(len: usize) -> usize {
    match len {
        0 => 0,
        1..=3 => 4,
        4..=7 => 8,
        _ => (len * 8 / 7).next_power_of_two(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_jemallocs() {
        let pairs = [
            (0, 0),
            (1, 8),
            (9, 16),
            (17, 32),
            (48, 48),
            (87, 96),
            (128, 128),
            (129, 160),
            (161, 192),
            (256, 256),
            (257, 320),
            (1025, 1280),
            (4097, 5120),
            (16385, 20480),
            (139_280, 163_840),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, (1 << 20) + (1 << 18)),
        ];
        for (len, want) in pairs {
            assert_eq!(size_class(len), want, "size_class({len})");
        }
    }

    #[test]
    fn buckets_follow_the_real_table() {
        let mut table = hashbrown::HashTable::<u64>::new();
        for n in 1..5000usize {
            table.insert_unique(n as u64, n as u64, |v| *v);
            let full = table.capacity();
            let want = if table_buckets(n) < 8 { table_buckets(n) - 1 } else { table_buckets(n) / 8 * 7 };
            assert_eq!(full, want, "at {n}");
        }
    }
}
