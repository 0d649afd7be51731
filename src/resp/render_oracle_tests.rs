//! Every reply whose shape is not plain, and many that are, as a real Redis sends them to RESP2 and to
//! RESP3 clients: rendering the one must give the other.

use bytes::BytesMut;

use super::Shape::{self, *};
use super::{render_resp2, render_resp2_exec};
use crate::resp::oracle::{Connection, Redis};
use crate::resp::{Cursor, Kind, Proto};

/// What the reply must be equal in.
#[derive(Clone, Copy, PartialEq)]
enum Equal {
    /// Every byte.
    Bytes,
    /// Types and counts: the reply holds clocks, addresses or memory sizes.
    Form,
}
use Equal::{Bytes, Form};

/// Shape, setup (`;` between commands), command, what must be equal.
type Case = (Shape, &'static str, &'static str, Equal);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Strings
    (Plain, "SET a 1", "GET a", Bytes),
    (Plain, "", "GET a", Bytes),
    (Plain, "LPUSH a 1", "GET a", Bytes),
    (Plain, "SET a 1", "MGET a b a", Bytes),
    (Plain, "", "SET a 1 GET", Bytes),
    (Plain, "SET a 1", "SET a 2 NX", Bytes),
    (Plain, "SET a 1", "SET a 2 NX GET", Bytes),
    (Plain, "", "GETDEL a", Bytes),
    (Plain, "", "GETEX a", Bytes),
    (Plain, "", "GETSET a 1", Bytes),
    (Plain, "SET a 1.5", "INCRBYFLOAT a 3e-3", Bytes),
    (Plain, "SET a abc", "GETRANGE a 5 9", Bytes),
    (Plain, "MSET a ohmytext b mynewtext", "LCS a b", Bytes),
    (Plain, "MSET a ohmytext b mynewtext", "LCS a b LEN", Bytes),
    (Plain, "MSET a ohmytext b mynewtext", "LCS a b IDX WITHMATCHLEN", Bytes),
    (Plain, "", "LCS a b IDX", Bytes),
    (Plain, "", "BITFIELD a SET u8 0 255 GET u8 0 OVERFLOW FAIL INCRBY u8 0 1", Bytes),
    (Plain, "", "BITFIELD_RO a GET u8 0", Bytes),
    (Plain, "", "MSETNX a 1 b 2", Bytes),
    // Keys
    (Plain, "", "RANDOMKEY", Bytes),
    (Plain, "SET a 1", "RANDOMKEY", Bytes),
    (Plain, "SET a 1", "SCAN 0", Bytes),
    (Plain, "SET a 1", "KEYS *", Bytes),
    (Plain, "SET a 1", "TYPE a", Bytes),
    (Plain, "", "DUMP a", Bytes),
    (Plain, "SET a 1", "DUMP a", Bytes),
    (Plain, "", "OBJECT ENCODING a", Bytes),
    (Plain, "SET a 1", "OBJECT ENCODING a", Bytes),
    (Plain, "", "OBJECT REFCOUNT a", Bytes),
    (Plain, "", "OBJECT IDLETIME a", Bytes),
    (Plain, "", "OBJECT FREQ a", Bytes),
    (Plain, "", "OBJECT HELP", Bytes),
    (Plain, "", "MEMORY USAGE a", Bytes),
    (Plain, "SET a 1", "MEMORY USAGE a", Bytes),
    (Plain, "RPUSH a 2 1; SET w_1 x", "SORT a GET # GET w_*", Bytes),
    (Plain, "RPUSH a 2 1; SET w_1 x", "SORT_RO a GET # GET w_*", Bytes),
    (Plain, "", "SORT a", Bytes),
    (Plain, "", "TTL a", Bytes),
    (Plain, "", "COPY a b", Bytes),
    // Hashes
    (Plain, "HSET h f 1 g 2", "HGETALL h", Bytes),
    (Plain, "", "HGETALL h", Bytes),
    (Plain, "HSET h f 1", "HMGET h f g", Bytes),
    (Plain, "", "HGET h f", Bytes),
    (Plain, "HSET h f 1 g 2", "HKEYS h", Bytes),
    (Plain, "HSET h f 1 g 2", "HVALS h", Bytes),
    (Plain, "HSET h f 1.5", "HINCRBYFLOAT h f 1e3", Bytes),
    (Plain, "HSET h f 1 g 2", "HSCAN h 0", Bytes),
    (Pairs, "", "HRANDFIELD h", Bytes),
    (Pairs, "HSET h f 1", "HRANDFIELD h", Bytes),
    (Pairs, "HSET h f 1", "HRANDFIELD h -3", Bytes),
    (Pairs, "HSET h f 1", "HRANDFIELD h -3 WITHVALUES", Bytes),
    (Pairs, "HSET h f 1", "HRANDFIELD h 3 WITHVALUES", Bytes),
    (Pairs, "", "HRANDFIELD h 3 WITHVALUES", Bytes),
    (Pairs, "", "HRANDFIELD h 3", Bytes),
    (Pairs, "SET h 1", "HRANDFIELD h 3 WITHVALUES", Bytes),
    // Lists
    (Plain, "", "LPOP l", Bytes),
    (Plain, "RPUSH l a", "LPOP l", Bytes),
    (NullArray, "", "LPOP l 1", Bytes),
    (NullArray, "", "LPOP l 0", Bytes),
    (NullArray, "RPUSH l a", "LPOP l 0", Bytes),
    (NullArray, "RPUSH l a b c", "LPOP l 2", Bytes),
    (Plain, "", "RPOP l", Bytes),
    (NullArray, "", "RPOP l 1", Bytes),
    (NullArray, "RPUSH l a b c", "RPOP l 2", Bytes),
    (NullArray, "SET l 1", "RPOP l 2", Bytes),
    (NullArray, "", "BLPOP l m 0.01", Bytes),
    (NullArray, "RPUSH m a", "BLPOP l m 0.01", Bytes),
    (NullArray, "", "BRPOP l m 0.01", Bytes),
    (NullArray, "RPUSH m a", "BRPOP l m 0.01", Bytes),
    (Plain, "", "RPOPLPUSH l m", Bytes),
    (Plain, "", "LMOVE l m LEFT RIGHT", Bytes),
    (NullArray, "", "BRPOPLPUSH l m 0.01", Bytes),
    (NullArray, "RPUSH l a", "BRPOPLPUSH l m 0.01", Bytes),
    (NullArray, "", "BLMOVE l m LEFT RIGHT 0.01", Bytes),
    (NullArray, "RPUSH l a", "BLMOVE l m LEFT RIGHT 0.01", Bytes),
    (NullArray, "", "LMPOP 1 l LEFT", Bytes),
    (NullArray, "RPUSH l a b", "LMPOP 1 l LEFT COUNT 3", Bytes),
    (NullArray, "", "BLMPOP 0.01 1 l LEFT", Bytes),
    (NullArray, "RPUSH l a b", "BLMPOP 0.01 1 l LEFT", Bytes),
    (Plain, "", "LINDEX l 0", Bytes),
    (Plain, "", "LRANGE l 0 -1", Bytes),
    (Plain, "RPUSH l a b", "LRANGE l 0 -1", Bytes),
    (Plain, "", "LPOS l a", Bytes),
    (Plain, "RPUSH l b", "LPOS l a", Bytes),
    (Plain, "RPUSH l b", "LPOS l a COUNT 0", Bytes),
    (Plain, "", "LPOS l a COUNT 0", Bytes),
    (Plain, "RPUSH l a b a", "LPOS l a COUNT 0", Bytes),
    // Sets
    (Plain, "SADD s a b", "SMEMBERS s", Bytes),
    (Plain, "", "SMEMBERS s", Bytes),
    (Plain, "", "SPOP s", Bytes),
    (Plain, "", "SPOP s 2", Bytes),
    (Plain, "SADD s a b", "SPOP s 2", Bytes),
    (Plain, "SADD s a", "SPOP s", Bytes),
    (Plain, "", "SRANDMEMBER s", Bytes),
    (Plain, "", "SRANDMEMBER s 2", Bytes),
    (Plain, "SADD s a", "SRANDMEMBER s -2", Bytes),
    (Plain, "SADD s a", "SRANDMEMBER s 2", Bytes),
    (Plain, "SADD s a b", "SMISMEMBER s a c", Bytes),
    (Plain, "SADD s a b; SADD t a", "SINTER s t", Bytes),
    (Plain, "SADD s a b; SADD t c", "SUNION s t", Bytes),
    (Plain, "SADD s a b; SADD t a", "SDIFF s t", Bytes),
    (Plain, "", "SINTER s t", Bytes),
    (Plain, "SADD s a b", "SSCAN s 0", Bytes),
    // Sorted sets
    (Plain, "", "ZADD z 1 a", Bytes),
    (Plain, "", "ZADD z INCR 1.5 a", Bytes),
    (Plain, "", "ZADD z XX INCR 1 a", Bytes),
    (Plain, "ZADD z 1 a", "ZINCRBY z 0.1 a", Bytes),
    (Plain, "ZADD z 1 a", "ZINCRBY z +inf a", Bytes),
    (Plain, "ZADD z 3.0000000000000004 a", "ZSCORE z a", Bytes),
    (Plain, "ZADD z 1e300 a", "ZSCORE z a", Bytes),
    (Plain, "ZADD z -inf a", "ZSCORE z a", Bytes),
    (Plain, "", "ZSCORE z a", Bytes),
    (Plain, "ZADD z 1 a", "ZMSCORE z a b", Bytes),
    (Plain, "", "ZMSCORE z a b", Bytes),
    (Plain, "", "ZRANK z a", Bytes),
    (Plain, "", "ZREVRANK z a", Bytes),
    (Plain, "ZADD z 1 a 2.5 b", "ZSCAN z 0", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZRANGE z 0 -1", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b inf c", "ZRANGE z 0 -1 WITHSCORES", Bytes),
    (Pairs, "", "ZRANGE z 0 -1 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZRANGE z 0 5 BYSCORE LIMIT 0 1 WITHSCORES", Bytes),
    (Pairs, "SET z 1", "ZRANGE z 0 5 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZREVRANGE z 0 -1 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZRANGEBYSCORE z 0 5 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZREVRANGEBYSCORE z 5 0 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZRANGEBYSCORE z 0 5", Bytes),
    (Plain, "ZADD z 1 a 1 b", "ZRANGEBYLEX z - +", Bytes),
    (Plain, "ZADD z 1 a 1 b", "ZREVRANGEBYLEX z + -", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b; ZADD y 1 a", "ZDIFF 2 z y", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b; ZADD y 1 a", "ZDIFF 2 z y WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b; ZADD y 1 a", "ZINTER 2 z y WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b; ZADD y 1 a", "ZUNION 2 z y WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b; ZADD y 1 a", "ZUNION 2 z y", Bytes),
    (Pairs, "", "ZUNION 2 z y WITHSCORES", Bytes),
    (Pairs, "", "ZRANDMEMBER z", Bytes),
    (Pairs, "ZADD z 1.5 a", "ZRANDMEMBER z", Bytes),
    (Pairs, "ZADD z 1.5 a", "ZRANDMEMBER z -2", Bytes),
    (Pairs, "ZADD z 1.5 a", "ZRANDMEMBER z -2 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1.5 a", "ZRANDMEMBER z 2 WITHSCORES", Bytes),
    (Pairs, "", "ZRANDMEMBER z 2 WITHSCORES", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMIN z", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMIN z 1", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMIN z 2", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMIN z 0", Bytes),
    (Pairs, "", "ZPOPMIN z", Bytes),
    (Pairs, "", "ZPOPMIN z 2", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMAX z", Bytes),
    (Pairs, "ZADD z 1 a 2.5 b", "ZPOPMAX z 2", Bytes),
    (NullArray, "", "BZPOPMIN z 0.01", Bytes),
    (NullArray, "ZADD z 1.5 a", "BZPOPMIN z 0.01", Bytes),
    (NullArray, "", "BZPOPMAX z 0.01", Bytes),
    (NullArray, "ZADD z 1.5 a", "BZPOPMAX z 0.01", Bytes),
    (NullArray, "", "ZMPOP 1 z MIN", Bytes),
    (NullArray, "ZADD z 1 a 2.5 b", "ZMPOP 1 z MIN COUNT 2", Bytes),
    (NullArray, "", "BZMPOP 0.01 1 z MIN", Bytes),
    (NullArray, "ZADD z 1 a 2.5 b", "BZMPOP 0.01 1 z MAX COUNT 2", Bytes),
    // Geo
    (NullArrays, "GEOADD g 13.361389 38.115556 P", "GEOPOS g P", Bytes),
    (NullArrays, "GEOADD g 13.361389 38.115556 P", "GEOPOS g Q P R", Bytes),
    (NullArrays, "", "GEOPOS g P Q", Bytes),
    (NullArrays, "", "GEOPOS g", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P 15.087269 37.502669 C", "GEODIST g P C km", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEODIST g P Q", Bytes),
    (Plain, "", "GEODIST g P Q", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEOHASH g P Q", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km WITHCOORD WITHDIST WITHHASH", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEORADIUS g 15 37 200 km WITHCOORD WITHDIST WITHHASH", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEORADIUS_RO g 15 37 200 km WITHCOORD", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEORADIUSBYMEMBER g P 200 km WITHDIST", Bytes),
    (Plain, "GEOADD g 13.361389 38.115556 P", "GEORADIUSBYMEMBER_RO g P 200 km WITHDIST", Bytes),
    (Plain, "", "GEORADIUS g 15 37 200 km WITHCOORD", Bytes),
    (Plain, "", "GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km WITHCOORD", Bytes),
    // Streams
    (Plain, "", "XADD x NOMKSTREAM 1-1 f v", Bytes),
    (Plain, "", "XADD x 1-1 f v", Bytes),
    (NullArray, "XADD x 1-1 f v g w", "XRANGE x - +", Bytes),
    (NullArray, "XADD x 1-1 f v g w", "XREVRANGE x + -", Bytes),
    (NullArray, "", "XRANGE x - +", Bytes),
    (NullArray, "XADD x 1-1 f v", "XRANGE x - + COUNT 0", Bytes),
    (NullArray, "XADD x 1-1 f v", "XREVRANGE x + - COUNT 0", Bytes),
    (Streams, "XADD x 1-1 f v g w; XADD y 1-1 f v", "XREAD STREAMS x y 0 0", Bytes),
    (Streams, "XADD x 1-1 f v", "XREAD STREAMS x y 5 0", Bytes),
    (Streams, "", "XREAD BLOCK 1 STREAMS x 0", Bytes),
    (Streams, "SET x 1", "XREAD STREAMS x 0", Bytes),
    (Streams, "XADD x 1-1 f v; XADD x 1-2 f v; XGROUP CREATE x g 0", "XREADGROUP GROUP g c STREAMS x >", Bytes),
    (Streams, "XGROUP CREATE x g 0 MKSTREAM", "XREADGROUP GROUP g c STREAMS x >", Bytes),
    (Streams, "XGROUP CREATE x g 0 MKSTREAM", "XREADGROUP GROUP g c BLOCK 1 STREAMS x >", Bytes),
    (Streams, "XGROUP CREATE x g 0 MKSTREAM", "XREADGROUP GROUP g c STREAMS x 0", Bytes),
    (Streams, "XADD x 1-1 f v; XADD x 1-2 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >; XDEL x 1-1", "XREADGROUP GROUP g c STREAMS x 0", Bytes),
    (Streams, "XADD x 1-1 f v; XGROUP CREATE x g 0", "XREADGROUP GROUP g c NOACK STREAMS x >", Bytes),
    (LastNullArray, "XADD x 1-1 f v; XGROUP CREATE x g 0", "XPENDING x g", Bytes),
    (LastNullArray, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XPENDING x g", Bytes),
    (LastNullArray, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XPENDING x g - + 5", Form),
    (LastNullArray, "XADD x 1-1 f v; XGROUP CREATE x g 0", "XPENDING x g - + 5", Bytes),
    (LastNullArray, "", "XPENDING x g", Bytes),
    (Plain, "XADD x 1-1 f v; XADD x 1-2 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >; XDEL x 1-1", "XCLAIM x g d 0 1-1 1-2", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XCLAIM x g d 0 1-1 JUSTID", Bytes),
    (Plain, "XADD x 1-1 f v; XADD x 1-2 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >; XDEL x 1-1", "XAUTOCLAIM x g d 0 0", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0", "XAUTOCLAIM x g d 0 0 JUSTID", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XINFO STREAM x", Bytes),
    (Plain, "XGROUP CREATE x g 0 MKSTREAM", "XINFO STREAM x", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XINFO STREAM x FULL", Form),
    (Plain, "XGROUP CREATE x g 0 MKSTREAM; XADD x 1-1 f v; XADD x 1-2 f v; XDEL x 1-1; XGROUP SETID x g 1-1", "XINFO STREAM x FULL", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XINFO GROUPS x", Bytes),
    (Plain, "XADD x 1-1 f v; XADD x 1-2 f v; XADD x 1-3 f v; XDEL x 1-2; XGROUP CREATE x g 1-1", "XINFO GROUPS x", Bytes),
    (Plain, "XADD x 1-1 f v; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >", "XINFO CONSUMERS x g", Form),
    (Plain, "", "XINFO HELP", Bytes),
    (Plain, "", "XGROUP HELP", Bytes),
    // HyperLogLog
    (Plain, "", "PFADD p a", Bytes),
    (Plain, "", "PFCOUNT p", Bytes),
    // Scripts
    (Plain, "", "EVAL 'return {1,false,true,\"a\",{2}}' 0", Bytes),
    (Plain, "", "EVAL 'return false' 0", Bytes),
    (Plain, "", "EVAL 'return redis.call(\"lpop\",\"l\",2)' 0", Bytes),
    (Plain, "", "EVAL 'redis.setresp(3) return redis.call(\"lpop\",\"l\",2)' 0", Bytes),
    (Plain, "HSET h a 1", "EVAL 'redis.setresp(3) return redis.call(\"hgetall\",\"h\")' 0", Bytes),
    (Plain, "ZADD z 1.5 a", "EVAL 'redis.setresp(3) return redis.call(\"zrange\",\"z\",0,-1,\"withscores\")' 0", Bytes),
    (Plain, "ZADD z 1.5 a", "EVAL 'redis.setresp(3) return redis.call(\"zscore\",\"z\",\"a\")' 0", Bytes),
    (Plain, "SADD s a", "EVAL 'redis.setresp(3) return redis.call(\"smembers\",\"s\")' 0", Bytes),
    (Plain, "", "EVAL 'redis.setresp(3) return {true,false,{double=3.25},{map={a=1}},{set={a=true}}}' 0", Bytes),
    (Plain, "", "EVAL 'return {big_number=\"1234567890123456789012345678901234567890\"}' 0", Bytes),
    (Plain, "", "EVAL 'return {verbatim_string={string=\"hello\",format=\"txt\"}}' 0", Bytes),
    (Plain, "", "EVAL 'return redis.call(\"geopos\",\"g\",\"a\")' 0", Bytes),
    (Plain, "", "EVAL 'return {err=\"ERR x\"}' 0", Bytes),
    (Plain, "", "EVAL_RO 'return {1,{}}' 0", Bytes),
    (Plain, "", "EVALSHA 0000000000000000000000000000000000000000 0", Bytes),
    (Plain, "", "SCRIPT EXISTS 0000000000000000000000000000000000000000", Bytes),
    (Plain, "FUNCTION LOAD \"#!lua name=m\\nredis.register_function('f', function(k,a) return {double=1.5} end)\"", "FCALL f 0", Bytes),
    (Plain, "FUNCTION LOAD \"#!lua name=m\\nredis.register_function{function_name='f', callback=function(k,a) return 1 end, flags={'no-writes'}}\"", "FCALL_RO f 0", Bytes),
    (Plain, "FUNCTION LOAD \"#!lua name=m\\nredis.register_function{function_name='f', callback=function(k,a) return 1 end, flags={'no-writes'}}\"", "FUNCTION LIST WITHCODE", Bytes),
    (Plain, "FUNCTION LOAD \"#!lua name=m\\nredis.register_function('f', function(k,a) return 1 end)\"", "FUNCTION STATS", Bytes),
    (Plain, "", "FUNCTION LIST", Bytes),
    (Plain, "", "FUNCTION STATS", Bytes),
    (Plain, "", "FUNCTION DUMP", Bytes),
    (Plain, "", "FUNCTION HELP", Bytes),
    // Transactions
    (NullArray, "SET a 1; WATCH a; SET a 2; MULTI; GET a", "EXEC", Bytes),
    (NullArray, "MULTI", "EXEC", Bytes),
    (NullArray, "", "EXEC", Bytes),
    (NullArray, "MULTI; NOSUCH", "EXEC", Bytes),
    (NullArray, "SET a 1; MULTI; GET a; GET b; MGET a b", "EXEC", Bytes),
    (Plain, "MULTI", "GET a", Bytes),
    // The server
    (Plain, "", "PING", Bytes),
    (Plain, "", "PING x", Bytes),
    (Plain, "", "ECHO x", Bytes),
    (Plain, "", "TIME", Form),
    (Plain, "", "LASTSAVE", Form),
    (Plain, "", "ROLE", Bytes),
    (Plain, "", "INFO replication", Form),
    (Plain, "", "LOLWUT VERSION 1", Bytes),
    (Plain, "", "CONFIG GET maxmem*", Bytes),
    (Plain, "", "CONFIG GET nothing", Bytes),
    (Plain, "", "CONFIG HELP", Bytes),
    (Plain, "", "COMMAND COUNT", Bytes),
    (Plain, "", "COMMAND LIST", Bytes),
    (Plain, "", "COMMAND LIST FILTERBY PATTERN xinf*", Bytes),
    (Plain, "", "COMMAND", Form),
    (Plain, "", "COMMAND INFO", Form),
    (Plain, "", "COMMAND INFO get nosuch zunion config config|get config|nosuch", Bytes),
    (Plain, "", "COMMAND DOCS get xadd config nosuch", Bytes),
    (Plain, "", "COMMAND DOCS", Form),
    (Plain, "", "COMMAND GETKEYS MSET a 1 b 2", Bytes),
    (Plain, "", "COMMAND GETKEYSANDFLAGS MSET a 1 b 2", Bytes),
    (Plain, "", "COMMAND HELP", Bytes),
    (Plain, "", "MODULE LIST", Bytes),
    (Plain, "", "MEMORY STATS", Form),
    (Plain, "", "MEMORY DOCTOR", Form),
    (Plain, "", "MEMORY MALLOC-STATS", Form),
    (Plain, "", "MEMORY PURGE", Bytes),
    (Plain, "", "MEMORY HELP", Bytes),
    (Plain, "CONFIG RESETSTAT; SET a 1", "LATENCY HISTOGRAM set", Form),
    (Plain, "", "LATENCY HISTOGRAM nosuch", Bytes),
    (Plain, "", "LATENCY DOCTOR", Form),
    (Plain, "", "LATENCY GRAPH command", Bytes),
    (Plain, "", "LATENCY HISTORY command", Bytes),
    (Plain, "", "LATENCY LATEST", Bytes),
    (Plain, "", "LATENCY RESET", Bytes),
    (Plain, "", "LATENCY HELP", Bytes),
    (Plain, "CONFIG SET slowlog-log-slower-than 0; CONFIG SET slowlog-log-slower-than -1", "SLOWLOG GET 1", Form),
    (Plain, "SLOWLOG RESET", "SLOWLOG GET", Bytes),
    (Plain, "", "SLOWLOG HELP", Bytes),
    (Plain, "", "CLIENT ID", Form),
    (Plain, "", "CLIENT INFO", Form),
    (Plain, "", "CLIENT LIST", Form),
    (Plain, "", "CLIENT GETNAME", Bytes),
    (Plain, "CLIENT SETNAME x", "CLIENT GETNAME", Bytes),
    (Plain, "", "CLIENT GETREDIR", Bytes),
    (Plain, "", "CLIENT TRACKINGINFO", Bytes),
    (Plain, "", "CLIENT HELP", Bytes),
    (Plain, "ACL SETUSER u reset on >p ~a:* %R~b:* &c +get (+set ~d)", "ACL GETUSER u", Bytes),
    (Plain, "CLIENT TRACKING ON BCAST PREFIX a", "CLIENT TRACKINGINFO", Bytes),
    (Plain, "", "ACL GETUSER nosuch", Bytes),
    (Plain, "ACL DELUSER u", "ACL LIST", Bytes),
    (Plain, "ACL DELUSER u", "ACL USERS", Bytes),
    (Plain, "", "ACL WHOAMI", Bytes),
    (Plain, "", "ACL CAT", Bytes),
    (Plain, "", "ACL CAT geo", Bytes),
    (Plain, "", "ACL HELP", Bytes),
    (Plain, "ACL SETUSER u reset on nopass ~* -@all +auth", "ACL DRYRUN u get a", Bytes),
    (Plain, "ACL SETUSER u reset on nopass ~* -@all +auth; AUTH u x; GET a; AUTH default x", "ACL LOG", Form),
    (Plain, "ACL LOG RESET", "ACL LOG", Bytes),
    (Plain, "", "PUBSUB CHANNELS", Bytes),
    (Plain, "", "PUBSUB NUMSUB a b", Bytes),
    (Plain, "", "PUBSUB SHARDNUMSUB a", Bytes),
    (Plain, "", "PUBSUB NUMPAT", Bytes),
    (Plain, "", "PUBSUB HELP", Bytes),
    (Plain, "", "SUBSCRIBE a", Bytes),
    (Plain, "", "PSUBSCRIBE a*", Bytes),
    (Plain, "", "SSUBSCRIBE a", Bytes),
    (Plain, "", "UNSUBSCRIBE", Bytes),
    (Plain, "", "PUNSUBSCRIBE", Bytes),
    (Plain, "", "SUNSUBSCRIBE a", Bytes),
    (Plain, "", "CLUSTER INFO", Bytes),
    (Plain, "", "WAIT 0 1", Bytes),
    (Plain, "", "SCRIPT HELP", Bytes),
    (Plain, "", "DEBUG PROTOCOL string", Bytes),
    (Plain, "", "DEBUG PROTOCOL integer", Bytes),
    (Plain, "", "DEBUG PROTOCOL double", Bytes),
    (Plain, "", "DEBUG PROTOCOL null", Bytes),
    (Plain, "", "DEBUG PROTOCOL array", Bytes),
    (Plain, "", "DEBUG PROTOCOL set", Bytes),
    (Plain, "", "DEBUG PROTOCOL map", Bytes),
    (Plain, "", "DEBUG PROTOCOL verbatim", Bytes),
    (Plain, "", "DEBUG PROTOCOL true", Bytes),
    (Plain, "", "DEBUG PROTOCOL false", Bytes),
    (Plain, "", "DEBUG PROTOCOL bignum", Bytes),
];

#[rustfmt::skip]
const CLUSTER_CASES: &[Case] = &[
    (Plain, "", "CLUSTER INFO", Form),
    (Plain, "", "CLUSTER NODES", Form),
    (Plain, "", "CLUSTER SHARDS", Bytes),
    (Plain, "", "CLUSTER SLOTS", Bytes),
    (Plain, "", "CLUSTER LINKS", Bytes),
    (Plain, "", "CLUSTER MYID", Bytes),
    (Plain, "", "CLUSTER KEYSLOT a", Bytes),
    (Plain, "SET a 1", "CLUSTER GETKEYSINSLOT 15495 5", Bytes),
    (Plain, "", "CLUSTER REPLICAS nosuch", Bytes),
    (Plain, "", "CLUSTER HELP", Bytes),
];

/// Types and counts of a reply, without its texts.
fn form(reply: &[u8]) -> Vec<String> {
    let mut cursor = Cursor::new(reply);
    let mut out = Vec::new();
    while let Some(kind) = cursor.read() {
        out.push(match kind {
            Kind::Simple(_) => "+".into(),
            Kind::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
            Kind::Int(_) => ":".into(),
            Kind::Bulk(_) => "$".into(),
            other => format!("{other:?}"),
        });
    }
    assert!(cursor.rest().is_empty());
    out
}

/// A connection of its own per case and protocol, so that one case's state is not another's.
fn ask(redis: &Redis, proto: Proto, setup: &str, command: &str) -> Vec<u8> {
    let mut connection = redis.connect(proto);
    reset(&mut connection);
    for line in setup.split(';').filter(|line| !line.trim().is_empty()) {
        connection.command(line.trim());
    }
    connection.command(command)
}

fn reset(connection: &mut Connection) {
    for line in ["FLUSHALL", "FUNCTION FLUSH", "SCRIPT FLUSH"] {
        assert_eq!(connection.command(line), b"+OK\r\n", "{line}");
    }
}

fn check(redis: &Redis, cases: &[Case]) {
    let mut failures = Vec::new();
    for &(shape, setup, command, equal) in cases {
        let resp2 = ask(redis, Proto::Resp2, setup, command);
        let resp3 = ask(redis, Proto::Resp3, setup, command);
        let mut rendered = BytesMut::new();
        render_resp2(&resp3, shape, &mut rendered);
        let same = match equal {
            Bytes => rendered == resp2[..],
            Form => form(&rendered) == form(&resp2),
        };
        if !same {
            let [resp3, resp2, got] = [&resp3, &resp2, &rendered[..]].map(|b| b.escape_ascii().to_string());
            failures
                .push(format!("{setup} | {command} as {shape:?}\n  3: {resp3}\n  2: {resp2}\n  r: {got}\n"));
        }
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_shape_is_what_redis_sends_to_resp2_clients() {
    check(&Redis::start(&["--enable-debug-command", "yes"]), CASES);
}

/// Shape, setup, a command that blocks, and what wakes it.
#[rustfmt::skip]
const WOKEN: &[(Shape, &str, &str, &str)] = &[
    (NullArray, "", "BLPOP l 0", "RPUSH l a"),
    (NullArray, "", "BRPOP l 0", "RPUSH l a"),
    (NullArray, "", "BLMOVE l m LEFT LEFT 0", "RPUSH l a"),
    (NullArray, "", "BRPOPLPUSH l m 0", "RPUSH l a"),
    (NullArray, "", "BLMPOP 0 2 l m LEFT COUNT 2", "RPUSH m a b"),
    (NullArray, "", "BZPOPMIN z 0", "ZADD z 1.5 a"),
    (NullArray, "", "BZPOPMAX z 0", "ZADD z 1.5 a"),
    (NullArray, "", "BZMPOP 0 1 z MIN COUNT 2", "ZADD z 1.5 a 2 b"),
    (Streams, "", "XREAD BLOCK 0 STREAMS x y $ $", "XADD y 1-1 f v"),
    (Streams, "XGROUP CREATE x g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XADD x 1-1 f v"),
    (Streams, "XGROUP CREATE x g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XGROUP DESTROY x g"),
    (NullArray, "", "BLMOVE l m LEFT LEFT 0", "CLIENT UNBLOCK {id}"),
    (NullArray, "", "BLMOVE l m LEFT LEFT 0", "CLIENT UNBLOCK {id} ERROR"),
    (NullArray, "", "BZMPOP 0 1 z MIN COUNT 2", "CLIENT UNBLOCK {id}"),
    (Streams, "", "XREAD BLOCK 0 STREAMS x y $ $", "CLIENT UNBLOCK {id}"),
];

/// The reply to a command that blocks until another client's command wakes it.
fn ask_woken(redis: &Redis, proto: Proto, setup: &str, command: &str, waker: &str) -> Vec<u8> {
    let (mut blocked, mut other) = (redis.connect(proto), redis.connect(Proto::Resp2));
    reset(&mut other);
    if !setup.is_empty() {
        other.command(setup);
    }
    let id = String::from_utf8(blocked.command("CLIENT ID")).expect("an integer");
    blocked.send(format!("{command}\r\n").as_bytes());
    while !other.command("INFO clients").windows(17).any(|w| w == b"blocked_clients:1") {}
    other.command(&waker.replace("{id}", id[1..].trim()));
    blocked.reply()
}

#[test]
fn replies_to_woken_clients_have_the_same_shapes() {
    let redis = Redis::start(&[]);
    for &(shape, setup, command, waker) in WOKEN {
        let resp2 = ask_woken(&redis, Proto::Resp2, setup, command, waker);
        let resp3 = ask_woken(&redis, Proto::Resp3, setup, command, waker);
        let mut rendered = BytesMut::new();
        render_resp2(&resp3, shape, &mut rendered);
        assert_eq!(
            rendered.escape_ascii().to_string(),
            resp2.escape_ascii().to_string(),
            "{command}, {waker}"
        );
    }
}

#[test]
fn every_shape_of_a_cluster_node_too() {
    let redis = Redis::start(&["--cluster-enabled", "yes"]);
    let mut connection = redis.connect(Proto::Resp2);
    assert_eq!(connection.command("CLUSTER ADDSLOTSRANGE 0 16383"), b"+OK\r\n");
    while !connection.command("CLUSTER INFO").windows(16).any(|w| w == b"cluster_state:ok") {}
    check(&redis, CLUSTER_CASES);
}

#[test]
fn results_of_exec_have_the_shapes_of_their_commands() {
    let redis = Redis::start(&[]);
    let setup = "ZADD z 1.5 a 2 b; XADD x 1-1 f v; HSET h f v; MULTI";
    let queued = [
        (Pairs, "ZRANGE z 0 -1 WITHSCORES"),
        (NullArray, "LPOP l 2"),
        (Plain, "LPOP l"),
        (Streams, "XREAD STREAMS x 0"),
        (Streams, "XREAD STREAMS x 9"),
        (NullArrays, "GEOPOS g a"),
        (NullArray, "BLPOP l 0"),
        (Plain, "HGETALL h"),
        (Plain, "GET z"),
        (Pairs, "ZPOPMIN z"),
        (LastNullArray, "XPENDING x g"),
        (Plain, "ZSCORE z b"),
    ];
    let setup = queued.iter().fold(setup.to_owned(), |setup, (_, line)| setup + ";" + line);
    let resp2 = ask(&redis, Proto::Resp2, &setup, "EXEC");
    let resp3 = ask(&redis, Proto::Resp3, &setup, "EXEC");
    let mut rendered = BytesMut::new();
    render_resp2_exec(&resp3, queued.iter().map(|&(shape, _)| shape), &mut rendered);
    assert_eq!(rendered.escape_ascii().to_string(), resp2.escape_ascii().to_string());
}
