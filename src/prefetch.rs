//! Asks the processor to bring memory into its caches. The only unsafe code of this crate.
//!
//! It pays where many lookups are known before they are made, as in a pipeline: their cache misses are waited
//! for together and not one after the other (figures in docs/performance.md, "Hits in pipelines").
#![allow(
    unsafe_code,
    reason = "the instruction has no safe form; a test watches that this is the only place"
)]

/// Begins to bring the cache line at `address`. That is a hint: nothing is read, and an address at which there
/// is nothing, or nothing any more, has no effect.
#[inline(always)]
pub fn prefetch(address: usize) {
    let at = std::ptr::without_provenance::<i8>(address);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: PREFETCHT0 accesses no memory that the program could notice and faults at no address; it is in
        // every x86-64. (That it is an unsafe function at all is because it takes a pointer.)
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: PRFM is a hint as well: it faults at no address and changes neither registers, flags nor memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    // Elsewhere nothing is hinted.
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_will_do() {
        let here = Box::new([7_u8; 256]);
        let address = here.as_ptr().addr();
        for address in [0, 1, address, address + 255, address + 4096, usize::MAX] {
            prefetch(address);
        }
        assert_eq!(*here, [7; 256]);
        drop(here);
        prefetch(address);
    }
}
