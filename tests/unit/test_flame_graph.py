"""What a flame graph says: which functions had the time to themselves."""

from __future__ import annotations

from redrive.infra.profiles.flame_graph import shares


def box(title: str, *, y: int, x: int, w: int, samples: str = "") -> str:
    """A box as py-spy writes it."""
    shown = f"{title} ({samples or w} samples, 1.00%)"
    return (
        f'<g><title>{shown}</title><rect x="0%" y="{y}" width="1%" height="15" fill="rgb(1,2,3)" fg:x="{x}" fg:w="{w}"/>'
        "<text></text></g>"
    )


def test_time_belongs_to_the_innermost_function() -> None:
    svg = (
        box("all", y=10, x=0, w=100) + box("outer (a.py:1)", y=20, x=0, w=100) + box("inner (a.py:9)", y=30, x=20, w=70)
    )

    assert [(one.where, one.samples, one.part) for one in shares(svg)] == [
        ("inner (a.py:9)", 70, 0.7),
        ("outer (a.py:1)", 30, 0.3),
    ]


def test_a_function_that_is_called_from_two_places_is_one() -> None:
    svg = (
        box("all", y=10, x=0, w=10)
        + box("a (a.py:1)", y=20, x=0, w=5)
        + box("b (a.py:2)", y=20, x=5, w=5)
        + box("slow (a.py:3)", y=30, x=0, w=5)
        + box("slow (a.py:3)", y=30, x=5, w=4)
    )

    assert [(one.where, one.samples) for one in shares(svg)] == [("slow (a.py:3)", 9), ("b (a.py:2)", 1)]


def test_a_graph_that_hangs_from_the_ceiling_reads_the_same() -> None:
    svg = box("all", y=30, x=0, w=10) + box("a (a.py:1)", y=20, x=0, w=10) + box("b &lt;x&gt; (a.py:2)", y=10, x=0, w=6)

    assert [(one.where, one.samples) for one in shares(svg)] == [("b <x> (a.py:2)", 6), ("a (a.py:1)", 4)]


def test_large_counts_are_written_with_commas() -> None:
    assert shares(box("all", y=1, x=0, w=1500, samples="1,500"))[0].where == "all"


def test_an_empty_graph_has_none() -> None:
    assert shares("<svg></svg>") == []


def test_what_waits_is_no_work_beside_work() -> None:
    boxes = [
        '<g><title>all (100 samples, 100%)</title><rect x="0" y="68" fg:x="0" fg:w="100"/></g>',
        '<g><title>Condition.wait (threading.py:327) (60 samples, 60.00%)</title><rect x="0" y="84" fg:x="0" fg:w="60"/></g>',
        '<g><title>guilty (jobs.py:7) (40 samples, 40.00%)</title><rect x="60" y="84" fg:x="60" fg:w="40"/></g>',
    ]

    assert [(one.where, one.part) for one in shares("\n".join(boxes))] == [("guilty (jobs.py:7)", 1.0)]
