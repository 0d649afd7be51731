//! Upstreams that no Redis is: odd replies, replies nobody asked for, servers of another age.

/// What a Redis 7 says to a handshake; `+OK` and `+PONG` to everything else.
pub fn handshake(request: &[Vec<u8>]) -> Vec<u8> {
    let words: Vec<String> =
        request.iter().map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["HELLO", "3", ..] => {
            b"%3\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:7\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                .to_vec()
        }
        ["HELLO", ..] => b"*4\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:7\r\n".to_vec(),
        ["INFO", ..] => b"$13\r\nrun_id:abcdef\r\n".to_vec(),
        ["PING"] => b"+PONG\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    }
}
