//! The upstream's URL: `redis://user:password@host:port/db`, `rediss://…`, `unix:///path?db=…`.

use std::fmt;
use std::str::FromStr;

use crate::net::Address;

/// Redis's port, where the URL has none.
const DEFAULT_PORT: &str = "6379";

/// A parsed URL. Its `Display` shows the password; [`UpstreamUrl::hidden`] does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpstreamUrl {
    pub address: Address,
    pub tls: bool,
    pub user: Option<String>,
    pub password: Option<String>,
    pub db: Option<u32>,
}

impl FromStr for UpstreamUrl {
    type Err = String;

    /// The messages never repeat the text: it may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        // `host:port` and `unix:/path` without a scheme: what one types first.
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None => text.strip_prefix("unix:").map_or(("redis", text), |path| ("unix", path)),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last '@': a password with an unescaped one in it is common.
        let (login, place) = rest.rsplit_once('@').map_or(("", rest), |(login, place)| (login, place));
        let (user, password) = parse_login(login)?;
        let (tls, is_unix) = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (true, false),
            "unix" | "redis+unix" => (false, true),
            _ => return Err("unknown scheme; write redis://, rediss:// or unix://".into()),
        };
        let (address, path_db) = if is_unix {
            (format!("unix:{}", decode(place)?), None)
        } else {
            let (host, path) = place.split_once('/').unwrap_or((place, ""));
            let has_port = host.rfind(':') > host.rfind(']');
            let port = if has_port { "".into() } else { format!(":{DEFAULT_PORT}") };
            (format!("{host}{port}"), (!path.is_empty()).then_some(path))
        };
        let address = address.parse::<Address>().map_err(|error| error.to_string())?;
        let db = match (path_db, parse_query(query)?) {
            (Some(_), Some(_)) => return Err("the database is given twice".into()),
            (path, query) => path.or(query).map(parse_db).transpose()?,
        };
        Ok(UpstreamUrl { address, tls, user, password, db })
    }
}

/// `user:password`, `:password`, or a password alone, which is how redis-cli reads a login without ':'.
fn parse_login(login: &str) -> Result<(Option<String>, Option<String>), String> {
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    let given = |text: &str| if text.is_empty() { Ok(None) } else { decode(text).map(Some) };
    Ok((given(user)?, given(password)?))
}

fn parse_query(query: &str) -> Result<Option<&str>, String> {
    let mut db = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("db", value)) => db = Some(value),
            _ => {
                return Err(format!(
                    "unknown parameter '{}'; only db is known",
                    pair.split('=').next().unwrap_or("")
                ));
            }
        }
    }
    Ok(db)
}

fn parse_db(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("'{text}' is not the number of a database"))
}

fn decode(text: &str) -> Result<String, String> {
    let bad = || "a '%' in it is not followed by two hexadecimal digits (write %25 for '%')".to_string();
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or("").as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(bad)?;
        // from_str_radix would take "+1".
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string())
}

fn encode(text: &str, keep: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(char::from(byte)) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl UpstreamUrl {
    /// The URL with the password replaced, to be shown.
    pub fn hidden(&self) -> UpstreamUrl {
        UpstreamUrl { password: self.password.as_ref().map(|_| "hidden".into()), ..self.clone() }
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNRESERVED: &str = "-._~";
        let mut login = String::new();
        encode(self.user.as_deref().unwrap_or(""), UNRESERVED, &mut login);
        if let Some(password) = &self.password {
            login.push(':');
            encode(password, UNRESERVED, &mut login);
        } else if self.user.is_some() {
            login.push(':');
        }
        if !login.is_empty() {
            login.push('@');
        }
        match &self.address {
            Address::Tcp { .. } => {
                write!(f, "redis{}://{login}{}", if self.tls { "s" } else { "" }, self.address)?;
                self.db.map_or(Ok(()), |db| write!(f, "/{db}"))
            }
            Address::Unix(path) => {
                let mut encoded = String::new();
                encode(&path.to_string_lossy(), "-._~/", &mut encoded);
                write!(f, "unix://{login}{encoded}")?;
                self.db.map_or(Ok(()), |db| write!(f, "?db={db}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> UpstreamUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_form_is_read_and_printed_back() {
        let cases = [
            ("redis://h", "redis://h:6379"),
            ("h", "redis://h:6379"),
            ("127.0.0.1:7000", "redis://127.0.0.1:7000"),
            ("redis://h/", "redis://h:6379"),
            ("rediss://u:p%40%3a@[::1]/3", "rediss://u:p%40%3A@[::1]:6379/3"),
            ("redis://:p@h:1?db=2", "redis://:p@h:1/2"),
            ("redis://p@h:1", "redis://:p@h:1"),
            ("redis://u:@h:1", "redis://u:@h:1"),
            ("valkeys://h:1", "rediss://h:1"),
            ("unix:///run/a%20b.sock?db=4", "unix:///run/a%20b.sock?db=4"),
            ("unix:/run/s", "unix:///run/s"),
            ("redis+unix://u:p@/run/s", "unix://u:p@/run/s"),
        ];
        for (text, printed) in cases {
            assert_eq!(parse(text).to_string(), printed);
            assert_eq!(parse(printed), parse(text), "{text}");
        }
        assert_eq!(parse("rediss://u:p%40@h").password.as_deref(), Some("p@"));
        assert_eq!(parse("redis://:a@b@h:1").password.as_deref(), Some("a@b"));
    }

    #[test]
    fn wrong_ones_are_errors_that_hide_the_password() {
        let wrong = [
            "http://:secret@h",
            "redis://:secret@",
            "redis://:secret@h:x",
            "redis://:secret@h/x",
            "redis://:secret@h/1?db=1",
            "redis://:secret@h?timeout=1",
            "redis://:secret%zz@h",
            "unix://:secret@run/s",
        ];
        for text in wrong {
            let error = text.parse::<UpstreamUrl>().expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(parse("redis://u:secret@h").hidden().to_string(), "redis://u:hidden@h:6379");
    }
}
