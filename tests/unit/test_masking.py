"""What a person reads holds no secret, and still says what is needed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.blocks.core.masking import MASK, is_secret_name, mask, mask_text

SECRET = "hunter2XYZ"

SECRET_NAMES = [
    "password", "passwd", "PASSWORD", "smtp_password", "db.password", "secret", "client_secret", "token", "accessToken", "api_key",
    "apiKey", "X-Api-Key", "authorization", "Authorization", "cookie", "Set-Cookie", "dsn", "private_key", "aws_secret_access_key",
    "password2", "auth", "credentials", "passphrase", "secret_value",
]  # fmt: skip

PLAIN_NAMES = [
    "author",
    "compass",
    "passenger",
    "tokenizer",
    "max_tokens",
    "keyboard",
    "key",
    "primary_key",
    "secretary",
    "cookies_enabled",
    "pinned",
]

TEXTS = [
    f"connect(password='{SECRET}')",
    f'connect(password="{SECRET}")',
    f"{{'token': '{SECRET}'}}",
    f'{{"api_key": "{SECRET}", "a": 1}}',
    f'{{\\"password\\": \\"{SECRET}\\"}}',
    f"password={SECRET}&user=x",
    f"PGPASSWORD: {SECRET}".replace("PG", "PG_"),
    f"self.smtp_password = '{SECRET}'",
    f"clientSecret: {SECRET}",
    f"settings['token'] = '{SECRET}'",
    f"postgresql://app:{SECRET}@db/x is away",
    f"redis://:{SECRET}@cache:6379/0",
    f"https://user:p{SECRET}%40@host/path",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Basic {SECRET}==",
    f"authorization: Token {SECRET}",
    f"Cookie: session={SECRET}; other={SECRET}",
    f"got header bearer {SECRET}",
    f"'Authorization': 'Bearer {SECRET}'",
    f"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{SECRET}.sig{SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    f"https://bucket/x?X-Amz-Signature={SECRET}&a=b",
    f"ghp_{SECRET}abcdefghijklmnop",
    f"password=SecretStr('{SECRET}')",
    f"password=b'{SECRET}'",
    f"password='it\\'s {SECRET}'",
    f"dsn = '{SECRET} and more",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_value_under_a_secret_name_is_masked(name: str):
    assert mask({name: SECRET}) == {name: MASK}


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_value_under_a_plain_name_is_shown(name: str):
    assert mask({name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize("text", TEXTS)
def test_secret_in_a_text_is_masked(text: str):
    shown = mask_text(text)

    assert SECRET not in shown
    assert MASK in shown


def test_aws_key_is_masked_wherever_it_stands():
    assert mask_text("key AKIAIOSFODNN7EXAMPLE is disabled") == f"key {MASK} is disabled"


@pytest.mark.parametrize(
    "text",
    [
        "No such file: /data/in/report.pdf",
        "password must not be empty",
        "max_tokens=100",
        "token=None",
        "see https://example.com/a?page=2",
        "Connection refused by mail@example.com:25",
        "the author: Jane",
        "a basic problem",
    ],
)
def test_text_without_a_secret_is_unchanged(text: str):
    assert mask_text(text) == text


def test_user_and_host_of_a_url_stay_readable():
    assert mask_text("postgresql://app:pw@db.internal:5432/x") == f"postgresql://app:{MASK}@db.internal:5432/x"


def test_nested_values_are_masked_and_the_original_is_not_touched():
    parameters = {
        "to": ["a@example.com"],
        "smtp": {"host": "mail", "password": SECRET, "hosts": [{"token": {"deep": SECRET}}]},
        "note": f"use password={SECRET}",
        "count": 3,
        "password": None,
    }
    before = copy.deepcopy(parameters)

    shown = mask(parameters)

    assert SECRET not in json.dumps(shown)
    assert shown["to"] == ["a@example.com"]
    assert shown["smtp"]["host"] == "mail"
    assert shown["count"] == 3
    assert shown["password"] is None
    assert parameters == before


def test_nesting_without_end_is_cut():
    endless: dict[str, Any] = {}
    endless["again"] = endless

    assert "..." in json.dumps(mask(endless))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.sampled_from(SECRET_NAMES))
def test_a_secret_is_found_at_any_depth(around: Any, name: str):
    value = {"around": around, "list": [[{name: SECRET}], around]}
    before = copy.deepcopy(value)

    assert SECRET not in json.dumps(mask(value))
    assert value == before


@given(st.text(max_size=300))
def test_masking_twice_is_masking_once(text: str):
    assert mask_text(mask_text(text)) == mask_text(text)


@given(st.text(min_size=1, max_size=30).filter(lambda name: not name.isascii() or not name.isalpha()))
def test_any_name_can_be_asked(name: str):
    assert is_secret_name(name) in {True, False}
