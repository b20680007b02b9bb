"""Workbooks as another program than Excel opens them: LibreOffice, which reads, calculates, prints and writes them again."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pypdfium2
import pytest

from redrive.flows.reports.workbook import workbook
from tests.support.reports import reports

SIX = list(reports())
OFFICE = shutil.which("soffice")

#: LibreOffice takes some ten seconds, and some 300 MB of a machine's disk.
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(OFFICE is None, reason="no LibreOffice here: `apt-get install libreoffice-calc-nogui`"),
]


@dataclass(frozen=True)
class Opened:
    """A workbook that LibreOffice opened: as it wrote it again, and as it prints it."""

    before: openpyxl.Workbook
    after: openpyxl.Workbook
    printed: str


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Opened]:
    folder = tmp_path_factory.mktemp("office")
    given = {name: folder / f"{name.replace(' ', '-')}.xlsx" for name in SIX}
    for name, file in given.items():
        file.write_bytes(workbook(reports()[name])[0])
    for ending in ("xlsx", "pdf"):
        convert(list(given.values()), ending, folder)
    return {
        name: Opened(
            before=openpyxl.load_workbook(file),
            after=openpyxl.load_workbook(folder / "xlsx" / file.name, data_only=True),
            printed=text_of(folder / "pdf" / f"{file.stem}.pdf"),
        )
        for name, file in given.items()
    }


def convert(files: list[Path], ending: str, folder: Path) -> None:
    assert OFFICE
    subprocess.run(
        [
            OFFICE, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", ending,
            "--outdir", str(folder / ending), *map(str, files),
        ],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip


def text_of(file: Path) -> str:
    with pypdfium2.PdfDocument(file) as document:
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)


@pytest.mark.parametrize("name", SIX)
def test_every_cell_comes_back_as_it_was_and_sums_are_right(opened: dict[str, Opened], name: str) -> None:
    one = opened[name]
    assert one.after.sheetnames == one.before.sheetnames
    for sheet in one.before:
        for row in sheet.iter_rows():
            for cell in row:
                again = one.after[sheet.title][cell.coordinate].value
                if cell.data_type == "f":
                    # What LibreOffice calculated.
                    assert isinstance(again, int | float), (name, cell.coordinate, again)
                elif isinstance(cell.value, float):
                    assert again == pytest.approx(cell.value, rel=1e-14), (name, cell.coordinate)
                else:
                    # It writes no empty texts.
                    given = None if cell.value == "" else cell.value
                    assert again == given, (name, cell.coordinate)


@pytest.mark.parametrize("name", SIX)
def test_no_column_is_too_narrow_for_its_numbers(opened: dict[str, Opened], name: str) -> None:
    assert "##" not in opened[name].printed
    if name == "many numbers":
        assert "+1.00E+300" in opened[name].printed


def test_the_page_is_turned_around_where_one_reads_from_the_right(opened: dict[str, Opened]) -> None:
    assert opened["rtl"].after["Report"].sheet_view.rightToLeft
    assert not opened["narrow"].after["Report"].sheet_view.rightToLeft
