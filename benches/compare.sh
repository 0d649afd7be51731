#!/usr/bin/env bash
# Requests per second and CPU time per request: redis-server, nearcache in front of it, nearcache alone.
#
#   cargo build --release && benches/compare.sh [rounds]
#
# The servers share one core, redis-benchmark has another; the rounds are interleaved, so that a drift of the
# machine hits all alike. CPU time is of the whole server side, read from /proc, and steadier than the rates.
set -euo pipefail
rounds=${1:-3}
bin=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/release/nearcache
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
serve() {
    taskset -c 0 "$@" >/dev/null 2>&1 &
    pids+=($!)
}
redis=$(free_port) proxy=$(free_port) memory=$(free_port)
serve redis-server --port "$redis" --save ''
serve "$bin" --listen "127.0.0.1:$proxy" --upstream "redis://127.0.0.1:$redis" --set server.worker_threads=1
serve "$bin" --listen "127.0.0.1:$memory" --set server.worker_threads=1
for port in "$redis" "$proxy" "$memory"; do
    until [ "$(redis-cli -p "$port" SET ready 1 2>/dev/null)" = OK ]; do :; done
done
# Clock ticks (10 ms) of user and system time that all servers have used.
ticks() {
    local all=0 pid
    for pid in "${pids[@]}"; do
        all=$((all + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
    done
    echo $all
}
printf '%-8s %-7s %-4s %12s %14s\n' pipeline server test requests/s 'CPU µs/request'
for depth in 1 16 64; do
    requests=$((depth == 1 ? 60000 : 600000))
    for ((round = 0; round < rounds; round++)); do
        for name in redis proxy memory; do
            for test in get set; do
                before=$(ticks)
                rate=$(taskset -c 1 redis-benchmark -p "${!name}" -t "$test" -n "$requests" -P "$depth" -c 50 -q |
                    tr '\r' '\n' | grep -oE '[0-9.]+ requests' | tail -n 1 | cut -d. -f1)
                used=$(($(ticks) - before))
                printf '%-8s %-7s %-4s %12s %14s\n' "$depth" "$name" "$test" "$rate" \
                    "$(awk "BEGIN { printf \"%.2f\", $used * 10000 / $requests }")"
            done
        done
    done
done | sort -n -k1,1 -k2,2 -k3,3
