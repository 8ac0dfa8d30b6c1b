"""Build hook of both wheels: bundle the shared packages, or depend on `ecomind-sdk` for them."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = (
    "semconv/ecomind_semconv",
    "collector-processor/ecomind_processor",
    "sdks/python/ecomind",
)


class SharedPackages(BuildHookInterface):  # type: ignore[type-arg]
    """`pip install .` stands alone; two released wheels never hold the same file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Choose what this wheel holds; an editable wheel holds only paths."""
        if self.metadata.name == "ecomind" and os.environ.get("ECOMIND_RELEASE"):
            build_data["dependencies"].append(f"ecomind-sdk=={self.metadata.version}")
        elif version == "standard":
            for package in SHARED:
                build_data["force_include"][str(REPOSITORY / package)] = Path(package).name
