//! Commands that the proxy answers inside MULTI must leave the lane as it was.

use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;

/// A local command that turned to the upstream while EXEC's reply was put together appended a request
/// without bytes; its reply never came, and every later reply of the lane went to the client before.
#[test]
fn what_is_answered_inside_exec_asks_the_upstream_nothing() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let mut client = proxy.client();
    for words in
        ["CLIENT HELP", "INFO upstream", "CLIENT ID", "CLIENT INFO", "NEARCACHE HELP", "COMMAND COUNT"]
    {
        let words: Vec<&str> = words.split(' ').collect();
        client.call(&["MULTI"]).unwrap();
        assert_eq!(client.call(&words).unwrap().text(), Some(&b"QUEUED"[..]), "{words:?}");
        let reply = client.call(&["EXEC"]).unwrap();
        assert!(!reply.items()[0].is_error(), "{words:?}: {reply:?}");
        for i in 0..3 {
            let text = format!("{words:?} {i}");
            client.call(&["SET", "k", &text]).unwrap();
            assert_eq!(proxy.client().call(&["GET", "k"]).unwrap().text(), Some(text.as_bytes()));
        }
    }
}
