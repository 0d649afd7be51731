//! The architecture as a test: who may use whom, and what every source file owes its reader.
//!
//! Edges are read from `crate::` paths outside of tests and comments. An edge must lead to a lower layer, or
//! within a layer to a module that src/lib.rs names earlier, so that there are no cycles.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first, each in reading order.
const LAYERS: &[&[&str]] = &[
    &["resp", "clock", "timers", "prefetch", "stats", "net", "shutdown", "settings"],
    &["command", "store"],
    &["near", "memory"],
    &["upstream"],
    &["session"],
    &["config", "server", "cli", "lib", "main"],
];

/// Non-test lines that a reader can take in at once.
const LONGEST: usize = 500;

/// Files that may be longer, and why.
const LONGER: &[(&str, &str)] = &[];

/// Crates that only one module may name: knowledge that must not spread.
const ONLY_IN: &[(&str, &str)] = &[("serde", "config"), ("toml", "config"), ("clap", "cli")];

type Edges = BTreeMap<(String, String), BTreeSet<String>>;

#[test]
fn modules_use_only_what_is_below_them() {
    let mut edges = Edges::new();
    for (path, source) in sources("src") {
        collect(&mut edges, &path, &source);
    }
    assert!(edges.len() >= 10, "only {} edges were seen: {edges:?}", edges.len());
    let wrong = violations(&edges);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer_and_lib_names_them_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let named: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let layered: Vec<&str> =
        LAYERS.concat().into_iter().filter(|&name| name != "lib" && name != "main").collect();
    assert_eq!(named, layered, "src/lib.rs and LAYERS");
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough() {
    let mut wrong = Vec::new();
    let listed: BTreeSet<&str> = LONGER.iter().map(|(path, _)| *path).collect();
    let mut longer = BTreeSet::new();
    for (path, source) in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        wrong.extend(without_purpose(&path, &source));
        let lines = product_lines(&path, &source);
        if path.starts_with("src/") && lines > LONGEST {
            longer.insert(path.clone());
            if !listed.contains(path.as_str()) {
                wrong.push(format!("{path}: {lines} lines outside of tests, more than {LONGEST}"));
            }
        }
    }
    wrong.extend(
        listed.iter().filter(|path| !longer.contains(**path)).map(|path| format!("{path}: no longer long")),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn some_crates_are_used_in_one_module_only() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (path, source) in sources("src") {
        for (name, module) in ONLY_IN {
            if uses_crate(product_code(&path, &source).as_str(), name) {
                seen.insert(*name);
                if module_of(&path) != *module {
                    wrong.push(format!("{path}: {name} belongs into {module}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen.contains("serde"), "no use of serde was seen: {seen:?}");
}

#[test]
fn all_timers_are_made_in_one_module() {
    let waits = ["sleep", "sleep_until", "timeout", "timeout_at", "interval", "interval_at"];
    let mut seen = 0;
    for (path, source) in sources("src") {
        // `tokio::time::` on its own, or as the beginning of a list.
        for rest in product_code(&path, &source).split("tokio::time::").skip(1) {
            let end = rest.find(if rest.starts_with('{') { '}' } else { '(' }).unwrap_or(rest.len());
            let mut names = rest[..end].split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let made = names.any(|name| waits.contains(&name));
            assert!(!made || path == "src/timers.rs", "{path}: elsewhere the program has no timers");
            seen += usize::from(made);
        }
    }
    assert!(seen >= 5, "only {seen} timers were seen");
}

#[test]
fn code_that_needs_care_is_in_one_small_file() {
    let (mut seen, word) = (0, concat!("uns", "afe"));
    for below in ["src", "tests", "benches"] {
        for (path, source) in sources(below) {
            let named = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            let found = named.filter(|line| line.contains(word)).count();
            assert!(found == 0 || path == "src/prefetch.rs", "{path} has {word} code");
            seen += found;
        }
    }
    assert!((3..6).contains(&seen), "{seen} lines");
}

#[test]
fn violations_are_seen() {
    let check = |path: &str, source: &str| {
        let mut edges = Edges::new();
        collect(&mut edges, path, source);
        violations(&edges)
    };
    assert!(check("src/session/mod.rs", "use crate::near::Cache;\nuse crate::resp::Args;").is_empty());
    assert_eq!(check("src/near/mod.rs", "use crate::session::Session;").len(), 1);
    assert_eq!(check("src/near/mod.rs", "fn f() { crate::upstream::lane::send() }").len(), 1);
    assert_eq!(
        check("src/resp/mod.rs", "use crate::{\n    stats::Counter,\n    net::{Stream, tls},\n};").len(),
        2
    );
    assert_eq!(check("src/net/mod.rs", "use crate::stats::Counter;").len(), 0, "same layer, named earlier");
    assert_eq!(check("src/stats/mod.rs", "pub use crate::net;").len(), 1, "same layer, named later");
    assert_eq!(check("src/nowhere.rs", "use crate::resp::Args;").len(), 1, "a module without a layer");
    assert!(check("src/near/mod.rs", "// crate::session is above\n/// [`crate::session`]").is_empty());
    assert!(check("src/near/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::session::S;\n}").is_empty());
    assert!(check("src/near/tests.rs", "use crate::session::S;").is_empty());
    assert!(without_purpose("src/a.rs", "use b;\n//! too late").is_some());
    assert!(without_purpose("src/a.rs", "//! Says it.\n").is_none());
    let long = "x\n".repeat(600);
    assert_eq!(product_lines("src/a.rs", &long), 600);
    assert_eq!(product_lines("src/a.rs", &format!("a\n#[cfg(test)]\nmod tests {{\n{long}}}")), 1);
    assert!(
        uses_crate("use serde::Deserialize;", "serde") && uses_crate("#[derive(serde::Serialize)]", "serde")
    );
    assert!(!uses_crate("let myserde::x;", "serde"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All Rust files below a directory of the repository: path from its root, and text.
fn sources(below: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(below)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue }; // a part that the repository does not have
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(below != "src" || found.len() > 10, "only {} files below {below}", found.len());
    found
}

fn module_of(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs") || path.starts_with("tests/")
}

/// The text in front of the unit tests, without comments.
fn product_code(path: &str, source: &str) -> String {
    let lines = source.lines().take(product_lines(path, source));
    lines.map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The number of lines in front of the unit tests, which stand last in a file.
fn product_lines(path: &str, source: &str) -> usize {
    if is_test(path) {
        return 0;
    }
    let lines: Vec<&str> = source.lines().collect();
    let tests = lines.windows(2).position(|two| {
        two[0].trim() == "#[cfg(test)]" && (two[1].starts_with("mod ") || two[1].starts_with("#[path"))
    });
    tests.unwrap_or(lines.len())
}

fn collect(edges: &mut Edges, path: &str, source: &str) {
    let code = product_code(path, source);
    for used in used_modules(&code) {
        let from = module_of(path).to_owned();
        if from != used {
            edges.entry((from, used)).or_default().insert(path.to_owned());
        }
    }
}

/// The first name of each `crate::` path; of each member of `crate::{…}`.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => used.extend(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        ',' | '}' if depth == 0 => {
                            used.extend(first_name(group[start..i].trim_start()));
                            start = i + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    used
}

/// The name that a path begins with, if it is a module's and not a function of the crate's root.
fn first_name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(path.len());
    let name = &path[..end];
    (!name.is_empty() && name.starts_with(|c: char| c.is_ascii_lowercase())).then(|| name.to_owned())
}

fn violations(edges: &Edges) -> Vec<String> {
    let place = |name: &str| {
        LAYERS
            .iter()
            .enumerate()
            .find_map(|(layer, names)| Some((layer, names.iter().position(|&n| n == name)?)))
    };
    let mut wrong = Vec::new();
    for ((from, to), files) in edges {
        let text = match (place(from), place(to)) {
            (None, _) => format!("{from} has no layer"),
            (_, None) => format!("{from} uses {to}, which has no layer"),
            (Some(from_place), Some(to_place)) if to_place >= from_place => format!("{from} uses {to}"),
            _ => continue,
        };
        wrong.push(format!("{text}: {}", files.iter().cloned().collect::<Vec<_>>().join(", ")));
    }
    wrong
}

fn without_purpose(path: &str, source: &str) -> Option<String> {
    (!source.starts_with("//! ")).then(|| format!("{path}: does not begin with //! and its purpose"))
}

fn uses_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}
