"""Flags that mean nothing without another are refused by name, not ignored."""

import pytest

from services.gateway.__main__ import main


@pytest.mark.parametrize(
    ("flag", "value", "needed"),
    [
        ("--grpc-admin-bind", "127.0.0.1:0", "--grpc-bind"),
        ("--key-per-minute", "6", "--api-keys"),
        ("--key-at-once", "2", "--api-keys"),
    ],
)
def test_a_flag_without_the_one_it_belongs_to_is_named(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, needed: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([flag, value])
    assert ended.value.code == 78
    assert f"{flag} means nothing without {needed}" in capsys.readouterr().err
