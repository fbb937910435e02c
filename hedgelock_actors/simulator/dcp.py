"""Disconnect protection: when every private connection that armed it has been dead for the window, active orders go."""

from collections.abc import Callable

_PRODUCTS = {"dcp.future": "DERIVATIVES", "dcp.spot": "SPOT", "dcp.option": "OPTIONS"}
TOPICS = frozenset(_PRODUCTS)
_ALL_PRODUCTS = frozenset((*_PRODUCTS.values(), "FUTURES"))


class DisconnectProtection:
    """Armed per account by a subscription of `dcp.*`; time is the venue's. Only derivatives have orders here."""

    def __init__(self, cancel: Callable[[str], None]) -> None:
        self._cancel = cancel
        self._windows: dict[str, dict[str, int]] = {}
        self._alive: dict[str, int] = {}
        self._dead_since: dict[str, int] = {}

    def set_window(self, uid: str, product: str, seconds: int) -> bool:
        """Set the window of a product; False when out of 3..300 s or unknown."""
        if not 3 <= seconds <= 300 or product not in _ALL_PRODUCTS:
            return False
        self._windows.setdefault(uid, {})[product] = seconds
        return True

    def windows(self, uid: str) -> list[tuple[str, int]]:
        """Configured products and their windows in seconds."""
        return sorted(self._windows.get(uid, {}).items())

    def window_s(self, uid: str) -> int:
        """The window of derivatives; 0 when the account does not have the feature."""
        windows = self._windows.get(uid, {})
        return windows.get("DERIVATIVES", windows.get("FUTURES", 0))

    def armed(self, uid: str) -> None:
        """A connection of `uid` subscribed."""
        self._alive[uid] = self._alive.get(uid, 0) + 1
        self._dead_since.pop(uid, None)

    def lost(self, uid: str, now_ms: int) -> None:
        """An armed connection of `uid` is dead."""
        self._alive[uid] = max(0, self._alive.get(uid, 0) - 1)
        if self._alive[uid] == 0:
            self._dead_since[uid] = now_ms

    def check(self, now_ms: int) -> None:
        """Fire for every account whose window is over."""
        due = [
            uid
            for uid, since in self._dead_since.items()
            if self.window_s(uid) and now_ms - since >= self.window_s(uid) * 1000
        ]
        for uid in due:
            del self._dead_since[uid]
            self._cancel(uid)
