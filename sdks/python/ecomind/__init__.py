"""The Ecomind SDK for Python: the footprint of AI calls, inside the app that makes them.

It adds one span processor to the tracer provider that the app already has, and nothing else: it
sets no provider, exports nothing, changes no response and never raises into the app.

    import ecomind

    ecomind.attach()                          # once, after the tracer provider is set
    with ecomind.track(team="search") as fp:
        client.chat.completions.create(...)
    print(fp.energy_wh.mid, fp.co2e_g.mid, fp.water_ml.mid)
"""

from ecomind.provider import attach
from ecomind.tally import Tally
from ecomind.tracking import track

__all__ = ["Tally", "attach", "track"]
