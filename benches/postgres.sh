#!/usr/bin/env bash
# How fast the log on PostgreSQL appends and reads, next to what the same server does for others in the same run:
# benches/postgres.sh. It runs a server of its own (scripts/postgres, fsync on) and takes some minutes.
#
#   pgbench      one row of the log's table inserted and committed a call, without order, prepared, a connection a caller
#   postgres-es  the event store of cqrs-es on PostgreSQL, events of the same size
#   copy-in      COPY BINARY of the log's rows: batches of many callers, and all at once
#   copy-out     COPY BINARY of a million rows as bare bytes
#
# Server and callers share the machine's cores, so only the ratios of one run travel. Settings, from the environment:
#   ROUNDS  how often all of it is measured, in turn; the table shows medians [1]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${GITLEADS_TEST_POSTGRES:-}" ] || exec scripts/postgres benches/postgres.sh </dev/null

seconds=5
rounds=${ROUNDS:-1}
PATH=$GITLEADS_TEST_POSTGRES_BIN:$PATH
for tool in pgbench psql awk cargo; do
    command -v "$tool" >/dev/null || {
        printf 'benches/postgres.sh: %s is not there. Debian, Ubuntu: apt install postgresql; Fedora: dnf install postgresql-contrib; Rust: https://rustup.rs.\n' \
            "$tool" >&2
        exit 1
    }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# WHO CALLERS EVENTS-A-CALL EVENTS-A-SECOND P99-IN-MS, a line a figure.
figures=$dir/figures

# Makes the database anew, and sets $url to it.
fresh() {
    psql -q "$GITLEADS_TEST_POSTGRES" -c 'SET client_min_messages = error' -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1"
    url=${GITLEADS_TEST_POSTGRES%/*}/$1
}

# The row of a captured lead; the client sends its data, the server makes up the ids.
cat >"$dir/insert.sql" <<'SQL'
INSERT INTO events VALUES (nextval('positions'), decode(md5(random()::text), 'hex'),
    'lead-acct_01J00000000000000000000000-' || md5(random()::text), 1, decode(md5('account'), 'hex'), 'LeadCaptured', 1, 1, :data);
SQL
data=$(printf 'A%.0s' $(seq 628))

# The figure of pgbench with so many connections.
insert_and_commit() {
    local callers=$1 threads=$(($1 < 2 ? 1 : 2)) rate
    psql -q "$url" -c 'TRUNCATE events' -c CHECKPOINT
    rm -f "$dir"/times*
    rate=$(pgbench -n -M prepared -f "$dir/insert.sql" -D "data=$data" -c "$callers" -j "$threads" -T "$seconds" \
        -l --log-prefix="$dir/times" "$url" | sed -n 's/^tps = \([0-9]*\).*/\1/p')
    cat "$dir"/times* | cut -d ' ' -f 3 | sort -n |
        awk -v who="pgbench $callers 1 $rate" '{ took[NR] = $1 } END { printf "%s %.1f\n", who, took[int(NR * 0.99) + 1] / 1000 }'
}

measure() {
    fresh pgbench
    sed 's/INTEGER/BIGINT/; s/BLOB/BYTEA/' migrations/0001_event_log.sql | psql -q "$url" -c 'CREATE SEQUENCE positions CACHE 100' -f -
    for callers in 1 4 16 64; do insert_and_commit "$callers"; done

    fresh peers
    DATABASE_URL=$url cargo run --release --locked --quiet --manifest-path benches/peers/Cargo.toml

    # Our own log prints such lines too, as `gitleads` and `gitleads-read`; it makes its own database.
    [ ! -e crates/event-log/benches/postgres.rs ] || cargo bench --quiet --locked -p event-log --bench postgres
}

for _ in $(seq "$rounds"); do
    measure | tee -a "$figures"
done

# The middle one of each figure's rounds.
sort -k 1,1 -k 2,2n -k 3,3n -k 4,4n "$figures" | awk '
    function middle() { if (count) print line[int((count + 1) / 2)] }
    { key = $1 " " $2 " " $3 }
    key != last { middle(); count = 0; last = key }
    { line[++count] = $0 }
    END { middle() }' >"$dir/medians"

# A ratio is taken of pgbench with as many callers, of postgres-es in the same cell, of COPY of as many events a call.
awk '
    NR == FNR { rate[$1, $2, $3] = $4; copied[$1, $3] = $4; next }
    function of(whole, part) { return whole > 0 ? sprintf("%.2f", part / whole) : "" }
    FNR == 1 { printf "\n%-14s %7s %11s %9s %8s %11s %14s %8s\n", "who", "callers", "events/call", "events/s", "p99 ms", "of pgbench", "of postgres-es", "of COPY" }
    {
        copy = $1 ~ /read|out/ ? "copy-out" : "copy-in"
        printf "%-14s %7d %11d %9d %8.1f %11s %14s %8s\n", $1, $2, $3, $4, $5, \
            $3 == 1 ? of(rate["pgbench", $2, 1], $4) : "", of(rate["postgres-es", $2, $3], $4), of(copied[copy, $3], $4)
    }' "$dir/medians" "$dir/medians"
