"""The venue's closed words, as types."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

Side = Literal["Buy", "Sell"]
OrderType = Literal["Market", "Limit"]
TimeInForce = Literal["GTC", "IOC", "FOK", "PostOnly"]
ZERO = Decimal(0)
