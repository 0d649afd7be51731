//! Timers, which the program keeps on a thread of their own.
//!
//! A runtime with timers reads the clock twice each time it has nothing to do, and sleeps with a time limit,
//! which the kernel has to set up and to take back. Under a load of unpipelined requests that is once per
//! request or two: 500 instructions and 0.25 µs of its 7. So the threads that serve clients have none, and
//! timers belong to a runtime that does nothing else; what waits for one is woken across threads, a few times
//! a second. In tests, which move time by hand, timers are the test's own.
//!
//! Everything that waits for a time is made here: in the program `tokio::time`'s own functions would panic.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::time::{Instant, Interval, Sleep, Timeout};

/// The runtime that has the timers, once `start` has been called.
static HOME: OnceLock<Handle> = OnceLock::new();

/// Starts the thread. To be called once, before anything is timed.
pub fn start() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    if HOME.set(runtime.handle().clone()).is_ok() {
        let run = move || runtime.block_on(std::future::pending::<()>());
        std::thread::Builder::new().name("nearcache-timers".into()).spawn(run)?;
    }
    Ok(())
}

/// A timer that is made while this lives belongs to the timers' runtime.
fn enter() -> Option<EnterGuard<'static>> {
    HOME.get().map(Handle::enter)
}

/// As `tokio::time::sleep`.
pub fn sleep(duration: Duration) -> Sleep {
    let _home = enter();
    tokio::time::sleep(duration)
}

/// As `tokio::time::sleep_until`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    let _home = enter();
    tokio::time::sleep_until(deadline)
}

/// As `tokio::time::timeout`.
pub fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    let _home = enter();
    tokio::time::timeout(limit, future)
}

/// As `tokio::time::timeout_at`.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let _home = enter();
    tokio::time::timeout_at(deadline, future)
}

/// As `tokio::time::interval`.
pub fn interval(period: Duration) -> Interval {
    let _home = enter();
    tokio::time::interval(period)
}
