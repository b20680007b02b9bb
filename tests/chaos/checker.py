"""Judges an operation history: `python -m tests.chaos.checker HISTORY.jsonl [--path NAME]…`; exit code 1 if anything is wrong.

It knows what Redrive promises and nothing of how it is done. What it finds: jobs lost, effects doubled or missing, two
executions of one job at once, completed steps repeated, limits exceeded, other keys in later tries, and a rescue path that the
trial was meant to exercise and that never fired.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.history import Event, read

#: The ways a job comes back, by what its Crashed states say.
PATHS = {
    "worker reported": "worker ",
    "worker gone": "was killed, and so was the job's process",
    "worker silent": "is silent for",
    "process gone": "its process is gone for",
    "never started": "no worker signed for it",
}
#: Effects that a completed job of a type must have had, once each.
EFFECTS = {
    "fault-steps": ("reserve", "charge", "confirm"),
    "fault-flaky": ("flaky",),
    "fault-quick": ("quick",),
    "fault-held": ("held",),
}


@dataclass
class Verdict:
    """What is wrong, by kind; and figures for a table."""

    problems: list[str] = field(default_factory=list)
    jobs: int = 0
    executions: int = 0
    crashes: int = 0
    acts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        ways = ", ".join(f"{name} {count}x" for name, count in sorted(self.paths.items()))
        done = f"{self.executions} executions, {self.crashes} crashes, {self.acts} acts"
        return "\n".join([f"{self.jobs} jobs: {said}; {done}; rescued: {ways or 'none'}", *self.problems])


def check(events: Iterable[Event], *, paths: Sequence[str] = ()) -> Verdict:
    """Judge a history; `paths` are those of `PATHS` that must have been taken at least once."""
    verdict = Verdict()
    accepted: dict[str, Event] = {}
    outcomes: dict[str, Event] = {}
    lines: dict[str, list[Event]] = defaultdict(list)
    acts: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        match event["op"]:
            case "accepted":
                accepted[event["job"]] = event
            case "outcome":
                outcomes[event["job"]] = event
            case "job":
                lines[event["job"]].append(event)
            case "act":
                acts[event["job"]].append(event)
                verdict.acts += 1
    verdict.jobs = len(accepted)
    for job, asked in accepted.items():
        taken = Counter(act["what"] for act in acts[job] if act["taken"])
        verdict.problems += _outcome(asked, outcomes.get(job), taken, verdict)
        verdict.problems += _executions(asked, outcomes.get(job), lines[job], taken, verdict)
    verdict.problems += _effects(accepted, outcomes, lines)
    verdict.problems += [f"rescue path never fired: {name}" for name in paths if not verdict.paths[name]]
    return verdict


def _outcome(asked: Event, outcome: Event | None, taken: Counter[str], verdict: Verdict) -> list[str]:
    name = f"{asked['type']} {asked['job']}"
    if outcome is None or outcome["state"] is None:
        return [f"lost: {name} has no outcome"]
    state, row = outcome["state"], outcome["row"]
    verdict.outcomes[state] += 1
    for message in outcome["crashes"]:
        verdict.crashes += 1
        known = [path for path, text in PATHS.items() if text in str(message)]
        verdict.paths.update(known[-1:])
    match state:
        case "Completed":
            return [] if row in {None, "resolved"} else [f"wrong row: {name} completed and its row is {row}"]
        case "DeadLetter" | "Failed":
            return [] if row in {"open", "discarded"} else [f"lost: {name} is dead and its row is {row}"]
        case "Cancelled":
            return [] if taken["cancel"] else [f"lost: {name} was cancelled and nobody asked for it"]
        case _:
            return [f"lost: {name} is left {state}: {outcome['message']}"]


def _executions(
    asked: Event, outcome: Event | None, lines: Sequence[Event], taken: Counter[str], verdict: Verdict
) -> list[str]:
    name = f"{asked['type']} {asked['job']}"
    found: list[str] = []
    kept: set[str] = set()
    tries = 0
    for line in lines:
        verb, _, what = line["what"].partition(":")
        verdict.executions += verb == "begin"
        tries += verb == "try"
        if verb == "overlap":
            found.append(f"overlapping: two executions of {name} at once")
        if verb == "start" and what in kept:
            found.append(f"repeated: completed step {what} of {name} ran again")
        if verb == "kept":
            kept.add(what)
        if line["key"] != asked["key"]:
            found.append(f"other key: {name} had {line['key']} instead of {asked['key']}")
    # Each redrive counts afresh; a Retry in Prefect is one.
    afresh = 1 + taken["redrive"] + taken["retry"]
    crashes = len(outcome["crashes"]) if outcome else 0
    # A host that is cut off from the network goes on, up to the limit, and can tell nobody: each such attempt may use it up.
    silent = sum(PATHS["worker silent"] in str(message) for message in outcome["crashes"]) if outcome else 0
    allowed = asked["max_tries"] * (afresh + silent)
    # A try that a crash cut off did not fail; it counts among the crashes.
    if tries > allowed + crashes:
        found.append(f"limit: {name} was tried {tries} times, {allowed} and {crashes} cut off are allowed")
    if crashes > (asked["max_crashes"] + 1) * afresh:
        found.append(f"limit: {name} crashed {crashes} times, {(asked['max_crashes'] + 1) * afresh} are allowed")
    return found


def _effects(accepted: dict[str, Event], outcomes: dict[str, Event], lines: dict[str, list[Event]]) -> list[str]:
    happened = Counter(
        (line["key"], line["what"].removeprefix("effect:"))
        for each in lines.values()
        for line in each
        if line["what"].startswith("effect:")
    )
    # An effect whose process died between it and its line is found as done by the next execution, which says so.
    again = {
        (line["key"], line["what"].removeprefix("again:"))
        for each in lines.values()
        for line in each
        if line["what"].startswith("again:")
    }
    found = [
        f"doubled: effect {what} of {key} happened {count} times"
        for (key, what), count in happened.items()
        if count > 1
    ]
    for job, asked in accepted.items():
        if job in outcomes and outcomes[job]["state"] == "Completed":
            wanted = {(asked["key"], what) for what in EFFECTS.get(asked["type"], ())}
            absent = sorted(what for _, what in wanted - happened.keys() - again)
            found += [f"missing: {asked['type']} {job} completed without its effect {what}" for what in absent]
    return found


def main() -> int:
    """Print the verdict of a history."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.checker", description=__doc__)
    parser.add_argument("history", type=Path)
    parser.add_argument("--path", action="append", default=[], choices=sorted(PATHS), help="must have been taken")
    given = parser.parse_args()
    verdict = check(read(given.history), paths=given.path)
    print(verdict)
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
