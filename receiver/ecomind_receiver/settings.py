"""Every setting of the server, read from `ECOMIND_*`; unknown values are refused at start.

One table: docs/settings.md is generated from the descriptions here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

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
        description="Address that every listener binds; only loopback while there are no keys.",
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
    retention_days: int = Field(
        90, ge=1, description="Days that single calls are kept; set when the store is created."
    )
    reconcile_window_seconds: int = Field(
        900, ge=1, description="Length of the windows in which twins and re-sends are cancelled."
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
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Level of the JSON log lines on stdout."
    )
    telemetry_endpoint: str = Field(
        "",
        description="OTLP/HTTP endpoint for Ecomind's own telemetry; never its own receiver.",
    )
