#!/usr/bin/env bash
# How fast the API answers over a full data directory, next to a route that answers with the same bytes from memory; how
# long the start takes, and how much memory it needs: benches/http.sh [LEADS] (300,000 if left out), and on PostgreSQL
# scripts/postgres benches/http.sh [LEADS].
#
# Needs wrk, curl and awk. Everything it makes lies in one temporary directory, which goes at the end. Load and server
# share the machine's cores, so only the ratios of one run travel. Settings, all from the environment:
#   SECONDS_EACH  how long each route is asked, in each round [5]
#   ROUNDS        how often; the table shows medians [3]
#   CONNECTIONS   clients at once [64]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

leads=${1:-300000}
seconds=${SECONDS_EACH:-5}
rounds=${ROUNDS:-3}
connections=${CONNECTIONS:-64}

for tool in wrk curl awk cargo; do
    command -v "$tool" >/dev/null || {
        printf 'benches/http.sh: %s is not there. Debian, Ubuntu: apt install wrk curl; macOS: brew install wrk; Rust: https://rustup.rs.\n' \
            "$tool" >&2
        exit 1
    }
done

cargo build --release --quiet --bin gitleads
constant=$(cargo bench --no-run --bench constant 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
gitleads=${CARGO_TARGET_DIR:-target}/release/gitleads

dir=$(mktemp -d)
data=$dir/data server='' others=''
end() {
    for process in $server $others; do kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap end EXIT

cat >"$dir/gitleads.toml" <<'TOML'
[plans.agency]
api = true
requests_per_minute = 4294967295
TOML

# Serves a file as a constant; sets $address. Its process ends with this script.
serve_constant() {
    rm -f "$dir/address"
    "$constant" "$1" >"$dir/address" &
    others+=" $!"
    until address=$(grep -s http "$dir/address"); do sleep 0.01; done
}
# As the GitHub of this run it has no more requests to give, so that nothing is polled or enriched meanwhile.
serve_constant "$dir/gitleads.toml"
settings=(--config "$dir/gitleads.toml" --github-api-url "$address")
if [ -n "${GITLEADS_TEST_POSTGRES:-}" ]; then
    settings+=(--database-url "$GITLEADS_TEST_POSTGRES")
    echo 'PostgreSQL, whose processes are not in the figures of memory and size'
fi

# Starts the server and sets $server, $url and $started, the seconds until it said that it serves.
start() {
    local from=$EPOCHREALTIME
    : >"$dir/out"
    "$gitleads" serve --data-dir "$1" --listen 127.0.0.1:0 "${settings[@]}" >"$dir/out" 2>"$dir/log" &
    server=$!
    until url=$(sed -n 's/.*runs at \(http[^ ]*\)$/\1/p' "$dir/out") && [ -n "$url" ] &&
        curl -fs "$url/readyz" >"$dir/ready"; do
        kill -0 "$server" || { cat "$dir/log" >&2; exit 1; }
        sleep 0.002
    done
    started=$(awk -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f", to - from }')
}

stop() {
    kill "$server" && wait "$server" || true
    server=''
}

memory() { awk -v what="$1:" '$1 == what { printf "%.0f MB", $2 / 1024 }' "/proc/$server/status"; }

# Lines of a GH Archive: invented people who star one of 20 repositories, and one in nine writes about docker.
lines() {
    awk -v leads="$leads" 'BEGIN {
        for (n = 1; n <= leads; n++) {
            comment = n % 9 == 0
            printf "{\"id\":\"400%08d\",\"type\":\"%s\",\"actor\":{\"id\":%d,\"login\":\"person-%d\",", n,
                comment ? "IssueCommentEvent" : "WatchEvent", 900000000 + n, n
            printf "\"url\":\"https://api.github.com/users/person-%d\"},", n
            printf "\"repo\":{\"id\":%d,\"name\":\"example/repo-%d\"},\"payload\":{", 700 + n % 20, n % 20
            if (comment) {
                url = sprintf("https://github.com/example/repo-%d/issues/%d", n % 20, n)
                printf "\"action\":\"created\",\"issue\":{\"number\":%d,\"title\":\"It stops\",\"html_url\":\"%s\"},", n, url
                printf "\"comment\":{\"id\":%d,\"user\":{\"id\":%d,\"login\":\"person-%d\"},\"html_url\":\"%s#issuecomment-%d\",", n, 900000000 + n, n, url, n
                printf "\"body\":\"It starts well, but under docker it stops after a while.\"}"
            } else printf "\"action\":\"started\""
            printf "},\"public\":true,\"created_at\":\"2025-06-01T%02d:%02d:%02dZ\"}\n", n / 3600 % 24, n / 60 % 60, n % 60
        }
    }'
}

start "$data"
printf 'start, empty directory          %s s, memory %s\n' "$started" "$(memory VmRSS)"
stop
start "$data"
printf 'start, the same again           %s s\n' "$started"
stop

for repo in {0..19}; do "$gitleads" track repo "example/repo-$repo" --data-dir "$data" "${settings[@]}"; done >/dev/null
"$gitleads" track keyword docker --data-dir "$data" "${settings[@]}" >/dev/null
key=$("$gitleads" keys create --data-dir "$data" "${settings[@]}" | grep -o 'gl_live_[0-9A-Za-z]*' | head -n 1)
lines >"$dir/lines.json"
from=$EPOCHREALTIME
"$gitleads" backfill "$dir/lines.json" --data-dir "$data" "${settings[@]}" >"$dir/summary" 2>"$dir/log" ||
    { cat "$dir/log" >&2; exit 1; }
awk -v from="$from" -v to="$EPOCHREALTIME" -v leads="$leads" 'BEGIN {
    printf "record %d leads by backfill  %.1f s, %.0f leads/s\n", leads, to - from, leads / (to - from) }'
rm "$dir/lines.json"
du -sm "$data" | awk '{ printf "size of the data directory      %d MB\n", $1 }'

start "$data"
printf 'start, %d leads             %s s, memory %s\n' "$leads" "$started" "$(memory VmRSS)"

get() { curl -fsS -H "Authorization: Bearer $key" "$url$1"; }

# Pages of 100 down the list: their ids, and the cursors behind them.
cursor=''
for _ in {1..200}; do
    get "/v1/leads?limit=100${cursor:+&cursor=$cursor}" >"$dir/page"
    grep -o '"id":"[^"]*"' "$dir/page" | cut -d '"' -f 4 >>"$dir/ids"
    cursor=$(sed -n 's/.*"next_cursor":"\([^"]*\)".*/\1/p' "$dir/page")
    [ -n "$cursor" ] || break
    echo "$cursor" >>"$dir/cursors"
done
since=$(grep -o '"captured_at":"[^"]*"' "$dir/page" | tail -n 1 | cut -d '"' -f 4)
get /v1/leads >"$dir/body"

# Every connection asks the paths of a file in turn, from a place of its own.
cat >"$dir/paths.lua" <<'LUA'
local paths, at = {}, 0
function init(args)
    for line in io.lines(args[1]) do paths[#paths + 1] = line end
    math.randomseed(os.time())
    at = math.random(#paths)
end
function request()
    at = at % #paths + 1
    return wrk.format("GET", paths[at])
end
LUA

mkdir "$dir/routes"
route() { cat >"$dir/routes/${#names[@]}"; names+=("$1"); }
names=()
route 'constant of the same size' <<<'/'
route 'GET /healthz' <<<'/healthz'
route 'GET /v1/leads' <<<'/v1/leads'
route '?cursor= (a deep page)' < <(tail -n 1 "$dir/cursors" | sed 's|^|/v1/leads?cursor=|')
route '?cursor= (200 pages in turn)' < <(sed 's|^|/v1/leads?cursor=|' "$dir/cursors")
route '?signal_type=' <<<'/v1/leads?signal_type=keyword_issue'
route '?repo=' <<<'/v1/leads?repo=example/repo-7'
route '?signal_type=&repo=' <<<'/v1/leads?signal_type=stargazer&repo=example/repo-7'
route '?since=' <<<"/v1/leads?since=$since"
route '?signal_type=&repo=&since=' <<<"/v1/leads?signal_type=stargazer&repo=example/repo-7&since=$since"
route 'GET /v1/leads/{id} (in turn)' < <(sed 's|^|/v1/leads/|' "$dir/ids")

serve_constant "$dir/body"
constant_url=$address

# Turn about, so that a busy machine slows all.
for round in $(seq 0 "$rounds"); do
    for number in "${!names[@]}"; do
        name=${names[number]} at=$url
        [ "$number" = 0 ] && at=$constant_url
        # The first round warms up.
        [ "$round" = 0 ] && for_seconds=1 || for_seconds=$seconds
        wrk -t 2 -c "$connections" -d "$for_seconds" --latency -s "$dir/paths.lua" -H "Authorization: Bearer $key" "$at" \
            -- "$dir/routes/$number" >"$dir/wrk"
        ! grep -E 'Non-2xx|Socket errors' "$dir/wrk" || { echo "$name: see above" >&2; exit 1; }
        [ "$round" = 0 ] && continue
        awk -v name="$name" '/Requests\/sec/ { rate = $2 }
            $1 == "50%" { half = ms($2) } $1 == "99%" { slow = ms($2) }
            function ms(text) { return text ~ /us$/ ? text / 1000 : text ~ /ms$/ ? text + 0 : text * 1000 }
            END { print name "\t" rate "\t" half "\t" slow }' "$dir/wrk" >>"$dir/figures"
    done
done

printf '\n%d connections, %d × %d s each; a page of 20 has %d bytes\n\n' "$connections" "$rounds" "$seconds" \
    "$(wc -c <"$dir/body")"
awk -F '\t' -v rounds="$rounds" '
    function median(list, a, i, j, n, t) {
        n = split(list, a, " ")
        for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
        return a[int((n + 1) / 2)]
    }
    !($1 in rate) { order[++routes] = $1 }
    { rate[$1] = rate[$1] " " $2; half[$1] = half[$1] " " $3; slow[$1] = slow[$1] " " $4 }
    END {
        printf "%-32s %12s %10s %10s %8s\n", "route", "requests/s", "p50 ms", "p99 ms", "ratio"
        for (i = 1; i <= routes; i++) {
            name = order[i]
            printf "%-32s %12.0f %10.2f %10.2f %8.2f\n", name, median(rate[name]), median(half[name]), median(slow[name]),
                median(rate[name]) / median(rate[order[1]])
        }
    }' "$dir/figures"
printf '\nmemory after all of it          %s, at its peak %s\n' "$(memory VmRSS)" "$(memory VmHWM)"
stop
