"""The client against a real service: typed, retried without doing anything twice, and a stream that goes on where it was."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from decimal import Decimal
from itertools import islice

import msgspec
import pytest

from seawall.client import AsyncClient, Client, Retry, ServiceError, Unreachable
from seawall.client import types as t
from seawall.core.errors import BadNumber
from seawall.server import views
from seawall.server.api import answers
from seawall.server.recovery import Recovered
from server.running import running

PAIRS = {
    t.Figures: views.FiguresView, t.Position: views.PositionView, t.Order: views.OrderView, t.Account: views.AccountView,
    t.AccountRow: views.AccountRow, t.Page: views.Page, t.Overview: views.Overview, t.Price: views.PriceView,
    t.Prices: answers.PricesView, t.Verdict: answers.VerdictView, t.Decision: answers.DecisionView,
    t.Posting: answers.PostingView, t.Written: answers.WrittenView, t.Crossing: answers.CrossingView,
    t.Liquidation: answers.LiquidationView, t.Corridor: answers.BandView, t.Corridors: answers.CorridorsView,
    t.Parameters: answers.ParametersView, t.Status: answers.StatusView, t.Recovered: Recovered,
}  # fmt: skip


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue")) as found:
        yield found


def client_of(venue, scope="admin", **options):
    return Client(venue.url, venue.keys[scope], **options)


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_the_clients_records_have_the_services_fields(kind):
    mine, theirs = (tuple(field.name for field in msgspec.structs.fields(each)) for each in (kind, PAIRS[kind]))
    assert mine == theirs


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    def methods(kind):
        return {
            name: str(inspect.signature(call)).partition(" ->")[0]
            for name, call in vars(kind).items()
            if callable(call) and not name.startswith("_") and name not in ("stream", "accounts_csv")
        }

    assert methods(Client) == methods(AsyncClient)
    assert len(methods(Client)) >= 27


def test_a_day_at_the_venue(venue):
    with client_of(venue) as admin, client_of(venue, "trade") as trade, client_of(venue, "risk") as risk:
        trade.open_account("gina")
        written = admin.deposit("gina", Decimal("5000.25"), key="gina 1")
        assert sum(line.amount for line in written.postings) == 0
        assert admin.account("gina").balances == {"USD": Decimal("5000.25")}
        risk.ticks({"ETH": "3510"}, source="test")
        assert next(one for one in risk.prices().prices if one.name == "ETH").source == "test"
        then = risk.what_if("gina", {"ETH-PERP": 1})
        mark = next(one for one in admin.account("bob").positions if one.instrument == "ETH-PERP").mark
        trade.fill("opening", "gina", "ETH-PERP", 1, mark)
        assert abs(risk.margin("gina").equity - then.equity) <= Decimal("0.000002"), "the fill rounds against both, once"
        assert risk.margin("gina").initial_margin == then.initial_margin
        verdict = trade.check("gina", "ETH-PERP", 1000, "3510")
        assert not verdict.admitted
        with pytest.raises(ServiceError) as raised:
            trade.order("gina", "big", "ETH-PERP", 1000, "3510")
        assert (raised.value.status, raised.value.verdict.admitted) == (422, False)
        assert trade.order("gina", "small", "ETH-PERP", "-0.5", "3600").verdict.admitted
        assert [one.id for one in risk.account("gina").orders] == ["small"]
        trade.cancel("gina", "small")
        admin.withdraw("gina", 1)
        risk.set_state("gina", "reduce-only")
        assert risk.account("gina").state == "reduce-only"
        risk.set_state("gina", "active")
        assert risk.accounts(search="gina").rows[0].account == "gina"
        assert risk.overview(3).accounts >= 5
        assert risk.status().journal["state"] == "accepting"
        assert risk.corridors("gina").account == "gina"
        assert risk.parameters().model == "portfolio"
        assert risk.market()["settlement"] == "USD"
        assert [one["event"]["account"] for one in risk.audit(account="gina", kind="deposit", after=0)["entries"]] == ["gina"]


def test_no_is_an_error_that_says_where(venue):
    with client_of(venue, "read") as client:
        with pytest.raises(ServiceError) as raised:
            client.account("nobody")
        assert (raised.value.status, raised.value.code, raised.value.place) == (404, "unknown-account", "account")
        with pytest.raises(ServiceError) as raised:
            client.deposit("alice", 1)
        assert (raised.value.status, raised.value.code) == (403, "scope")
        with pytest.raises(BadNumber, match="float"):
            client.deposit("alice", 0.1)


def test_nobody_there_is_unreachable_after_all_tries():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with Client(url, retry=Retry(2, 0.01)) as client, pytest.raises(Unreachable, match="is the service running there"):
            client.status()


class Middleman:
    """A proxy that passes bytes on and can cut answers off, so that a client does not learn what was done."""

    def __init__(self, address):
        self.address = address
        self.cut = 0
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.address)
            self.connections.append((near, far))
            threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source, target, answers):
        try:
            while data := source.recv(65536):
                if answers and self.cut:
                    self.cut -= 1
                    break
                target.sendall(data)
        except OSError:
            pass  # one side is gone: so is the other, below
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already

    def break_all(self):
        for pair in self.connections:
            for each in pair:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone already

    def close(self):
        self.break_all()
        self.listener.close()


@pytest.fixture
def middleman(venue):
    found = Middleman(venue.address)
    yield found
    found.close()


def test_a_write_whose_answer_was_lost_is_done_once(venue, middleman):
    with Client(middleman.url, venue.keys["admin"], retry=Retry(5, 0.01)) as client:
        before = client.account("carol").balances["USD"]
        middleman.cut = 2
        written = client.deposit("carol", 7)
        assert written.repeated
        assert client.account("carol").balances["USD"] == before + 7


def test_an_old_key_with_another_content_is_a_conflict(venue):
    with client_of(venue) as client:
        first = client.deposit("carol", 1, key="conflict")
        again = client.deposit("carol", 1, key="conflict")
        assert again.repeated
        assert (again.sequence, again.postings) == (first.sequence, first.postings)
        with pytest.raises(ServiceError) as raised:
            client.deposit("carol", 2, key="conflict")
        assert raised.value.status == 409


def test_the_stream_goes_on_over_broken_connections_without_a_gap(venue, middleman):
    with client_of(venue) as writer, Client(middleman.url, venue.keys["read"], retry=Retry(20, 0.01)) as client:
        stream = client.stream(["account"])
        start = next(stream)
        assert isinstance(start, t.Snapshot)
        heard = []
        for k in range(6):
            written = writer.deposit("dora", k + 1)
            if k in (1, 3):
                middleman.break_all()
            for message in islice(stream, 1):
                assert isinstance(message, t.Message)
                heard.append((message.n, message.seq))
                assert message.seq == written.sequence
        assert [n for n, _ in heard] == list(range(start.n + 1, start.n + 1 + len(heard)))
        stream.close()


def test_the_asynchronous_client_does_the_same(venue):
    async def story():
        async with AsyncClient(venue.url, venue.keys["admin"]) as client:
            before, _ = await asyncio.gather(client.account("bob"), client.status())
            stream = client.stream(["account"], ["bob"])
            start = await anext(stream)
            assert start.data["accounts"][0]["account"] == "bob"
            await client.deposit("bob", 3)
            message = await anext(stream)
            assert message.data["account"] == "bob"
            await stream.aclose()
            assert (await client.account("bob")).balances["USD"] == before.balances["USD"] + 3
            with pytest.raises(ServiceError):
                await client.account("nobody")

    asyncio.run(story())


def test_a_stream_that_may_not_be_is_not_tried_again(venue):
    with pytest.raises(ServiceError) as raised:
        next(Client(venue.url, "sw_wrong").stream(["price"]))
    assert raised.value.status == 401
    with pytest.raises(ServiceError) as raised:
        next(client_of(venue).stream(["colours"]))
    assert raised.value.status == 400
