"""DuckDB and ClickHouse (chDB), asked what question.rs asks: peers.py duckdb|chdb FOLDER SIZE FILE..., a thread a file.

Run by main.rs, for which it prints one line of figures. Of the ways that were tried to ask each engine, these were the
quickest. Both are told what they need of a line and may pass over the rest; ClickHouse also passes over lines by their
first 64 bytes, which made DuckDB slower.

The rule in their words: the text is folded and cut at white space, with a bar for whatever else parts two words, so that no
phrase reaches over it. It is asked for if one of its words, or two that follow each other, is a keyword once the underscores
around are taken away. DuckDB is quicker with one expression of all keywords, as long as that can be compiled.
"""

import json
import os
import sys
import time

# Where the text of each kind of event is.
ITEMS = {
    "IssuesEvent": "issue",
    "IssueCommentEvent": "comment",
    "PullRequestEvent": "pull_request",
    "PullRequestReviewEvent": "review",
    "PullRequestReviewCommentEvent": "comment",
    "DiscussionEvent": "discussion",
    "DiscussionCommentEvent": "comment",
}
KINDS = ", ".join(f"'{kind}'" for kind in ["WatchEvent", *ITEMS])
STARRED = "('', 'started', 'created')"
WRITTEN = "('', 'opened', 'created', 'submitted', 'edited', 'updated')"
# What parts two words without being white space, and white space.
OTHER = r"[^\pL\pN\pM_\s\pZ]+"
SPACE = r"[\s\pZ]+"


def duckdb_query(folder, size, files):
    import duckdb

    engine = duckdb.connect()
    engine.execute(f"SET threads = {len(files)}")
    for what in ("repos", "keywords"):
        engine.execute(
            f"CREATE TABLE {what} AS SELECT lower(column0) AS entry FROM read_csv('{folder}/{what}-{size}.txt', "
            "header = false, columns = {'column0': 'VARCHAR'}, auto_detect = false, delim = '\t', quote = '', escape = '')"
        )
    item = 'STRUCT(title VARCHAR, body VARCHAR, "user" STRUCT(login VARCHAR, "type" VARCHAR))'
    columns = {
        "type": "VARCHAR",
        "actor": "STRUCT(login VARCHAR)",
        "repo": 'STRUCT("name" VARCHAR)',
        "payload": "STRUCT(action VARCHAR, " + ", ".join(f'"{name}" {item}' for name in sorted(set(ITEMS.values()))) + ")",
    }
    place = " ".join(f"WHEN '{kind}' THEN payload.{name}" for kind, name in ITEMS.items())
    acts = f"""
        SELECT type, actor.login AS login, lower(repo.name) AS repo, coalesce(payload.action, '') AS action,
            CASE type {place} END AS item
        FROM read_json({files!r}, format = 'newline_delimited', columns = {columns!r})
        WHERE type IN ({KINDS})"""
    stars = f"""
        SELECT count(*) FROM acts
        WHERE type = 'WatchEvent' AND action IN {STARRED} AND login NOT LIKE '%[bot]' AND repo IN (FROM repos)"""
    texts = f"""
        SELECT lower(nfc_normalize(coalesce(item.title, '') || chr(10) || coalesce(item.body, ''))) AS folded FROM acts
        WHERE type != 'WatchEvent' AND action IN {WRITTEN} AND item.user.login NOT LIKE '%[bot]'
            AND coalesce(item.user.type, 'User') = 'User'"""
    if size <= 1_000:
        matching = f"SELECT count(*) FROM ({texts}) WHERE regexp_matches(folded, '{expression(folder, size)}')"
    else:
        matching = f"""
            SELECT count(DISTINCT number) FROM (
                SELECT number, unnest(list_concat(words, list_transform(list_zip(words[:-2], words[2:]),
                    lambda pair: pair[1] || ' ' || pair[2]))) AS words
                FROM (SELECT row_number() OVER () AS number,
                    regexp_split_to_array(regexp_replace(folded, '{OTHER}', ' | ', 'g'), '{SPACE}') AS words FROM ({texts})))
            WHERE trim(words, '_') IN (FROM keywords)"""
    query = f"WITH acts AS MATERIALIZED ({acts}) SELECT ({stars}), ({matching})"
    return lambda: engine.execute(query).fetchone()


def expression(folder, size):
    """All keywords as one expression; those that begin with the same word as one branch."""
    branches = {}
    with open(f"{folder}/keywords-{size}.txt") as keywords:
        for keyword in keywords.read().splitlines():
            first, *second = keyword.split(" ")
            branches.setdefault(first, []).extend(second)
    words = "|".join(f"{first}{SPACE}(?:{'|'.join(more)})" if more else first for first, more in branches.items())
    edge = r"[^\pL\pN\pM_]"
    return rf"(?:^|{edge})_*(?:{words})_*(?:{edge}|$)"


def chdb_query(folder, size, files):
    from chdb import session

    engine = session.Session()
    engine.query(f"SET max_threads = {len(files)}")
    engine.query("CREATE DATABASE lists ENGINE = Memory")
    for what in ("repos", "keywords"):
        engine.query(f"CREATE TABLE lists.{what} (entry String) ENGINE = Memory")
        engine.query(f"INSERT INTO lists.{what} SELECT lower(line) FROM file('{folder}/{what}-{size}.txt', LineAsString)")
    item = "Tuple(title String, body String, user Tuple(login String, type String))"
    items = ", ".join(f"{name} {item}" for name in sorted(set(ITEMS.values())))
    event = f"Tuple(type String, actor Tuple(login String), repo Tuple(name String), payload Tuple(action String, {items}))"
    place = ", ".join(f"event.type = '{kind}', event.payload.{name}" for kind, name in ITEMS.items())
    kinds = "|".join(kind.removesuffix("Event") for kind in ["WatchEvent", *ITEMS])
    lines = f"file('{folder}/{{{','.join(os.path.basename(file) for file in files)}}}', LineAsString)"
    other = OTHER.replace("\\", "\\\\")
    # A no-break space is no white space to the cutting of words.
    words = f"splitByWhitespace(replaceRegexpAll(replaceAll(folded, '\u00a0', ' '), '{other}', ' | '))"
    query = f"""
        SELECT
            countIf(is_star AND event.payload.action IN {STARRED} AND NOT endsWith(event.actor.login, '[bot]')
                AND lower(event.repo.name) IN lists.repos),
            countIf(arrayExists(word -> trim(BOTH '_' FROM word) IN lists.keywords, words) OR arrayExists(
                (first, second) -> trim(BOTH '_' FROM concat(first, ' ', second)) IN lists.keywords,
                arrayPopBack(words), arrayPopFront(words)))
        FROM (
            SELECT event, is_star, if(is_text, {words}, []) AS words FROM (
                SELECT event, is_star, is_text,
                    if(is_text, lowerUTF8(normalizeUTF8NFC(concat(item.title, '\\n', item.body))), '') AS folded
                FROM (
                    SELECT event, event.type = 'WatchEvent' AS is_star, multiIf({place}, event.payload.issue) AS item,
                        NOT is_star AND event.payload.action IN {WRITTEN} AND item.user.login != ''
                            AND NOT endsWith(item.user.login, '[bot]') AND item.user.type IN ('', 'User') AS is_text
                    FROM (
                        SELECT JSONExtract(line, '{event}') AS event FROM {lines}
                        WHERE match(substring(line, 1, 64), '"type":"({kinds})Event"')))))"""
    return lambda: json.loads(engine.query(query, "JSONCompactEachRow").bytes())


def peak_kilobytes():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM:"))


def main():
    peer, folder, size, *files = sys.argv[1:]
    query = {"duckdb": duckdb_query, "chdb": chdb_query}[peer](folder, int(size), files)
    began, used = time.monotonic(), time.process_time()
    stars, texts = query()
    took, used = time.monotonic() - began, time.process_time() - used
    print(f"{took:.4f} {used:.2f} {peak_kilobytes()} {stars} {texts}")


main()
