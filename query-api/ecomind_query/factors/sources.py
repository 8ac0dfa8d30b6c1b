"""The YAML sources of a factor set: their shape, and sentences for what is wrong with them.

Owns what one file may hold. Unknown keys are refused, and a number cannot be written without naming
the measure that says its unit, boundary and source, so an unsourced figure can't enter a set. What
spans several files (does the zone exist? is the name taken?) is checked in `references.py`.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = tuple[Positive, Text]
Year = Annotated[int, Field(ge=2000, le=2100)]
Yearly = dict[Text, dict[Year, Positive]]
Share = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Span = tuple[Positive, Positive]
Pattern = Annotated[str, Field(min_length=1)]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it takes a tenth of the time


class FactorSourceError(Exception):
    """A source that can't become a factor set. The message names file, row and what to change."""


class Row(BaseModel):
    """Base of everything in a source file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Row):
    """Where numbers were read, and when."""

    title: Text
    url: Text
    year: Annotated[int, Field(ge=1990, le=2100)]
    licence: Text
    retrieved: datetime.date

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        if not url.startswith(("https://", "http://", "docs/")):
            raise ValueError("give a web address, or a page under docs/")
        return url


class Measure(Row):
    """What numbers of one origin mean."""

    unit: Text
    boundary: Text
    source: Source
    judgement: bool = False
    note: str = ""


class Measured(Row):
    """Base of a file that holds numbers."""

    measures: dict[Text, Measure]


class Constant(Row):
    """One constant of the method, with a unit of its own."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Text
    by: Text


class SetName(Row):
    """Name, day and method of the set."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*-\d{4}\.\d+(\.\d+)?$")]
    published: datetime.date
    method: Text


class EnergyBands(Row):
    """Multiplier of the band on energy, by model tier."""

    A: Positive
    B: Positive
    C: Positive
    D: Positive
    E: Positive
    F: Positive
    by: Text


class GridBands(Row):
    """Multiplier of the band on carbon intensity, by grid tier."""

    A: Positive
    B: Positive
    C: Positive
    D: Positive
    E: Positive
    by: Text


class Bands(Row):
    """Both tables of bands."""

    energy: EnergyBands
    grid: GridBands


class MethodFile(Measured):
    """`method.yaml`."""

    set: SetName
    constants: dict[Text, Constant]
    bands: Bands


class Architecture(Row):
    """Billions of parameters as [min, max], and the serving speed where known."""

    total_b: Span
    active_b: Span
    tokens_per_second: Positive | None = None
    seconds_to_first_token: Positive | None = None
    provider: str = ""
    by: Text


class Hosting(Row):
    """Where EcoLogits puts a provider's models, and which facilities of ours that stands for."""

    zone: Text
    pue: Span
    wue: Span
    serves: tuple[Text, ...]
    by: Text


class EcologitsFile(Measured):
    """`ecologits.yaml`, under MPL-2.0."""

    constants: dict[Text, Constant]
    architectures: dict[Text, Architecture]
    providers: dict[Text, Hosting]
    mixes: dict[Text, tuple[NotNegative, NotNegative, Text]]


class Benchmark(Row):
    """A measured energy of an open model."""

    joules_per_output_token: Number


class BenchmarksFile(Measured):
    """`benchmarks.yaml`."""

    benchmarks: dict[Text, Benchmark]


class Model(Row):
    """A catalogue entry with exactly one evidence."""

    id: Text
    vendor: Text
    released: datetime.date | None = None
    retired: datetime.date | None = None
    benchmark: Text | None = None
    architecture: Text | None = None
    like: Text | None = None
    class_: Annotated[Text | None, Field(alias="class")] = None
    names: tuple[Text, ...] = ()
    aliases: tuple[Text, ...] = ()

    def evidence(self) -> list[tuple[str, str]]:
        """(kind, key) of each evidence given; a valid row has one."""
        kinds = {
            "benchmark": self.benchmark,
            "architecture": self.architecture,
            "like": self.like,
            "class": self.class_,
        }
        return [(kind, key) for kind, key in kinds.items() if key]


class ModelClass(Row):
    """A default class: members to average, or one architecture."""

    name: Text
    models: tuple[Text, ...] = ()
    architecture: str = ""
    markers: tuple[Text, ...] = ()


class Line(Row):
    """A family and tier, models oldest first."""

    id: Text
    match: Pattern
    pointers: tuple[Text, ...] = ()
    models: Annotated[tuple[Text, ...], Field(min_length=1)]

    @field_validator("match")
    @classmethod
    def _compiles(cls, match: str) -> str:
        return compiled(match)


class Spelling(Row):
    """What names are wrapped in on the wire."""

    region_prefixes: dict[Text, str]
    vendor_prefixes: tuple[Text, ...]
    tags: tuple[Text, ...]
    suffixes: tuple[Text, ...]


class ModelsFile(Measured):
    """`models.yaml`."""

    date_sources: tuple[Source, ...]
    architectures: dict[Text, Architecture]
    classes: dict[Text, ModelClass]
    models: tuple[Model, ...]
    lines: tuple[Line, ...]
    spelling: Spelling


StressClass = Literal["low", "low-medium", "medium-high", "high", "extremely-high", "arid"]


class Zone(Row):
    """A grid zone."""

    id: Text
    name: Text
    tier: Literal["A", "B", "C", "D", "E"]
    parent: str = ""
    water: Number | None = None
    stress: tuple[StressClass, Text] | None = None
    aliases: tuple[Text, ...] = ()


class ZonesFile(Measured):
    """`zones.yaml`."""

    zones: tuple[Zone, ...]


class CarbonFile(Measured):
    """`carbon.yaml`: by zone and measure, what each calendar year's electricity carried."""

    carbon: dict[Text, Yearly]
    mix: dict[Text, dict[Text, dict[Year, tuple[Share, Share, Share]]]]


class Facility(Row):
    """Who runs the machines. A ratio is [value, measure], or a value by measure and year."""

    id: Text
    name: Text
    zone: Text
    pue: Number | Yearly
    wue: Number | Yearly
    water_basis: Literal["consumption", "withdrawal"]
    aliases: tuple[Text, ...] = ()


class ProvidersFile(Measured):
    """`providers.yaml`."""

    facilities: tuple[Facility, ...]


class Host(Row):
    """A pattern on an endpoint's host."""

    match: Pattern
    facility: Text
    zone: str = ""

    @field_validator("match")
    @classmethod
    def _compiles(cls, match: str) -> str:
        return compiled(match)


class PlacesFile(Row):
    """`places.yaml`: no numbers."""

    regions: dict[Text, dict[Text, Text]]
    hosts: tuple[Host, ...]


class Sources(Row):
    """Every file of a set."""

    method: MethodFile
    ecologits: EcologitsFile
    benchmarks: BenchmarksFile
    models: ModelsFile
    zones: ZonesFile
    carbon: CarbonFile
    providers: ProvidersFile
    places: PlacesFile


def compiled(match: str) -> str:
    """The pattern itself, once Python has accepted it. Raises ValueError."""
    try:
        re.compile(match)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return match


def read(folder: Path) -> Sources:
    """All sources in `folder`. Raises FactorSourceError with every mistake, one a line."""
    documents = {name: _document(folder / f"{name}.yaml") for name in Sources.model_fields}
    try:
        return Sources.model_validate(documents)
    except ValidationError as error:
        lines = [_sentence(documents, detail) for detail in error.errors()]
        raise FactorSourceError("\n".join(lines)) from error


def _document(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError as error:
        raise FactorSourceError(f"{path} is missing; a factor set needs it.") from error
    except yaml.YAMLError as error:
        raise FactorSourceError(f"{path.name} is no valid YAML: {error}") from error


def _sentence(documents: dict[str, Any], detail: Any) -> str:
    file, *rest = detail["loc"]
    row = _label(documents[file], rest)
    field = ".".join(str(part) for part in rest)
    return f"{file}.yaml, {row}{field}: {_reason(detail)}."


def _reason(detail: Any) -> str:
    if detail["type"] == "tuple_type":
        return "write [value, measure]; the measure gives unit, boundary and source"
    if detail["type"] == "missing":
        return "is missing; every number needs unit, boundary and source"
    if detail["type"] == "extra_forbidden":
        return "is not a known key; correct or remove it"
    return str(detail["msg"]).removeprefix("Value error, ")


def _label(document: Any, path: list[Any]) -> str:
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return ""
        if isinstance(document, dict) and "id" in document:
            return f"row {document['id']!r}, "
    return ""
