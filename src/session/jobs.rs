//! What takes time: requests on a connection of the client's own, WATCH, EXEC.
//! Everything owed to the client has been answered when a job begins.

use std::time::Duration;

use bytes::Bytes;

use super::dispatch::Job;
use super::pinned::Broken;
use super::transaction::{Block, Transaction};
use super::{End, Session};
use crate::command;
use crate::resp::{Proto, Shape};
use crate::stats::{Served, UNLISTED};
use crate::upstream::{Cause, Loss, Pinned, PoolError};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const DISCARD: &[u8] = b"*1\r\n$7\r\nDISCARD\r\n";

impl Session {
    /// Does what the session could not do without waiting.
    pub(super) async fn run_job(&mut self, job: Job) -> Result<(), End> {
        let result = self.do_job(job).await;
        self.core.end_tracked_job();
        result
    }

    async fn do_job(&mut self, job: Job) -> Result<(), End> {
        match job {
            Job::Pinned { cause, raw, command } => self.on_own_connection(cause, &raw, command).await,
            Job::Watch { raw, unwatch } => self.watch(&raw, unwatch).await,
            Job::Exec(transaction) => self.exec_pinned(*transaction).await,
            Job::Probe(raw) => self.probe(&raw).await,
            Job::Subscribe(topics) => self.subscribe(topics).await,
            Job::Unsubscribe(family, topics) => self.unsubscribe(family, topics).await,
            Job::Broadcast(options, command) => self.track_by_prefix(*options, command).await,
            Job::Blocked(blocked, command) => self.wait_blocked(*blocked, command).await,
        }
    }

    pub(super) async fn acquire(&mut self, cause: Cause) -> Result<Pinned, PoolError> {
        let Some(upstream) = &self.core.shared.upstream else {
            return Err(PoolError::Select("ERR nearcache: no upstream is configured".into()));
        };
        // The client may change its protocol between WATCH and EXEC; what EXEC answers in RESP3 can be
        // rendered as either.
        let rendered =
            matches!(cause, Cause::Watch | Cause::Transaction) && upstream.node.welcome.load().resp3;
        let proto = if rendered { Proto::Resp3 } else { self.core.proto };
        upstream.pool.acquire(proto, self.core.db, cause).await
    }

    /// One request, one reply.
    async fn on_own_connection(&mut self, cause: Cause, raw: &[u8], command: u16) -> Result<(), End> {
        let mut pinned = match self.acquire(cause).await {
            Ok(pinned) => pinned,
            Err(error) => return self.refuse_job(command, &error),
        };
        let blocks = cause == Cause::Blocking;
        if blocks {
            self.set_blocked(Some(pinned.id));
        }
        let result = self.exchange(&mut pinned, raw).await;
        if blocks {
            self.set_blocked(None);
        }
        match result {
            Ok(failed) => {
                self.count_pinned(command, failed);
                pinned.release();
                self.judge_size();
                Ok(())
            }
            Err(broken) => self.broken(pinned, broken, command),
        }
    }

    /// A read that went by a connection of its own because its reply was large once: was it again?
    fn judge_size(&mut self) {
        let key = std::mem::take(&mut self.core.key);
        if key != 0
            && self.core.relayed <= self.core.bulk_threshold()
            && let Some(upstream) = self.core.upstream()
        {
            upstream.large.forget(key);
        }
    }

    async fn exchange(&mut self, pinned: &mut Pinned, raw: &[u8]) -> Result<bool, Broken> {
        if pinned.cause == Cause::Wait {
            // WAIT asks about the last command of its own connection: one that has done nothing would
            // be answered at once.
            self.send_pinned(pinned, &[PING, raw].concat()).await?;
            self.skip_reply(pinned).await?;
        } else {
            self.send_pinned(pinned, raw).await?;
        }
        self.relay(pinned, self.reply_timeout(pinned.cause)).await
    }

    /// How long the upstream may be silent; what waits by design may wait for ever.
    pub(super) fn reply_timeout(&self, cause: Cause) -> Option<Duration> {
        match cause {
            Cause::Blocking | Cause::Wait | Cause::Unknown => None,
            _ => self.core.settings.upstream.as_ref().map(|upstream| upstream.reply_timeout),
        }
    }

    fn set_blocked(&self, on: Option<i64>) {
        let client = &self.core.client;
        client.flags.lock().blocked = on.is_some();
        let gauge = &self.core.shared.stats.clients.blocked_clients;
        if on.is_some() {
            gauge.inc()
        } else {
            gauge.dec()
        }
        *client.blocked_on.lock() = on;
    }

    pub(super) fn count_pinned(&mut self, command: u16, failed: bool) {
        let elapsed = self.core.shared.clock.now().saturating_sub(self.core.now);
        self.core.recorder.command(command, Served::Pinned, Duration::from_nanos(elapsed));
        if failed {
            self.core.recorder.failed(command);
        }
    }

    /// No connection, so nothing was sent.
    pub(super) fn refuse_job(&mut self, command: u16, error: &PoolError) -> Result<(), End> {
        let text = error.to_string().replace(['\r', '\n'], " ");
        self.core.refuse(command, text.as_bytes());
        Ok(())
    }

    /// The connection broke after the request was sent. If part of the reply has been passed on, the
    /// client cannot be told in any other way than by ending its connection.
    pub(super) fn broken(&mut self, pinned: Pinned, broken: Broken, command: u16) -> Result<(), End> {
        pinned.abandon();
        match broken {
            Broken::Session(end) => Err(end),
            Broken::Upstream(error) => {
                tracing::debug!(%error, "connection of a client's own lost");
                if self.core.partial {
                    return Err(End::Left);
                }
                self.core.shared.stats.failover.uncertain_writes.inc();
                self.core.refuse(command, Loss::Uncertain.message().as_bytes());
                Ok(())
            }
        }
    }

    // === transactions ===

    /// WATCH takes a connection and keeps it; UNWATCH gives it back.
    async fn watch(&mut self, raw: &[u8], unwatch: bool) -> Result<(), End> {
        let name: &[u8] = if unwatch { b"unwatch" } else { b"watch" };
        let command = command::by_name(name).map_or(UNLISTED, |command| command.id);
        let mut pinned = match self.core.watching.take() {
            Some(pinned) => *pinned,
            None => match self.acquire(Cause::Watch).await {
                Ok(pinned) => pinned,
                Err(error) => return self.refuse_job(command, &error),
            },
        };
        if pinned.db != self.core.db
            && let Err(error) = pinned.select(self.core.db).await
        {
            return self.refuse_job(command, &error);
        }
        match self.exchange(&mut pinned, raw).await {
            Ok(failed) => {
                self.count_pinned(command, failed);
                if unwatch {
                    pinned.release()
                } else {
                    self.core.watching = Some(Box::new(pinned))
                }
                Ok(())
            }
            Err(broken) => self.broken(pinned, broken, command),
        }
    }

    /// EXEC on the connection that watches, or on one for this transaction alone.
    async fn exec_pinned(&mut self, transaction: Transaction) -> Result<(), End> {
        let command = command::by_name(b"exec").map_or(UNLISTED, |command| command.id);
        let mut pinned = match self.core.watching.take() {
            Some(pinned) => *pinned,
            None => match self.acquire(Cause::Transaction).await {
                Ok(pinned) => pinned,
                Err(error) => return self.refuse_job(command, &error),
            },
        };
        if pinned.db != self.core.db
            && let Err(error) = pinned.select(self.core.db).await
        {
            return self.refuse_job(command, &error);
        }
        let (bytes, swallow) = transaction.block();
        let keyspace = transaction.change.keyspace;
        let block = Block { queued: transaction.queued };
        let result = self.exec_on(&mut pinned, &bytes, swallow, &block, keyspace).await;
        if keyspace && result.is_err() {
            self.void();
        }
        match result {
            Ok(failed) => {
                self.count_pinned(command, failed);
                // Behind a SELECT the connection's database is unknown: it is closed.
                if !transaction.selects {
                    pinned.release();
                }
                Ok(())
            }
            Err(broken) => self.broken(pinned, broken, command),
        }
    }

    async fn exec_on(
        &mut self,
        pinned: &mut Pinned,
        bytes: &[u8],
        swallow: u32,
        block: &Block,
        keyspace: bool,
    ) -> Result<bool, Broken> {
        self.send_pinned(pinned, bytes).await?;
        for _ in 0..swallow {
            self.skip_reply(pinned).await?;
        }
        if !block.needs_care() && !keyspace && pinned.proto == self.core.proto {
            return self.relay(pinned, self.reply_timeout(Cause::Transaction)).await;
        }
        let reply = self.skip_reply(pinned).await?;
        self.fence().await?;
        if keyspace {
            // SWAPDB is announced to nobody. Behind the fence no reply from before it can come any more.
            self.void();
        }
        let muted = self.core.muted();
        self.core.write_exec(muted, &reply, block);
        Ok(reply.first() == Some(&b'-'))
    }

    /// Everything in L1 may be of another database than it was.
    fn void(&self) {
        if let Some(upstream) = self.core.upstream()
            && self.core.shared.rules.own_epochs
        {
            let lane = &upstream.node.lane;
            lane.l1().bump_epoch(lane.id());
        }
    }

    /// Asks Redis whether it would queue a command that our table does not know.
    async fn probe(&mut self, raw: &[u8]) -> Result<(), End> {
        let mut pinned = match self.acquire(Cause::Transaction).await {
            Ok(pinned) => pinned,
            Err(error) => return self.refuse_job(UNLISTED, &error),
        };
        let asked = async {
            self.send_pinned(&mut pinned, MULTI).await?;
            self.skip_reply(&mut pinned).await?;
            self.send_pinned(&mut pinned, raw).await?;
            let reply = self.skip_reply(&mut pinned).await?;
            self.send_pinned(&mut pinned, DISCARD).await?;
            self.skip_reply(&mut pinned).await?;
            Ok::<Bytes, Broken>(reply)
        };
        let reply = match asked.await {
            Ok(reply) => reply,
            Err(broken) => return self.broken(pinned, broken, UNLISTED),
        };
        pinned.release();
        if let Some(transaction) = &mut self.core.transaction {
            if reply.first() == Some(&b'-') {
                transaction.dirty = true;
            } else {
                transaction.pinned = true;
                transaction.push(raw, Shape::Plain, true);
            }
        }
        self.core.answer(UNLISTED, Served::Pinned, |writer| writer.raw(&reply));
        Ok(())
    }
}
