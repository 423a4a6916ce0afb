"""Where a failed account's lots can be sold or bought back: every market behind one protocol, `Route`.

`OrderBook` walks real depth, `ConstantProduct` and `Concentrated` are pools with their invariants, `Skewed` is a
virtual market that charges for the imbalance it is left with, `Standing` one price for so many lots. `router.py`, one floor up, splits an order over them.
"""

from seawall.liquidation.routes.book import OrderBook, Trade
from seawall.liquidation.routes.concentrated import Concentrated
from seawall.liquidation.routes.constant_product import ConstantProduct
from seawall.liquidation.routes.route import BUY, SELL, Fill, Route
from seawall.liquidation.routes.skewed import LinearSkew, PowerImpact, Skewed
from seawall.liquidation.routes.standing import Standing, standing_quote

__all__ = [
    "BUY",
    "SELL",
    "Concentrated",
    "ConstantProduct",
    "Fill",
    "LinearSkew",
    "OrderBook",
    "PowerImpact",
    "Route",
    "Skewed",
    "Standing",
    "Trade",
    "standing_quote",
]
