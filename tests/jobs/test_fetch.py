"""Which addresses are connected to."""

from __future__ import annotations

import pytest

from scriba.domain.errors import AddressRefusedError, FetchError
from scriba.jobs.fetch import is_public, judge


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
    ],
)
def test_addresses_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"])
def test_addresses_outside(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://",
        "http://user:secret@example.com/",
        "http://example.com:99999/",
        "http://[::1",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://example.com/" + "a" * 3000,
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        judge(url, frozenset(), lambda *_: ["1.1.1.1"])


def test_every_address_of_a_name_counts() -> None:
    with pytest.raises(AddressRefusedError, match="inside a network"):
        judge("http://two.example/", frozenset(), lambda *_: ["1.1.1.1", "10.0.0.1"])


def test_it_is_connected_to_what_was_judged() -> None:
    target = judge("https://one.example/a?b=c", frozenset(), lambda *_: ["1.1.1.1"])
    assert (target.address, target.host, target.port, target.path) == (
        "1.1.1.1",
        "one.example",
        443,
        "/a?b=c",
    )


@pytest.mark.parametrize(
    "url", ["http://2130706433/", "http://0x7f000001/", "http://127.1/", "http://localhost/"]
)
def test_other_spellings_of_this_machine(url: str) -> None:
    with pytest.raises((AddressRefusedError, FetchError)):
        judge(url, frozenset())


def test_an_inner_host_may_be_allowed_by_port() -> None:
    assert judge("http://127.0.0.1:81/", frozenset({"127.0.0.1:81"})).port == 81
    with pytest.raises(AddressRefusedError):
        judge("http://127.0.0.1:82/", frozenset({"127.0.0.1:81"}))
