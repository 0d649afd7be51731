//! Ending in order: everybody is told to finish, and waited for, but not for ever.

use crate::timers;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::{AbortHandle, Id, try_id};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// A signal and a list of the tasks that must see it: take nothing new, finish what is in flight, then
/// end. Those that are left when the grace is over are dropped. Cloned cheaply; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    draining: CancellationToken,
    tasks: TaskTracker,
    running: Running,
}

/// How to drop each task from outside. Were each to watch a signal instead, every poll of every task would
/// take that signal's one lock.
#[derive(Clone, Debug, Default)]
struct Running(Arc<Mutex<HashMap<Id, AbortHandle>>>);

/// Takes its task off the list, however the task ends.
struct Listed(Running);

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(id) = try_id() {
            self.0.0.lock().remove(&id);
        }
    }
}

impl Drain {
    /// Nothing is running and nobody has been told to end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that [`Drain::finish`] waits for. It must watch [`Drain::started`]; it is dropped
    /// where it stands when the grace is over.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = self.running.clone();
        // Held until the task is on the list: one that ends at once is taken off after that.
        let mut list = self.running.0.lock();
        let handle = self.tasks.spawn(async move {
            // Not before the task runs: a runtime that is going down drops it right here, under the lock.
            let _listed = Listed(running);
            task.await;
        });
        list.insert(handle.id(), handle.abort_handle());
    }

    /// Waits until draining starts.
    pub fn started(&self) -> WaitForCancellationFuture<'_> {
        self.draining.cancelled()
    }

    /// Whether draining has started.
    pub fn has_started(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Tells everybody to end, without waiting.
    pub fn start(&self) {
        self.draining.cancel();
    }

    /// Tells everybody to end and waits, at most `grace`; then drops the tasks that are left. Returns how
    /// many those were.
    pub async fn finish(&self, grace: Duration) -> usize {
        self.start();
        self.tasks.close();
        let late = match timers::timeout(grace, self.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => self.tasks.len(),
        };
        let left: Vec<AbortHandle> = self.running.0.lock().values().cloned().collect();
        left.iter().for_each(AbortHandle::abort);
        self.tasks.wait().await;
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_that_finish_are_waited_for() {
        let drain = Drain::new();
        let (sender, finished) = tokio::sync::oneshot::channel();
        let watched = drain.clone();
        drain.spawn(async move {
            watched.started().await;
            tokio::time::sleep(Duration::from_secs(9)).await;
            let _ = sender.send(());
        });
        assert!(!drain.has_started());
        assert_eq!(drain.finish(Duration::from_secs(10)).await, 0);
        assert_eq!(finished.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_do_not_are_dropped_and_counted() {
        let drain = Drain::new();
        let (sender, finished) = tokio::sync::oneshot::channel::<()>();
        drain.spawn(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        assert_eq!(drain.finish(Duration::from_secs(10)).await, 1);
        assert!(finished.await.is_err());
    }
}
