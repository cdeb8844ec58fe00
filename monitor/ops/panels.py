"""What the dashboards are made of: graphs, numbers, variables."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

from monitor.ops.queries import Query

TAG: Final = "vfd-monitor"
SOURCE: Final = DataSourceRef("prometheus", "${datasource}")
HEIGHT, NUMBER_HEIGHT = 8, 4
COLUMNS = 24


def graph(title: str, unit: str, *queries: Query, about: str = "") -> Timeseries:
    """`unit`: one of Grafana's ids (short, s, percentunit, bytes, ops)."""
    panel = Timeseries().title(title).description(about).unit(unit).datasource(SOURCE)
    panel.height(HEIGHT).span(COLUMNS // 2).fill_opacity(10).span_nulls(False)
    for expression, legend in queries:
        panel.with_target(Dataquery().expr(expression).legend_format(legend))
    return panel


def number(title: str, unit: str, expression: str, *, bad_from: float | None = None) -> Stat:
    """The latest value, red from `bad_from` on."""
    panel = Stat().title(title).unit(unit).datasource(SOURCE).height(NUMBER_HEIGHT)
    steps = [Threshold(None, "green")]
    if bad_from is not None:
        steps.append(Threshold(bad_from, "red"))
    panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    return panel.with_target(Dataquery().expr(expression).instant())


def choice(name: str, query: str, *, several: bool = False) -> QueryVariable:
    """A variable that offers the answers to `query`."""
    variable = QueryVariable(name).query(query).datasource(SOURCE)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).all_value(".*") if several else variable


def board(name: str, title: str, *variables: QueryVariable) -> Dashboard:
    """An empty dashboard with links to the others."""
    dashboard = Dashboard(f"vfd-monitor: {title}").uid(f"vfd-{name}").tags([TAG]).readonly()
    dashboard.refresh("5s").time("now-15m", "now").tooltip(DashboardCursorSync.CROSSHAIR)
    dashboard.with_variable(DatasourceVariable("datasource").type("prometheus"))
    for variable in variables:
        dashboard.with_variable(variable)
    links = DashboardLink("vfd-monitor").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return dashboard.link(links.keep_time(True).include_vars(True).as_dropdown(True))


def fill(dashboard: Dashboard, *panels: Timeseries | Stat) -> Dashboard:
    """Puts the panels into it, counted as they stand; the numbers share the first line."""
    numbers = [panel for panel in panels if isinstance(panel, Stat)]
    for each in numbers:
        each.span(COLUMNS // len(numbers))
    for index, panel in enumerate(panels, start=1):
        dashboard.with_panel(panel.id(index))
    return dashboard
