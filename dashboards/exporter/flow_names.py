"""The names of flows, which are the names of job types: runs and deployments carry ids only."""

from __future__ import annotations

from collections.abc import Iterable

from redrive.dashboards.exporter.prefect import PrefectApi

#: Prefect's own limit of flows a call.
PAGE = 200
UNKNOWN = "unknown"


class FlowNames:
    """Names by id, asked for once. Flows are not renamed."""

    def __init__(self, api: PrefectApi) -> None:
        self._api = api
        self._known: dict[str, str] = {}

    def learn(self, ids: Iterable[str]) -> None:
        """Ask for those that are not known yet, at most `PAGE` at once."""
        if unknown := sorted(set(ids) - self._known.keys()):
            found = self._api.post("/flows/filter", {"flows": {"id": {"any_": unknown}}, "limit": PAGE})
            self._known |= {flow["id"]: flow["name"] for flow in found}

    def __getitem__(self, flow_id: str) -> str:
        return self._known.get(flow_id, UNKNOWN)
