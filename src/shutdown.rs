//! Ending in order: everybody is told to finish, and waited for, but not for ever.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Two signals and a count of the tasks that must see them. *Drain*: take nothing new, finish what is in
/// flight, then end. *Abort*: the grace is over, end now. Cloned cheaply; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    draining: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
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
        let aborting = self.aborting.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = aborting.cancelled() => {}
            }
        });
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
        let late = match tokio::time::timeout(grace, self.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => self.tasks.len(),
        };
        self.aborting.cancel();
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
