//! Four layers become one table: defaults < file < environment < flags.
//!
//! What options exist, and of which type, is read off the serialized defaults, so that an option is
//! declared once, in `raw`. Environment and flags are texts; the default's type says how to read them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeArray, DeTable, DeValue};
use toml::{Table, Value};

use super::Sources;
use super::error::{ConfigError, Origin};
use super::raw::{Raw, RawNamespace};

/// Where each option that somebody set was set.
pub(super) type Origins = BTreeMap<String, Origin>;

/// Variables that stand for an option under a shorter name, as the flags of these names do.
const ENV_SHORT: [(&str, &str); 3] = [
    ("NEARCACHE_UPSTREAM", "upstream.url"),
    ("NEARCACHE_LISTEN", "server.listen"),
    ("NEARCACHE_MAX_MEMORY", "cache.max_memory"),
];

/// Names the configuration file; the flag `--config` wins.
pub(super) const ENV_FILE: &str = "NEARCACHE_CONFIG";
const ENV_PREFIX: &str = "NEARCACHE_";
/// Set by many platforms for the application; the upstream if nobody names another.
const ENV_REDIS_URL: &str = "REDIS_URL";

/// The list of namespaces: the only option that the file alone can set.
pub(super) const NAMESPACES: &str = "namespace";

/// An option of one namespace, or of any; with no name, the namespace itself.
pub(super) fn namespace_option(index: Option<usize>, name: &str) -> String {
    let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
    format!("{NAMESPACES}{index}{}{name}", if name.is_empty() { "" } else { "." })
}

/// Merges all layers.
pub(super) fn merge(sources: &Sources) -> Result<(Raw, Origins), ConfigError> {
    let known = to_table(&Raw::default());
    let mut origins = Origins::new();
    let mut table = Table::new();
    if let Some(path) = &sources.file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        table = read_file(path, &text, &known, &mut origins)?;
    }
    for (name, value) in &sources.env {
        if let Some(option) = env_option(name) {
            set(&mut table, &known, &mut origins, &option, value, Origin::Env(name.clone()))?;
        }
    }
    for (option, value) in &sources.flags {
        set(&mut table, &known, &mut origins, option, value, Origin::Flag)?;
    }
    redis_url(sources, &mut table, &known, &mut origins)?;
    let raw = Raw::deserialize(table).map_err(|error| ConfigError::Invalid {
        origin: Origin::Default,
        option: "configuration".into(),
        reason: error.message().to_string(),
    })?;
    Ok((raw, origins))
}

/// `REDIS_URL` counts only where nothing else names an upstream. An empty url in the file names none; an
/// empty one in environment or flags says that there shall be none.
fn redis_url(
    sources: &Sources,
    table: &mut Table,
    known: &Table,
    origins: &mut Origins,
) -> Result<(), ConfigError> {
    let option = "upstream.url";
    let named = get(table, option).is_some_and(|url| url.as_str() != Some(""));
    if named || matches!(origins.get(option), Some(Origin::Env(_) | Origin::Flag)) {
        return Ok(());
    }
    match sources.env.iter().find(|(name, url)| name == ENV_REDIS_URL && !url.is_empty()) {
        Some((name, url)) => set(table, known, origins, option, url, Origin::Env(name.clone())),
        None => Ok(()),
    }
}

/// The option that an environment variable sets; none if it is not ours.
fn env_option(name: &str) -> Option<String> {
    if let Some((_, option)) = ENV_SHORT.iter().find(|(short, _)| *short == name) {
        return Some((*option).into());
    }
    let rest = name.strip_prefix(ENV_PREFIX)?;
    if name == ENV_FILE || is_service_link(rest) {
        return None;
    }
    Some(rest.to_ascii_lowercase().replace("__", "."))
}

/// Kubernetes and Docker links describe services that are called nearcache or nearcache-something by
/// variables of our prefix: `…SERVICE_HOST`, `…SERVICE_PORT[_NAME]`, `…PORT[_6380_TCP[_ADDR]]`.
fn is_service_link(rest: &str) -> bool {
    let port = |part: &str| {
        let mut words = part.split('_');
        words.next() == Some("")
            && words.next().is_some_and(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit()))
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
    };
    let tail = |word: &str| rest.rsplit_once(word).filter(|(head, _)| head.is_empty() || head.ends_with('_'));
    !rest.contains("__")
        && (tail("SERVICE_HOST").is_some_and(|(_, tail)| tail.is_empty())
            || tail("SERVICE_PORT").is_some_and(|(_, tail)| tail.is_empty() || tail.starts_with('_'))
            || rest == "PORT"
            || rest.ends_with("_PORT")
            || rest.match_indices("PORT").any(|(at, word)| port(&rest[at + word.len()..])))
}

/// The file's table, after its keys and types have been checked, so that errors name the line.
fn read_file(path: &Path, text: &str, known: &Table, origins: &mut Origins) -> Result<Table, ConfigError> {
    let at = |span: Option<Range<usize>>| {
        let start = span.map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
        Origin::File(path.into(), line)
    };
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        origin: at(error.span()),
        message: error.message().to_string(),
    };
    let parsed = DeTable::parse(text).map_err(syntax)?;
    let mut spans = Vec::new();
    collect(parsed.get_ref(), "", known, &mut spans)
        .map_err(|(option, span)| unknown(at(Some(span)), option, known))?;
    for (option, span) in &spans {
        origins.insert(option.clone(), at(Some(span.clone())));
    }
    if let Err(error) = toml::from_str::<Raw>(text) {
        let span = error.span().unwrap_or(0..0);
        let holder = spans.iter().find(|(_, value)| value.start <= span.start && span.end <= value.end);
        return Err(match holder {
            None => syntax(error),
            Some((option, _)) => ConfigError::Invalid {
                origin: at(error.span()),
                option: shown(option),
                reason: error.message().to_string(),
            },
        });
    }
    toml::from_str(text).map_err(syntax)
}

/// Lists the options of a parsed file with the places of their values; an unknown one ends it.
fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    known: &Table,
    spans: &mut Vec<(String, Range<usize>)>,
) -> Result<(), (String, Range<usize>)> {
    for (key, value) in table {
        let option = format!("{prefix}{}", key.get_ref());
        match (value.get_ref(), get(known, &option)) {
            (DeValue::Array(list), Some(_)) if option == NAMESPACES => {
                collect_namespaces(list, spans)?;
                spans.push((option, value.span()));
            }
            (DeValue::Table(inner), Some(Value::Table(_))) => {
                collect(inner, &format!("{option}."), known, spans)?;
            }
            // A whole section that does not exist: name the first option in it, which says more.
            (DeValue::Table(inner), None) if !inner.is_empty() => {
                collect(inner, &format!("{option}."), known, spans)?;
            }
            (_, Some(_)) => spans.push((option, value.span())),
            (_, None) => return Err((option, key.span())),
        }
    }
    Ok(())
}

/// The same for the tables of the list of namespaces; elements of other types are left to serde.
fn collect_namespaces(
    list: &DeArray<'_>,
    spans: &mut Vec<(String, Range<usize>)>,
) -> Result<(), (String, Range<usize>)> {
    let known = Table::try_from(RawNamespace::complete()).expect("it holds only what TOML can hold");
    for (i, element) in list.iter().enumerate() {
        let DeValue::Table(table) = element.get_ref() else { continue };
        for (key, value) in table {
            if !known.contains_key(key.get_ref().as_ref()) {
                return Err((namespace_option(None, key.get_ref()), key.span()));
            }
            spans.push((namespace_option(Some(i), key.get_ref()), value.span()));
        }
        spans.push((namespace_option(Some(i), ""), element.span()));
    }
    Ok(())
}

/// The name of an option as people write it: without the index of its namespace.
fn shown(option: &str) -> String {
    match option.split_once('[').zip(option.split_once(']')) {
        Some(((list, _), (_, name))) => format!("{list}{name}"),
        None => option.into(),
    }
}

/// A text as a value of the same type as `kind`.
pub(super) fn typed(kind: &Value, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Value::Table(_) => return Err("is a section, not an option".into()),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.into())).collect())
        }
        Value::Integer(_) => {
            Value::Integer(text.parse().map_err(|_| format!("'{text}' is not a whole number"))?)
        }
        Value::Float(_) => Value::Float(text.parse().map_err(|_| format!("'{text}' is not a number"))?),
        Value::Boolean(_) => {
            Value::Boolean(text.parse().map_err(|_| format!("'{text}' is neither true nor false"))?)
        }
        _ => Value::String(text.into()),
    })
}

/// Sets one option from a text.
pub(super) fn set(
    table: &mut Table,
    known: &Table,
    origins: &mut Origins,
    option: &str,
    text: &str,
    origin: Origin,
) -> Result<(), ConfigError> {
    let invalid =
        |reason: String| ConfigError::Invalid { origin: origin.clone(), option: option.into(), reason };
    if option == NAMESPACES || option.starts_with("namespace.") {
        return Err(invalid("can be written in the file only, as [[namespace]]".into()));
    }
    let value = match get(known, option) {
        None => return Err(unknown(origin, option.into(), known)),
        Some(kind) => typed(kind, text).map_err(invalid)?,
    };
    // Read it alone first: so an error is known to be this value's.
    let mut alone = Table::new();
    put(&mut alone, option, value.clone());
    Raw::deserialize(alone).map_err(|error| invalid(error.message().to_string()))?;
    put(table, option, value);
    origins.insert(option.into(), origin);
    Ok(())
}

/// A raw configuration as a table.
pub(super) fn to_table(raw: &Raw) -> Table {
    Table::try_from(raw).expect("the raw structs hold only what TOML can hold")
}

/// The value at a dotted path.
pub(super) fn get<'t>(table: &'t Table, option: &str) -> Option<&'t Value> {
    match option.split_once('.') {
        None => table.get(option),
        Some((section, rest)) => get(table.get(section)?.as_table()?, rest),
    }
}

/// Puts a value at a dotted path, making the sections on the way.
pub(super) fn put(table: &mut Table, option: &str, value: Value) {
    match option.split_once('.') {
        None => {
            table.insert(option.into(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The dotted paths of all options in a table, and their values.
pub(super) fn flatten(table: &Table) -> Vec<(String, &Value)> {
    fn walk<'t>(table: &'t Table, prefix: &str, out: &mut Vec<(String, &'t Value)>) {
        // Sections last, as in a file.
        out.extend(table.iter().filter(|(_, v)| !v.is_table()).map(|(key, v)| (format!("{prefix}{key}"), v)));
        for (key, value) in table {
            if let Value::Table(inner) = value {
                walk(inner, &format!("{prefix}{key}."), out);
            }
        }
    }
    let mut out = Vec::new();
    walk(table, "", &mut out);
    out
}

fn unknown(origin: Origin, option: String, known: &Table) -> ConfigError {
    let split = |path: &str| {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        (section.to_owned(), name.to_owned())
    };
    let (section, name) = split(&option);
    // A wrong section is forgiven more easily than a wrong name.
    let distance = |candidate: &String| {
        let (their_section, their_name) = split(candidate);
        3 * edit_distance(&name, &their_name) + edit_distance(&section, &their_section).min(5)
    };
    let of_namespaces = Table::try_from(RawNamespace::complete()).unwrap_or_default();
    let of_namespaces = of_namespaces.keys().map(|name| namespace_option(None, name));
    let candidates = flatten(known).into_iter().map(|(path, _)| path).chain(of_namespaces);
    let nearest = candidates.min_by_key(distance);
    ConfigError::Unknown { origin, option, nearest: nearest.unwrap_or_default() }
}

/// Levenshtein's distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, distance) in
            [("", "abc", 3), ("max_age", "max_age", 0), ("maxage", "max_age", 1), ("ab", "ba", 2)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn variables_that_describe_services_are_not_ours() {
        let links = [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_REDIS",
            "PORT",
            "PORT_6380_TCP",
            "PORT_6380_TCP_ADDR",
            "EU_SERVICE_HOST",
            "EU_PORT_6380_TCP_PROTO",
            "EU_PORT",
        ];
        for rest in links {
            assert_eq!(env_option(&format!("NEARCACHE_{rest}")), None, "{rest}");
        }
        assert_eq!(env_option("NEARCACHE_CACHE__MAX_AGE").as_deref(), Some("cache.max_age"));
        assert_eq!(env_option("NEARCACHE_SERVER__TLS__CERT").as_deref(), Some("server.tls.cert"));
        assert_eq!(env_option("NEARCACHE_UPSTREAM").as_deref(), Some("upstream.url"));
        assert_eq!(env_option("NEARCACHE_PORTS").as_deref(), Some("ports"));
        assert_eq!(env_option("PATH"), None);
    }
}
