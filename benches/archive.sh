#!/usr/bin/env bash
# How fast an archive hour is scanned, next to plain gunzip and to DuckDB and ClickHouse (chDB, ClickHouse as a library), which
# are asked the same in the same run: benches/archive.sh HOUR.json.gz. Takes about ten minutes.
#
# Needs Linux, taskset (util-linux) and Python with venv; the peers are fetched into a temporary directory, which goes at
# the end.
set -euo pipefail
hour=$(realpath -- "${1:?give an hour of the archive: benches/archive.sh HOUR.json.gz}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in python3 taskset cargo; do
    command -v "$tool" >/dev/null || {
        printf 'benches/archive.sh: %s is not there. Debian, Ubuntu: apt install python3-venv util-linux; Rust: https://rustup.rs.\n' \
            "$tool" >&2
        exit 1
    }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/peers"
"$dir/peers/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 chdb==4.4.0

cargo bench --quiet --locked --bench backfill -- "$hour" "$dir/peers/bin/python"
