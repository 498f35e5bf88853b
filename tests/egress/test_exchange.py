import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown, UnsendableRequestError

URL = "https://ehr.example/fhir/Patient/abc"


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example/fhir",
        "HTTPS://EHR.example:8443/fhir?_lastUpdated=ge2026-01-01&x=a%7Cb",
        "http://127.0.0.1:8080/fhir",
        "http://[::1]:8080/fhir",
        "http://localhost./fhir",
        "http://2130706433/",
        "http://0x7f.1/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_an_absolute_http_url_is_taken(url: str) -> None:
    assert Request(method="GET", url=url, headers={}).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/fhir/Patient",
        "ehr.example/fhir",
        "ftp://ehr.example/",
        "file:///etc/passwd",
        "gopher://ehr.example/",
        "unix:///run/x.sock",
        "https://",
        "https:///path",
        "https://user:secret@ehr.example/",
        "https://user@ehr.example/",
        "https://@ehr.example/",
        "https://ehr.example@evil.example/",
        "https://ehr.example/#fragment",
        "https://ehr.example\\@evil.example/",
        "https://ehr.example/\r\nX: y",
        "https://ehr.example/a b",
        "https://ehr.example/\x00",
        "https://ehr.example/\u202e",
        "https://bücher.example/",
        "https://ehr.example:0/",
        "https://ehr.example:99999/",
        "https://ehr.example:x/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[nothing]/",
        "https://*.example/",
        "https://.example/",
        "https://a..b/",
        "https://%31%32%37.0.0.1/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UnsendableRequestError) as refused:
        Request(method="GET", url=url, headers={})

    assert refused.value.code == "E701"
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "value", ["q7\r\nX: y", "q7\nb", "q7\rb", "q7\x00b", "q7\x7f", "q7é", " q7", "q7 "]
)
def test_a_header_value_cannot_carry_another_header(value: str) -> None:
    with pytest.raises(UnsendableRequestError, match="If-Match") as refused:
        Request(method="PUT", url=URL, headers={"If-Match": value})

    assert "q7" not in refused.value.message


@pytest.mark.parametrize("name", ["", "If Match", "If-Match:", "X\r\nY", "X\n", "é"])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(UnsendableRequestError, match="header name"):
        Request(method="GET", url=URL, headers={name: "x"})


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "Connection", "Expect", "Proxy-Authorization"],
)
def test_headers_that_frame_or_route_belong_to_the_transport(name: str) -> None:
    with pytest.raises(UnsendableRequestError, match=name):
        Request(method="GET", url=URL, headers={name: "1"})


def test_a_header_is_given_once() -> None:
    with pytest.raises(UnsendableRequestError, match="twice"):
        Request(method="GET", url=URL, headers={"Accept": "a", "accept": "b"})


@pytest.mark.parametrize("method", ["get", "CONNECT", "TRACE", "GET /x", "GET\r\n", ""])
def test_only_known_methods_are_taken(method: str) -> None:
    with pytest.raises(UnsendableRequestError, match="method"):
        Request(method=method, url=URL, headers={})


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_header_that_is_taken_has_a_line_break(name: str, value: str) -> None:
    try:
        request = Request(method="GET", url=URL, headers={name: value})
    except UnsendableRequestError:
        return

    assert not re.search(r"[\r\n\x00]", "".join((*request.headers, *request.headers.values())))


def test_headers_cannot_be_changed_afterwards() -> None:
    given_headers = {"Accept": "application/fhir+json"}
    request = Request(method="GET", url=URL, headers=given_headers)

    given_headers["Host"] = "evil"

    assert dict(request.headers) == {"Accept": "application/fhir+json"}


def test_a_printed_exchange_shows_no_secret_and_no_content() -> None:
    request = Request(
        method="POST",
        url=URL + "?identifier=canary",
        headers={"Authorization": "Bearer canary"},
        body=b"canary",
    )
    response = Response(status=200, headers={"location": "canary"}, body=b"canary")

    printed = f"{request!r} {response!r} {NotSent(reason='dns: timeout')} {Unknown(reason='x')}"

    assert "canary" not in printed
    assert "POST https://ehr.example/fhir/Patient/abc" in printed
