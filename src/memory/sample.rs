//! Random choices from a collection, as HRANDFIELD, SRANDMEMBER, ZRANDMEMBER and SPOP make them.

use std::collections::HashMap;

use super::fault::Fault;
use crate::resp::Writer;

/// Chosen indexes.
pub enum Sample {
    /// All of so many, in order.
    All(usize),
    /// So many of a range, each choice independent of the others. Not kept: there may be billions.
    Repeated {
        /// How many choices.
        count: usize,
        /// From how many.
        of: usize,
    },
    /// Different ones.
    Distinct(Vec<usize>),
}

/// Chooses from `of` members: different ones if `count` is positive, any ones if it is negative.
pub fn sample(of: usize, count: i64) -> Sample {
    if count < 0 {
        return Sample::Repeated { count: count.unsigned_abs() as usize, of };
    }
    let count = count as usize;
    if count >= of {
        return Sample::All(of);
    }
    // A shuffle's first steps; only the places that it touched are kept.
    let mut moved: HashMap<usize, usize, ahash::RandomState> = HashMap::default();
    let chosen = (0..count).map(|i| {
        let j = fastrand::usize(i..of);
        let chosen = moved.get(&j).copied().unwrap_or(j);
        let here = moved.get(&i).copied().unwrap_or(i);
        moved.insert(j, here);
        chosen
    });
    Sample::Distinct(chosen.collect())
}

/// The longest reply of random choices. Redis would write on until its memory is gone, and meanwhile
/// serve nobody; this is millions of choices, and a tenth of a second.
const MAX_REPLY: usize = 64 << 20;

/// Refuses a reply that has become too long; it began at `from`. Called after each choice.
pub fn reply_fits(w: &Writer, from: usize) -> Result<(), Fault> {
    if w.out.len() - from <= MAX_REPLY { Ok(()) } else { Err(Fault::new("ERR the reply would be too long")) }
}

impl Sample {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Sample::All(count) | Sample::Repeated { count, .. } => *count,
            Sample::Distinct(chosen) => chosen.len(),
        }
    }

    /// The indexes.
    pub fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Sample::All(count) => Box::new(0..*count),
            Sample::Repeated { count, of } => Box::new((0..*count).map(|_| fastrand::usize(0..*of))),
            Sample::Distinct(chosen) => Box::new(chosen.iter().copied()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_different_ones_evenly() {
        let mut hits = [0; 10];
        for _ in 0..3000 {
            let chosen: Vec<_> = sample(10, 3).iter().collect();
            assert!(chosen[0] != chosen[1] && chosen[1] != chosen[2] && chosen[0] != chosen[2]);
            chosen.iter().for_each(|&i| hits[i] += 1);
        }
        assert!(hits.iter().all(|&n| (700..1100).contains(&n)), "{hits:?}");
        assert_eq!(sample(3, 10).iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(sample(3, -10).iter().count(), 10);
    }
}
