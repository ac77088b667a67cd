# What tests/clients/run, tests/github/recordings and tests/webhooks/run share: a live server of this tree in a throw-away
# directory. Sourced by them, from the root of the tree.

# Ends with a word on what to install if a tool is missing.
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            printf '%s: %s is not there. Debian, Ubuntu: apt install python3-venv nodejs npm curl; Rust: https://rustup.rs.\n' "$0" "$tool" >&2
            exit 1
        }
    done
}

# Makes $data, and has what was started end with this script.
prepare() {
    data=$(mktemp -d)
    server=
    trap 'stop' EXIT
}

stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$data"
}

# Starts target/debug/gitleads with further arguments and waits for its first key. Sets GITLEADS_URL and GITLEADS_KEY.
serve() {
    printf '[plans.agency]\napi = true\nrequests_per_minute = 10000000\n' >"$data/gitleads.toml"
    target/debug/gitleads --config "$data/gitleads.toml" --data-dir "$data/data" --listen 127.0.0.1:0 \
        --log-level error "$@" >"$data/out" 2>"$data/errors" &
    server=$!
    local turn
    for turn in $(seq 300); do
        grep -q 'gl_live_' "$data/out" && break
        kill -0 "$server" || { cat "$data/errors" >&2; exit 1; }
        sleep 0.1
    done
    GITLEADS_URL=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$data/out" | head -n 1)
    GITLEADS_KEY=$(grep -o 'gl_live_[A-Za-z0-9]*' "$data/out" | head -n 1)
    export GITLEADS_URL GITLEADS_KEY
}

# A server that is well says nothing at this level.
complaints() {
    ! grep -q . "$data/errors" || { printf 'The server complained:\n'; cat "$data/errors"; exit 1; }
}
