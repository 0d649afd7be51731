#!/usr/bin/env bash
# Runs real client libraries against nearcache in front of redis-server, and says what failed.
#
#   tests/clients/run.sh [python] [node] [rust]     the suites to run; all without an argument
#
#   NEARCACHE_BIN=path        the proxy to test; built by `cargo build` when unset
#   NEARCACHE_TEST_DIRECT=1   no proxy: the suites against redis-server itself, which must pass too
#
# Needs redis-server, redis-cli, python3 with venv, node >= 20 with npm, cargo. The libraries are
# pinned and installed on the first run; what is missing fails the run, nothing is skipped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/.cache/clients
work=$(mktemp -d)
started=()

clean_up() {
    for pid in ${started[@]+"${started[@]}"}; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in ${started[@]+"${started[@]}"}; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

die() {
    echo "run.sh: $*" >&2
    exit 1
}

# Runs a preparing step quietly; shows what it said only if it failed.
prepare() {
    "$@" >"$work/prepare.log" 2>&1 || { cat "$work/prepare.log" >&2; die "failed: $*"; }
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# await_ping PORT PID LOG: until the server answers PING; fails if it ended or takes over 20 s.
await_ping() {
    local deadline=$((SECONDS + 20))
    until [ "$(timeout 2 redis-cli -h 127.0.0.1 -p "$1" PING 2>/dev/null)" = PONG ]; do
        kill -0 "$2" 2>/dev/null || { cat "$3" >&2; die "the server ended before it answered"; }
        [ $SECONDS -lt $deadline ] || { cat "$3" >&2; die "no PONG on port $1"; }
        sleep 0.05
    done
}

# The libraries, installed again when their pins have changed.
install_python() {
    local pins=$here/python/requirements.txt
    cmp -s "$pins" "$cache/venv/pins" && return
    prepare python3 -m venv --clear "$cache/venv"
    prepare "$cache/venv/bin/pip" install --no-deps -r "$pins"
    prepare "$cache/venv/bin/pip" check
    cp "$pins" "$cache/venv/pins"
}

install_node() {
    local pins=$here/node/package-lock.json
    cmp -s "$pins" "$here/node/node_modules/.pins" && return
    # No scripts: BullMQ's codec has optional native parts, which nothing here needs compiled. The
    # override in package.json keeps them at a version whose every platform's package was published.
    (cd "$here/node" && prepare npm ci --ignore-scripts --no-audit --no-fund)
    cp "$pins" "$here/node/node_modules/.pins"
}

# Each suite prints its tests and leaves "PASSED FAILED" in $work/counts.
count() {
    echo "${1:-0} ${2:-0}" >"$work/counts"
}

sum() {
    grep -oE "$1" "$work/output" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'
}

suite_python() {
    local status=0
    (cd "$here/python" && exec "$cache/venv/bin/python" -B -m pytest --tb=short .) 2>&1 | tee "$work/output" || status=$?
    tail -n 1 "$work/output" >"$work/last" && mv "$work/last" "$work/output"
    count "$(sum '[0-9]+ passed')" "$(sum '[0-9]+ (failed|errors?|skipped)')"
    return $status
}

suite_node() {
    local status=0
    (cd "$here/node" && exec node --test --test-concurrency=1 --test-force-exit --test-timeout=30000 \
        --test-reporter=spec ./*.test.mjs) 2>&1 | tee "$work/output" || status=$?
    count "$(sum '^ℹ pass [0-9]+')" "$(sum '^ℹ (fail|cancelled|skipped) [0-9]+')"
    return $status
}

suite_rust() {
    local status=0
    (cd "$root" && exec cargo test --quiet --test clients) 2>&1 | tee "$work/output" || status=$?
    count "$(sum '^test result:.* [0-9]+ passed' )" "$(sum '[0-9]+ failed;')"
    return $status
}

for tool in redis-server redis-cli python3 node npm cargo; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
done
suites=("$@")
[ $# -gt 0 ] || suites=(python node rust)
mkdir -p "$cache"
for suite in "${suites[@]}"; do
    case $suite in
        python | node) "install_$suite" ;;
        rust) (cd "$root" && prepare cargo test --quiet --test clients --no-run) ;;
        *) die "no such suite: $suite" ;;
    esac
done
if [ -z "${NEARCACHE_TEST_DIRECT:-}" ] && [ -z "${NEARCACHE_BIN:-}" ]; then
    (cd "$root" && prepare cargo build --quiet)
    NEARCACHE_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/nearcache
fi

upstream=$(free_port)
redis-server --bind 127.0.0.1 --port "$upstream" --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
started+=($!)
await_ping "$upstream" $! "$work/redis.log"
subject=$upstream
if [ -z "${NEARCACHE_TEST_DIRECT:-}" ]; then
    subject=$(free_port)
    "$NEARCACHE_BIN" --listen "127.0.0.1:$subject" --upstream "redis://127.0.0.1:$upstream" >"$work/proxy.log" 2>&1 &
    started+=($!)
    proxy=$!
    await_ping "$subject" "$proxy" "$work/proxy.log"
fi
export NEARCACHE_TEST_URL=redis://127.0.0.1:$subject
export NEARCACHE_TEST_UPSTREAM=redis://127.0.0.1:$upstream

passed=0 failed=0
for suite in "${suites[@]}"; do
    echo "== $suite"
    rm -f "$work/counts"
    status=0
    "suite_$suite" || status=$?
    read -r p f <"$work/counts" || { p=0 f=1; }
    # A suite that ended badly, or ran nothing, has failed even if no test says so.
    if [ "$f" -eq 0 ] && { [ $status -ne 0 ] || [ "$p" -eq 0 ]; }; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f))
done
if [ -n "${proxy:-}" ] && ! kill -0 "$proxy" 2>/dev/null; then
    echo "the proxy ended during the tests; its last words:"
    tail -n 40 "$work/proxy.log"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
