"""Tables of the sign-in to each destination. Only `signin` writes them; all secrets are sealed."""

from sqlalchemy import Column, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# How we sign in to a destination; without a row, not at all.
sign_in = Table(
    "sign_in",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),  # new at each change; owns the key that seals
    Column("settings", Text, nullable=False),  # JSON, nothing secret
    Column("sealed", LargeBinary, nullable=False),  # secret and private key of the certificate
    Column("at", Text, nullable=False),
)

# The token of a destination, and who fetches the next one. Made and removed with `sign_in`.
sign_in_token = Table(
    "sign_in_token",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("sign_in", Text, nullable=False),  # the id of the sign-in, whose key seals it
    Column("version", Integer, nullable=False),  # of the token; 0: there was none yet
    Column("sealed", LargeBinary),  # null: there is none that may be used
    Column("scopes", Text, nullable=False),  # as granted
    Column("issued_at", Text, nullable=False),
    Column("refresh_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("token_url", Text, nullable=False),  # as the EHR named it, or ""
    Column("fence", Integer, nullable=False),  # of who fetches
    Column("leased_until", Text, nullable=False),
    Column("refused_at", Text, nullable=False),  # times, space separated, the last few
    Column("quiet_until", Text, nullable=False),  # no call before, since the last one failed
    Column("trouble", Text, nullable=False),  # why; our words
)

# Our keys for signed assertions.
sign_in_key = Table(
    "sign_in_key",
    metadata,
    Column("kid", Text, primary_key=True),  # random; owns the key that seals the private part
    Column("destination", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("public", Text, nullable=False),  # JWK
    Column("sealed", LargeBinary),  # private part; null once it is retired
    Column("published_at", Text, nullable=False),
    Column("used_at", Text, nullable=False),  # since when it signs, or ""
    Column("left_at", Text, nullable=False),  # since when another one signs, or ""
    Column("retired_at", Text, nullable=False),  # since when nobody is told of it, or ""
)
