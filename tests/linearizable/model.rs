//! What Redis does with a few commands on strings and lists, one at a time: the specification that a history
//! must have some order under.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One thing that a client asks for and waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The commands; with `block`, those between MULTI and EXEC.
    pub commands: Vec<Vec<String>>,
    /// Whether they are a MULTI block; its reply is EXEC's.
    pub block: bool,
}

impl Call {
    /// One command.
    pub fn one(line: &str) -> Call {
        Call { commands: vec![words(line)], block: false }
    }

    /// A MULTI block, its commands divided by `;`.
    pub fn block(lines: &str) -> Call {
        Call { commands: lines.split(';').map(|line| words(line.trim())).collect(), block: true }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// All data, and what clients watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    strings: BTreeMap<String, String>,
    lists: BTreeMap<String, VecDeque<String>>,
    watches: BTreeMap<usize, Watch>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Watch {
    keys: BTreeSet<String>,
    broken: bool,
}

const NULL: &str = "$-1\r\n";
const NULL_ARRAY: &str = "*-1\r\n";
const OK: &str = "+OK\r\n";

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn maybe(text: Option<&String>) -> String {
    text.map_or(NULL.into(), |text| bulk(text))
}

fn int(n: usize) -> String {
    format!(":{n}\r\n")
}

fn array(items: &[String]) -> String {
    format!("*{}\r\n{}", items.len(), items.concat())
}

impl State {
    /// Does it; gives the reply, in RESP2.
    ///
    /// Only in one thing `seen`, the reply that was observed, decides: a BLPOP that waits for several keys is
    /// served from the one that was written first, which need not be the first that it names when a block
    /// wrote several, or when serving one client moved something to another key. So any of its keys may be
    /// the one.
    pub fn apply(&mut self, client: usize, call: &Call, seen: &str) -> String {
        if let (false, ["BLPOP", keys @ .., _]) =
            (call.block, &call.commands[0].iter().map(String::as_str).collect::<Vec<_>>()[..])
        {
            let named = keys.iter().find(|key| seen.starts_with(&format!("*2\r\n{}", bulk(key))));
            if let Some(element) = named.and_then(|key| self.pop(key)) {
                return array(&[bulk(named.copied().unwrap_or_default()), bulk(&element)]);
            }
        }
        if !call.block {
            return self.command(client, &call.commands[0], false);
        }
        if self.watches.remove(&client).is_some_and(|watch| watch.broken) {
            return NULL_ARRAY.into();
        }
        let replies: Vec<String> =
            call.commands.iter().map(|command| self.command(client, command, true)).collect();
        array(&replies)
    }

    fn command(&mut self, client: usize, command: &[String], in_block: bool) -> String {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        match args[..] {
            ["WATCH", key] => {
                self.watches.entry(client).or_default().keys.insert(key.into());
                OK.into()
            }
            ["UNWATCH"] => {
                self.watches.remove(&client);
                OK.into()
            }
            ["GET", key] => maybe(self.strings.get(key)),
            ["MGET", ref keys @ ..] => {
                array(&keys.iter().map(|key| maybe(self.strings.get(*key))).collect::<Vec<_>>())
            }
            ["SET", key, value] => {
                self.set(key, value);
                OK.into()
            }
            ["MSET", ref pairs @ ..] => {
                pairs.chunks(2).for_each(|pair| self.set(pair[0], pair[1]));
                OK.into()
            }
            ["MSETNX", ref pairs @ ..] => {
                let free = pairs.chunks(2).all(|pair| !self.strings.contains_key(pair[0]));
                pairs.chunks(2).filter(|_| free).for_each(|pair| self.set(pair[0], pair[1]));
                int(free.into())
            }
            ["INCR", key] => {
                let n =
                    self.strings.get(key).map_or(0, |text| text.parse::<usize>().expect("numbers only")) + 1;
                self.set(key, &n.to_string());
                int(n)
            }
            ["GETDEL", key] => {
                let old = maybe(self.strings.get(key));
                self.remove(key);
                old
            }
            ["DEL", ref keys @ ..] => int(keys.iter().filter(|key| self.remove(key)).count()),
            ["EXISTS", ref keys @ ..] => int(keys.iter().filter(|key| self.exists(key)).count()),
            ["RENAME", from, to] => match self.strings.get(from).cloned() {
                None => "-ERR no such key\r\n".into(),
                // That changes nothing, and breaks no WATCH.
                Some(_) if from == to => OK.into(),
                Some(value) => {
                    self.remove(from);
                    self.set(to, &value);
                    OK.into()
                }
            },
            _ => self.list_command(&args, in_block),
        }
    }

    fn list_command(&mut self, args: &[&str], in_block: bool) -> String {
        match *args {
            ["RPUSH", key, ref elements @ ..] => {
                self.touch(key);
                let list = self.lists.entry(key.into()).or_default();
                list.extend(elements.iter().map(|element| element.to_string()));
                int(list.len())
            }
            ["LLEN", key] => int(self.lists.get(key).map_or(0, VecDeque::len)),
            ["LRANGE", key, "0", "-1"] => {
                let list = self.lists.get(key).into_iter().flatten();
                array(&list.map(|element| bulk(element)).collect::<Vec<_>>())
            }
            ["LPOP", key] => maybe(self.pop(key).as_ref()),
            ["BLPOP", ref keys @ .., _] => {
                // When the time is over there is nothing: otherwise it would have been taken.
                let from = keys.iter().find(|key| self.lists.contains_key(**key));
                let popped = from.and_then(|key| Some(array(&[bulk(key), bulk(&self.pop(key)?)])));
                popped.unwrap_or(NULL_ARRAY.into())
            }
            ["LMOVE", from, to, "LEFT", "RIGHT"] => self.shift(from, to).unwrap_or(NULL.into()),
            ["BLMOVE", from, to, "LEFT", "RIGHT", _] => {
                self.shift(from, to).unwrap_or(if in_block { NULL } else { NULL_ARRAY }.into())
            }
            _ => panic!("the model has no {args:?}"),
        }
    }

    fn shift(&mut self, from: &str, to: &str) -> Option<String> {
        let element = self.pop(from)?;
        self.touch(to);
        self.lists.entry(to.into()).or_default().push_back(element.clone());
        Some(bulk(&element))
    }

    fn pop(&mut self, key: &str) -> Option<String> {
        let list = self.lists.get_mut(key)?;
        let element = list.pop_front();
        if list.is_empty() {
            self.lists.remove(key);
        }
        self.touch(key);
        element
    }

    fn set(&mut self, key: &str, value: &str) {
        self.touch(key);
        self.strings.insert(key.into(), value.into());
    }

    fn remove(&mut self, key: &str) -> bool {
        let there = self.strings.remove(key).is_some() | self.lists.remove(key).is_some();
        if there {
            self.touch(key);
        }
        there
    }

    fn exists(&self, key: &str) -> bool {
        self.strings.contains_key(key) || self.lists.contains_key(key)
    }

    fn touch(&mut self, key: &str) {
        self.watches
            .values_mut()
            .filter(|watch| watch.keys.contains(key))
            .for_each(|watch| watch.broken = true);
    }
}
