"""What is done with the database as a whole, before a bridge is opened on it."""

from fhirbridge import opening
from fhirbridge.audit import log as audit
from fhirbridge.clock import Clock, SystemClock
from fhirbridge.settings import Settings
from fhirbridge.store import moment, moving
from fhirbridge.store import upgrade as upgrading
from fhirbridge.store.engine import Store
from fhirbridge.store.moving import Moved


def upgrade(settings: Settings) -> list[str]:
    """Bring the database to the schema of this program; return what was made. Overwrites no row.

    An installation from before checkpoints were signed gets the key for it.
    """
    store = Store(settings.database_url)
    try:
        made = upgrading.upgrade(store)
    finally:
        store.close()
    if made and not settings.evidence_key_file.exists():
        opening.make_key(settings.evidence_key_file)
    return made


def move(settings: Settings, url: str, *, clock: Clock | None = None) -> Moved:
    """Move the database to an empty one on PostgreSQL; raises StoreError, NotEqualError."""
    source, target = Store(settings.database_url), Store(url)
    try:
        source.check()
        now = moment.to_text((clock or SystemClock()).now())
        return moving.move(source, target, head=audit.head, now=now)
    finally:
        source.close()
        target.close()
