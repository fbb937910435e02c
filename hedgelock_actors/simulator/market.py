"""One symbol: replayed price, book, last trade, bars, recent trades, settled funding."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

from hedgelock_actors.simulator.book import SyntheticBook
from hedgelock_actors.simulator.events import PriceLimit
from hedgelock_actors.simulator.market_views import BookView, FundingRecord, TickerView, TradeView
from hedgelock_actors.simulator.matching import OnFill, OrderBook
from hedgelock_actors.simulator.spec import ExchangeSpec, FundingSchedule, Instrument, PriceTick
from hedgelock_actors.simulator.units import Units
from hedgelock_actors.simulator.words import ZERO, Side

CENT = Decimal("0.01")
MINUTE_MS = 60_000
DAY_MS = 86_400_000
BARS_MAX = 20_160
OPEN_INTEREST = Decimal(50_000)


@dataclass(slots=True)
class MinuteBar:
    """One-minute bar of last prices, in ticks."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    turnover: Decimal


class Market:
    """State of one symbol. Prices are Decimal in USDT; the book inside is in ticks and lots."""

    def __init__(self, spec: ExchangeSpec, instrument: Instrument, funding: FundingSchedule, seed: int) -> None:
        self.spec, self.instrument, self.funding = spec, instrument, funding
        self.units = Units(instrument)
        self._rng = Random(f"market {seed} {instrument.symbol}")
        self.book = OrderBook(SyntheticBook(self.units, spec.book, self._rng))
        self.now_ms = 0
        self.seq = 0
        self.u = 0
        self.index = ZERO
        self.mark = ZERO
        self.last_ticks = 0
        self.tick_direction = "ZeroPlusTick"
        self.bars: deque[MinuteBar] = deque(maxlen=BARS_MAX)
        self.trades: deque[TradeView] = deque(maxlen=1000)
        self.settled: deque[FundingRecord] = deque(maxlen=1000)
        self._day = (-1, ZERO, ZERO, ZERO, ZERO, ZERO)

    @property
    def symbol(self) -> str:
        """Its name."""
        return self.instrument.symbol

    @property
    def last(self) -> Decimal:
        """Price of the last trade."""
        return self.units.price(self.last_ticks)

    @property
    def collateral_price(self) -> Decimal:
        """What the lender values at: min(last, index)."""
        return min(self.last, self.index)

    def step(self, tick: PriceTick, on_fill: OnFill) -> list[TradeView]:
        """Take a replayed price: refill the book, fill what it reaches, print the market's own trade."""
        rising = Decimal(str(tick.price)) >= self.index
        self.now_ms = tick.ts_ms
        self.index = Decimal(str(tick.price)).quantize(CENT, rounding=ROUND_HALF_EVEN)
        self.mark = (self.index * (1 + self.spec.basis_bps / 10_000)).quantize(CENT, rounding=ROUND_HALF_EVEN)
        lots = int(tick.volume / self.units.lot_float)
        bought = int(lots * self._rng.uniform(0.5, 0.9) if rising else lots * self._rng.uniform(0.1, 0.5))
        self.book.step(tick.price, lots - bought, bought, on_fill)
        self.touch()
        side: Side = "Buy" if rising else "Sell"
        price = self.book.best("Sell" if rising else "Buy")
        return [self.trade(side, price, max(1, lots))] if price is not None else []

    def touch(self) -> None:
        """The book changed: the next view has a new update id."""
        self.u += 1
        self.seq += 1

    def trade(self, side: Side, ticks: int, lots: int) -> TradeView:
        """Print a public trade of the taker's side."""
        if ticks != self.last_ticks:
            self.tick_direction = "PlusTick" if ticks > self.last_ticks else "MinusTick"
        else:
            self.tick_direction = "ZeroPlusTick" if "Plus" in self.tick_direction else "ZeroMinusTick"
        self.last_ticks = ticks
        self.seq += 1
        view = TradeView(
            symbol=self.symbol,
            trade_id=f"{self.symbol}-{self.seq}",
            ts_ms=self.now_ms,
            side=side,
            price=self.units.price(ticks),
            size=self.units.qty(lots),
            tick_direction=self.tick_direction,
            seq=self.seq,
        )
        self.trades.append(view)
        self._into_bar(ticks, lots)
        return view

    def _into_bar(self, ticks: int, lots: int) -> None:
        start = self.now_ms - self.now_ms % MINUTE_MS
        value = self.units.value(ticks, lots)
        if not self.bars or self.bars[-1].start_ms != start:
            before = self.bars[-1].close if self.bars else ticks
            self.bars.append(MinuteBar(start, before, max(before, ticks), min(before, ticks), ticks, lots, value))
            return
        bar = self.bars[-1]
        bar.high, bar.low, bar.close = max(bar.high, ticks), min(bar.low, ticks), ticks
        bar.lots += lots
        bar.turnover += value

    def price_limit(self) -> PriceLimit:
        """Buy at most, sell at least: the mark price ± the instrument's ratio X."""
        ratio, units = self.instrument.price_limit_x, self.units
        return PriceLimit(
            symbol=self.symbol,
            buy_limit=units.price(units.ticks_floor(self.mark * (1 + ratio))),
            sell_limit=units.price(units.ticks_ceil(self.mark * (1 - ratio))),
        )

    def book_view(self) -> BookView:
        """Both sides as texts, our resting orders included."""
        return BookView(
            symbol=self.symbol,
            ts_ms=self.now_ms,
            u=self.u,
            seq=self.seq,
            bids=self._side_texts("Buy"),
            asks=self._side_texts("Sell"),
        )

    def _side_texts(self, side: Side) -> tuple[tuple[str, str], ...]:
        rows = [(level[0], level[1]) for level in self.book.levels(side)]
        if ours := self.book.resting(side):
            sizes = dict(rows)
            for order in ours:
                sizes[order.price] = sizes.get(order.price, 0) + order.lots
            rows = sorted(sizes.items(), reverse=side == "Buy")[: self.spec.book.levels]
        price_text, qty_text = self.units.price_text, self.units.qty_text
        return tuple([(price_text(price), qty_text(lots)) for price, lots in rows])

    def next_funding_ms(self) -> int:
        """The next settlement after now."""
        interval = self.funding.interval_ms
        return (self.now_ms // interval + 1) * interval

    def _day_figures(self) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
        """(price 24 h ago, 1 h ago, high, low, volume) of the last day, renewed every minute.

        Before the venue has run for a day, the time before its start is taken to have traded as the time since.
        """
        minute = self.now_ms // MINUTE_MS
        if self._day[0] != minute:
            # A gap in the data may leave a window without bars: the last price still stands.
            day = [bar for bar in self.bars if bar.start_ms > self.now_ms - DAY_MS] or [self.bars[-1]]
            hour = [bar for bar in day if bar.start_ms > self.now_ms - 3_600_000] or [self.bars[-1]]
            price, units = self.units.price, self.units
            covered_ms = min(DAY_MS, max(MINUTE_MS, self.now_ms - day[0].start_ms))
            self._day = (
                minute,
                price(day[0].open),
                price(hour[0].open),
                price(max(bar.high for bar in day)),
                price(min(bar.low for bar in day)),
                units.qty(sum(bar.lots for bar in day) * DAY_MS // covered_ms),
            )
        return self._day[1:]

    def ticker(self) -> TickerView:
        """The ticker now."""
        day_ago, hour_ago, high, low, volume = self._day_figures()
        bid, ask, units = self.book.best("Buy") or 0, self.book.best("Sell") or 0, self.units
        next_funding = self.next_funding_ms()
        return TickerView(
            symbol=self.symbol,
            ts_ms=self.now_ms,
            seq=self.seq,
            last_price=self.last,
            mark_price=self.mark,
            index_price=self.index,
            prev_price_24h=day_ago,
            prev_price_1h=hour_ago,
            high_price_24h=max(high, self.last),
            low_price_24h=min(low, self.last),
            price_24h_pcnt=round(self.last / day_ago - 1, 6),
            turnover_24h=round(volume * self.last, 4),
            volume_24h=volume,
            open_interest=OPEN_INTEREST,
            open_interest_value=round(OPEN_INTEREST * self.mark, 2),
            funding_rate=self.funding.rate_at(next_funding),
            next_funding_ms=next_funding,
            funding_interval_hour=self.funding.interval_ms // 3_600_000,
            funding_cap=self.instrument.funding_cap,
            bid1_price=units.price(bid),
            bid1_size=units.qty(self._size_at("Buy", bid)),
            ask1_price=units.price(ask),
            ask1_size=units.qty(self._size_at("Sell", ask)),
            tick_direction=self.tick_direction,
        )

    def _size_at(self, side: Side, price: int) -> int:
        made_up = sum(level[1] for level in self.book.levels(side)[:1] if level[0] == price)
        return made_up + sum(order.lots for order in self.book.resting(side) if order.price == price)
