"""A page as a tree: what the plot and the PDF are made from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from fhirbridge.translate.documents.markup import VOID


@dataclass(slots=True, kw_only=True)
class Element:
    """One element of a page; text stands among its children as it is, with no entity left."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return an attribute without the space around it; nothing where there is none."""
        return self.attributes.get(name, "").strip()

    def inner(self, *tags: str) -> Iterator["Element"]:
        """Yield the children of these tags."""
        return (one for one in self.children if isinstance(one, Element) and one.tag in tags)

    def every(self, *tags: str) -> Iterator["Element"]:
        """Yield the elements of these tags at any depth, in the order of the page."""
        for one in self.children:
            if isinstance(one, Element):
                if one.tag in tags:
                    yield one
                yield from one.every(*tags)

    def text(self) -> str:
        """Return all text in it, as written."""
        return "".join(one if isinstance(one, str) else one.text() for one in self.children)


def read(page: str) -> Element:
    """Read a page that a document made: its tags are known and closed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.root


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element(tag="")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = self._put(tag, attrs)
        if tag not in VOID:
            self._open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._put(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if len(self._open) > 1 and self._open[-1].tag == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def _put(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        made = Element(tag=tag, attributes={name: value or "" for name, value in attrs})
        self._open[-1].children.append(made)
        return made
