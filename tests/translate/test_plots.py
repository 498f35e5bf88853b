"""A `<plot>` becomes a drawing that stands alone, shows what was measured, and nothing else."""

import re

import pytest

from fhirbridge.translate.documents import page_tree, plots
from fhirbridge.translate.documents.page_tree import Element

LANE = """
<lane name="Drug A">
<stretch from="2026-03-02T09:30:00-05:00" to="2026-03-02T10:10:00-05:00" label="36.25 mg">
<pause from="2026-03-02T09:50:00-05:00" to="2026-03-02T10:00:00-05:00" label="Pause">
<moment at="2026-03-02T09:30:00-05:00" label="Bolus 5 mg">
</lane>"""
RISING = (("09:10", "72"), ("09:50", "84"), ("10:40", "76"))


def point(time: str, value: str, unit: str = "/min", day: str = "2026-03-02") -> str:
    return f'<point at="{day}T{time}:00-05:00" value="{value}" unit="{unit}">'


def panel(*points: str, bounds: str = "") -> str:
    line = f'<line name="Pulse">{"".join(points)}</line>'
    return f'<panel name="Heart"{bounds}>{line}</panel>'


def drawn(*parts: str) -> Element:
    return page_tree.read(plots.drawn(f'<plot title="T">{"".join(parts)}</plot>'))


def texts(*parts: str) -> list[str]:
    return [one.text() for one in drawn(*parts).every("text")]


def places(page: Element, text: str) -> list[float]:
    return [float(one.get("x")) for one in page.every("text") if one.text() == text]


def test_a_plot_shows_its_lanes_its_panels_and_the_time() -> None:
    found = texts(LANE, panel(*(point(*one) for one in RISING)))

    assert {"Drug A", "36.25 mg", "Pause", "Bolus 5 mg", "Heart, /min", "Pulse"} <= set(found)
    assert {"09:10", "09:50", "10:10", "10:40", "Time (-05:00)"} <= set(found)


def test_a_plot_stands_alone_and_says_what_it_is_to_who_cannot_see_it() -> None:
    page = plots.drawn(
        f'<plot title="A &amp; B">{panel(point(*RISING[0]), point(*RISING[1]))}</plot>'
    )

    (svg,) = page_tree.read(page).every("svg")
    assert (svg.get("role"), svg.get("aria-label")) == ("img", "A & B")
    assert [one.text() for one in page_tree.read(page).every("figcaption")] == ["A & B"]
    assert {one.tag for one in svg.children if isinstance(one, Element)} == {"path", "text"}
    assert not re.search(r"script|href|url\(|style=|on\w+=", page)


def test_a_higher_value_stands_higher_and_a_later_one_further_right() -> None:
    page = drawn(panel(*(point(*one) for one in RISING)))
    lines = [one.get("d") for one in page.every("path") if one.get("stroke-width") == "1.2"]

    course = next(d for d in lines if d.count("L") == 2)
    (x1, y1), (x2, y2), (x3, y3) = (map(float, one.split()) for one in course[1:].split(" L"))

    assert x1 < x2 < x3
    assert y2 < y3 < y1
    assert round((x2 - x1) / (x3 - x1), 2) == round(40 / 90, 2)


def test_a_time_stands_at_its_tick_whatever_its_offset_is() -> None:
    utc = '<point at="2026-03-02T14:50:00Z" value="84" unit="/min">'

    here = drawn(panel(point(*RISING[0]), point("09:50", "84"), point(*RISING[2])))
    there = drawn(panel(point(*RISING[0]), utc, point(*RISING[2])))

    assert [one.get("d") for one in here.every("path")] == [
        one.get("d") for one in there.every("path")
    ]


def test_lines_of_one_panel_are_told_apart_without_colour() -> None:
    lines = "".join(
        f'<line name="{name}">{point("09:10", low)}{point("09:50", low)}</line>'
        for name, low in (("Upper", "120"), ("Lower", "80"))
    )
    page = drawn(f'<panel name="Pressure">{lines}</panel>')

    paths = [one for one in page.every("path") if one.get("stroke-width") == "1.2"]
    colours = {one.get(name) for one in page.every("path") for name in ("fill", "stroke")}
    assert len({one.get("stroke-dasharray") for one in paths}) == 2
    assert all(one[1:] == one[1] * 3 for one in colours - {"none"}), "greys only"


def test_values_of_two_units_stand_on_two_scales() -> None:
    found = texts(
        panel(
            point("09:10", "120", "mmHg"),
            point("09:50", "16", "kPa"),
            point("10:00", "118", "mmHg"),
        )
    )

    assert {"Heart, mmHg", "Heart, kPa"} <= set(found)


def test_a_scale_shows_its_bounds_whatever_was_measured() -> None:
    calm = texts(
        panel(point("09:10", "98", "%"), point("09:50", "97", "%"), bounds=' least="90" most="100"')
    )
    crisis = texts(
        panel(point("09:10", "98", "%"), point("09:50", "45", "%"), bounds=' least="90" most="100"')
    )

    assert {"90", "100"} <= set(calm)
    assert "40" in crisis


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (LANE,),
        (LANE, panel(point("09:10", "72"))),
        (panel(point("09:10", "72"), point("09:10", "80")),),
        (panel(point("09:10", ""), point("09:50", "")),),
        (panel('<point at="" value="72">', '<point at="2026-03-02" value="80">'),),
        (panel(point("09:10", "NaN"), point("09:50", "Infinity")),),
        (panel(point("09:10", "72"), point("09:50", "80", day="2027-03-02")),),
        (panel(point("09:10", "72", day="0001-01-01"), point("09:50", "80", day="9999-12-31")),),
    ],
)
def test_what_shows_no_course_is_not_drawn(parts: tuple[str, ...]) -> None:
    assert plots.drawn(f'<p>a</p><plot title="T">{"".join(parts)}</plot>') == "<p>a</p>"


@pytest.mark.parametrize(
    ("days", "hour", "shown"),
    [
        (0, "09:40", []),
        (1, "00:40", ["2026-03-02", "2026-03-03"]),
        (5, "09:40", ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"]),
    ],
)
def test_dates_stand_below_where_there_is_more_than_one_day(
    days: int, hour: str, shown: list[str]
) -> None:
    last = f"2026-03-{2 + days:02}"
    found = texts(panel(point("09:10", "72"), point(hour, "80", day=last)))

    assert [one for one in found if one.startswith("2026-")][: len(shown) or 1] == shown


def test_what_has_no_end_stays_open_to_the_right() -> None:
    running = '<lane name="A"><stretch from="2026-03-02T09:30:00-05:00" to="" label="on"></lane>'
    page = drawn(running, panel(*(point(*one) for one in RISING)))

    (box,) = [one for one in page.every("path") if one.get("fill") == "#ddd"]
    assert "Z" not in box.get("d")
    assert "708" in box.get("d")


def test_labels_of_one_lane_do_not_lie_over_each_other() -> None:
    moments = "".join(
        f'<moment at="2026-03-02T09:3{n}:00-05:00" label="Something long, number {n}">'
        for n in range(8)
    )
    page = drawn(f'<lane name="Events">{moments}</lane>', panel(*(point(*one) for one in RISING)))

    rows = [one.get("y") for one in page.every("text") if one.text().startswith("Something")]
    assert len(set(rows)) == 8


def test_a_label_at_the_end_of_the_plot_stays_inside_it() -> None:
    late = '<lane name="A"><moment at="2026-03-02T10:40:00-05:00" label="at the very end"></lane>'
    page = drawn(late, panel(*(point(*one) for one in RISING)))

    (text,) = [one for one in page.every("text") if one.text() == "at the very end"]
    assert text.get("text-anchor") == "end"


def test_a_long_label_is_cut_and_a_mark_up_in_it_stays_text() -> None:
    moment = f'<moment at="2026-03-02T09:30:00-05:00" label="&lt;b&gt;{"x" * 90}">'
    found = texts(f'<lane name="A">{moment}</lane>', panel(*(point(*one) for one in RISING)))

    (label,) = [one for one in found if one.startswith("<b>")]
    assert len(label) == 44
    assert label.endswith("…")


def test_the_rest_of_the_page_is_left_as_it_is() -> None:
    page = "<p>a</p>\n<plot title='T'></plot>\n<p>b</p>"

    assert plots.drawn(page) == "<p>a</p>\n<p>b</p>"
