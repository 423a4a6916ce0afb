"""`seawall keeper` before it reaches a service: its key, its options, what it refuses."""

from __future__ import annotations

import json
import os
import stat

import pytest

from cli.test_commands import invoke
from seawall.client.keyfile import read_key
from seawall.core.errors import InputError
from seawall.core.signing import check_public_key


def test_a_key_is_made_once_for_its_owner_alone_and_its_public_half_printed(tmp_path):
    path = tmp_path / "keeper.key"
    before = os.umask(0)
    try:
        done = invoke("keeper", "--key-file", path, "--make-key", "--json")
    finally:
        os.umask(before)
    assert done.exit_code == 0
    public = json.loads(done.stdout)["public_key"]
    assert check_public_key(public, "key") == read_key(path).public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() not in done.output
    text = path.read_bytes()
    again = invoke("keeper", "--key-file", path, "--make-key")
    assert again.exit_code == 2
    assert "never overwritten" in again.output
    assert path.read_bytes() == text


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path):
    path = tmp_path / "keeper.key"
    invoke("keeper", "--key-file", path, "--make-key")
    path.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        read_key(path)
    path.chmod(0o600)
    path.write_text("not a key\n")
    with pytest.raises(InputError, match="64 hex digits"):
        read_key(path)
    with pytest.raises(InputError, match="no such file"):
        read_key(tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--account"),
        (["--account", "kim", "--strategy", "no-such"], "strategy"),
        (["--account", "kim", "-o", "edge"], "NAME=VALUE"),
        (["--account", "kim", "-o", "egde=1"], "egde"),
        (["--account", "kim", "--report", "x.txt"], ".csv"),
        (["--account", "kim", "--hedge", "no.such:thing"], "--hedge"),
        (["--account", "kim", "--limits", "LIMITS"], "limits of a keeper"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, words, said):
    path = tmp_path / "keeper.key"
    invoke("keeper", "--key-file", path, "--make-key")
    bad = tmp_path / "limits.toml"
    bad.write_text("grass = 3\n")
    done = invoke("keeper", "--key-file", path, *[str(bad) if word == "LIMITS" else word for word in words])
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output
