"""A real Collector writes to the topic with its own Kafka exporter; Ecomind counts the calls.

`make peers` builds it; without it this is skipped, and `test_buffer.py` sends the same encoding.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from support.kafka_broker import KafkaBroker
from support.otlp import CHAT, protobuf
from support.programs import OTELCOL, free_port, listening
from support.receiver import Running, calls

from ecomind_receiver.ingest import PROTOBUF

OnKafka = Callable[[KafkaBroker], Running]

pytestmark = pytest.mark.skipif(
    not OTELCOL.exists(), reason="the Collector is not built; run `make peers`"
)


@contextmanager
def collector(folder: Path, broker: KafkaBroker, topic: str, compression: str) -> Iterator[int]:
    """A Collector that writes the traces it gets into the topic; its OTLP/HTTP port."""
    port = free_port()
    exporter = {
        "brokers": [broker.address],
        "traces": {"topic": topic, "encoding": "otlp_proto"},
        "producer": {"compression": compression},
    }
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"kafka": exporter},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["kafka"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    file, log = folder / "otelcol.yaml", folder / "otelcol.log"
    file.write_text(yaml.safe_dump(configuration))
    with listening([OTELCOL, f"--config={file}"], port, log):
        yield port


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_what_a_collector_writes_is_counted_for_the_project_that_is_named(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str, tmp_path: Path, compression: str
) -> None:
    spans = f"{topic}-otlp_spans"
    shared_broker.create(topic)
    shared_broker.create(spans, 2)
    with collector(tmp_path, shared_broker, spans, compression) as port:
        for number in (1, 3, 5):
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/traces",
                protobuf([CHAT, CHAT], first_id=number),
                {"Content-Type": PROTOBUF},
            )
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            assert direct.open(asked, timeout=30).status == 200

    async def scenario() -> list[tuple[str, str, int, int]]:
        async with on_kafka(shared_broker)(
            kafka_collector_topics=f"{spans}=org_acme/shop"
        ) as receiver:
            await receiver.drain()
            assert receiver.status().quarantined_records == 0
            names = "org_id, project_id, span_id, input_tokens"
            rows = calls(receiver, f"{names}, trace_hash, sign")
            return sorted(tuple(row.values())[:4] for row in rows)

    found = asyncio.run(scenario())
    assert found == [("org_acme", "shop", number, 1000) for number in range(1, 7)]
