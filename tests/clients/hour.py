"""Prints an invented archive hour: people who starred a repository."""

import json
import sys

for number in range(int(sys.argv[1])):
    login = f"ada-example-{number}"
    print(
        json.dumps(
            {
                "id": str(2_489_368_000 + number),
                "type": "WatchEvent",
                "actor": {"id": 700_000 + number, "login": login},
                "repo": {"id": 1, "name": "acme-corp/rival-sdk"},
                "payload": {"action": "started"},
                "public": True,
                "created_at": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z",
            }
        )
    )
