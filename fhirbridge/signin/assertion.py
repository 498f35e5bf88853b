"""The signed assertion of SMART Backend Services (RFC 7523): who we are, to whom, for how long."""

from datetime import datetime, timedelta

from joserfc import jwt

from fhirbridge.signin.keys import Signer

# At most 5 minutes are allowed, by their clock: one of these is left for ours being ahead.
LIFE = timedelta(minutes=4)
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def signed(signer: Signer, *, client: str, audience: str, jti: str, now: datetime) -> str:
    """Return a JWT for one call. `jti` must be new each time: servers refuse one they have seen."""
    header = {"alg": signer.algorithm.value, "kid": signer.kid, "typ": "JWT"}
    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "exp": int((now + LIFE).timestamp()),
        "jti": jti,
    }
    return jwt.encode(header, claims, signer.key, algorithms=[signer.algorithm.value])
