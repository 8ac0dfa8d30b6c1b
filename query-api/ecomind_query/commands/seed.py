"""`ecomind seed`: what a new installation starts from."""

from __future__ import annotations

from ecomind_query.commands import control
from ecomind_query.commands.common import AsJson, DataDir, load_settings, print_json


def seed(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make org_demo with a project, an owner and a key, where they are missing.

    The key is printed once, by the run that makes it.
    """
    from ecomind_receiver.control import seed as seeding
    from ecomind_receiver.control.ids import utc_now

    settings = load_settings(data_dir=data_dir)
    peppers = control.peppers(settings)
    with control.changing(settings) as tx:
        key, text = seeding.seed(tx, peppers)
    control.say(f"{key.org_id} has the project {key.project_id} and the owner {seeding.USER_ID}.")
    if text is not None:
        control.announce(settings)
        control.show_new_key(key, text, as_json)
        return
    if as_json:
        print_json(control.plain(key) | {"key": None})
    if key.live(utc_now()):
        control.say(
            f"It has the key {key.shown} already, which can't be shown again."
            f" For a new one: ecomind keys rotate {key.id}"
        )
    else:
        control.say(
            f"Its key {key.shown} is revoked or expired, and stays so. For another one:"
            f" ecomind keys create NAME --project {key.project_id} --scope ingest --scope read"
        )
