"""Prices and quantities as integers inside the exchange: ticks and lots of one instrument."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.simulator.spec import Instrument


class Units:
    """Conversions of one instrument between Decimal and integer ticks and lots."""

    def __init__(self, instrument: Instrument) -> None:
        self.tick, self.lot = instrument.tick_size, instrument.qty_step
        self.tick_float = float(instrument.tick_size)
        self.lot_float = float(instrument.qty_step)
        self._tick_unit = int(instrument.tick_size.scaleb(instrument.price_scale))
        self._scale = instrument.price_scale
        self._lot_scale = max(0, -int(instrument.qty_step.normalize().as_tuple().exponent))
        self._lot_unit = int(instrument.qty_step.scaleb(self._lot_scale))

    def price(self, ticks: int) -> Decimal:
        """Price of a number of ticks."""
        return self.tick * ticks

    def qty(self, lots: int) -> Decimal:
        """Quantity of a number of lots."""
        return self.lot * lots

    def value(self, ticks: int, lots: int) -> Decimal:
        """Price × quantity, exactly."""
        return (self.tick * ticks) * (self.lot * lots)

    def ticks(self, price: Decimal) -> int | None:
        """Ticks of a price; None when it is not a multiple of the tick."""
        return _exact(price, self.tick)

    def lots(self, qty: Decimal) -> int | None:
        """Lots of a quantity; None when it is not a multiple of the step."""
        return _exact(qty, self.lot)

    def ticks_of(self, price: Decimal) -> int:
        """Ticks of a price that is known to be a multiple of the tick."""
        return int(price / self.tick)

    def lots_of(self, qty: Decimal) -> int:
        """Lots of a quantity that is known to be a multiple of the step."""
        return int(qty / self.lot)

    def ticks_floor(self, price: Decimal) -> int:
        """The highest tick at or below a price."""
        return int(price // self.tick)

    def ticks_ceil(self, price: Decimal) -> int:
        """The lowest tick at or above a price."""
        return int(-(-price // self.tick))

    def price_text(self, ticks: int) -> str:
        """The price as the venue prints it, with `price_scale` decimals."""
        return _fixed(ticks * self._tick_unit, self._scale)

    def qty_text(self, lots: int) -> str:
        """The quantity as the venue prints it, with the step's decimals."""
        return _fixed(lots * self._lot_unit, self._lot_scale)


def _exact(value: Decimal, step: Decimal) -> int | None:
    count = value / step
    whole = int(count)
    return whole if whole * step == value else None


def _fixed(units: int, scale: int) -> str:
    if scale == 0:
        return str(units)
    text = str(units).rjust(scale + 1, "0")
    return f"{text[:-scale]}.{text[-scale:]}"
