from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from fhirbridge.fhir import codec
from fhirbridge.sandbox.app import create_app
from fhirbridge.sandbox.calls import LARGEST_BODY

PATIENT = b'{"resourceType": "Patient", "id": "a"}'
JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def browser() -> Iterator[FlaskClient]:
    with create_app().test_client() as client:
        yield client


def test_the_page_says_that_it_is_a_sandbox_and_what_it_holds(browser: FlaskClient) -> None:
    browser.put("/fhir/Patient/a", data=PATIENT, headers=JSON)

    page = browser.get("/").text

    assert "fhirbridge sandbox EHR" in page
    assert "synthetic data only" in page
    assert '<a href="/fhir/Patient?_count=1000">Patient</a>' in page


def test_every_answer_is_labelled(browser: FlaskClient) -> None:
    for path in ("/", "/fhir/metadata", "/fhir/Patient/none", "/elsewhere"):
        assert browser.get(path).headers["X-Sandbox"].startswith("fhirbridge sandbox EHR")
    software = codec.decode(browser.get("/fhir/metadata").data)["software"]
    assert software["name"] == "fhirbridge sandbox EHR"


def test_links_lead_back_to_where_it_was_reached(browser: FlaskClient) -> None:
    answer = browser.post("/fhir/Patient", data=PATIENT, headers=JSON)

    assert answer.headers["Location"] == "http://localhost/fhir/Patient/1001/_history/1"


def test_a_browser_is_shown_json_and_a_client_is_sent_fhir(browser: FlaskClient) -> None:
    browser.put("/fhir/Patient/a", data=PATIENT, headers=JSON)

    seen = browser.get("/fhir/Patient/a", headers={"Accept": "text/html,*/*;q=0.8"})
    sent = browser.get("/fhir/Patient/a", headers={"Accept": "application/fhir+json"})

    assert seen.mimetype == "application/json"
    assert sent.mimetype == "application/fhir+json"


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_the_base_takes_a_bundle_with_or_without_a_slash(browser: FlaskClient, path: str) -> None:
    bundle = b'{"resourceType": "Bundle", "type": "batch"}'

    assert browser.post(path, data=bundle, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/elsewhere", 404),
        ("POST", "/", 405),
        ("GET", "/fhir//Patient//none", 404),
        ("GET", "/fhir/Patient%3Fidentifier=a", 404),
        ("GET", "/fhir/%E6%BC%A2", 404),
    ],
)
def test_no_path_leads_elsewhere_or_to_a_page_of_html(
    browser: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = browser.open(path, method=method)

    assert answer.status_code == status
    assert codec.decode(answer.data)["resourceType"] == "OperationOutcome"


def test_a_body_too_large_is_refused(browser: FlaskClient) -> None:
    answer = browser.post("/fhir/Patient", data=b" " * (LARGEST_BODY + 1), headers=JSON)

    assert answer.status_code == 413
    assert codec.decode(answer.data)["resourceType"] == "OperationOutcome"


def test_a_head_has_the_headers_of_a_get(browser: FlaskClient) -> None:
    browser.put("/fhir/Patient/a", data=PATIENT, headers=JSON)

    answer = browser.head("/fhir/Patient/a")

    assert (answer.status_code, answer.headers["ETag"], answer.data) == (200, 'W/"1"', b"")
