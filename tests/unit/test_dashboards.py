"""The dashboards as they are committed: in step with their code, well laid out, and made of PromQL that parses."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from redrive.dashboards.alerts.rules import document
from redrive.dashboards.alerts.thresholds import Thresholds
from redrive.dashboards.grafana.pages import PAGES
from redrive.dashboards.grafana.panels import COLOURS
from tests.support.grafana import FOLDER, boards, panels, queries

BOARDS = boards()
PROVISIONING = FOLDER.parent / "provisioning"


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return BOARDS[request.param]


def test_the_committed_dashboards_are_those_of_the_code() -> None:
    made = {page.uid: page.text() for page in PAGES}
    committed = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}

    assert committed == made, "run `python -m redrive.dashboards.grafana`"


def test_every_panel_has_title_description_unit_and_place(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"], panel
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["targets"], panel["title"]


def test_panels_lie_beside_each_other(board: dict[str, Any]) -> None:
    places = {panel["title"]: panel["gridPos"] for panel in board["panels"]}
    assert len(places) == len(board["panels"]), "two panels have one title"

    for title, place in places.items():
        assert place["x"] + place["w"] <= 24, title
    for (title, one), (other_title, other) in combinations(places.items(), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{title} lies over {other_title}"


def test_lines_of_panels_are_filled(board: dict[str, Any]) -> None:
    widths: dict[int, int] = {}
    for panel in board["panels"]:
        widths[panel["gridPos"]["y"]] = widths.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]

    assert set(widths.values()) == {24}


def test_panels_have_ids_of_their_own(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]

    assert len(set(ids)) == len(ids)


def test_every_query_is_promql(board: dict[str, Any]) -> None:
    for asked in queries(board, queue="default", job="sync"):
        assert "$" not in asked.expr, asked
        promql_parser.parse(asked.expr)


def test_every_variable_is_used_or_a_link(board: dict[str, Any]) -> None:
    text = str(board["panels"]) + str(board["links"])
    for variable in board["templating"]["list"]:
        name = variable["name"]
        linked = name == "prefect" and any("${prefect}" in link["url"] for link in board["links"])
        assert linked or f"${name}" in text or f"${{{name}}}" in text, name


def test_links_open_dashboards_that_exist() -> None:
    uids = {board["uid"] for board in BOARDS.values()}

    from_boards = set(re.findall(r"/d/([\w-]+)", str(list(BOARDS.values()))))
    from_alerts = set(re.findall(r"/d/([\w-]+)", document(Thresholds.read())))

    assert from_boards
    assert from_boards | from_alerts <= uids


def test_a_status_has_one_colour_everywhere() -> None:
    for board in BOARDS.values():
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                name = override["matcher"]["options"]
                for found in override["properties"]:
                    if found["id"] == "color":
                        assert found["value"]["fixedColor"] == COLOURS[name], (panel["title"], name)


def test_provisioning_shows_the_dashboards_and_fits_their_data_source() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "redrive.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "redrive.yaml").read_text())["providers"]
    scrape = yaml.safe_load((Path(FOLDER).parents[2] / "infra" / "prometheus" / "prometheus.yml").read_text())

    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
    assert provider["options"]["path"]
