"""Keys: shown once, kept as hashes, for their owner's eyes only; revoked and rotated while the service runs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import environment
from seawall.core.errors import InputError
from seawall.server.keys import LOCAL, SCOPES, KeyFile, Keys, allows, parse_scopes


class Clock:
    """Time as a test sets it."""

    def __init__(self, now=1_000):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path, clock):
    return KeyFile(tmp_path / "keys.json", clock)


def test_a_secret_is_256_random_bits_and_stands_nowhere(file, tmp_path):
    key, text = file.create("desk", ["trade"])
    secret = text.split("_", 2)[2]
    assert re.fullmatch(r"sw_[0-9a-f]{10}_[A-Za-z0-9_-]{43}", text)
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()
    others = {file.create("desk", ["trade"])[1] for _ in range(20)}
    assert len(others) == 20


PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032


def test_a_keepers_key_is_bound_to_a_public_key_and_an_account_which_a_new_secret_keeps(file):
    key, _ = file.create("kim", ["bid"], public_key=PUBLIC, account="kim")
    assert (key.public_key, key.account) == (PUBLIC, "kim")
    new, text = file.rotate(key.id)
    assert (new.public_key, new.account, new.scopes) == (PUBLIC, "kim", ["bid"])
    assert Keys(file.path).find(text).account == "kim"


@pytest.mark.parametrize("fields", [{"public_key": PUBLIC}, {"account": "kim"}, {"public_key": "0" * 64, "account": "kim"}])
def test_half_a_binding_or_a_key_that_is_none_is_refused(file, fields):
    with pytest.raises(InputError):
        file.create("kim", ["bid"], **fields)
    assert file.read() == []


def test_the_file_is_its_owners_alone_whatever_the_umask_says(tmp_path):
    before = os.umask(0)
    try:
        file = KeyFile(tmp_path / "keys.json")
        file.create("a", ["read"])
        file.create("b", ["read"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_a_file_that_others_may_read_is_refused(file):
    file.create("a", ["read"])
    file.path.chmod(0o640)
    with pytest.raises(InputError, match=r"mode 0640, expected mode 0600"):
        file.read()
    with pytest.raises(InputError, match="mode 0640"):
        Keys(file.path)


def test_only_the_right_secret_opens(file, clock):
    key, text = file.create("a", ["read"])
    _, other = file.create("b", ["read"])
    keys = Keys(file.path, clock)
    assert keys.find(text) == key
    mixed = f"sw_{key.id}_{other.split('_', 2)[2]}"
    for wrong in (mixed, text[:-1], text + "x", text[3:], "", f"sw_{LOCAL.id}_{'A' * 43}", text.upper(), " " + text):
        assert keys.find(wrong) is None


@given(st.text(max_size=100))
def test_no_text_opens_by_chance(tmp_path_factory, text):
    file = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json")
    assert Keys(file.path).find(text) is None


def test_a_revoked_key_opens_nothing_and_can_still_be_named(file, clock):
    key, text = file.create("a", ["read"])
    keys = Keys(file.path, clock)
    generation = keys.generation
    assert keys.still(key.id) is not None
    file.revoke(key.id)
    assert keys.refresh()
    assert not keys.refresh()
    assert keys.generation > generation
    assert keys.find(text) is None
    assert keys.still(key.id) is None
    assert [each.id for each in file.read()] == [key.id]
    assert not keys.open_to_all, "a venue whose only key is revoked is closed, not open"


def test_rotation_overlaps_as_long_as_it_was_told(file, clock):
    old, old_text = file.create("a", ["risk"], requests_per_s=7.0)
    new, new_text = file.rotate(old.id, overlap_ns=500)
    keys = Keys(file.path, clock)
    assert (new.name, new.scopes, new.requests_per_s) == (old.name, old.scopes, 7.0)
    assert keys.find(old_text) is not None
    assert keys.find(new_text) is not None
    clock.now += 500
    assert keys.find(old_text) is None
    assert keys.find(new_text) is not None
    with pytest.raises(InputError, match="opens nothing"):
        file.rotate(old.id)


def test_rotation_does_not_lengthen_a_key_that_expires(file, clock):
    old, _ = file.create("a", ["risk"], expires_ns=1_100)
    file.rotate(old.id, overlap_ns=10_000)
    assert next(key for key in file.read() if key.id == old.id).expires_ns == 1_100


def test_taking_the_file_away_does_not_open_the_service(file, clock):
    key, text = file.create("a", ["read"])
    keys = Keys(file.path, clock)
    file.path.unlink()
    assert not keys.refresh()
    assert "no keys" in keys.problem
    assert not keys.open_to_all
    assert keys.find(text) == key


def test_a_damaged_file_leaves_the_keys_as_they_were(file, clock):
    key, text = file.create("a", ["read"])
    keys = Keys(file.path, clock)
    file.path.write_text("{", "utf-8")
    assert not keys.refresh()
    assert "no JSON" in keys.problem
    assert keys.find(text) == key


def test_without_any_key_everybody_on_loopback_is_local(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    assert keys.open_to_all
    assert keys.still(LOCAL.id) is LOCAL
    KeyFile(tmp_path / "keys.json").create("a", ["read"])
    keys.refresh()
    assert keys.still(LOCAL.id) is None


def test_scopes_contain_read_and_nothing_else(file):
    for scope in SCOPES:
        key, _ = file.create("a", [scope])
        assert {each for each in SCOPES if allows(key, each)} == {"read", scope}


def test_scopes_are_read_from_words():
    assert parse_scopes("trade, read") == ["read", "trade"]
    for wrong in ("", "write", "read,all"):
        with pytest.raises(InputError, match="scopes"):
            parse_scopes(wrong)


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\x1b[2J"])
def test_a_name_is_short_and_printable(file, name):
    with pytest.raises(InputError, match="name of a key"):
        file.create(name, ["read"])


def test_commands_at_the_same_time_lose_no_key(file):
    code = "import sys; from seawall.server.keys import KeyFile; [KeyFile(sys.argv[1]).create('x', ['read']) for _ in range(10)]"
    line = [sys.executable, "-c", code, str(file.path)]
    running = [subprocess.Popen(line, env=environment()) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert len(file.read()) == 40
