"""R62: who was cut off goes on where it was, by the same bytes; gzip where it is taken."""

import gzip
import http.client
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.factories import a_short_visit, amended
from tests.web.exporting import ASYNC, manifest
from tests.web.fhir_reading import Reader, issue
from tests.web.fhir_served import serving
from tests.web.service import Service


def file_of(reader: Reader, kind: str = "Observation") -> str:
    (url,) = [one["url"] for one in manifest(reader)["output"] if one["type"] == kind]
    return str(url)


def test_r62_of_a_download_that_was_cut_the_rest_makes_the_same_bytes(service: Service) -> None:
    with serving(service) as served:
        signed = {"Authorization": f"Bearer {served.token}"}
        begun = requests.get(f"{served.base}/$export", headers={**ASYNC, **signed}, timeout=60)
        said = requests.get(begun.headers["Content-Location"], headers=signed, timeout=60).json()
        (url,) = [one["url"] for one in said["output"] if one["type"] == "Observation"]
        for coding in ("identity", "gzip"):
            asking = {**signed, "Accept-Encoding": coding}
            whole = raw(url, asking)
            first, tag = cut(url, asking, 1000)
            rest = {**asking, "Range": f"bytes={len(first)}-", "If-Range": tag}

            assert len(whole) > len(first) > 0
            assert first + raw(url, rest, 206) == whole


def raw(url: str, headers: dict[str, str], status: int = 200) -> bytes:
    """Read the bytes as they come, whatever their coding."""
    with requests.get(url, headers=headers, timeout=60, stream=True) as answer:
        assert answer.status_code == status
        read: bytes = answer.raw.read(decode_content=False)
        return read


def cut(url: str, headers: dict[str, str], many: int) -> tuple[bytes, str]:
    """Read so many bytes and close the connection."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=60)
    connection.request("GET", where.path, headers=headers)
    answer = connection.getresponse()
    read = answer.read(many)
    connection.close()
    return read, str(answer.headers["ETag"])


def test_r62_gzip_holds_the_same_lines_and_is_the_same_each_time(chart: Reader) -> None:
    url = file_of(chart)
    plain = chart.ask(url)

    pressed = [chart.ask(url, headers={"Accept-Encoding": "gzip, deflate"}) for _ in range(2)]

    assert pressed[0].headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(pressed[0].data) == plain.data
    assert pressed[0].data == pressed[1].data
    assert pressed[0].headers["ETag"] == pressed[1].headers["ETag"] != plain.headers["ETag"]
    assert plain.headers["Vary"] == "Accept-Encoding"


def test_r62_who_has_the_bytes_is_told_so(chart: Reader) -> None:
    url = file_of(chart)
    tag = chart.ask(url).headers["ETag"]

    again = chart.ask(file_of(chart), headers={"If-None-Match": tag})

    assert (again.status_code, again.data) == (304, b"")


def test_r62_a_part_is_that_part(chart: Reader) -> None:
    url = file_of(chart)
    whole = chart.ask(url).data
    size = len(whole)

    def part(asked: str) -> tuple[int, Any, bytes]:
        answer = chart.ask(url, headers={"Range": asked})
        return answer.status_code, answer.headers.get("Content-Range"), answer.data

    assert part("bytes=0-0") == (206, f"bytes 0-0/{size}", whole[:1])
    assert part("bytes=-7") == (206, f"bytes {size - 7}-{size - 1}/{size}", whole[-7:])
    assert part(f"bytes=5-{size * 2}") == (206, f"bytes 5-{size - 1}/{size}", whole[5:])
    assert part("bytes=0-1,5-6") == (200, None, whole)
    assert part("lines=1-2") == (200, None, whole)
    assert issue(chart.ask(url, headers={"Range": f"bytes={size}-"})) == (416, "value")


def test_r62_safety_03_what_may_not_be_read_any_more_makes_another_file(service: Service) -> None:
    reader = Reader(service)
    reader.take(a_short_visit(), a_short_visit(patient="pt-2"))
    url = file_of(reader, "Patient")
    before = reader.ask(url)
    withdrawn = {
        "id": "c-9",
        "kind": "sharing",
        "status": "withdrawn",
        "withdrawn_at": "2026-03-20T09:00:00-05:00",
    }
    record = amended(a_short_visit(patient="pt-2"), lambda new: new.update(consents=[withdrawn]))
    assert service.send(record).status_code == 202

    tag = before.headers["ETag"]
    after = reader.ask(url, headers={"Range": "bytes=10-", "If-Range": tag})

    assert after.status_code == 200
    assert after.headers["ETag"] != tag
    assert len(after.data.splitlines()) == len(before.data.splitlines()) - 1
