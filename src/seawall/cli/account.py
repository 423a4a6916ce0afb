"""`seawall account`: one account of a running service, its margin, positions and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from seawall.cli.arguments import AsJson
from seawall.cli.remote import DEFAULT_URL, KeyOption, UrlOption, connect

if TYPE_CHECKING:
    from seawall.client.types import Account, Corridors, Liquidation

NAME = "account"


def command(
    account: Annotated[str, typer.Argument(help="The name of an account.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyOption = None,
    liquidation: bool = typer.Option(False, "--liquidation", help="Also where each price would liquidate it."),
    json: AsJson = False,
) -> int:
    """Show one account of a running service: money, positions, orders, margin, safe corridor."""
    from seawall.cli import output

    with connect(url, key_file) as client:
        found = client.account(account)
        corridors = client.corridors(account)
        ends = [client.liquidation_prices(account, one.underlying) for one in corridors.corridors] if liquidation else []
    if json:
        output.print_json(_words(found, corridors, ends))
        return 0
    _print(found, corridors, ends)
    return 0


def _words(found: Account, corridors: Corridors, ends: list[Liquidation]) -> dict[str, Any]:
    import msgspec

    words: dict[str, Any] = msgspec.to_builtins(found)
    words["corridors"] = msgspec.to_builtins(corridors)
    if ends:
        words["liquidation_prices"] = msgspec.to_builtins(ends)
    return words


def _print(found: Account, corridors: Corridors, ends: list[Liquidation]) -> None:
    from seawall.cli import output
    from seawall.core.errors import one_line

    figures = found.figures
    print(one_line(f"{found.account}: {found.status}, {found.state}, as of sequence {found.sequence:,}"))
    rows = [(name.replace("_", " "), f"{getattr(figures, name):,.2f}") for name in figures.__struct_fields__]
    rows += [(f"balance {asset}", f"{amount:,f}") for asset, amount in found.balances.items()]
    output.print_table(("margin", "amount"), rows)
    if found.positions:
        columns = ("position", "quantity", "mark", "value", "entry", "unrealised")
        lines = [[one.instrument, f"{one.quantity:f}", f"{one.mark:,f}", f"{one.value:,.2f}", one.entry, one.unrealised] for one in found.positions]
        output.print_table(columns, lines)
    if found.orders:
        lines = [[one.id, one.instrument, f"{one.quantity:f}", f"{one.price:,f}"] for one in found.orders]
        output.print_table(("order", "instrument", "quantity", "price"), lines)
    if corridors.none:
        print(f"no safe corridor: {corridors.none}")
    elif corridors.corridors:
        lines = [[one.underlying, f"{one.low:,.2f}", f"{one.price:,.2f}", f"{one.high:,.2f}"] for one in corridors.corridors]
        output.print_table(("safe corridor", "from", "now", "to"), lines)
    for end in ends:
        prices = ", ".join(f"{one.above if one.falling else one.below:,f}" for one in end.crossings) or "at no price looked at"
        print(f"liquidated by {end.underlying}: {prices}{'' if end.complete else ' (not proved to be all)'}")
