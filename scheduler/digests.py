"""What tells one configuration of an export from another: digests that the ledger keeps."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from scheduler.plan import Plan


def query_digest(plan: Plan) -> str:
    """Return a digest of what is asked for: when it changes, what was pulled before says nothing about what would come now."""
    export = plan.export
    parts = [
        plan.account.source,
        plan.account.week_starts,
        plan.account.end_inclusive,
        export.dataset,
        export.timezone.key,
        plan.shape.resolution,
        export.compare,
        export.split,
        export.id,
        export.drop,
        export.query,
    ]
    return hashlib.blake2b(orjson.dumps(parts, default=str, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def access_digest(plan: Plan) -> str:
    """Return a digest of where and with which credentials the vendor is asked: when it changes, a refused account is asked again.

    32 bits only, so that nobody can try passwords on it.
    """
    account = plan.account
    secrets = [
        secret and secret.get_secret_value() for secret in (account.api_key, account.client_secret, account.password)
    ]
    parts = [account.url, account.client_id, account.login, account.scope, secrets]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=4).hexdigest()
