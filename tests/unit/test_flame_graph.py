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
