from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accredit_service.setting_rules import Address, LogLevel, Reflection, SettingsError
from accredit_service.settings import CLIENT_VARIABLES, SETTINGS, Settings, load


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_has_a_default_that_serves_on_this_machine_only() -> None:
    settings = load({}, {})
    settings.check_serving()
    assert settings.listen.is_loopback
    assert settings.database.startswith("sqlite:////")
    assert settings.database.endswith("accredit-data/accredit.sqlite3")
    assert settings.reflection_mode is Reflection.OPEN


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, "threads = 3\npool_size = 3\ngrace = 3\n")
    environ = {"ACCREDIT_THREADS": "2", "ACCREDIT_POOL_SIZE": "2"}
    settings = load({"threads": "1", "pool_size": None}, environ, file)
    assert (settings.threads, settings.pool_size, settings.grace) == (1, 2, 3.0)
    assert settings.agent_limit == 1


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    file = written(tmp_path, "threads = 3")
    assert load({}, {"ACCREDIT_CONFIG": str(file)}).threads == 3


def test_a_variable_set_to_nothing_is_not_set() -> None:
    assert load({}, {"ACCREDIT_THREADS": ""}).threads == Settings().threads


def test_the_clients_variables_are_left_alone() -> None:
    assert load({}, dict.fromkeys(CLIENT_VARIABLES, "x")) == Settings()


def test_an_unknown_variable_refuses_and_names_the_one_meant() -> None:
    with pytest.raises(SettingsError, match=r"ACCREDIT_THREDS.*did you mean ACCREDIT_THREADS"):
        load({}, {"ACCREDIT_THREDS": "3"})


def test_an_unknown_key_refuses_and_names_the_one_meant(tmp_path: Path) -> None:
    file = written(tmp_path, "poolsize = 3")
    with pytest.raises(SettingsError, match=r"poolsize in .*did you mean pool_size"):
        load({}, {}, file)


def test_a_file_that_is_not_there_or_not_toml_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        load({}, {}, tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="not TOML"):
        load({}, {}, written(tmp_path, "threads: 3"))


@dataclass(frozen=True)
class Bad:
    because: str
    name: str
    value: Any


@pytest.mark.parametrize(
    "case",
    [
        Bad("no port", "listen", "127.0.0.1"),
        Bad("an empty host", "listen", ":50051"),
        Bad("a port too high", "listen", "127.0.0.1:65536"),
        Bad("a port in words", "listen", "127.0.0.1:grpc"),
        Bad("an address without brackets", "listen", "::1:50051"),
        Bad("not a number", "threads", "many"),
        Bad("none", "threads", "0"),
        Bad("a fraction", "threads", 1.5),
        Bad("a truth", "threads", True),
        Bad("digits of another script", "threads", "\u0661"),
        Bad("not a number of seconds", "grace", "soon"),
        Bad("nan", "grace", "nan"),
        Bad("negative", "grace", "-1"),
        Bad("an unknown word", "reflection", "yes"),
        Bad("neither true nor false", "channelz", "maybe"),
        Bad("not a network", "trusted_proxies", "10.0.0.0/33"),
        Bad("host bits set", "trusted_proxies", "10.0.0.1/8"),
        Bad("not a list", "trusted_proxies", 7),
        Bad("an unknown level", "log_level", "verbose"),
        Bad("a number for a path", "data_dir", 7),
    ],
)
def test_a_value_that_breaks_its_rule_refuses_and_names_the_setting(case: Bad) -> None:
    with pytest.raises(SettingsError, match=f"^{SETTINGS[case.name].flag}: "):
        load({case.name: case.value}, {})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("listen", "[::1]:0", Address("::1", 0)),
        ("listen", "localhost:1", Address("localhost", 1)),
        ("channelz", "on", True),
        ("grace", "0.5", 0.5),
        ("log_level", "debug", LogLevel.DEBUG),
        ("data_dir", "/x", Path("/x")),
    ],
)
def test_a_value_is_read_from_text(name: str, text: str, value: object) -> None:
    assert getattr(load({}, {f"ACCREDIT_{name.upper()}": text}), name) == value


def test_networks_come_with_commas_or_as_a_list(tmp_path: Path) -> None:
    by_text = load({"trusted_proxies": "10.0.0.0/8, ::1"}, {}).trusted_proxies
    file = written(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "::1"]')
    assert by_text == load({}, {}, file).trusted_proxies
    assert [str(network) for network in by_text] == ["10.0.0.0/8", "::1/128"]


def test_a_rejected_value_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"threads": "hunter2"}, {})
    assert "hunter2" not in str(refused.value)


def test_an_address_prints_as_it_is_written() -> None:
    assert str(Address("::1", 7)) == "[::1]:7"
    assert str(Address("localhost", 7)) == "localhost:7"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "registry.example"])  # noqa: S104
def test_plaintext_where_others_connect_refuses_unless_told(host: str) -> None:
    settings = Settings(listen=Address(host, 1))
    with pytest.raises(SettingsError, match=r"listen: .*insecure-plaintext"):
        settings.check_serving()
    Settings(listen=Address(host, 1), insecure_plaintext=True).check_serving()
    assert settings.reflection_mode is Reflection.AUTHENTICATED


def test_half_a_tls_pair_refuses_and_names_the_other_half(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^tls_key: "):
        Settings(tls_certificate=tmp_path).check_serving()
    with pytest.raises(SettingsError, match=r"^tls_certificate: "):
        Settings(tls_key=tmp_path).check_serving()
    with pytest.raises(SettingsError, match=r"^tls_client_ca: "):
        Settings(tls_client_ca=tmp_path).check_serving()


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_a_private_key_that_others_can_touch_refuses(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    key.chmod(mode)
    settings = Settings(tls_certificate=key, tls_key=key)
    with pytest.raises(SettingsError, match=r"tls_key: .*open to every user"):
        settings.check_serving()
    key.chmod(0o640)
    settings.check_serving()


def test_the_database_url_may_come_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://accredit:hunter2@db/accredit\n")
    file.chmod(0o600)
    settings = load({"database_url_file": str(file)}, {})
    assert settings.database == "postgresql://accredit:hunter2@db/accredit"
    with pytest.raises(SettingsError, match="leave one out"):
        load({"database_url_file": str(file), "database_url": "sqlite:///x"}, {})
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="database_url_file: "):
        load({"database_url_file": str(file)}, {})


def test_settings_print_without_the_database_url() -> None:
    settings = load({"database_url": "postgresql://accredit:hunter2@db/accredit"}, {})
    assert "hunter2" not in repr(settings)
