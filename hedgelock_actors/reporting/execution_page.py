"""The execution report as one HTML page: no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from string import Template

from hedgelock_actors.reporting import charts
from hedgelock_actors.reporting.execution_quality import ExecutionQuality, Quality
from hedgelock_actors.reporting.experiments import Comparison

NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What the page says about itself. `made_ms` is wall time."""

    source: str
    accounts: Sequence[str]
    made_ms: int


def render_page(found: ExecutionQuality, comparisons: Sequence[Comparison], facts: PageFacts) -> str:
    """The whole document."""
    return PAGE.substitute(
        style=STYLE,
        about=escape(_about(found, facts)),
        cards=_cards(found.overall),
        legend=_legend(found),
        plots="".join(_plots(found)),
        table=_table(charts.rows_of(found)),
        markouts=_markout_table(found),
        experiments=_experiments(comparisons),
    )


def _about(found: ExecutionQuality, facts: PageFacts) -> str:
    made = f"{datetime.fromtimestamp(facts.made_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    accounts = ", ".join(facts.accounts) or "no account"
    if not found.judged:
        return f"{facts.source} · {accounts} · made {made}"
    first, last = found.judged[0].intent.decided_ms, found.judged[-1].intent.decided_ms
    span = " to ".join(f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}" for at in (first, last))
    return f"{facts.source} · {accounts} · decisions from {span} UTC (venue time) · made {made}"


def _cards(one: Quality) -> str:
    cards = [
        ("Targets filled", f"{one.target_fill_rate:.2%}", _reached(one)),
        ("Quantity filled", f"{one.fill_rate:.2%}", f"{one.intents:,} intents, {one.orders:,} orders"),
        (
            "Implementation shortfall",
            f"{one.shortfall_bps:.2f} bps",
            f"{one.shortfall_usdt:,.2f} USDT: price {one.execution_bps:.2f}, fees {one.fees_bps:.2f}, "
            f"not filled {one.opportunity_bps:.2f} bps",
        ),
        ("Slippage", _opt(one.slippage_bps, "{:.2f} bps"), "against the mid at the decision"),
        ("Fees", f"{one.fees_usdt:,.2f} USDT", f"on {one.traded_usdt:,.0f} USDT traded"),
        ("Maker share", _opt(one.maker_share, "{:.1%}"), "of the value traded"),
        ("Time to fill", _opt(one.fill_ms_p50, "{:,.0f} ms"), "median; p99 " + _opt(one.fill_ms_p99, "{:,.0f} ms")),
        ("Retries", f"{one.retries:,}", "sends after an intent's first"),
    ]
    return "".join(
        f'<div class="card"><h3>{escape(name)}</h3><p class="big">{escape(value)}</p><p>{escape(note)}</p></div>'
        for name, value, note in cards
    )


def _reached(one: Quality) -> str:
    superseded = f"; {one.targets_superseded:,} superseded while worked" if one.targets_superseded else ""
    return f"{one.targets_filled:,} of {one.targets:,}{superseded}"


def _legend(found: ExecutionQuality) -> str:
    return "".join(
        f'<span><i class="key s{series}"></i>{escape(name)}</span>' for name, series in charts.series_of(found).items()
    )


def _plots(found: ExecutionQuality) -> list[str]:
    fills = found.overall.fills
    known = max((point.fills for point in found.overall.markouts), default=0)
    plots = [
        ("Implementation shortfall", "what each decision cost: worse prices, fees, and what was not done",
         charts.shortfall_plot(found) if found.judged else ""),
        ("Markout", f"where the mid went after a fill, 95 % band; known of {known:,} of {fills:,} fills",
         charts.markout_plot(found)),
        ("Cumulative fees", "paid to the venue; falling where rebates were received", charts.fees_plot(found)),
        ("Fill rate", "filled quantity over decided quantity", charts.fill_plot(found)),
    ]  # fmt: skip
    return [
        f"<figure><figcaption><b>{escape(name)}</b> {escape(note)}</figcaption>"
        f"{drawn or '<p class=none>Nothing to show yet.</p>'}</figure>"
        for name, note, drawn in plots
    ]


HEADS = (
    "strategy", "targets", "filled", "intents", "orders", "retries", "quantity filled", "traded USDT", "fees USDT",
    "shortfall USDT", "shortfall bps", "slippage bps", "maker", "fill ms p50 / p99",
)  # fmt: skip


def _table(rows: Sequence[Quality]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADS)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(_row(one) for one in rows)}</tbody></table>"


def _row(one: Quality) -> str:
    name = f"{one.strategy} / {one.variant}" if one.variant else one.strategy
    cells = [
        f"{one.targets:,}",
        f"{one.target_fill_rate:.2%}",
        f"{one.intents:,}",
        f"{one.orders:,}",
        f"{one.retries:,}",
        f"{one.fill_rate:.2%}",
        f"{one.traded_usdt:,.0f}",
        f"{one.fees_usdt:,.2f}",
        f"{one.shortfall_usdt:,.2f}",
        f"{one.shortfall_bps:.2f}",
        _opt(one.slippage_bps, "{:.2f}"),
        _opt(one.maker_share, "{:.1%}"),
        _opt(one.fill_ms_p50, "{:,.0f}") + " / " + _opt(one.fill_ms_p99, "{:,.0f}"),
    ]
    kind = "sum" if one.strategy == "all" else "variant" if one.variant else "strategy"
    return f'<tr class="{kind}"><th>{escape(name)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _markout_table(found: ExecutionQuality) -> str:
    rows = [one for one in charts.rows_of(found) if one.markouts]
    if not rows:
        return "<p class=none>No markouts yet: they are taken 60 s after a fill.</p>"
    horizons = sorted({point.horizon_ms for one in rows for point in one.markouts})
    head = "<th>markout, bps</th>" + "".join(f"<th>{horizon / 1000:g} s</th>" for horizon in horizons)
    body = ""
    for one in rows:
        points = {point.horizon_ms: point for point in one.markouts}
        name = f"{one.strategy} / {one.variant}" if one.variant else one.strategy
        cells = "".join(f"<td>{_point(points.get(horizon))}</td>" for horizon in horizons)
        body += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    return f"<table class=narrow><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _point(point: object) -> str:
    mean = getattr(point, "mean_bps", None)
    if mean is None:
        return NONE
    half = getattr(point, "half_width_bps", None)
    return f"{mean:+.2f}" + (f" ± {half:.2f}" if half is not None else "")


def _experiments(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return "<p class=none>No two variants of a strategy have enough intents to be compared.</p>"
    head = "".join(
        f"<th>{name}</th>"
        for name in ("strategy", "variants", "intents", "mean shortfall bps", "difference bps [95 %]", "p (Welch)",
                     "p (permutation)", "verdict")
    )  # fmt: skip
    body = "".join(
        f"<tr><th>{escape(one.strategy)}</th><td>{escape(one.b)} against {escape(one.a)}</td>"
        f"<td>{one.b_intents:,} / {one.a_intents:,}</td><td>{one.b_mean_bps:.2f} / {one.a_mean_bps:.2f}</td>"
        f"<td>{one.difference_bps:+.2f} [{one.low_bps:+.2f}, {one.high_bps:+.2f}]</td>"
        f"<td>{one.p_welch:.4f}</td><td>{one.p_permutation:.4f}</td><td>{escape(verdict(one))}</td></tr>"
        for one in comparisons
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def verdict(one: Comparison) -> str:
    """What a comparison means, in words."""
    if not one.significant:
        return "no difference shown"
    return f"{one.b if one.difference_bps < 0 else one.a} is cheaper"


def _opt(value: float | None, shape: str) -> str:
    return NONE if value is None else shape.format(value)


STYLE = """
:root{--bg:#f6f7f9;--panel:#fff;--ink:#182026;--dim:#66727d;--rule:#e2e6ea;--zero:#9aa5b1;
--c0:#2563eb;--c1:#d97706;--c2:#059669;--c3:#9333ea;--c4:#dc2626;--c5:#334155}
@media (prefers-color-scheme:dark){:root{--bg:#11151a;--panel:#1a2027;--ink:#e6eaee;--dim:#93a0ac;--rule:#2b333c;
--zero:#5c6975;--c0:#60a5fa;--c1:#fbbf24;--c2:#34d399;--c3:#c084fc;--c4:#f87171;--c5:#cbd5e1}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1280px;margin:0 auto;padding:28px 22px 60px}h1{margin:0;font-size:26px}
h2{margin:34px 0 10px;font-size:18px}.about{color:var(--dim);margin:4px 0 22px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:12px}
.card,figure,.panel{background:var(--panel);border:1px solid var(--rule);border-radius:10px}
.card{padding:14px 16px}.card h3{margin:0;font-size:13px;font-weight:600;color:var(--dim)}
.card p{margin:2px 0 0;color:var(--dim);font-size:13px}.card .big{font-size:24px;font-weight:650;color:var(--ink)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:14px}
figure{margin:0;padding:14px 14px 8px}figcaption{color:var(--dim);font-size:13px;margin:0 4px 6px}
figcaption b{color:var(--ink);font-size:15px;margin-right:6px}svg{width:100%;height:auto;display:block}
.legend{display:flex;gap:18px;margin:0 0 12px;flex-wrap:wrap}.legend span{display:flex;align-items:center;gap:7px}
.key{width:13px;height:13px;border-radius:3px;display:inline-block}.none{color:var(--dim);margin:12px 4px}
text{fill:var(--dim);font-size:12px}text.axis{font-size:12px}text.note{fill:var(--ink)}text.inbar{fill:var(--panel);font-weight:600}
line.grid{stroke:var(--rule)}line.zero{stroke:var(--zero)}line.mark{stroke:currentColor;stroke-dasharray:4 3}
.line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.dot{fill:currentColor}
.band{fill:currentColor;opacity:.16}.bar{fill:currentColor;opacity:.88}.bar.variant{opacity:.6}
.s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(--c2)}.s3{color:var(--c3)}.s4{color:var(--c4)}.s5{color:var(--c5)}
.key{background:currentColor}
.panel{overflow-x:auto;padding:4px 6px}table{border-collapse:collapse;width:100%;font-size:13.5px}
table.narrow{width:auto}th,td{padding:7px 8px;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child{text-align:left}thead th{color:var(--dim);font-weight:600;white-space:normal;vertical-align:bottom}
tbody tr:last-child>*{border-bottom:0}tbody th{font-weight:600}tr.variant th{font-weight:400;padding-left:24px}
tr.sum>*{font-weight:650;border-top:2px solid var(--rule)}
footer{color:var(--dim);font-size:13px;margin-top:34px}
"""

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>HedgeLock execution report</title><style>$style</style></head><body><main>
<h1>Execution report</h1><p class="about">$about</p>
<section class="cards">$cards</section>
<h2>How it went</h2><div class="legend">$legend</div><section class="plots">$plots</section>
<h2>By strategy</h2><div class="panel">$table</div>
<h2>Adverse selection</h2><div class="panel">$markouts</div>
<h2>Experiments</h2><div class="panel">$experiments</div>
<footer>Implementation shortfall = Σ q·(decided mid − price) + fees + unfilled·(decided mid − next decision's mid)
for a sell, the mirror for a buy, over decided quantity × decided mid. Markout(τ) = price − mid τ later for a sell:
above 0 the fill was better than waiting. Slippage is against the mid at the decision; above 0 is worse. A target counts
as filled at 99 % of what it asked for; the rest is carried into the next. One whose place another target took while it
was worked is superseded: it counts neither as filled nor as missed.</footer>
</main></body></html>
""")
