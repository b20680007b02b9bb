"""A report's HTML as somebody opens it: whole at every width, in its own fonts, and asking nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from redrive.flows.reports.page import page
from tests.support.console import in_browser
from tests.support.reports import reports

pytestmark = [in_browser]

#: Pixels: a phone, the width at which the reports of the first edition were cut, a desk.
WIDTHS = (360, 500, 1280)


@pytest.mark.parametrize("name", list(reports()))
def test_page_is_whole_at_every_width_and_in_its_own_font(chromium: Browser, name: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(reports()[name]))
    for width in WIDTHS:
        opened = chromium.new_page(viewport={"width": width, "height": 800})
        asked: list[str] = []
        opened.on("request", lambda request, asked=asked: asked.append(request.url))  # type: ignore[misc]
        opened.goto(file.as_uri())
        opened.evaluate("document.fonts.ready.then(() => null)")

        # What is wider than the window is a table, which is scrolled in its place.
        assert opened.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0, width
        outside = opened.evaluate(
            "[...document.querySelectorAll('h1, header p, .figures div, figure svg, footer p, .scroll')]"
            ".filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"
        )
        assert outside == [], width
        loaded = opened.evaluate("[...document.fonts].filter(one => one.status === 'loaded').map(one => one.family)")
        assert any("Open Sans" in family for family in loaded), loaded
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        opened.close()
