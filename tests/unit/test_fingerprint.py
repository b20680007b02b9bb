"""One cause is one group, whatever ids, numbers and places its messages carry; two causes are two."""

from __future__ import annotations

import random
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.blocks.core.fingerprint import fingerprint
from redrive.blocks.core.message_pattern import normalise

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/flows/sync.py", line {line}, in sync_orders
    totals = add(order)
  File "{root}/flows/sync.py", line 80, in add
    return order["total"]
  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode
    obj, end = self.raw_decode(s)
  File "/app/.venv/lib/python3.12/site-packages/pandas/core/frame.py", line 12, in inner
    raise KeyError(key)
KeyError: 'total'
"""

TEMPLATES = [
    "order {} not found",
    "job {}: connection to 10.0.0.7 timed out",
    "could not lock row '{}'",
    'no customer "{}" in the register',
    "HTTP 503 for request {} (try later)",
    "duplicate value {}, {} rejected",
    "bad file /data/in/{}/report-{}.pdf",
    "download of https://files.example.com/{}?v={} failed",
    "Key (id)=({}) already exists.",
    "<Job object at 0x7f{}> is broken",
]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NANO = string.ascii_letters + string.digits + "_-"


def cause(
    message: str,
    *,
    error_type: str = "my.OrderError",
    job: str = "sync",
    traceback: str | None = None,
    step: str | None = None,
) -> str:
    return fingerprint(job=job, error_type=error_type, message=message, traceback=traceback, step=step)


def ids() -> st.SearchStrategy[str]:
    rnd = st.randoms(use_true_random=False)
    return st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda one: one.hex),
        st.uuids().map(lambda one: str(one).upper()),
        st.integers(min_value=0, max_value=10**15).map(str),
        st.integers(min_value=1, max_value=10**9).map(lambda number: f"ORD-{number}"),
        st.binary(min_size=4, max_size=32).map(bytes.hex),
        rnd.map(lambda r: "01" + "".join(r.choice(CROCKFORD) for _ in range(24))),
        rnd.map(lambda r: "a1" + "".join(r.choice(NANO) for _ in range(19))),
        st.datetimes().map(lambda at: at.isoformat()),
        st.ip_addresses().map(str).filter(lambda ip: not ip.endswith("::")),
    )


@pytest.mark.parametrize("template", TEMPLATES)
@given(one=ids(), other=ids())
def test_random_ids_never_split_a_group(template: str, one: str, other: str):
    if "://" in template or "/" in template or "0x" in template:
        one, other = one.replace(":", "").replace("/", ""), other.replace(":", "").replace("/", "")

    assert cause(template.format(one, one)) == cause(template.format(other, other))


@given(one=ids(), other=ids())
def test_templates_stay_apart_with_any_id(one: str, other: str):
    prints = {cause(template.format(one, other)) for template in TEMPLATES}

    assert len(prints) == len(TEMPLATES)


def test_two_hundred_jobs_of_three_causes_make_three_groups():
    draw = random.Random(4)
    messages = [
        lambda: f"invoice {uuid.UUID(int=draw.getrandbits(128))} has no total (row {draw.randrange(9999)})",
        lambda: f"mail server refused <user{draw.randrange(999)}@example.com> after {draw.random() * 30:.2f} s",
        lambda: (
            f"cannot read /data/{draw.randrange(99)}/scan_{draw.randrange(9999)}.pdf: page {draw.randrange(50)} is damaged"
        ),
    ]

    assert len({cause(messages[n % 3]()) for n in range(200)}) == 3


APART = [
    ("[Errno 111] Connection refused", "timed out"),
    ("[Errno 2] No such file or directory: '/a/b.pdf'", "[Errno 13] Permission denied: '/a/b.pdf'"),
    ('No such column "a"', 'No such column "b"'),
    ('column "a" does not exist', 'column "b" does not exist'),
    ("'total'", "'customer_id'"),
    ("'NoneType' object has no attribute 'get'", "'NoneType' object has no attribute 'items'"),
    ("status 404", "status 503"),
    ("Client error '404 Not Found' for url 'https://a.com/x'", "Client error '403 Forbidden' for url 'https://a.com/x'"),
    ("(550, b'5.1.1 User unknown')", "(552, b'5.2.2 Mailbox full')"),
    ("(550, b'5.1.1 User unknown')", "(550, b'5.7.1 Message refused as spam')"),
    ("exited with code 137", "exited with code 1"),
    ("GET https://api.one.com/a failed", "GET https://api.two.com/a failed"),
    ("cannot open '/x/a.pdf'", "cannot open '/x/a.docx'"),
    ("name 'total' is not defined", "name 'sum' is not defined"),
    ("No module named 'numpy'", "No module named 'pandas'"),
    (
        'violates unique constraint "a_key"\nDETAIL:  Key (a)=(1) already exists.',
        'violates unique constraint "b_key"\nDETAIL:  Key (b)=(1) already exists.',
    ),
    ("'utf-8' codec can't decode byte 0x9f", "'ascii' codec can't decode byte 0x9f"),
    ("HTTPSConnectionPool(host='api.one.com', port=443): Max retries", "HTTPSConnectionPool(host='api.two.com', port=443): Max retries"),
    ("SQLSTATE 42P01", "SQLSTATE 23505"),
    ("md5 differs", "sha256 differs"),
]  # fmt: skip

TOGETHER = [
    ("customer 'Anna' not found", "customer 'Bertha Zimmer' not found"),
    ("after 1 second", "after 12.5 seconds"),
    ("waited 300 ms", "waited 2 s"),
    ("at 2026-01-02T03:04:05Z", "at 2026-11-12 13:14:15.123+02:00"),
    ("since Mon, 05 Jan 2026 10:00:00 GMT", "since Tue, 16 Feb 2027 11:30:01 GMT"),
    ("peer 10.0.0.1:5432 gone", "peer [fe80::1]:443 gone"),
    ("to a@example.com refused", "to b.c+d@mail.example.org refused"),
    ("cannot open '/x/a.pdf'", "cannot open '/y z/b 2.pdf'"),
    ("C:\\in\\a.csv is empty", "/var/in/b.csv is empty"),
    ("GET https://api.one.com/a?x=1 failed", "GET https://u:p@api.one.com:8443/b/c failed"),
    ("host https://node1.example.com down", "host https://node22.example.com down"),
    ("rows [1, 2, 3] are bad", "rows [4] are bad"),
    ("invalid literal for int() with base 10: 'abc'", "invalid literal for int() with base 10: ''"),
    ("object at 0x7f00aa is", "object at 0x7fffbb12 is"),
    ("value -1,234.50 is", "value 7 is"),
    ("shelf s3a is empty", "shelf x5 is empty"),
    ("x\n[SQL: select]\n[parameters: {'a': 'it', 'b': 2}]", "x\n[SQL: select]\n[parameters: {'a': 'that long'}]"),
    ("to\n  not a string [type=t, input_value='abc', input_type=str]", "to\n  not a string [type=t, input_value=None, input_type=str]"),
    ("key aXcDeFgHiJkLmNoPqRsZ bad", "key aBcDeFgHiJkLmNoPqRsT bad"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), APART)
def test_different_causes_stay_apart(one: str, other: str):
    assert cause(one) != cause(other)


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_one_cause_is_one_group(one: str, other: str):
    assert normalise(one) == normalise(other)


def test_error_class_distinguishes_causes():
    assert cause("it broke", error_type="a.OneError") != cause("it broke", error_type="a.OtherError")


def test_module_of_the_error_class_does_not_matter():
    assert cause("it broke", error_type="smtplib.SMTPServerDisconnected") == cause(
        "it broke", error_type="SMTPServerDisconnected"
    )


def test_outage_groups_across_job_types_and_with_or_without_a_traceback():
    refused = "[Errno 111] Connection refused"

    with_traceback = cause(
        refused, error_type="ConnectionRefusedError", job="mail", traceback=TRACEBACK.format(line=1, root="/srv/app")
    )
    without = cause(refused, error_type="ConnectionRefusedError", job="report", step="fetch")

    assert with_traceback == without


def test_line_numbers_and_install_folders_do_not_split_a_group():
    one = cause("'total'", error_type="KeyError", traceback=TRACEBACK.format(line=10, root="/srv/app"))
    other = cause("'total'", error_type="KeyError", traceback=TRACEBACK.format(line=99, root="/home/me/other/checkout"))

    assert one == other


def test_python_error_in_another_function_is_another_cause():
    traceback = TRACEBACK.format(line=10, root="/srv/app")

    assert cause("'total'", error_type="KeyError", traceback=traceback) != cause(
        "'total'", error_type="KeyError", traceback=traceback.replace("in add", "in subtract")
    )


def test_last_traceback_of_a_chain_is_the_place():
    first = TRACEBACK.format(line=10, root="/srv/app").replace("in add", "in elsewhere")
    last = TRACEBACK.format(line=10, root="/srv/app")
    chained = f"{first}\nDuring handling of the above exception, another exception occurred:\n\n{last}"

    assert cause("'total'", error_type="KeyError", traceback=chained) == cause(
        "'total'", error_type="KeyError", traceback=last
    )


def test_depth_of_a_recursion_does_not_split_a_group():
    frame = '  File "/srv/app/flows/tree.py", line 3, in walk\n    walk(child)\n'
    start = 'Traceback (most recent call last):\n  File "/srv/app/flows/tree.py", line 9, in main\n    walk(root)\n'

    assert cause("deep", error_type="RecursionError", traceback=start + frame * 3) == cause(
        "deep", error_type="RecursionError", traceback=start + frame * 30
    )


def test_python_error_without_a_place_belongs_to_its_job_and_step():
    assert cause("bad", error_type="ValueError", job="a") != cause("bad", error_type="ValueError", job="b")
    assert cause("bad", error_type="ValueError", step="a") != cause("bad", error_type="ValueError", step="b")


def test_message_without_words_belongs_to_its_place():
    assert cause("", error_type="TimeoutError", job="a") != cause("", error_type="TimeoutError", job="b")
