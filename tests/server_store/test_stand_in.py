"""The stand-in for a server speaks ClickHouse's HTTP protocol to any client, not only to ours."""

from __future__ import annotations

import gzip
import struct
import urllib.error
import urllib.parse
import urllib.request

import pytest
from support.clickhouse_server import DATABASE, PASSWORD, USER, ClickHouseServer

MADE = "CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a"


def ask(
    server: ClickHouseServer,
    body: bytes | str = b"",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    **params: str,
) -> tuple[int, bytes, str]:
    """Status, body, and the code of ClickHouse's error."""
    query = urllib.parse.urlencode({"database": DATABASE, **params})
    user = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/?{query}",
        data=(body.encode() if isinstance(body, str) else body) if method == "POST" else None,
        headers=user | (headers or {}),
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), ""
    except urllib.error.HTTPError as error:
        with error:
            code = error.headers.get("X-ClickHouse-Exception-Code", "")
            return error.code, error.read(), code


def test_data_of_an_insert_in_the_formats_that_exporters_send(server: ClickHouseServer) -> None:
    assert ask(server, MADE) == (200, b"", "")
    binary = struct.pack("<I", 1) + b"\x03one" + struct.pack("<I", 2) + b"\x03two"
    insert = "INSERT INTO t (a, b) SETTINGS async_insert = 0 FORMAT RowBinary"
    assert ask(server, binary, query=insert)[0] == 200
    zipped = gzip.compress(b'{"a": 3, "b": "three"}\n')
    lines = "INSERT INTO t FORMAT JSONEachRow"
    assert ask(server, zipped, {"Content-Encoding": "gzip"}, query=lines)[0] == 200
    assert ask(server, "INSERT INTO t VALUES (4, 'four')")[0] == 200
    found = ask(server, "SELECT a, b FROM t ORDER BY a FORMAT CSV")[1]
    assert found == b'1,"one"\n2,"two"\n3,"three"\n4,"four"\n'


def test_a_token_is_a_setting_of_the_request(server: ClickHouseServer) -> None:
    ask(server, MADE + " SETTINGS non_replicated_deduplication_window = 100")
    for _ in range(2):
        ask(server, "5,five\n", query="INSERT INTO t FORMAT CSV", insert_deduplication_token="x")
    assert ask(server, "SELECT count() FROM t")[1] == b"1\n"


def test_parameters_and_settings_hold_for_one_request(server: ClickHouseServer) -> None:
    asked = "SELECT {name:String}, getSetting('max_threads')"
    assert ask(server, asked, param_name="it\\'s", max_threads="3")[1] == b"it\\'s\t3\n"
    assert ask(server, "SELECT getSetting('max_threads') = 3")[1] != b"1\n"


def test_a_session_keeps_what_it_made(server: ClickHouseServer) -> None:
    ask(server, "CREATE TEMPORARY TABLE mine (a UInt8)", session_id="s")
    assert ask(server, "SELECT count() FROM mine", session_id="s")[1] == b"0\n"
    assert ask(server, "SELECT count() FROM mine")[2] == "60"


@pytest.mark.parametrize(
    ("body", "params", "status", "code"),
    [
        ("SELECT nothing", {}, 500, "47"),
        ("SELECT * FROM nowhere", {}, 404, "60"),
        ("SELECT 1", {"database": "nowhere"}, 404, "81"),
        ("DROP DATABASE ecomind", {"readonly": "1"}, 403, "164"),
        ("SELECT 1 SETTINGS readonly = 1", {"readonly": "2"}, 403, "164"),
        ("SELECT 1", {"compress": "1"}, 501, "501"),
    ],
)
def test_errors_have_clickhouses_codes(
    server: ClickHouseServer, body: str, params: dict[str, str], status: int, code: str
) -> None:
    found = ask(server, body, None, "POST", **params)
    assert (found[0], found[2]) == (status, code)


def test_who_may_not_and_what_a_get_may_not(server: ClickHouseServer) -> None:
    assert ask(server, "SELECT 1", {"X-ClickHouse-Key": "wrong"})[::2] == (403, "516")
    assert ask(server, method="GET", query="SELECT 1")[1] == b"1\n"
    assert ask(server, method="GET", query=MADE)[2] == "164"


def test_a_client_that_names_its_version_gets_blocks_of_that_version(
    server: ClickHouseServer,
) -> None:
    """As clickhouse-go does: with a head of the block, and a byte before each column."""
    asked = "SELECT 'ab' AS x, toUInt16(7) AS y FORMAT Native"
    plain = ask(server, asked)[1]
    assert plain == b"\x02\x01\x01x\x06String\x02ab\x01y\x06UInt16\x07\x00"
    versioned = ask(server, asked, client_protocol_version="54460")[1]
    assert versioned == (
        b"\x01\x00\x02\xff\xff\xff\xff\x00\x02\x01"
        b"\x01x\x06String\x00\x02ab\x01y\x06UInt16\x00\x07\x00"
    )
    refused = ask(server, "SELECT [1] AS x FORMAT Native", client_protocol_version="54460")
    assert refused[2] == "501"
