"""`fhirbridge map test`: the cases that lie beside the mappings."""

from collections.abc import Sequence
from pathlib import Path

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.paths import FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import cases, mutation
from fhirbridge.workbench.cases import CaseResult

MOST = 20  # differences of one case that are printed as words


@click.command("test")
@click.argument("folder", required=False, type=FOLDER)
@click.option("--case", "name", default="", help="Run only the case in this folder of tests/.")
@click.option("--update", is_flag=True, help="First write what the cases become now as expected.")
@click.option(
    "--thorough",
    is_flag=True,
    help="Also drop each field of each record in turn (minutes), and list what no case reaches.",
)
@as_json
def test(
    folder: Path | None, *, name: str, update: bool, thorough: bool, json_wanted: bool
) -> None:
    """Translate the cases in FOLDER/tests and print how they differ from what is expected.

    FOLDER is by default the mappings that the settings name. The exit status is 1 where a case
    differs. What is printed is of synthetic records.
    """
    root = folder or settings.read().mappings
    files, source = mapping_set.read(root), source_schema()
    chosen = cases.find(root, name)
    if update:
        changed = cases.update(files, chosen, source)
        printing.words(
            "\n".join([*changed, f"{len(changed)} files written; read their difference"])
        )
    bench = cases.Bench(files, source)
    results = [bench.run(case) for case in chosen]
    tried, wrong = mutation.run(files, chosen, source) if thorough else (0, ())
    unreached = () if name else bench.unreached()
    if json_wanted:
        rows = [
            {
                "name": one.name,
                "differences": one.differences,
                "files": one.files,
                "passed": one.passed,
            }
            for one in results
        ]
        shown = {"cases": rows, "unreached": unreached, "dropped": tried, "dropping": wrong}
        printing.data(shown)
    else:
        _show(results)
        _show_more(tried, wrong, unreached, thorough=thorough)
    failed = sum(not result.passed for result in results)
    if failed or wrong:
        raise click.ClickException(_verdict(failed, len(results), len(wrong)))
    printing.words(f"{len(results)} cases, all as expected")


def _verdict(failed: int, cases_run: int, wrong: int) -> str:
    said = [f"{failed} of {cases_run} cases differ"] if failed else []
    said += [f"{wrong} dropped fields do harm"] if wrong else []
    return "; ".join(said)


def _show(results: Sequence[CaseResult]) -> None:
    for result in results:
        verdict = "ok  " if result.passed else "FAIL"
        click.echo(f"{verdict}  {result.name}")
        for line in result.differences[:MOST]:
            click.echo(f"        {line}")
        if len(result.differences) > MOST:
            click.echo(f"        and {len(result.differences) - MOST} more (--json has all)")


def _show_more(
    tried: int, wrong: Sequence[str], unreached: Sequence[str], *, thorough: bool
) -> None:
    for line in wrong:
        click.echo(f"FAIL  {line}")
    if thorough:
        printing.words(f"{tried} times a record without one field, {len(wrong)} with harm")
        for line in unreached:
            click.echo(f"no case reaches  {line}")
    elif unreached:
        printing.words(f"no case reaches {len(unreached)} parts of the mappings (--thorough)")
