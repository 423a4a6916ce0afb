"""venue.toml: the example is what the code believes, and what is wrong is said with file, key, found and expected."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from seawall.core.errors import InputError, MissingKey, UnknownKey, UnreadableFile
from seawall.server.config import VenueConfig, is_loopback, load_config
from seawall.server.reading import convert, decode, places

EXAMPLE = ROOT / "examples" / "venue.toml"


def write(tmp_path, text):
    path = tmp_path / "venue.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_example_loads_and_its_paths_are_relative_to_it():
    config = load_config(EXAMPLE)
    assert config.path(config.venue.market).exists()
    assert config.path(config.venue.book).exists()
    assert config.keys_path == EXAMPLE.parent / "keys.json"
    assert config.board_path == EXAMPLE.parent / "journal" / "status.board"


def test_the_example_shows_every_key_with_its_default():
    # the table that a venue may do without stands there as a comment
    text = re.sub(r"(?m)^# (?=\[closing|\w+ = )", "", EXAMPLE.read_text("utf-8").replace("# BTC", "## BTC"))
    document = tomllib.loads(text)
    given = {"venue": {"market": "market.json"}, "closing": {"buckets": {"main": {}}}}
    defaults = msgspec.to_builtins(convert(given, VenueConfig, "x"))
    own = {"name", "market", "book"}
    for table, values in defaults.items():
        if table == "root":
            continue
        shown = document[table]
        if not isinstance(values, dict):
            assert shown == values
            continue
        assert set(shown) == set(values), table
        for key, value in values.items():
            if key not in own:
                assert shown[key] == value, f"{table}.{key}"


def test_every_key_of_the_example_has_a_comment():
    lines = [line for line in EXAMPLE.read_text("utf-8").splitlines() if re.match(r"\w+ = ", line)]
    bare = [line for line in lines if "#" not in line]
    assert len(lines) > 30
    assert len(bare) <= 12, bare


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", MissingKey, ['no "venue"']),
        ("[venue]\n", MissingKey, ["venue.toml: venue", '"market"']),
        ('[venue]\nmarket = "m"\nmodle = "x"\n', UnknownKey, ["venue.toml: venue", '"modle"']),
        ('[venue]\nmarket = "m"\n[listen]\nport = "80"\n', InputError, ["listen.port", 'found "80"', "expected int"]),
        ('[venue]\nmarket = "m"\n[listen]\nport = 70000\n', InputError, ["listen.port", "found 70000", "<= 65535"]),
        ('[venue]\nmarket = "m"\n[journal]\nbackend = "paper"\n', InputError, ["journal.backend", "paper"]),
        ('[venue]\nmarket = "m"\n[venue.funding.X]\nsamples = 0\n', InputError, ["venue.funding", "samples", ">= 1"]),
        ('[venue]\nmarket = "m"\n[listen]\ntls_key = "k.pem"\n', InputError, ["listen.tls_certificate", "nothing"]),
        ('[venue]\nmarket = "m"\n[dashboard]\nhost = "0.0.0.0"\n', InputError, ["dashboard.host", "0.0.0.0"]),
        ('[venue]\nmarket = "m"\n[stream]\nkept = 16\nbehind = 17\n', InputError, ["stream.behind", "17"]),
        ('[venue]\nmarket = "m"\n[dashboard]\nenabled = true\nport = 8460\n', InputError, ["dashboard.port"]),
        ('root = "/"\n[venue]\nmarket = "m"\n', InputError, ["root"]),
        ("venue = [", UnreadableFile, ["no TOML"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, kind, words):
    with pytest.raises(kind) as raised:
        load_config(write(tmp_path, text))
    said = str(raised.value)
    assert all(word in said for word in ["venue.toml", *words]), said
    assert "\n" not in said


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        load_config(tmp_path / "none.toml")
    path = tmp_path / "venue.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile, match="no TOML"):
        load_config(path)


@pytest.mark.parametrize(("host", "answer"), [
    ("127.0.0.1", True), ("127.8.0.3", True), ("::1", True), ("localhost", True), ("[::1]", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False), ("localhost.example.org", False),
])  # fmt: skip
def test_loopback_is_what_only_this_machine_reaches(host, answer):
    assert is_loopback(host) is answer


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_an_input_error_and_nothing_else(body, binary):
    try:
        found = decode(body, VenueConfig, "body", binary=binary)
    except InputError as error:
        found = error
    assert isinstance(found, VenueConfig | InputError)
    if isinstance(found, InputError):
        assert found.place.startswith("body")
        assert found.expected


def test_nesting_beyond_all_bounds_is_an_input_error():
    with pytest.raises(InputError, match="body"):
        decode(b"[" * 200_000, VenueConfig, "body")
    with pytest.raises(InputError, match="body"):
        decode(b"\x91" * 200_000, VenueConfig, "body", binary=True)


def test_paths_of_msgspec_are_taken_apart():
    assert places("$.a[0].b") == ["a", 0, "b"]
    assert places("$[...].b") == ["*", "b"]
    assert places("$") == []
