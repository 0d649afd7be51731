//! Monotonic time as one number, so that deadlines can be compared, stored and injected.

use std::time::{Duration, Instant};

/// Nanoseconds since the clock was made: 584 years fit.
pub type Nanos = u64;

/// The process's monotonic clock; a copy reads the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    pub fn start() -> Self {
        Clock { base: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> Nanos {
        self.base.elapsed().as_nanos() as u64
    }

    /// The instant behind a reading, for timers.
    pub fn instant(&self, at: Nanos) -> Instant {
        self.base + Duration::from_nanos(at)
    }
}
