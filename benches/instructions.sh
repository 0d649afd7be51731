#!/usr/bin/env bash
# Instructions per GET, counted by valgrind: the same on every machine and at any load, so that a change of a
# few per cent shows. The kernel's part is not in it.
#
#   cargo build --release && benches/instructions.sh [row …]     rows: redis hit miss memory; default: all
#   benches/instructions.sh memory-all [command …]               nine commands: Redis, memory engine
#
# Each count is the difference of a long and a short run, divided by the difference of their requests: what
# start and warming cost is in both and drops out. With one client little depends on timing, but unpipelined it
# pays for a wake-up per request; of 50 several are served per wake-up, as under load.
# Needed: valgrind, redis-server, redis-benchmark, python3.
set -euo pipefail
bin=${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target}/release/nearcache
dir=$(mktemp -d)
redis_pid='' pid=''
trap 'kill $redis_pid $pid 2>/dev/null || true; rm -r "$dir"' EXIT
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
answers() {
    until [ "$(redis-cli -p "$1" SET key:__rand_int__ "$value" 2>/dev/null)" = OK ]; do sleep 0.05; done
}
scale=500
clients=1
load=(-t get) # redis-benchmark's arguments: what is counted
# Instructions of one run of $2 requests in pipelines of $1; the rest is the server's command line, in which
# PORT stands for its port.
total() {
    local depth=$1 requests=$2 port
    shift 2
    port=$(free_port)
    valgrind --tool=callgrind --callgrind-out-file="$dir/out" "${@//PORT/$port}" >/dev/null 2>&1 &
    pid=$!
    answers "$port"
    # What an entry needs to be admitted to L1.
    redis-benchmark -p "$port" -t get -n 100 -c 1 -q >/dev/null
    redis-cli -p "$port" RPUSH list:100 $(seq 100001 100100) >/dev/null
    redis-benchmark -p "$port" -n "$requests" -c "$clients" -P "$depth" -q "${load[@]}" >/dev/null
    kill "$pid"
    wait "$pid" || true
    awk '/^(totals|summary):/ { print $2; exit }' "$dir/out"
}
# Instructions per request of a long run in pipelines of $1, without those of a short one.
each() {
    local depth=$1 short long before after
    short=$((depth * scale)) long=$((depth * scale * 5))
    [ "$clients" = 1 ] || short=$((clients * scale / 5)) long=$((clients * scale)) # unpipelined
    shift
    before=$(total "$depth" "$short" "$@")
    after=$(total "$depth" "$long" "$@")
    echo $(((after - before) / (long - short)))
}
value=$(printf 'x%.0s' {1..64})
redis=$(free_port)
redis-server --port "$redis" --save '' >/dev/null &
redis_pid=$!
answers "$redis"
if [ "${1:-}" = memory-all ]; then
    shift
    [ $# -gt 0 ] || set -- get set incr lpush lrange sadd hset zadd mset
    printf '%-8s %7s %7s %6s   instructions/request, pipeline 64\n' command redis memory ratio
    for command in "$@"; do
        load=(-d 64 -r 10000 -t "$command") scale=500
        [ "$command" != lrange ] || load=(LRANGE list:100 0 99) scale=100
        theirs=$(each 64 redis-server --port PORT --save '')
        ours=$(each 64 "$bin" --listen 127.0.0.1:PORT --set server.worker_threads=1 --upstream '')
        printf '%-8s %7s %7s %6s\n' "$command" "$theirs" "$ours" "$((ours * 100 / theirs)) %"
    done
    exit
fi
printf '%-8s %-8s %-9s %s\n' row clients pipeline 'instructions/request'
[ $# -gt 0 ] || set -- redis hit miss memory
for row in "$@"; do
    near=("$bin" --listen 127.0.0.1:PORT --set server.worker_threads=1)
    case $row in
    redis) command=(redis-server --port PORT --save '') ;;
    hit) command=("${near[@]}" --upstream "redis://127.0.0.1:$redis") ;;
    miss) command=("${near[@]}" --upstream "redis://127.0.0.1:$redis" --set cache.enabled=false) ;;
    memory) command=("${near[@]}" --upstream '') ;;
    *) echo "no such row: $row" >&2 && exit 1 ;;
    esac
    for shape in '1 1' '50 1' '1 64'; do
        read -r clients depth <<<"$shape"
        printf '%-8s %-8s %-9s %s\n' "$row" "$clients" "$depth" "$(each "$depth" "${command[@]}")"
    done
done
