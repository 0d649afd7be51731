//! Whether a reply can be that of a missing key, to be compared with what PTTL says right after it.

/// What a reply tells about its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// The key was there: the reply has content.
    Present,
    /// The key was missing: nothing else answers so (GET's nil, HGETALL's empty map).
    Absent,
    /// Could be either: HGET's nil, STRLEN's 0, LRANGE's empty array.
    Either,
    /// An error: never stored.
    Error,
}

impl Absence {
    /// Judges a complete RESP3 reply without knowing the command. Nulls, zeros, negative numbers, `none`
    /// and collections of nothing but these are `Either`; the rest has content.
    pub fn of(reply: &[u8]) -> Absence {
        let mut at = 0;
        while let Some(&kind) = reply.get(at) {
            let line_end = reply[at..].iter().position(|&b| b == b'\r').map_or(reply.len(), |n| at + n);
            let line = &reply[at + 1..line_end];
            at = line_end + 2;
            match kind {
                b'-' | b'!' => return Absence::Error,
                b'_' => {}
                b'*' | b'~' | b'%' | b'|' => {} // the elements follow and are judged one by one
                b'$' if line == b"-1" => {}
                b':' if line == b"0" || line.first() == Some(&b'-') => {}
                b'#' if line == b"f" => {}
                b'+' if line == b"none" => {}
                _ => return Absence::Present,
            }
        }
        Absence::Either
    }

    /// As `of`, for commands whose nil or empty reply means that the key does not exist (GET and all
    /// that read a whole key).
    pub fn of_whole(reply: &[u8]) -> Absence {
        match reply {
            b"_\r\n" | b"*0\r\n" | b"~0\r\n" | b"%0\r\n" | b"+none\r\n" | b"$-1\r\n" => Absence::Absent,
            _ if Self::of(reply) == Absence::Error => Absence::Error,
            _ => Absence::Present,
        }
    }

    /// As `of`, for commands that read a part of a string, which may be empty (GETRANGE).
    pub fn of_range(reply: &[u8]) -> Absence {
        if reply == b"$0\r\n\r\n" { Absence::Either } else { Self::of(reply) }
    }

    /// True when a PTTL reply, executed right after, can go with this reply.
    pub(super) fn agrees_with(self, pttl: i64) -> bool {
        match self {
            Absence::Present => pttl != -2,
            Absence::Absent => pttl == -2,
            Absence::Either => true,
            Absence::Error => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_with_content_are_of_keys_that_exist() {
        use Absence::*;
        let cases: &[(&[u8], Absence)] = &[
            (b"$1\r\nx\r\n", Present),
            (b"$2\r\n\r\n\r\n", Present),
            (b"$0\r\n\r\n", Present),
            (b"_\r\n", Either),
            (b":0\r\n", Either),
            (b":-2\r\n", Either),
            (b":5\r\n", Present),
            (b"*2\r\n_\r\n_\r\n", Either),
            (b"*2\r\n_\r\n$1\r\nx\r\n", Present),
            (b"*2\r\n$0\r\n\r\n:0\r\n", Present),
            (b"*2\r\n_\r\n:0\r\n", Either),
            (b"%0\r\n", Either),
            (b"+none\r\n", Either),
            (b"+string\r\n", Present),
            (b",1.5\r\n", Present),
            (b"-WRONGTYPE x\r\n", Error),
        ];
        for (reply, want) in cases {
            assert_eq!(Absence::of(reply), *want, "{}", String::from_utf8_lossy(reply));
        }
        assert_eq!(Absence::of_whole(b"_\r\n"), Absent);
        assert_eq!(Absence::of_whole(b"$0\r\n\r\n"), Present);
        assert_eq!(Absence::of_range(b"$0\r\n\r\n"), Either);
        assert_eq!(Absence::of_range(b"$1\r\nx\r\n"), Present);
    }
}
