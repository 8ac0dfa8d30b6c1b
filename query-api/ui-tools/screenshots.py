"""`make screenshots`: pictures of the page and what a browser has to say about it.

Looks at a running Ecomind (`--base`), or at the sample month of tests/ui when none is given: the
README's pictures come from the sample, whose clock stands still, so they change only when the
page does. The looking itself is look.mjs; this script sees to its two packages and passes its
verdict on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

TOOLS = Path(__file__).parent
ROOT = TOOLS.parents[1]


def main() -> int:
    """Take the pictures; 0 if every check passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--base", help="URL of a running Ecomind; without it, the sample month")
    parser.add_argument("--out", default=str(ROOT / "build" / "screenshots"))
    parser.add_argument("--hero", help="folder for the two pictures of the README")
    options = parser.parse_args()
    for program, package in (("node", "nodejs"), ("npm", "npm"), ("chromium", "chromium")):
        if shutil.which(program) is None:
            print(f"{program} is missing: apt-get install {package}", file=sys.stderr)
            return 2
    _install()
    with _base(options.base) as base:
        return _look(base, options.out, options.hero)


def _install() -> None:
    if not (TOOLS / "node_modules" / "axe-core").is_dir():
        environment = os.environ | {"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
        subprocess.run(["npm", "ci", "--no-fund"], cwd=TOOLS, env=environment, check=True)


def _base(url: str | None) -> AbstractContextManager[str]:
    if url:
        return nullcontext(url)
    sys.path.insert(0, str(ROOT / "tests"))
    from ui.serving import sample_app, served

    return served(sample_app())


def _look(base: str, out: str, hero: str | None) -> int:
    command = ["node", str(TOOLS / "look.mjs"), "--base", base, "--out", out]
    return subprocess.run([*command, *(["--hero", hero] if hero else [])], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
