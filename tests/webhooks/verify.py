"""Verifies deliveries that a live server made, with the library of Standard Webhooks: verify.py FILE-OF-DELIVERIES."""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def verifies(secret, body, headers):
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None


with open(sys.argv[1]) as file:
    deliveries = json.load(file)
assert deliveries
for delivery in deliveries:
    body, headers = base64.b64decode(delivery["body"]), delivery["headers"]
    for secret in delivery["valid"]:
        assert verifies(secret, body, headers) == json.loads(body), headers
        assert verifies(secret, body + b" ", headers) is None, headers
    for secret in delivery["invalid"]:
        assert verifies(secret, body, headers) is None, headers
events = sorted({json.loads(base64.b64decode(delivery["body"]))["event"] for delivery in deliveries})
print(f"{len(deliveries)} requests of {', '.join(events)}")
