"""Keepers against a real service: signed bids, receipts, standing bids, several bots at once, and the command as a process."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from conftest import environment
from seawall.client import AsyncClient
from seawall.client.keyfile import PrivateKey, make_key
from seawall.core.signing import BidTerms, ReceiptTerms, sign, signed_by
from seawall.engine.clearing_events import ClosingStep
from seawall.journal import batches
from seawall.keeper.bot import Keeper, Pace
from seawall.keeper.limits import Limits
from seawall.keeper.log import Log
from seawall.keeper.remote import RemoteVenue
from seawall.keeper.strategy import load_strategy
from seawall.liquidation.auction_events import Bid
from seawall.server.keepers.sealing import sealed_by
from seawall.server.keys import KeyFile
from seawall.server.records import SCHEMA, decode
from server.closing.test_api import MORE, get, mark_of, post, until
from server.running import error_of, running

WIDE = Limits(gross=Decimal(10**9), instrument=Decimal(10**9), bid=Decimal(10**9))
NAMES = ("kim", "lea", "max")


class Kept:
    """A venue with keepers' keys: name → (API key, private key)."""

    def __init__(self, venue: Any) -> None:
        self.venue = venue
        self.keys: dict[str, tuple[str, PrivateKey]] = {}
        file = KeyFile(venue.config.keys_path)
        for number, name in enumerate(NAMES):
            private = PrivateKey(bytes([number + 1]) * 32)
            text = file.create(name, ["bid"], requests_per_s=1e6, public_key=private.public, account=name)[1]
            self.keys[name] = text, private
        venue.call(venue.desk.keys.refresh)
        mark = mark_of(venue)
        for name in NAMES:
            post(venue, "/v1/accounts", {"account": name})
            post(venue, "/v1/deposits", {"account": name, "amount": f"{mark * 9:.2f}"})
        self.identity = get(venue, "/v1/keepers/venue-key")
        self.failed = 0

    def open_book(self) -> str:
        """A new account that is long one BTC-PERP with a fifth of it in cash."""
        self.failed += 1
        name, mark = f"fay{self.failed}", mark_of(self.venue)
        post(self.venue, "/v1/accounts", {"account": name})
        post(self.venue, "/v1/deposits", {"account": name, "amount": f"{mark * 0.2:.2f}"})
        fill = {"maker": "backstop", "taker": name, "instrument": "BTC-PERP", "quantity": "1", "price": f"{mark:.2f}"}
        post(self.venue, "/v1/fills", fill)
        return name

    def fall(self, share: float) -> None:
        post(self.venue, "/v1/ticks", {"prices": {"BTC": f"{mark_of(self.venue) * share:.2f}"}})

    def auction(self) -> dict[str, Any]:
        """The auction that runs, once it may be bid for."""
        found = until(lambda: get(self.venue, "/v1/auctions?points=0"), lambda all_: all_["auctions"] and all_["auctions"][0]["fresh"])
        return found["auctions"][0]

    def quiet(self, heal: bool = False) -> None:
        """Until nothing is being closed; heal: what is gets money."""
        for each in get(self.venue, "/v1/closings")["closings"] if heal else ():
            post(self.venue, "/v1/deposits", {"account": each["account"], "amount": f"{mark_of(self.venue):.2f}"})
        until(lambda: get(self.venue, "/v1/closings"), lambda found: found["total"] == 0, 60)

    def terms(self, sale: dict[str, Any], name: str = "kim", **more: Any) -> BidTerms:
        fields: dict[str, Any] = {
            "venue": self.identity["venue"], "venue_key": self.identity["public_key"], "auction": sale["auction"],
            "version": sale["version"], "share_ppb": 10**6, "limit_micro": int(Decimal(sale["value"]) * 10**6), "bidder": name,
            "nonce": os.urandom(12).hex(), "expires_ns": time.time_ns() + 10**10,
        }  # fmt: skip
        return BidTerms(**(fields | more))

    def send(self, terms: BidTerms, name: str = "kim", signature: str | None = None, **changes: Any) -> Any:
        """The answer to POST /v1/bids of a keeper's key."""
        text, private = self.keys[name]
        body = {
            "auction": terms.auction, "bidder": terms.bidder, "share": f"{Decimal(terms.share_ppb) / 10**9:f}",
            "limit": f"{Decimal(terms.limit_micro) / 10**6:f}", "version": terms.version, "public_key": private.public,
            "nonce": terms.nonce, "expires_ns": terms.expires_ns, "signature": sign(private.secret, terms) if signature is None else signature,
        }  # fmt: skip
        with self.venue.client("read") as client:
            return client.post("/v1/bids", json=body | changes, headers={"Authorization": f"Bearer {text}"})

    def keeper(self, name: str, strategy: str = "value", options: dict[str, str] | None = None, lines: Any = None) -> Keeper:
        text, private = self.keys[name]
        venue = RemoteVenue(self.venue.url, private.public, text)
        log = Log(time.time_ns, [text, private.secret.hex()], lines or io.StringIO())
        return Keeper(venue, name, private, load_strategy(strategy, options or {}), WIDE, log, pace=Pace(busy_s=0.05, idle_s=0.1))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue"), MORE, model="fixed") as venue:
        yield Kept(venue)


def records(kept):
    """Steps of closing in the journal, as they were written."""
    config = kept.venue.service.config
    kept.venue.call(kept.venue.service.settled)
    durable = kept.venue.service.status()["durable_sequence"]
    found = {}
    for batch in batches(config.folder, 0, SCHEMA):
        for place, data in enumerate(batch.records):
            sequence = batch.first_seq + place
            if sequence <= durable:
                event = decode(data, f"record {sequence}").event
                if isinstance(event, ClosingStep):
                    found[sequence] = event.what
    return found


def test_a_signed_bid_is_answered_with_a_receipt_kept_with_its_signature_and_counted_once(kept):
    kept.open_book()
    kept.fall(0.84)
    terms = kept.terms(kept.auction())
    first = kept.send(terms)
    assert first.status_code == 200, first.text
    said = first.json()
    receipt = ReceiptTerms(
        venue=terms.venue, venue_key=terms.venue_key, signed=terms.digest(), sequence=said["sequence"], at_ns=said["at_ns"]
    )
    assert signed_by(kept.identity["public_key"], receipt, said["receipt"])
    again = kept.send(terms).json()
    assert again["repeated"]
    assert (again["sequence"], again["at_ns"], again["receipt"]) == (said["sequence"], said["at_ns"], said["receipt"])
    step = records(kept)[said["sequence"]]
    assert step.seal.public_key == kept.keys["kim"][1].public
    assert sealed_by(step)
    for changes in ({"limit": step.event.limit + 1}, {"amount": 1}, {"bidder": "lea"}, {"version": 9}):
        assert not sealed_by(msgspec.structs.replace(step, event=msgspec.structs.replace(step.event, **changes)))
    other = kept.terms({"auction": terms.auction, "version": terms.version, "value": "1"}, nonce=terms.nonce)
    assert kept.send(other).status_code == 409  # the nonce was used


def test_what_is_not_signed_rightly_is_refused_and_not_recorded(kept):
    sale = kept.auction() if get(kept.venue, "/v1/auctions")["auctions"] else {"auction": 1, "version": 1, "value": "1"}
    good = kept.terms(sale)
    before = {n for n, step in records(kept).items() if isinstance(getattr(step, "event", None), Bid)}
    lea = kept.keys["lea"][1]
    refused = [
        kept.send(good, signature=""),
        kept.send(good, signature="00" * 64),
        kept.send(good, signature=sign(lea.secret, good)),
        kept.send(good, signature=sign(lea.secret, good), public_key=lea.public),
        kept.send(kept.terms(sale, venue="another")),
        kept.send(kept.terms(sale, venue_key=lea.public)),
        kept.send(kept.terms(sale, expires_ns=time.time_ns() - 1)),
        kept.send(kept.terms(sale, expires_ns=time.time_ns() + 10**13)),
        kept.send(kept.terms(sale, nonce="short")),
        kept.send(good, limit="1"),
        kept.send(good, share="1"),
    ]
    for answer in refused:
        assert answer.status_code == 400, answer.text
        assert error_of(answer)["place"] in ("signature", "public_key", "nonce"), answer.text
    stranger = kept.send(kept.terms(sale, "lea"))
    assert stranger.status_code == 403
    assert error_of(stranger)["code"] == "account"
    with kept.venue.client("bid") as client:  # a key that may bid, without a public key
        body = {"auction": sale["auction"], "bidder": "kim", "share": "1", "limit": "1", "version": 1}
        assert client.post("/v1/bids", json=body).status_code == 400
    text = kept.keys["kim"][0]
    with kept.venue.client("bid", ) as client:
        client.headers["Authorization"] = f"Bearer {text}"
        assert client.post("/v1/fills", json={}).status_code == 403  # a keeper's key does nothing else
        assert client.post("/v1/restarts", json={"auction": 1, "keeper": "lea"}).status_code == 403
    after = {n for n, step in records(kept).items() if isinstance(getattr(step, "event", None), Bid)}
    assert after == before


def test_the_venues_key_is_its_owners_alone_and_lasts(kept):
    path = kept.venue.config.keys_path.with_name("venue.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert PrivateKey(bytes.fromhex(path.read_text().strip())).public == kept.identity["public_key"]


def test_bots_compete_for_what_fails_and_their_books_agree_with_the_venue(kept):
    kept.quiet(heal=True)
    lines = io.StringIO()
    bots = [kept.keeper("kim", options={"edge": "0.001", "skew": "0"}, lines=lines), kept.keeper("lea", options={"edge": "0.004", "skew": "0"}),
            kept.keeper("max", "market-maker", {"hedged": "0"})]  # fmt: skip

    async def work() -> None:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(bot.run(stop)) for bot in bots]
        await asyncio.to_thread(until, lambda: all(bot.counts["looks"] for bot in bots), bool)
        for _ in range(2):
            await asyncio.to_thread(kept.open_book)
        await asyncio.to_thread(kept.fall, 0.83)
        await asyncio.to_thread(kept.quiet)
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(work(), 120))
    filled = [bot for bot in bots if bot.counts["filled"]]
    assert filled
    for bot in bots:
        assert bot.counts["receipts"] == bot.counts["bids"]
        report = bot.report()
        assert all(Decimal(row["edge"]) > 0 for row in report["auctions"])
        if bot.account == "kim":  # who has bid by hand before: that is not in the books
            continue
        theirs = get(kept.venue, f"/v1/accounts/{bot.account}")["positions"]
        held = {each["instrument"]: Decimal(each["quantity"]) for each in report["positions"]}
        assert held == {each["instrument"]: Decimal(each["quantity"]) for each in theirs}
        assert abs(Decimal(report["equity"]["other"])) < Decimal("0.01"), report
    text = lines.getvalue()
    assert all(secret not in text for secret in (kept.keys["kim"][0], kept.keys["kim"][1].secret.hex()))
    sealed = [step for step in records(kept).values() if getattr(step, "seal", None) is not None]
    assert len(sealed) > 2
    assert all(sealed_by(step) for step in sealed)


def test_standing_bids_are_filed_over_the_api_and_served_when_somebody_fails(kept):
    kept.quiet()
    options = {"buckets": "main", "share": "1", "size": "5000", "budget": "20000", "insolvent": "1"}
    bot = kept.keeper("max", "ranked", options)
    before = Decimal(get(kept.venue, "/v1/accounts/max")["balances"]["USD"])
    kept.open_book()

    async def work() -> None:
        stop = asyncio.Event()
        running_ = asyncio.create_task(bot.run(stop))
        ranked = await asyncio.to_thread(
            until, lambda: get(kept.venue, "/v1/ranked-bids?bidder=max"), lambda found: found["total"] == 1
        )
        assert (ranked["bids"][0]["bucket"], Decimal(ranked["escrow"])) == ("main", 20_000)
        assert Decimal(get(kept.venue, "/v1/accounts/max")["balances"]["USD"]) == before - 20_000
        await asyncio.to_thread(kept.fall, 0.84)
        await asyncio.to_thread(until, lambda: bot.counts["filled"], bool)
        await asyncio.to_thread(kept.quiet)
        stop.set()
        await running_

    asyncio.run(asyncio.wait_for(work(), 120))
    assert get(kept.venue, "/v1/ranked-bids")["total"] == 0  # taken back
    assert get(kept.venue, "/v1/ranked-bids")["escrow"] == "0.000000"
    assert bot.report()["auctions"]


def test_the_command_bids_as_a_process_and_ends_in_order(kept, tmp_path):
    kept.quiet()
    key = make_key(tmp_path / "nia.key")
    text = KeyFile(kept.venue.config.keys_path).create("nia", ["bid"], requests_per_s=1e6, public_key=key.public, account="nia")[1]
    kept.venue.call(kept.venue.desk.keys.refresh)
    post(kept.venue, "/v1/accounts", {"account": "nia"})
    post(kept.venue, "/v1/deposits", {"account": "nia", "amount": f"{mark_of(kept.venue) * 9:.2f}"})
    limits = tmp_path / "limits.toml"
    limits.write_text("gross = 1_000_000_000\ninstrument = 1_000_000_000\nbid = 1_000_000_000\n")
    words = ["keeper", "--url", kept.venue.url, "--key-file", tmp_path / "nia.key", "--account", "nia", "-o", "edge=0.001", "-o", "skew=0",
             "--limits", limits, "--report", tmp_path / "report.csv", "--json"]  # fmt: skip
    line = [sys.executable, "-m", "seawall.cli.main", *map(str, words)]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment() | {"SEAWALL_KEY": text}
    )
    try:
        assert '"begun"' in process.stderr.readline()
        kept.open_book()
        kept.fall(0.84)
        kept.quiet()
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["counts"]["filled"] >= 1, err
    assert (tmp_path / "report.csv").read_text().startswith("auction,account,")
    assert text not in err
    assert key.secret.hex() not in err


def test_a_wrong_api_key_ends_the_command_with_one_line(kept, tmp_path):
    make_key(tmp_path / "k.key")
    line = [sys.executable, "-m", "seawall.cli.main", "keeper", "--url", kept.venue.url, "--key-file", str(tmp_path / "k.key"), "-a", "kim"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment() | {"SEAWALL_KEY": "sw_nothing"}, timeout=60)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_client_looks_at_any_path(kept):
    async def work() -> dict[str, Any]:
        async with AsyncClient(kept.venue.url, kept.keys["kim"][0]) as client:
            return await client.look("/v1/keepers/venue-key")

    assert asyncio.run(work()) == kept.identity
