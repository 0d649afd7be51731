#!/usr/bin/env bash
# Runs every test of nearcache and says in one line per part how it went.
#
#   tests/run.sh
#
# On a Debian machine, as root, it installs what is missing (redis-server and its tools, python3 with venv,
# node with npm); elsewhere it names what is missing. Rust has to be there. Works from any directory.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

die() {
    echo "tests/run.sh: $*" >&2
    exit 1
}

# A program, and the Debian package that it is in.
needs=(
    redis-server:redis-server
    redis-cli:redis-tools
    redis-sentinel:redis-sentinel
    python3:python3
    node:nodejs
    npm:npm
)

missing() {
    local need
    for need in "${needs[@]}"; do
        command -v "${need%%:*}" >/dev/null || echo "${need##*:}"
    done
    # python3 without ensurepip makes no virtual environments: Debian has it in a package of its own.
    if command -v python3 >/dev/null && ! python3 -c 'import ensurepip' 2>/dev/null; then echo python3-venv; fi
    if ! command -v python3 >/dev/null; then echo python3-venv; fi
}

install_missing() {
    local packages service
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "missing: ${packages[*]}"
    [ "$(id -u)" -eq 0 ] || die "missing: ${packages[*]} (as root, this script installs them)"
    echo "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 ||
        { cat "$log" >&2; die "apt-get failed"; }
    # Debian starts services that it installs; the tests start servers of their own.
    for service in redis-server redis-sentinel; do
        if [[ " ${packages[*]} " == *" $service "* ]] && command -v service >/dev/null; then
            service "$service" stop >/dev/null 2>&1 || true
        fi
    done
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -eq 0 ] || die "still missing: ${packages[*]}"
}

# Passed tests in the log: what its last line says of all, or else the sum over the Rust test binaries.
count() {
    { tail -n 1 "$log" | grep -E '^[0-9]+ passed' || grep '^test result:' "$log"; } | grep -oE '[0-9]+ passed' |
        awk '{ n += $1 } END { print n + 0 }' || true
}

# part NAME COMMAND…: runs it, shows what it says, and keeps a line for the summary.
summary=()
failed=0
part() {
    local name=$1 status=0 begun=$SECONDS passed
    shift
    echo "== $name"
    "$@" 2>&1 | tee "$log" || status=$?
    passed=$(count)
    if [ $status -eq 0 ] && [ "$passed" -eq 0 ]; then status="no test ran"; fi
    if [ "$status" = 0 ]; then
        summary+=("ok      $name: $passed passed, $((SECONDS - begun)) s")
    else
        summary+=("FAILED  $name: $passed passed before or beside the failure (exit $status), $((SECONDS - begun)) s")
        failed=1
    fi
}

command -v cargo >/dev/null || die "cargo is not installed: see https://rustup.rs"
install_missing
part "Rust: units, integration, differential" cargo test --quiet --locked --no-fail-fast
if [ -f tests/clients/run.sh ]; then
    part "client libraries" bash tests/clients/run.sh
fi

echo "== summary"
printf '%s\n' "${summary[@]}"
exit $failed
