//! Whether a history can be explained: Wing and Gong's search, with Lowe's memory of what was tried.
//!
//! A history is explained by an order of its calls in which each answers as the model does, and in which no
//! call comes before one that was answered before it was made. The search takes, again and again, one of the
//! calls that may come next. What is left to explain depends only on which calls are explained and on the
//! state that they lead to, so each such pair is tried once.

use std::collections::HashSet;

use crate::model::{Call, State};

/// A call as its client saw it. Times are only compared: a counter that all clients share.
#[derive(Clone, Debug)]
pub struct Event {
    pub client: usize,
    pub call: Call,
    pub reply: String,
    pub invoked: u64,
    pub answered: u64,
}

/// The most calls in one history: a set of them is one integer.
pub const MAX_CALLS: usize = 64;

/// Whether the history has an order that the model agrees to.
pub fn linearizable(history: &[Event]) -> bool {
    assert!(history.len() <= MAX_CALLS, "{} calls", history.len());
    let mut search = Search { history, tried: HashSet::new() };
    search.explains(0, &State::default())
}

struct Search<'a> {
    history: &'a [Event],
    tried: HashSet<(u64, State)>,
}

impl Search<'_> {
    /// Whether the calls that are not in `done` can follow those that are.
    fn explains(&mut self, done: u64, state: &State) -> bool {
        let open = |i: &usize| done & (1 << i) == 0;
        let all = 0..self.history.len();
        let Some(first_answer) = all.clone().filter(open).map(|i| self.history[i].answered).min() else {
            return true;
        };
        if !self.tried.insert((done, state.clone())) {
            return false;
        }
        let history = self.history;
        all.filter(open).filter(|&i| history[i].invoked < first_answer).any(|i| {
            let mut next = state.clone();
            let event = &history[i];
            next.apply(event.client, &event.call, &event.reply) == event.reply
                && self.explains(done | 1 << i, &next)
        })
    }
}

/// A history for a reader, in the order of the calls.
pub fn show(history: &[Event]) -> String {
    let mut sorted: Vec<&Event> = history.iter().collect();
    sorted.sort_by_key(|event| event.invoked);
    let line = |event: &&Event| {
        let commands: Vec<String> = event.call.commands.iter().map(|command| command.join(" ")).collect();
        let (open, close) = if event.call.block { ("MULTI; ", "; EXEC") } else { ("", "") };
        let Event { client, invoked, answered, .. } = event;
        let reply = event.reply.escape_debug();
        format!(
            "{invoked:4}-{answered:<4} client {client}: {open}{}{close}  ->  {reply}\n",
            commands.join("; ")
        )
    };
    sorted.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(client: usize, call: Call, reply: &str, invoked: u64, answered: u64) -> Event {
        Event { client, call, reply: reply.into(), invoked, answered }
    }

    fn one(client: usize, line: &str, reply: &str, invoked: u64, answered: u64) -> Event {
        event(client, Call::one(line), reply, invoked, answered)
    }

    /// Bad histories, and the change that makes each a good one.
    #[test]
    fn what_cannot_be_explained_is_rejected() {
        let cases: &[(&str, Vec<Event>, usize, Event)] = &[
            (
                "a read of what was overwritten",
                vec![
                    one(0, "SET a 1", "+OK\r\n", 0, 1),
                    one(0, "SET a 2", "+OK\r\n", 2, 3),
                    one(1, "GET a", "$1\r\n1\r\n", 4, 5),
                ],
                2,
                one(1, "GET a", "$1\r\n1\r\n", 1, 5),
            ),
            (
                "a lost update",
                vec![one(0, "INCR a", ":1\r\n", 0, 3), one(1, "INCR a", ":1\r\n", 1, 2)],
                1,
                one(1, "INCR a", ":2\r\n", 1, 2),
            ),
            (
                "half of an MSET",
                vec![
                    one(0, "MSET a 1 b 1", "+OK\r\n", 0, 5),
                    one(1, "MGET a b", "*2\r\n$1\r\n1\r\n$-1\r\n", 1, 2),
                ],
                1,
                one(1, "MGET a b", "*2\r\n$-1\r\n$-1\r\n", 1, 2),
            ),
            (
                "two reads that disagree about the order of two writes",
                vec![
                    one(0, "SET a 1", "+OK\r\n", 0, 9),
                    one(1, "SET b 1", "+OK\r\n", 0, 9),
                    one(2, "MGET a b", "*2\r\n$1\r\n1\r\n$-1\r\n", 1, 2),
                    one(3, "MGET a b", "*2\r\n$-1\r\n$1\r\n1\r\n", 1, 3),
                ],
                3,
                one(3, "MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n1\r\n", 1, 3),
            ),
            (
                "one element popped twice",
                vec![
                    one(0, "RPUSH l x", ":1\r\n", 0, 1),
                    one(1, "BLPOP l 0", "*2\r\n$1\r\nl\r\n$1\r\nx\r\n", 0, 2),
                    one(2, "LPOP l", "$1\r\nx\r\n", 0, 3),
                ],
                2,
                one(2, "LPOP l", "$-1\r\n", 0, 3),
            ),
            (
                "a wait that ended with nothing while there was something",
                vec![
                    one(0, "RPUSH l x", ":1\r\n", 0, 1),
                    one(1, "BLPOP l 0.01", "*-1\r\n", 2, 3),
                    one(2, "LPOP l", "$1\r\nx\r\n", 4, 5),
                ],
                1,
                one(1, "BLPOP l 0.01", "*-1\r\n", 0, 3),
            ),
            (
                "a block that somebody came between",
                vec![
                    event(0, Call::block("SET a 1; GET a"), "*2\r\n+OK\r\n$1\r\n2\r\n", 0, 5),
                    one(1, "SET a 2", "+OK\r\n", 1, 2),
                ],
                0,
                event(0, Call::block("SET a 1; GET a"), "*2\r\n+OK\r\n$1\r\n1\r\n", 0, 5),
            ),
            (
                "a broken watch that was ignored",
                vec![
                    one(0, "WATCH a", "+OK\r\n", 0, 1),
                    one(1, "SET a 2", "+OK\r\n", 2, 3),
                    event(0, Call::block("SET a 1"), "*1\r\n+OK\r\n", 4, 5),
                ],
                2,
                event(0, Call::block("SET a 1"), "*-1\r\n", 4, 5),
            ),
            (
                "a watch broken by nobody",
                vec![
                    one(0, "WATCH a", "+OK\r\n", 0, 1),
                    one(1, "DEL a", ":0\r\n", 2, 3),
                    event(0, Call::block("SET a 1"), "*-1\r\n", 4, 5),
                ],
                2,
                event(0, Call::block("SET a 1"), "*1\r\n+OK\r\n", 4, 5),
            ),
        ];
        for (name, bad, at, repair) in cases {
            assert!(!linearizable(bad), "{name}: accepted");
            let mut good = bad.clone();
            good[*at] = repair.clone();
            assert!(linearizable(&good), "{name}: rejected although repaired");
        }
    }
}
