"""What a test may let the sandbox be: one that names resources itself, or heeds no If-Match."""

from tests.sandbox.an_ehr import AnEhr, observation, patient, put_entry

TAG = {"system": "urn:t", "code": "k1"}


def test_where_it_gives_ids_a_client_chooses_none_and_updates_by_the_one_given() -> None:
    ehr = AnEhr(assigns_ids=True)

    assert ehr.put(patient("a")).status == 404
    assert ehr.run("transaction", put_entry(patient("a"))).status == 404
    made = ehr.send("POST", "/Patient", patient("a"))
    own = made.body["id"]

    assert (made.status, own.isdecimal()) == (201, True)
    assert ehr.put(patient(own, active=True), If_Match='W/"1"').status == 200
    assert ehr.put(patient(own, active=False), If_Match='W/"1"').status == 409
    (rest,) = ehr.send("GET", "/metadata").body["rest"]
    assert {one["updateCreate"] for one in rest["resource"]} == {False}


def test_where_it_heeds_no_if_match_whatever_a_client_names_is_written() -> None:
    ehr = AnEhr(ignores_if_match=True)

    said = [ehr.put(patient("a", active=n > 1), If_Match='W/"0"').status for n in range(3)]

    assert said == [201, 200, 200]
    assert ehr.send("GET", "/Patient/a").body["meta"]["versionId"] == "2"


def test_a_tag_is_searched_and_conditions_a_create() -> None:
    ehr = AnEhr()
    tagged = {**observation(subject="#x"), "meta": {"tag": [TAG]}}
    del tagged["subject"]

    said = [ehr.send("POST", "/Observation", tagged, If_None_Exist="_tag=urn:t|k1") for _ in "ab"]

    assert [one.status for one in said] == [201, 200]
    assert ehr.send("GET", "/Observation?_tag=urn:t|k1").body["total"] == 1
    assert ehr.send("GET", "/Observation?_tag=urn:t|k").body["total"] == 0
