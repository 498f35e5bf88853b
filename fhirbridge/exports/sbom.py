"""What the software is made of, as CycloneDX: the distributions that are installed beside it."""

from importlib import metadata
from typing import Any

from fhirbridge import __version__
from fhirbridge.fhir import codec


def document() -> bytes:
    """Return the list, the same for the same installation: no time and no serial number in it."""
    return codec.canonical(_bill()) + b"\n"


def _bill() -> dict[str, Any]:
    installed = {
        (str(one.metadata["Name"]).lower().replace("_", "-"), str(one.version))
        for one in metadata.distributions()
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "fhirbridge",
                "version": __version__,
                "bom-ref": "fhirbridge",
            }
        },
        "components": [
            {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                "bom-ref": f"pkg:pypi/{name}@{version}",
            }
            for name, version in sorted(installed)
            if name != "fhirbridge"
        ],
    }
