"""Every setting of the server, read from `ECOMIND_*`; unknown values are refused at start.

One table: docs/settings.md is generated from the descriptions here.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ecomind_processor.factors import DEFAULT_SET
from ecomind_receiver.store_url import StoreUrl, parse_store_url

MIB = 1024 * 1024


def _home(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "ecomind"


class Settings(BaseSettings):
    """Settings of one Ecomind process."""

    model_config = SettingsConfigDict(env_prefix="ECOMIND_", frozen=True, extra="forbid")

    data_dir: Path = Field(
        default_factory=lambda: _home("XDG_DATA_HOME", ".local/share"),
        description="Where the spool and the embedded store live.",
    )
    key_dir: Path = Field(
        default_factory=lambda: _home("XDG_CONFIG_HOME", ".config"),
        description="Where the spool and pseudonym keys live; never inside the data directory.",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address that every listener binds; beyond loopback only with API keys.",
    )
    auth: Literal["auto", "keys"] = Field(
        "auto",
        description="Who may send and read: `keys` asks for an API key; `auto` asks for one beyond"
        " loopback, and takes whoever reaches a loopback port without one for org_demo.",
    )
    tls_cert_file: Path | None = Field(
        None, description="Certificate chain (PEM) of every listener; without it, no TLS."
    )
    tls_key_file: Path | None = Field(None, description="Its private key (PEM).")
    tls_client_ca_file: Path | None = Field(
        None,
        description="Authorities (PEM) that must have signed a client's certificate (mTLS).",
    )
    store_url: SecretStr | None = Field(
        None,
        description="ClickHouse server or cluster that holds the telemetry:"
        " `clickhouse://user:password@host:8123/database`, `clickhouses://` with TLS, and"
        " `?cluster=` and its name for a cluster; the store in the data directory if left out.",
    )
    control_url: SecretStr | None = Field(
        None,
        description="Control store: organisations, projects, users, keys. `sqlite:///` and a path,"
        " or `postgresql://`; control.db in the data directory if left out.",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis that several receivers share for limits and notices of changed keys.",
    )
    receivers: int = Field(
        1,
        ge=1,
        description="Receivers that share the quotas; each takes its share while Redis is away.",
    )
    quota_spans_per_second: float = Field(
        0,
        ge=0,
        description="Spans a second that an organisation may send where it has no quota of its"
        " own; 0: no limit.",
    )
    quota_burst_seconds: float = Field(
        10, gt=0, description="Seconds of a quota that may be used at once."
    )
    key_refresh_seconds: float = Field(
        60, gt=0, description="Keys are read again at least this often, whatever was announced."
    )
    otlp_grpc_port: int = Field(
        4317, ge=0, le=65535, description="OTLP/gRPC port; 0 picks a free one."
    )
    otlp_http_port: int = Field(
        4318, ge=0, le=65535, description="OTLP/HTTP port; 0 picks a free one."
    )
    api_port: int = Field(
        8080, ge=0, le=65535, description="API and page port; 0 picks a free one."
    )
    request_max_bytes: int = Field(
        64 * MIB, ge=1024, description="Largest OTLP request, before and after decompression."
    )
    in_flight_max_bytes: int = Field(
        256 * MIB,
        ge=1024,
        description="Bytes of requests, as sent and inflated, that may be in memory before they are"
        " answered; above it requests get 503 and Retry-After.",
    )
    spool_segment_max_spans: int = Field(
        250_000, ge=1, description="A segment is sealed at this many spans,"
    )
    spool_segment_max_bytes: int = Field(160 * MIB, ge=4096, description="or at this many bytes,")
    spool_segment_max_seconds: float = Field(
        1.0, gt=0, description="or when its first record is this old."
    )
    spool_max_bytes: int = Field(
        2048 * MIB,
        ge=MIB,
        description="High-water mark of the spool; above it requests get 503 and Retry-After.",
    )
    kafka_brokers: str = Field(
        "",
        description="Kafka or Redpanda brokers (`host:port`, with commas between) that hold what is"
        " accepted until it is stored; the local spool if left out.",
    )
    kafka_topic: str = Field(
        "ecomind", min_length=1, description="Topic that accepted requests are written to."
    )
    kafka_group: str = Field(
        "ecomind",
        min_length=1,
        description="Consumer group that reads it: one for each telemetry store.",
    )
    kafka_options_file: Path | None = Field(
        None,
        description="File with options of librdkafka, `name=value` a line: for SASL, TLS and the"
        " like.",
    )
    kafka_collector_topics: str = Field(
        "",
        description="Topics that OpenTelemetry Collectors write traces to in the encoding"
        " `otlp_proto`, and whose they are: `topic=organisation/project`, with commas between.",
    )
    retention_days: int = Field(
        90,
        ge=1,
        description="Days that single calls are kept. When a server starts with another number,"
        " calls that are older are deleted, and totals stay.",
    )
    factor_dir: Path | None = Field(
        None, description="Folder with compiled factor sets of your own, beside those that ship."
    )
    factor_set: str = Field(DEFAULT_SET, description="Factor set that new calls are resolved with.")
    materiality_percent: float = Field(
        5.0, ge=0, le=100, description="A restatement that moves a figure by this much is material."
    )
    reconcile_window_seconds: int = Field(
        900, ge=1, description="Length of the windows in which twins and re-sends are cancelled."
    )
    resent_look_back_hours: int = Field(
        24, ge=0, description="Hours in which a span that is sent again is recognised as the same."
    )
    names_per_day_max: int = Field(
        200,
        ge=1,
        description="Models, teams, services and places that an organisation may use in a day;"
        " further ones are counted as __other__.",
    )
    loader_threads: int = Field(
        2, ge=1, le=16, description="Segments that are loaded at the same time."
    )
    resolver_cache_entries: int = Field(
        100_000,
        ge=100,
        description="Distinct calls (model, place, day) whose factors are kept in memory.",
    )
    grid_hourly: str = Field(
        "",
        description="Plug-ins that know hourly carbon intensities, with commas between:"
        " `uk-carbon-intensity`, or `file:` and the path of a table in CSV or Parquet, with"
        " `?kind=marginal` after it if that is what the table holds.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Level of the JSON log lines on stdout."
    )
    telemetry_endpoint: str = Field(
        "",
        description="OTLP/HTTP endpoint for Ecomind's own telemetry; never its own receiver.",
    )
    spool_key: SecretStr | None = Field(
        None,
        description="Key that the spool is encrypted with, 32 bytes in hexadecimal; a file in the"
        " key directory if left out.",
    )
    spool_key_file: Path | None = Field(None, description="File that holds it.")
    pseudonym_key: SecretStr | None = Field(
        None, description="Secret that user and session ids are hashed with, likewise."
    )
    pseudonym_key_file: Path | None = Field(None, description="File that holds it.")
    key_pepper: SecretStr | None = Field(
        None,
        description="Secret that API keys are hashed with, likewise; `2:` and the new one after"
        " the old one, with a space between, to change it.",
    )
    key_pepper_file: Path | None = Field(None, description="File that holds it.")
    api_key: SecretStr | None = Field(
        None, description="Key that commands show to a server; never used by the server itself."
    )

    server: str = Field(
        "",
        description="Server that `usage`, `sql` and `doctor` ask, such as"
        " https://ecomind.example:8080; the one on the data directory if left out.",
    )

    @field_validator("store_url")
    @classmethod
    def _known_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_store_url(value.get_secret_value())
        return value

    @field_validator("grid_hourly")
    @classmethod
    def _known_grids(cls, value: str) -> str:
        from ecomind_receiver.grids.entries import parse_entries  # which asks this module

        parse_entries(value)
        return value

    @field_validator("kafka_collector_topics")
    @classmethod
    def _known_topics(cls, value: str) -> str:
        from ecomind_receiver.kafka.config import parse_topics  # which asks this module

        parse_topics(value)
        return value

    @field_validator("api_key", "store_url", mode="before")
    @classmethod
    def _no_empty_secret(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def store(self) -> StoreUrl | None:
        """Where the telemetry is kept; None: in the data directory."""
        url = self.store_url
        return None if url is None else parse_store_url(url.get_secret_value())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_address(host: str) -> str:
    """Where this machine itself reaches a listener on the host."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        everywhere = False
    return "127.0.0.1" if everywhere else host
