"""ClickHouse's own images for tests: one server, or a cluster of two shards with two replicas.

A cluster's nodes have fixed addresses in a network of their own, which a Linux host reaches; the
first of them is also the Keeper. Each test has a database of its own.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect

USER, PASSWORD, CLUSTER = "meter", "not-for-any-log", "two_by_two"
SUBNET = "172.31.77"
READY_SECONDS = 120
_numbers = itertools.count(1)

_NODE = """<clickhouse>
    <listen_host>0.0.0.0</listen_host>
    <interserver_http_host>{host}</interserver_http_host>
    <macros><shard>{shard}</shard><replica>{replica}</replica></macros>
    <zookeeper><node><host>{keeper}</host><port>9181</port></node></zookeeper>
    <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
    <remote_servers>
        <{cluster}>
            <shard><internal_replication>true</internal_replication>{first}</shard>
            <shard><internal_replication>true</internal_replication>{second}</shard>
        </{cluster}>
    </remote_servers>
    {keeper_server}
</clickhouse>
"""
_REPLICA = (
    "<replica><host>{host}</host><port>9000</port><user>{user}</user>"
    "<password>{password}</password></replica>"
)
_KEEPER = """<keeper_server>
        <tcp_port>9181</tcp_port>
        <server_id>1</server_id>
        <log_storage_path>/var/lib/clickhouse/coordination/log</log_storage_path>
        <snapshot_storage_path>/var/lib/clickhouse/coordination/snapshots</snapshot_storage_path>
        <raft_configuration>
            <server><id>1</id><hostname>{host}</hostname><port>9234</port></server>
        </raft_configuration>
    </keeper_server>"""


def missing_docker() -> str:
    """Why no container can be started; empty if one can."""
    program = shutil.which("docker")
    if program is None:
        return "Docker is not installed"
    asked = subprocess.run([program, "info"], capture_output=True, text=True)
    return f"Docker does not run here: {asked.stderr.strip()}" if asked.returncode else ""


class DockerServer:
    """A server, or the first node of a cluster; a test may kill it and start it again."""

    def __init__(self, container: Any, host: str, port: int, cluster: str) -> None:
        self._container = container
        self._host, self._port, self._cluster = host, port, cluster
        self._database = ""

    @property
    def url(self) -> str:
        """What ECOMIND_STORE_URL is set to."""
        options = f"?cluster={self._cluster}" if self._cluster else ""
        return f"clickhouse://{USER}:{PASSWORD}@{self._host}:{self._port}/{self._database}{options}"

    def make_database(self) -> None:
        """A new one, on every node."""
        self._database = f"ecomind_{next(_numbers)}"
        on = f" ON CLUSTER {self._cluster}" if self._cluster else ""
        with closing(self._client()) as client:
            client.command(f"CREATE DATABASE {self._database}{on}")

    def kill(self) -> None:
        """End it at once."""
        self._container.get_wrapped_container().kill()

    def start(self) -> None:
        """Start it again with what it stored; it answers on return."""
        self._container.get_wrapped_container().start()
        self.wait()

    def wait(self) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._client().close()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def _client(self) -> Any:
        return clickhouse_connect.get_client(
            host=self._host, port=self._port, username=USER, password=PASSWORD
        )


@contextmanager
def one_server(image: str, port: int) -> Iterator[DockerServer]:
    """A server of this image on a port of this machine."""
    container = _container(image).with_bind_ports(8123, port)
    with container:
        server = DockerServer(container, "127.0.0.1", port, "")
        server.wait()
        yield server


@contextmanager
def a_cluster(image: str, folder: Path) -> Iterator[DockerServer]:
    """Two shards with two replicas each; the address is that of the first node."""
    from docker.types import EndpointConfig, IPAMConfig, IPAMPool
    from testcontainers.core.network import Network

    hosts = [f"{SUBNET}.{10 + place}" for place in range(4)]
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{SUBNET}.0/24")])
    with ExitStack() as open_:
        network = open_.enter_context(Network(docker_network_kw={"ipam": pool}))
        servers = []
        for place, host in enumerate(hosts):
            file = folder / f"node-{place}.xml"
            file.write_text(_configuration(hosts, place), "utf-8")
            container = _container(image)
            container.with_volume_mapping(file, "/etc/clickhouse-server/config.d/node.xml", "ro")
            address = EndpointConfig("1.44", ipv4_address=host)
            container.with_kwargs(network=network.name, networking_config={network.name: address})
            open_.enter_context(container)
            servers.append(DockerServer(container, host, 8123, CLUSTER))
        for server in servers:
            server.wait()
        yield servers[0]


def _container(image: str) -> Any:
    from testcontainers.core.container import DockerContainer

    return (
        DockerContainer(image)
        .with_env("CLICKHOUSE_USER", USER)
        .with_env("CLICKHOUSE_PASSWORD", PASSWORD)
        .with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
    )


def _configuration(hosts: list[str], place: int) -> str:
    replicas = [_REPLICA.format(host=host, user=USER, password=PASSWORD) for host in hosts]
    return _NODE.format(
        host=hosts[place],
        shard=place // 2 + 1,
        replica=place % 2 + 1,
        keeper=hosts[0],
        cluster=CLUSTER,
        first="".join(replicas[:2]),
        second="".join(replicas[2:]),
        keeper_server=_KEEPER.format(host=hosts[0]) if place == 0 else "",
    )
