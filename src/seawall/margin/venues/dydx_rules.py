"""dYdX v4's margin rules as functions of exact integers, whatever their size.

Quote quantums are 10⁻⁶ of the settlement currency, base quantums 10^atomic_resolution of a coin,
rates ppm. Each function names its rounding. Source of the rules: `dydxprotocol/v4-chain` @ 84d4664
(protocol/lib/margin, x/perpetuals/lib, x/subaccounts), re-stated; figures only.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from seawall.core.errors import InputError

PPM = 1_000_000
QUOTE_RESOLUTION = -6
POWER_MAX = 200  # of ten: beyond any market, and before a product fills the memory

SUCCESS = "Success"
NEWLY = "NewlyUndercollateralized"
STILL = "StillUndercollateralized"
ISOLATED = "ViolatesIsolatedSubaccountConstraints"


def _truncated(amount: int, power_of_ten: int, numerator: int = 1, denominator: int = 1) -> int:
    """amount · numerator / denominator · 10^power, toward zero."""
    if abs(power_of_ten) > POWER_MAX:
        raise InputError("dydx resolution and exponent", str(power_of_ten), f"within ±{POWER_MAX} in all")
    numerator *= 10**power_of_ten if power_of_ten >= 0 else 1
    denominator *= 10**-power_of_ten if power_of_ten < 0 else 1
    size = abs(amount) * numerator // denominator
    return size if amount >= 0 else -size


def base_to_quote(base_quantums: int, resolution: int, price: int, exponent: int) -> int:
    """Value of a base amount in quote quantums, toward zero."""
    return _truncated(base_quantums, exponent + resolution - QUOTE_RESOLUTION, price)


def quote_to_base(quote_quantums: int, resolution: int, price: int, exponent: int) -> int:
    """Base amount that a quote amount is worth, toward zero. Raises InputError for a price of zero."""
    if price <= 0:
        raise InputError("dydx price", str(price), "a price above zero")
    return _truncated(quote_quantums, QUOTE_RESOLUTION - exponent - resolution, 1, price)


def ceil_ppm(amount: int, ppm: int) -> int:
    """ceil(amount · ppm / 10⁶)."""
    return -(-amount * ppm // PPM)


def interest_scaled_ppm(initial_ppm: int, open_interest: int, lower_cap: int, upper_cap: int) -> int:
    """Initial rate at an open interest (quote quantums): linear from its base at the lower cap to
    100 % at the upper, floor; never scaled where the upper cap is 0."""
    if upper_cap == 0 or open_interest <= lower_cap:
        return initial_ppm
    if open_interest >= upper_cap:
        return PPM
    return initial_ppm + (PPM - initial_ppm) * (open_interest - lower_cap) // (upper_cap - lower_cap)


def maintenance_ppm(initial_ppm: int, fraction_ppm: int) -> int:
    """Maintenance rate of a tier: ceil(initial · fraction)."""
    return ceil_ppm(initial_ppm, fraction_ppm)


def initial_margin(notional: int, scaled_ppm: int) -> int:
    """ceil(|notional| · rate)."""
    return ceil_ppm(abs(notional), scaled_ppm)


def maintenance_margin(notional: int, initial_ppm: int, fraction_ppm: int) -> int:
    """ceil(ceil(|notional| · base initial rate) · fraction): two ceilings, no open interest."""
    return ceil_ppm(ceil_ppm(abs(notional), initial_ppm), fraction_ppm)


class Tier(NamedTuple):
    """Liquidity tier; caps of open interest in quote quantums, upper 0 = no scaling."""

    initial_ppm: int
    fraction_ppm: int
    lower_cap: int = 0
    upper_cap: int = 0


class Perpetual(NamedTuple):
    """A market: resolution of its base quantums, oracle price · 10^exponent, funding index, interest."""

    resolution: int
    price: int
    exponent: int
    tier: Tier
    isolated: bool = False
    open_interest: int = 0  # base quantums
    funding_index: int = 0


class Position(NamedTuple):
    """Base quantums, the funding index they were last settled at, and their quote balance."""

    quantums: int
    funding_index: int = 0
    quote_balance: int = 0


class Account(NamedTuple):
    """A subaccount: quote quantums of the collateral asset, positions by perpetual id."""

    collateral: int
    positions: Mapping[int, Position]


class Risk(NamedTuple):
    """Net collateral, initial and maintenance margin, quote quantums."""

    net_collateral: int
    initial: int
    maintenance: int

    def is_liquidatable(self) -> bool:
        """Maintenance above zero and not covered."""
        return self.maintenance > 0 and self.net_collateral < self.maintenance

    def covers_initial(self) -> bool:
        return self.net_collateral >= self.initial

    def covers_maintenance(self) -> bool:
        return self.net_collateral >= self.maintenance

    def compare(self, other: "Risk") -> int:
        """1 where self is the riskier (lower collateral per maintenance), -1 where other is, 0 equal.

        Equal ratios, cross-multiplied, are ordered by maintenance.
        """
        mine, theirs = self.net_collateral * other.maintenance, other.net_collateral * self.maintenance
        if mine == theirs:
            return (self.maintenance > other.maintenance) - (self.maintenance < other.maintenance)
        return 1 if mine < theirs else -1


def settle_funding(account: Account, perpetuals: Mapping[int, Perpetual]) -> Account:
    """The account with accrued funding in its collateral: floor(Σ -Δindex · quantums / 10⁶)."""
    total = 0
    positions = {}
    for key, position in account.positions.items():
        index = perpetual_of(perpetuals, key).funding_index
        total -= (index - position.funding_index) * position.quantums
        positions[key] = position._replace(funding_index=index)
    return Account(account.collateral + total // PPM, positions)


def perpetual_of(perpetuals: Mapping[int, Perpetual], key: int) -> Perpetual:
    """The market of an id; InputError where there is none."""
    if key not in perpetuals:
        raise InputError("dydx perpetual", str(key), "an id that the market lists")
    return perpetuals[key]


def updated(account: Account, collateral: int, changes: Iterable[tuple[int, int]]) -> Account:
    """The account after amounts are added; a position that becomes zero is gone."""
    positions = dict(account.positions)
    for key, delta in changes:
        held = positions.get(key, Position(0))
        positions[key] = held._replace(quantums=held.quantums + delta)
    return Account(
        account.collateral + collateral, {k: p for k, p in positions.items() if p.quantums or p.quote_balance}
    )


def risk(account: Account, perpetuals: Mapping[int, Perpetual]) -> Risk:
    """Risk of a settled account: sums over positions, nothing nets."""
    collateral, initial, maintenance = account.collateral, 0, 0
    for key, position in account.positions.items():
        perpetual = perpetual_of(perpetuals, key)
        notional = base_to_quote(position.quantums, perpetual.resolution, perpetual.price, perpetual.exponent)
        collateral += notional + position.quote_balance
        initial += initial_margin(notional, scaled_initial_ppm(perpetual))
        maintenance += maintenance_margin(notional, perpetual.tier.initial_ppm, perpetual.tier.fraction_ppm)
    return Risk(collateral, initial, maintenance)


def scaled_initial_ppm(perpetual: Perpetual) -> int:
    """The initial rate of a market at its open interest."""
    tier = perpetual.tier
    interest = base_to_quote(perpetual.open_interest, perpetual.resolution, perpetual.price, perpetual.exponent)
    return interest_scaled_ppm(tier.initial_ppm, interest, tier.lower_cap, tier.upper_cap)


def transition(old: Risk, new: Risk) -> str:
    """Whether an update may happen: enough for initial margin, or else no riskier than before.

    Below initial margin an update passes only if maintenance does not rise and collateral per
    maintenance does not fall; where either maintenance is zero, only if both are and collateral rises.
    """
    return SUCCESS if new.covers_initial() else transition_when_short(old, new)


def transition_when_short(old: Risk, new: Risk) -> str:
    """`transition` for an account already known to miss its initial margin after the update."""
    refusal = NEWLY if old.covers_initial() else STILL
    return refusal if _worsens(old, new) else SUCCESS


def _worsens(old: Risk, new: Risk) -> bool:
    if new.maintenance > old.maintenance:
        return True
    if old.maintenance == 0 or new.maintenance == 0:
        both = old.maintenance == 0 and new.maintenance == 0
        return not (both and new.net_collateral > old.net_collateral)
    return new.net_collateral * old.maintenance < old.net_collateral * new.maintenance


def violates_isolation(held: Iterable[int], changed: Iterable[int], perpetuals: Mapping[int, Perpetual]) -> bool:
    """An account with an isolated perpetual, held or traded, may hold and trade nothing else."""
    changed = set(changed)
    touched = set(held) | changed
    if not changed or len(touched) < 2:
        return False
    return any(perpetual_of(perpetuals, key).isolated for key in touched)


class Fill(NamedTuple):
    """One side of a match: base quantums held before, change."""

    perpetual: int
    before: int
    change: int


def interest_change(sides: list[Fill]) -> tuple[int, int] | None:
    """(perpetual, change of open interest in base quantums) of a match; None where it is zero.

    Open interest is the sum of longs. Raises InputError unless the two sides are one trade.
    """
    if len(sides) != 2 or sides[0].perpetual != sides[1].perpetual or sides[0].change + sides[1].change:
        raise InputError("dydx match", f"{len(sides)} sides that do not mirror each other", "two sides of one trade")
    change = sum(max(side.before + side.change, 0) - max(side.before, 0) for side in sides)
    return (sides[0].perpetual, change) if change else None
