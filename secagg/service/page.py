"""The status for people, one page that fetches nothing else, and for Prometheus."""

from __future__ import annotations

from collections import Counter

from secagg.extras import needed

from .status import State, Status

with needed("service"):
    import jinja2
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
    from prometheus_client.core import CounterMetricFamily
    from prometheus_client.registry import Collector

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("secagg"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(status: Status) -> str:
    """Return the status as a page."""
    return _TEMPLATES.get_template("service.html.j2").render(status=status, ago=_ago, State=State)


def metrics(status: Status) -> tuple[bytes, str]:
    """Return the status as Prometheus reads it, and its content type."""
    registry = CollectorRegistry()
    Gauge("secagg_round", "Number of the round; 0 between rounds.", registry=registry).set(status.round)
    Gauge("secagg_step_seconds", "How long the step has been open.", registry=registry).set(status.open_for)
    Gauge("secagg_answers_needed", "Answers that the step needs.", registry=registry).set(status.needed)
    Gauge("secagg_over", "Whether nothing more is asked.", registry=registry).set(bool(status.over))
    sites = Gauge("secagg_sites", "Sites in each state.", ["state"], registry=registry)
    states = Counter(site.state for site in status.sites)
    for state in State:
        sites.labels(state.name.lower()).set(states[state])
    registry.register(_Calls(status))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Calls(Collector):
    """How many calls ended how, since the service started."""

    def __init__(self, status: Status) -> None:
        self._calls = status.calls

    def collect(self) -> list[CounterMetricFamily]:
        family = CounterMetricFamily("secagg_calls", "Calls by outcome, an HTTP status.", labels=["outcome"])
        for outcome, count in sorted(self._calls.items()):
            family.add_metric([outcome], count)
        return [family]


def _ago(seconds: float | None) -> str:
    """Return a time span as people say it."""
    if seconds is None:
        return "never"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
