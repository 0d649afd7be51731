//! A glance at a request whose turn has not come: cheap, and only ever a guess.

use super::number;

/// Requests with more arguments are not looked through.
const MAX_ARGS: u32 = 8;

/// The second argument, mostly a key, of the request at the beginning of `buf`, and the request's length. None
/// if that would take a closer look: it is not here as a whole, or unusual, or has no second argument.
#[inline(always)]
pub fn glance(buf: &[u8]) -> Option<(&[u8], usize)> {
    let (count, at) = number::header(buf, 0, b'*')?;
    if !(2..=MAX_ARGS).contains(&count) {
        return None;
    }
    let (len, start) = number::header(buf, at, b'$')?;
    let (len, start) = number::header(buf, start + len + 2, b'$')?;
    let mut end = start + len;
    let key = buf.get(start as usize..end as usize)?;
    for _ in 2..count {
        let (len, start) = number::header(buf, end + 2, b'$')?;
        end = start + len;
    }
    Some((key, end as usize + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_argument_is_found() {
        let get = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*2\r\n";
        assert_eq!(glance(get), Some((&b"key"[..], get.len() - 4)));
        let set = b"*5\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n$2\r\nEX\r\n$2\r\n10\r\n";
        assert_eq!(glance(set), Some((&b""[..], set.len())));
    }

    #[test]
    fn what_is_unusual_is_left() {
        for request in
            [&b""[..], b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"*9\r\n", b"*2\r\n:3\r\n", b"*2\r\n$3\r\nGET"]
        {
            assert_eq!(glance(request), None, "{}", request.escape_ascii());
        }
    }

    /// It looks at what has not been checked yet.
    #[test]
    fn it_stays_inside_whatever_comes() {
        let set = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
        for end in 0..set.len() {
            for (at, byte) in (0..end).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut cut = set[..end].to_vec();
                cut[at] = byte;
                if let Some((key, _)) = glance(&cut) {
                    assert!(key.len() < end);
                }
            }
        }
        assert_eq!(glance(b"*3\r\n$999\r\n$999\r\n"), None);
    }
}
