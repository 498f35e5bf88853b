"""A mapping says which profiles its resources claim; they stand in meta.profile."""

from pathlib import Path

import pytest

from tests.translate.small_set import FILES, changed, faults, translated

PERSON = "resources/person.yaml"
URL = "http://example.org/StructureDefinition/patient"
OWNER = "owner: nobody\n"


def with_head(line: str, resource: str = "") -> dict[str, str]:
    files = changed(PERSON, OWNER, f"{OWNER}{line}\n")
    files[PERSON] = files[PERSON].replace("resource:\n", f"resource:\n{resource}", 1)
    return files


def test_profiles_stand_right_after_the_id(tmp_path: Path) -> None:
    files = with_head(f"profile: [{URL}, {URL}-more|6.1.0]")

    body = translated(tmp_path, files).resources[0].body

    assert list(body)[:3] == ["resourceType", "id", "meta"]
    assert body["meta"] == {"profile": [URL, f"{URL}-more|6.1.0"]}


def test_a_claim_has_its_why(tmp_path: Path) -> None:
    made = translated(tmp_path, with_head(f"profile: [{URL}]")).resources[0]

    assert [
        (one.line, one.rule) for one in made.why if one.target == "Patient.meta.profile[0]"
    ] == [("resources/person.yaml:7", "constant")]


def test_what_else_stands_in_meta_stays(tmp_path: Path) -> None:
    files = with_head(f"profile: [{URL}]", "  meta: {source: urn:clinic}\n")

    body = translated(tmp_path, files).resources[0].body

    assert body["meta"] == {"profile": [URL], "source": "urn:clinic"}


def test_a_claim_changes_nothing_but_meta(tmp_path: Path) -> None:
    plain = translated(tmp_path / "1", FILES).resources[0]
    claimed = translated(tmp_path / "2", with_head(f"profile: [{URL}]")).resources[0]

    assert {key: claimed.body[key] for key in claimed.body if key != "meta"} == plain.body
    assert claimed.content_hash != plain.content_hash


@pytest.mark.parametrize(
    ("line", "resource", "found"),
    [
        ("profile: http://a.org/p", "", "7:10 'profile' must be a list"),
        ("profile: [us-core-patient]", "",
         "7:11 a profile is its canonical URL (http or https), with |version or not"),
        ("profile: [ftp://a.org/p]", "",
         "7:11 a profile is its canonical URL (http or https), with |version or not"),
        ("profile: [http://a.org/p, http://a.org/p]", "", "7:27 this profile is listed twice"),
        ("profile: [http://a.org/p]", "  meta: {profile: [http://a.org/p]}\n",
         "10:3 meta.profile comes from the head's 'profile'; do not write it here too"),
        ("optional: maybe", "", "7:11 'optional' is true, or left out"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_claim_is_found(
    tmp_path: Path, line: str, resource: str, found: str
) -> None:
    assert f"E206 mappings/{PERSON}:{found}" in faults(tmp_path, with_head(line, resource))
