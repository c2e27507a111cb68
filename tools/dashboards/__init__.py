"""The Grafana dashboards as Python: what they show is in ``overview``, ``detail`` and ``exporter``, the rest is how."""

import warnings

with warnings.catch_warnings():
    # The classic schema is what every Grafana from 9 on can import; the newer one needs 12.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models import dashboard as _classic  # noqa: F401
