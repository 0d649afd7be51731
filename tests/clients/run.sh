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

# await WHAT PID LOG COMMAND...: until the command succeeds; fails if that server ended or it takes over 20 s.
await() {
    local what=$1 pid=$2 log=$3 deadline=$((SECONDS + 20))
    shift 3
    until "$@"; do
        kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; die "the server ended before $what"; }
        [ $SECONDS -lt $deadline ] || { cat "$log" >&2; die "timed out before $what"; }
        sleep 0.05
    done
}

answers() {
    [ "$(timeout 2 redis-cli -h 127.0.0.1 -p "$1" PING 2>/dev/null)" = PONG ]
}

# Starts the server that executes; another may take its port first, then the next is tried.
start_redis() {
    local attempt
    for attempt in 1 2 3 4 5; do
        upstream=$(free_port)
        redis-server --bind 127.0.0.1 --port "$upstream" --save '' --appendonly no --dir "$work" \
            >"$work/redis.log" 2>&1 &
        started+=($!)
        # Says that it is ready, or ends.
        until grep -q 'Ready to accept connections' "$work/redis.log"; do
            kill -0 $! 2>/dev/null || continue 2
            sleep 0.05
        done
        await "redis-server answered" $! "$work/redis.log" answers "$upstream"
        return
    done
    cat "$work/redis.log" >&2
    die "redis-server did not start"
}

# The proxy chooses its port, and says which.
listens() {
    subject=$(sed -n 's/.* listening address=127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/proxy.log")
    [ -n "$subject" ]
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

start_redis
subject=$upstream
if [ -z "${NEARCACHE_TEST_DIRECT:-}" ]; then
    # The proxy takes every NEARCACHE_ variable for a setting, and refuses those that are none.
    env -u NEARCACHE_BIN -u NEARCACHE_TEST_DIRECT -u NEARCACHE_TEST_URL -u NEARCACHE_TEST_UPSTREAM \
        "$NEARCACHE_BIN" --listen 127.0.0.1:0 --upstream "redis://127.0.0.1:$upstream" >"$work/proxy.log" 2>&1 &
    started+=($!)
    proxy=$!
    await "it listened" "$proxy" "$work/proxy.log" listens
    await "it answered" "$proxy" "$work/proxy.log" answers "$subject"
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
