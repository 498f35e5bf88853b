"""The profiles that a mapping claims, put into its skeleton as `meta.profile`."""

import re

from fhirbridge.translate.faults import FaultError, Place
from fhirbridge.translate.skeletons.spelling import is_directive
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence, items_of

_CANONICAL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[^\s|#]*)?(\|[A-Za-z0-9.-]+)?")


def with_profiles(body: Fields, listed: Node | None, head: Place) -> Fields:
    """Return the skeleton with `meta.profile` first, where the head lists any.

    Raises FaultError E206 for what is no canonical URL, or where the skeleton says it too.
    """
    if listed is None:
        return body
    profiles = items_of(listed, "'profile'", head)
    for number, node in enumerate(profiles):
        _check(node, profiles[:number])
    if is_directive(body):
        message = "'profile' stands only where the resource is written out, not in a directive"
        raise FaultError("E206", listed.place, message)
    meta = body.items.get("meta", Fields(items={}, places={}, place=listed.place))
    if not isinstance(meta, Fields) or is_directive(meta) or "profile" in meta.items:
        message = "meta.profile comes from the head's 'profile'; do not write it here too"
        raise FaultError("E206", body.places["meta"], message)
    claimed = Sequence(items=profiles, place=listed.place)
    whole = Fields(
        items={"profile": claimed, **meta.items},
        places={"profile": listed.place, **meta.places},
        place=meta.place,
    )
    return Fields(
        items={"meta": whole, **{key: body.items[key] for key in body.items if key != "meta"}},
        places={"meta": listed.place, **body.places},
        place=body.place,
    )


def _check(node: Node, before: tuple[Node, ...]) -> None:
    if not isinstance(node, Scalar) or not _CANONICAL.fullmatch(node.text):
        message = "a profile is its canonical URL (http or https), with |version or not"
        raise FaultError("E206", node.place, message)
    if any(isinstance(other, Scalar) and other.text == node.text for other in before):
        raise FaultError("E206", node.place, "this profile is listed twice")
