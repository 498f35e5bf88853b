"""What a route is: view, access and answers, declared once for the guard and for the document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from flask import Response
from marshmallow import Schema

from fhirbridge.access.tokens import Role
from fhirbridge.web.problems import PROBLEM_JSON
from fhirbridge.web.schemas import Problem

View = Callable[..., Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use a route."""

    roles: frozenset[Role] = frozenset()
    public: bool = False
    signed: bool = False  # open to whoever signs his message, and to no token
    ehr: bool = False  # open to an EHR, by the secrets that we gave it


PUBLIC = Access(public=True)
SIGNED = Access(signed=True)
EHR = Access(ehr=True)
NOBODY = Access()


def only(*roles: Role) -> Access:
    """Allow these roles; nobody is allowed who is not named, not even an admin."""
    return Access(roles=frozenset(roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A route for browsers, or for an EHR; it stands in no document."""

    rule: str
    view: View
    access: Access
    room: str = ""  # for tokens that are narrowed
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A route of the API. Its view's docstring is its text in the document."""

    room: str  # the heading under which it stands
    method: Literal["DELETE", "GET", "POST"]
    rule: str
    view: View
    access: Access
    answers: Mapping[HTTPStatus, type[Schema]]
    refusals: Mapping[HTTPStatus, str]
    body: Mapping[str, Any] = field(default_factory=dict)  # an OpenAPI request body
    parameters: tuple[Mapping[str, Any], ...] = ()
    headers: Mapping[str, Any] = field(default_factory=dict)  # of its answers
    media: str = "application/json"  # of its answers
    tagged: bool = False  # it has an ETag, and answers 304 to who has it
    empty: Mapping[HTTPStatus, str] = field(default_factory=dict)  # answers without a body
    refusal: tuple[type[Schema], str] = (Problem, PROBLEM_JSON)  # how it says no

    @property
    def endpoint(self) -> str:
        """How Flask names it."""
        return f"{self.room}.{self.view.__name__}"
