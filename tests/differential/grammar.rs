//! The notation of the command table: Redis's own synopsis syntax, parsed once and expanded at random.
//!
//! A row's text is one or more commands divided by `;`. The one that begins with `>` is the command of the
//! row, whose name is put in front; the others prepare or follow it, and name themselves. Without `;` the
//! text is the arguments of the row's command.
//!
//! | | |
//! |---|---|
//! | `NAME` | a literal in random case; counted as an option |
//! | `12` `*` `'it` | a literal as it is |
//! | `word` | a random argument of that kind (arguments.rs) |
//! | `word=a`, `=a` | the same, remembered; used again |
//! | `[x\|y]` | one of them, or nothing; neighbours come in any order, sometimes twice |
//! | `(x\|y)` | one of them |
//! | `x+` | once or several times |
//! | `#x+` | the same with its count in front, which is sometimes wrong |

use crate::arguments::Arguments;
use crate::support::Rng;

/// A command as sent, and what of its row it exercises.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmd {
    /// The arguments, the name included.
    pub args: Vec<Vec<u8>>,
    /// The row that it stands for; `None` for one that prepares or follows.
    pub row: Option<usize>,
    /// Options taken, as indexes into the row's list.
    pub options: Vec<usize>,
}

/// A row's text, parsed.
pub struct Grammar {
    commands: Vec<(bool, Vec<Node>)>,
    /// The option names of the row's own command.
    pub options: Vec<String>,
}

enum Node {
    Literal(String),
    Option(usize),
    Name(String),
    Kind(String, Option<char>),
    Again(char),
    Maybe(Vec<Vec<Node>>),
    OneOf(Vec<Vec<Node>>),
    Repeat(Box<Node>),
    Counted(Box<Node>),
}

impl Grammar {
    /// Parses the text of the row for `name` (`config|get`; empty when the text holds the name itself).
    pub fn parse(name: &str, text: &str) -> Self {
        let mut options = Vec::new();
        let mut commands = Vec::new();
        for part in text.split(';') {
            let own = !text.contains(';') || part.trim_start().starts_with('>');
            let part = part.trim().trim_start_matches('>').trim();
            let mut nodes = Vec::new();
            if own && !name.starts_with('(') {
                nodes.extend(name.split('|').map(|word| Node::Name(word.to_ascii_uppercase())));
            }
            let mut parser = Parser { rest: part, options: own.then_some(&mut options) };
            nodes.extend(parser.sequence());
            assert!(parser.rest.is_empty(), "{name}: {:?} left over in {text:?}", parser.rest);
            commands.push((own, nodes));
        }
        assert_eq!(
            commands.iter().filter(|(own, _)| *own).count(),
            1,
            "{name}: one command with > in {text:?}"
        );
        Grammar { commands, options }
    }

    /// One random expansion: the commands in order.
    pub fn expand(&self, row: usize, rng: &mut Rng, arguments: &mut Arguments) -> Vec<Cmd> {
        let mut out = Vec::new();
        let mut bound = Vec::new();
        for (own, nodes) in &self.commands {
            let mut cmd = Cmd { args: Vec::new(), row: own.then_some(row), options: Vec::new() };
            let mut expansion = Expansion { grammar: self, rng, arguments, bound: &mut bound, cmd: &mut cmd };
            expansion.sequence(nodes);
            out.push(cmd);
        }
        out
    }
}

struct Parser<'a> {
    rest: &'a str,
    options: Option<&'a mut Vec<String>>,
}

impl Parser<'_> {
    fn sequence(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with([']', ')', '|']) {
                return nodes;
            }
            nodes.push(self.node());
        }
    }

    fn node(&mut self) -> Node {
        if let Some(rest) = self
            .rest
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c| "([".contains(c) || char::is_alphabetic(c)))
        {
            self.rest = rest;
            return match self.node() {
                Node::Repeat(inner) => Node::Counted(inner),
                _ => panic!("# without + before {:?}", self.rest),
            };
        }
        let node = match self.rest.as_bytes()[0] {
            b'[' => Node::Maybe(self.alternatives(']')),
            b'(' => Node::OneOf(self.alternatives(')')),
            _ => self.word(),
        };
        match self.rest.strip_prefix('+') {
            Some(rest) => {
                self.rest = rest;
                Node::Repeat(Box::new(node))
            }
            None => node,
        }
    }

    fn alternatives(&mut self, close: char) -> Vec<Vec<Node>> {
        let mut all = Vec::new();
        loop {
            self.rest = &self.rest[1..];
            all.push(self.sequence());
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return all;
            }
            assert!(self.rest.starts_with('|'), "no {close:?} before {:?}", self.rest);
        }
    }

    fn word(&mut self) -> Node {
        let end = self.rest.find(|c: char| " []()|+".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Some(name) = word.strip_prefix('=').filter(|name| name.len() == 1) {
            return Node::Again(name.as_bytes()[0] as char);
        }
        let first = word.as_bytes()[0];
        if first.is_ascii_uppercase() {
            return match &mut self.options {
                Some(options) => {
                    let known = options.iter().position(|option| option == word);
                    Node::Option(known.unwrap_or_else(|| {
                        options.push(word.to_owned());
                        options.len() - 1
                    }))
                }
                None => Node::Name(word.to_owned()),
            };
        }
        if !first.is_ascii_lowercase() {
            return Node::Literal(word.trim_start_matches('\'').to_owned());
        }
        match word.split_once('=') {
            Some((kind, name)) => Node::Kind(kind.to_owned(), name.chars().next()),
            None => Node::Kind(word.to_owned(), None),
        }
    }
}

struct Expansion<'a> {
    grammar: &'a Grammar,
    rng: &'a mut Rng,
    arguments: &'a mut Arguments,
    bound: &'a mut Vec<(char, Vec<u8>)>,
    cmd: &'a mut Cmd,
}

impl Expansion<'_> {
    fn sequence(&mut self, nodes: &[Node]) {
        let mut at = 0;
        while at < nodes.len() {
            let run = nodes[at..].iter().take_while(|node| matches!(node, Node::Maybe(_))).count();
            if run == 0 {
                self.node(&nodes[at]);
                at += 1;
                continue;
            }
            let percent = *self.rng.pick(&[10, 40, 40, 90]);
            let mut order: Vec<usize> = (at..at + run).filter(|_| self.rng.chance(percent)).collect();
            self.rng.shuffle(&mut order);
            if run > 1 && self.rng.chance(2) {
                order.extend(order.first().copied());
            }
            for option in order {
                self.node(&nodes[option]);
            }
            at += run;
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Literal(text) => self.cmd.args.push(text.clone().into_bytes()),
            Node::Name(name) => {
                let cased = in_any_case(self.rng, name);
                self.cmd.args.push(cased);
            }
            Node::Option(index) => {
                let cased = in_any_case(self.rng, &self.grammar.options[*index]);
                self.cmd.args.push(cased);
                self.cmd.options.push(*index);
            }
            Node::Kind(kind, name) => {
                let value = self.arguments.make(kind, self.rng);
                if let Some(name) = name {
                    self.bound.push((*name, value.clone()));
                }
                self.cmd.args.push(value);
            }
            Node::Again(name) => {
                let value = self.bound.iter().rev().find(|(known, _)| known == name);
                self.cmd.args.push(value.expect("bound before it is used").1.clone());
            }
            Node::Maybe(all) | Node::OneOf(all) => {
                let chosen = self.rng.below(all.len());
                self.sequence(&all[chosen]);
            }
            Node::Repeat(inner) => {
                for _ in 0..self.times() {
                    self.node(inner);
                }
            }
            Node::Counted(inner) => {
                let times = self.times();
                let said = if self.rng.chance(4) { *self.rng.pick(&["0", "-1", "9", "x", ""]) } else { "" };
                let said = if said.is_empty() { times.to_string() } else { said.to_owned() };
                self.cmd.args.push(said.into_bytes());
                for _ in 0..times {
                    self.node(inner);
                }
            }
        }
    }

    fn times(&mut self) -> usize {
        *self.rng.pick(&[1, 1, 1, 2, 2, 3, 4, 12])
    }
}

fn in_any_case(rng: &mut Rng, word: &str) -> Vec<u8> {
    match rng.below(4) {
        0 => word.to_ascii_lowercase().into_bytes(),
        1 => {
            let cased = word.bytes().map(|b| if rng.chance(50) { b.to_ascii_lowercase() } else { b });
            cased.collect()
        }
        _ => word.as_bytes().to_vec(),
    }
}

#[test]
fn a_text_expands_to_its_commands() {
    let grammar = Grammar::parse("config|get", "DEL key=a ; > =a [EX 5|NX] (A|B) #key+ ; TYPE =a");
    assert_eq!(grammar.options, ["EX", "NX", "A", "B"]);
    let mut rng = Rng::new(1);
    let mut arguments = Arguments::plain();
    for _ in 0..200 {
        let cmds = grammar.expand(7, &mut rng, &mut arguments);
        assert_eq!(cmds.len(), 3);
        assert_eq!((cmds[0].row, cmds[1].row, cmds[2].row), (None, Some(7), None));
        assert!(cmds[1].args[0].eq_ignore_ascii_case(b"config"));
        assert!(cmds[1].args[1].eq_ignore_ascii_case(b"get"));
        assert_eq!(cmds[0].args[1], cmds[1].args[2]);
        assert_eq!(cmds[0].args[1], cmds[2].args[1]);
        assert!(!cmds[1].options.is_empty());
    }
}
