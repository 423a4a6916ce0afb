"""Which certificates a client trusts: the system's, those that the environment names, or what its caller says."""

from __future__ import annotations

import ssl

import pytest

from seawall.client.sending import CA_VARIABLE, trusted
from seawall.core.errors import UnreadableFile


def test_without_the_variable_or_with_a_word_of_the_caller_nothing_is_added(monkeypatch, tmp_path):
    monkeypatch.delenv(CA_VARIABLE, raising=False)
    assert trusted() is True
    monkeypatch.setenv(CA_VARIABLE, str(tmp_path / "nothing"))
    assert trusted(False) is False


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_that_holds_no_certificate_is_named(monkeypatch, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(CA_VARIABLE, str(path))
    with pytest.raises(UnreadableFile, match=r"SEAWALL_CA.*ca\.pem"):
        trusted()


def test_a_certificate_of_one_s_own_making_is_trusted_by_itself_and_names_still_count(monkeypatch):
    found = ssl.get_default_verify_paths()
    if not found.cafile:
        pytest.skip("this system keeps its certificates in no one file")
    monkeypatch.setenv(CA_VARIABLE, found.cafile)
    context = trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
