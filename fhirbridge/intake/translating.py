"""A record in the words of each overlay; what R4 does not allow counts as not translated."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fhirbridge.fhir import validate
from fhirbridge.intake.live import Variants
from fhirbridge.outbox.enqueue import MakeProvenance
from fhirbridge.translate import engine
from fhirbridge.translate.engine import NotTranslatedError
from fhirbridge.translate.values import Problem, Site, TranslatedResource, Translation

IN_ERROR = "entered-in-error"
NOT_R4 = "E420"


class Translator:
    """Translates with one live mapping set."""

    def __init__(self, variants: Variants, site: Site) -> None:
        self.variants = variants
        self._site = site

    @property
    def digest(self) -> str:
        """Which mapping set this is."""
        return self.variants.digest

    def translate(self, document: dict[str, Any], overlay: str = "") -> Translation:
        """Translate a record. Raises NotLiveError where the set cannot be compiled."""
        if document.get("status") == IN_ERROR:
            return Translation(
                resources=(), problems=(), set_digest=self.digest, unmapped=(), empty=()
            )
        made = engine.translate(document, mapping_set=self.variants.of(overlay), site=self._site)
        unproven = self.unproven(document, overlay)
        return replace(made, problems=(*made.problems, *_unsound(made), *unproven))

    def provenance_of(self, document: dict[str, Any], overlay: str) -> MakeProvenance:
        """Return what makes the Provenance of a delivery of this record."""

        def make(targets: Sequence[str], delivery: str, recorded: str) -> TranslatedResource:
            return engine.provenance(
                document,
                mapping_set=self.variants.of(overlay),
                site=self._site,
                targets=targets,
                delivery=delivery,
                recorded=recorded,
            )

        return make

    def unproven(self, document: dict[str, Any], overlay: str) -> tuple[Problem, ...]:
        """Say why no Provenance could be made: a delivery that finds out would lose the record."""
        try:
            self.provenance_of(document, overlay)(["Patient/a"], "a", document["recorded_at"])
        except NotTranslatedError as error:
            return error.problems or (
                Problem(code=error.code, mapping="", line="", source="", message=error.message),
            )
        return ()


class Translations:
    """One record, translated once for each overlay that is asked for."""

    def __init__(self, document: dict[str, Any], translator: Translator) -> None:
        self.document = document
        self.translator = translator
        self._made: dict[str, Translation] = {}

    @property
    def base(self) -> Translation:
        """The translation without any overlay."""
        return self.of("")

    def of(self, overlay: str) -> Translation:
        """Return the translation with one overlay."""
        if overlay not in self._made:
            self._made[overlay] = self.translator.translate(self.document, overlay)
        return self._made[overlay]


def _unsound(made: Translation) -> Iterator[Problem]:
    """Say what R4 does not allow in what was made: a mistake in a mapping that no check foresaw."""
    for one in made.resources:
        for message in validate.problems(one.body):
            yield Problem(
                code=NOT_R4,
                mapping=one.mapping,
                line="",
                source=one.row,
                message=f"{one.type}: {message}",
            )
