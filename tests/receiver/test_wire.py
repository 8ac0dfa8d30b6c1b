"""The values of attributes, opened by the engine from the bytes that encoders write."""

import asyncio
from collections.abc import Callable, Iterator

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from support.receiver import make_settings

from ecomind_receiver.server import Receiver

Value = tuple[str, int | None, float | None, int]
Open = Callable[[list[bytes]], list[Value]]
SQL = jinja2.Environment(loader=jinja2.PackageLoader("ecomind_receiver", "sql")).from_string("""
{% import 'wire.sql' as wire %}
WITH
    opened AS
    (
        SELECT arrayMap(v -> unhex(v), {{ values }}) AS values,
               arrayMap(v -> 'wanted', values) AS keys
    ),
{{ wire.steps("['wanted']", '[1]') }}
    done AS (SELECT texts, ints, doubles, bools FROM coded)
SELECT * FROM done
""")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Text, integer, double and bool of each value."""
    with asyncio.Runner() as runner:
        receiver = Receiver(make_settings(tmp_path_factory.mktemp("wire")), listeners=False)
        runner.run(receiver.start())

        def read(values: list[bytes]) -> list[Value]:
            row = receiver.store.query(SQL.render(values=[value.hex() for value in values]))[0]
            return list(zip(row["texts"], row["ints"], row["doubles"], row["bools"], strict=True))

        yield read
        runner.run(receiver.stop())


NOTHING: Value = ("", None, None, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", NOTHING),
        ("0a00", NOTHING),  # a text of no bytes
        ("0a0161", ("a", None, None, 0)),
        ("0a7f" + "61" * 127, ("a" * 127, None, None, 0)),
        ("0a8001" + "61" * 128, ("a" * 128, None, None, 0)),  # the length takes two bytes
        ("0affff01" + "61" * 32_767, ("a" * 32_767, None, None, 0)),  # three
        ("0a0161" + "0a0162", ("a", None, None, 0)),  # no encoder writes a field twice
        ("0a05616263", ("abc", None, None, 0)),  # shorter than it says
        ("1000", NOTHING),
        ("1001", ("", None, None, 1)),
        ("1800", ("", 0, None, 0)),
        ("187f", ("", 127, None, 0)),
        ("188001", ("", 128, None, 0)),
        ("18ac02", ("", 300, None, 0)),  # the example of the protobuf documentation
        ("1880c2d72f", ("", 100_000_000, None, 0)),  # the most tokens a call may have
        ("18ffffffffffff7f", ("", 2**49 - 1, None, 0)),  # seven bytes
        ("188080808080808001", ("", -1, None, 0)),  # eight: beyond every limit
        ("18ffffffffffffffffff01", ("", -1, None, 0)),
        ("1880808080808080808001", ("", -1, None, 0)),  # −2^63 begins like a zero
        ("21000000000000f83f", ("", None, 1.5, 0)),
        ("2a0412020a00", NOTHING),  # an array
        ("3200", NOTHING),  # a list of keys and values
        ("3a0161", NOTHING),  # bytes
    ],
)
def test_a_value(opened: Open, value: str, expected: Value) -> None:
    assert opened([bytes.fromhex(value)]) == [expected]


values = (
    st.builds(lambda x: AnyValue(string_value=x), st.text(max_size=300))
    | st.builds(lambda x: AnyValue(int_value=x), st.integers(-(2**63), 2**63 - 1))
    | st.builds(lambda x: AnyValue(int_value=x), st.integers(0, 2**40))
    | st.builds(lambda x: AnyValue(double_value=x), st.floats(allow_nan=False))
    | st.builds(lambda x: AnyValue(bool_value=x), st.booleans())
    | st.builds(lambda x: AnyValue(bytes_value=x), st.binary(max_size=20))
)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=20))
def test_what_an_encoder_writes(opened: Open, given_values: list[AnyValue]) -> None:
    found = opened([value.SerializeToString() for value in given_values])
    assert found == [expected(value) for value in given_values]


def expected(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    integer = value.int_value if 0 <= value.int_value < 2**49 else -1
    return (
        value.string_value,
        integer if kind == "int_value" else None,
        value.double_value if kind == "double_value" else None,
        int(value.bool_value),
    )
