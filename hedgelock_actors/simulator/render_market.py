"""Market values laid out as the venue's JSON (see `render` for the rules of amounts and times)."""

from hedgelock_actors.simulator.api import Instrument, KlineView, TickerView, TradeView
from hedgelock_actors.simulator.render import Json, rate, text


def ticker_stream(view: TickerView) -> dict[str, str]:
    """A linear ticker's stream snapshot; deltas are its changed keys."""
    return {
        "symbol": view.symbol,
        "tickDirection": view.tick_direction,
        "price24hPcnt": rate(view.price_24h_pcnt),
        "lastPrice": text(view.last_price),
        "prevPrice24h": text(view.prev_price_24h),
        "highPrice24h": text(view.high_price_24h),
        "lowPrice24h": text(view.low_price_24h),
        "prevPrice1h": text(view.prev_price_1h),
        "markPrice": text(view.mark_price),
        "indexPrice": text(view.index_price),
        "openInterest": text(view.open_interest),
        "openInterestValue": text(view.open_interest_value),
        "turnover24h": text(view.turnover_24h),
        "volume24h": text(view.volume_24h),
        "fundingIntervalHour": str(view.funding_interval_hour),
        "fundingCap": rate(view.funding_cap),
        "nextFundingTime": str(view.next_funding_ms),
        "fundingRate": rate(view.funding_rate),
        "bid1Price": text(view.bid1_price),
        "bid1Size": text(view.bid1_size),
        "ask1Price": text(view.ask1_price),
        "ask1Size": text(view.ask1_size),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def ticker(view: TickerView) -> Json:
    """A linear ticker as REST shows it."""
    shown: Json = dict(ticker_stream(view))
    del shown["tickDirection"]
    return {
        **shown,
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "basis": "",
        "basisRateYear": "",
    }


def spot_ticker(view: TickerView, *, stream: bool) -> Json:
    """The spot ticker that goes with a perpetual: its index is the spot price."""
    shown: Json = {
        "symbol": view.symbol,
        "lastPrice": text(view.index_price),
        "highPrice24h": text(view.high_price_24h),
        "lowPrice24h": text(view.low_price_24h),
        "prevPrice24h": text(view.prev_price_24h),
        "volume24h": text(view.volume_24h),
        "turnover24h": text(view.turnover_24h),
        "price24hPcnt": rate(view.price_24h_pcnt),
        "usdIndexPrice": text(view.index_price),
    }
    if not stream:
        shown |= {
            "bid1Price": text(view.bid1_price),
            "bid1Size": text(view.bid1_size),
            "ask1Price": text(view.ask1_price),
            "ask1Size": text(view.ask1_size),
        }
    return shown


def instrument(item: Instrument) -> Json:
    """A linear instrument."""
    return {
        "symbol": item.symbol,
        "symbolId": 5 if item.symbol.startswith("BTC") else 6,
        "contractType": "LinearPerpetual",
        "status": item.status,
        "baseCoin": item.base_coin,
        "quoteCoin": item.quote_coin,
        "launchTime": str(item.launch_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(item.price_scale),
        "leverageFilter": {
            "minLeverage": text(item.min_leverage),
            "maxLeverage": text(item.max_leverage),
            "leverageStep": text(item.leverage_step),
        },
        "priceFilter": {
            "minPrice": text(item.min_price),
            "maxPrice": text(item.max_price),
            "tickSize": text(item.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": text(item.max_order_qty),
            "minOrderQty": text(item.min_order_qty),
            "qtyStep": text(item.qty_step),
            "postOnlyMaxOrderQty": text(item.max_order_qty),
            "maxMktOrderQty": text(item.max_market_qty),
            "minNotionalValue": text(item.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": item.funding_interval_min,
        "settleCoin": item.settle_coin,
        "copyTrading": "both",
        "upperFundingRate": text(item.funding_cap),
        "lowerFundingRate": text(-item.funding_cap),
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": text(item.price_limit_x), "priceLimitRatioY": text(item.price_limit_y)},
        "symbolType": "",
    }


def spot_instrument(item: Instrument) -> Json:
    """The spot pair under a perpetual (shown, not traded here)."""
    return {
        "symbolId": 9 if item.symbol.startswith("BTC") else 10,
        "symbol": item.symbol,
        "baseCoin": item.base_coin,
        "quoteCoin": item.quote_coin,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": "0.000001",
            "quotePrecision": "0.0000001",
            "minOrderQty": "0.000011",
            "maxOrderQty": "83",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": "83",
            "maxMarketOrderQty": "41.5",
            "postOnlyMaxLimitOrderSize": "60000",
        },
        "priceFilter": {"tickSize": text(item.tick_size)},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }


def kline_row(bar: KlineView) -> list[str]:
    """A bar as REST lists it."""
    return [
        str(bar.start_ms),
        text(bar.open),
        text(bar.high),
        text(bar.low),
        text(bar.close),
        text(bar.volume),
        text(bar.turnover),
    ]


def kline_push(bar: KlineView, ts_ms: int) -> Json:
    """A bar as the stream pushes it."""
    return {
        "start": bar.start_ms,
        "end": bar.end_ms,
        "interval": bar.interval,
        "open": text(bar.open),
        "close": text(bar.close),
        "high": text(bar.high),
        "low": text(bar.low),
        "volume": text(bar.volume),
        "turnover": text(bar.turnover),
        "confirm": bar.confirmed,
        "timestamp": ts_ms,
    }


def trade_push(trade: TradeView) -> Json:
    """A public trade as the stream pushes it."""
    return {
        "T": trade.ts_ms,
        "s": trade.symbol,
        "S": trade.side,
        "v": text(trade.size),
        "p": text(trade.price),
        "L": trade.tick_direction,
        "i": trade.trade_id,
        "BT": False,
        "RPI": False,
        "seq": trade.seq,
    }


def trade_row(trade: TradeView) -> Json:
    """A public trade as REST lists it."""
    return {
        "execId": trade.trade_id,
        "symbol": trade.symbol,
        "price": text(trade.price),
        "size": text(trade.size),
        "side": trade.side,
        "time": str(trade.ts_ms),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.seq),
    }
