"""The statements that make a store, as each layout has them: what the golden files hold.

    python -m server_store.rendering

writes the files anew; read what changed before you commit it.
"""

from __future__ import annotations

from pathlib import Path

from ecomind_receiver import migrations
from ecomind_receiver.layout import ClusterLayout, Layout, ServerLayout

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS: dict[str, Layout] = {"server": ServerLayout(), "cluster": ClusterLayout("eu-1")}


def rendered(layout: Layout) -> str:
    """Every migration in order, then what is made at the end."""
    made = [layout.migration(migrations._HISTORY)]
    for _, text in sorted(migrations.known_migrations().values()):
        script = migrations._TEMPLATES.from_string(text).render(retention_days=90)
        made += [layout.migration(each) for each in migrations.statements(script)]
    made += layout.readers()
    made += [
        layout.everywhere(each) for each in migrations.statements(migrations.render("views.sql"))
    ]
    lines = [line.rstrip() for each in made if each for line in f"{each};".splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, layout in LAYOUTS.items():
        (GOLDEN / f"{name}.sql").write_text(rendered(layout), "utf-8")
