"""Where a token comes from, and that a bad one is refused without being repeated."""

import os
from pathlib import Path

import pytest

import accredit
from accredit._tokens import TokenFile, token_source


def replace(file: Path, text: str) -> None:
    """As whoever rotates a token should: the file is the old one or the new one."""
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").rename(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("acr_1_first\n")
    return path


def test_a_file_is_read_again_when_it_is_replaced(file: Path) -> None:
    token = TokenFile(file)
    assert token() == "acr_1_first"
    replace(file, "acr_1_second")
    assert token() == "acr_1_second"


def test_a_file_is_read_again_when_it_is_written_over(file: Path) -> None:
    token = TokenFile(file)
    file.write_text("acr_1_other")
    os.utime(file, ns=(1, 1))
    assert token() == "acr_1_other"


def test_a_link_that_is_turned_elsewhere_is_followed(file: Path, tmp_path: Path) -> None:
    # The way a mounted secret is rotated.
    link, other = tmp_path / "link", tmp_path / "other"
    link.symlink_to(file)
    token = TokenFile(link)
    other.write_text("acr_1_second")
    (tmp_path / "next").symlink_to(other)
    (tmp_path / "next").rename(link)
    assert token() == "acr_1_second"


@pytest.mark.parametrize("careless", ["", "two words", "line\nline"])
def test_the_last_good_token_outlives_a_careless_rotation(file: Path, careless: str) -> None:
    token = TokenFile(file)
    file.unlink()
    assert token() == "acr_1_first"
    replace(file, careless)
    assert token() == "acr_1_first"
    replace(file, "acr_1_second")
    assert token() == "acr_1_second"


def test_a_file_that_is_not_there_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TokenFile(tmp_path / "missing")


def test_the_environment_gives_a_token_or_else_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token_source()() is None
    monkeypatch.setenv("ACCREDIT_TOKEN_FILE", str(file))
    assert token_source()() == "acr_1_first"
    monkeypatch.setenv("ACCREDIT_TOKEN", "acr_1_direct")
    assert token_source()() == "acr_1_direct"
    assert token_source(token="acr_1_given")() == "acr_1_given"


@pytest.mark.parametrize("bad", ["", "acr_1_s\n", "acr_1 s", "acr_1_é", "acr_1_\x00"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_quoted(bad: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        accredit.Client("localhost:1", token=bad)
    assert "acr" not in str(caught.value)
    with (
        accredit.Client("localhost:1") as client,
        pytest.raises(ValueError, match="visible ASCII"),
    ):
        client.with_options(token=bad)


def test_no_client_shows_its_token() -> None:
    with accredit.Client("localhost:1", token="acr_1_s") as client:
        assert "acr_1_s" not in repr(client) + repr(vars(client)) + repr(client._options)
