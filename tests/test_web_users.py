"""Basic authentication without a socket: who gets in, and how often bcrypt runs for that."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Awaitable, Callable

import bcrypt
import pytest

from exporter.web import users
from exporter.web.users import Users, Verdict, parse_basic

GOOD, BAD, BUSY = Verdict.GOOD, Verdict.BAD, Verdict.BUSY


def hashed(password: bytes, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(4)).replace(b"$2b$", b"$" + prefix + b"$").decode()


HASHES = {"ann": hashed(b"open"), "bert": hashed(b"sesame"), "\xe4": hashed("g\xfcn".encode())}


def basic(user: str, password: str | bytes) -> bytes:
    secret = password.encode() if isinstance(password, str) else password
    return b"Basic " + base64.b64encode(user.encode() + b":" + secret)


class Bcrypt:
    """The real one, counted. Holds every check until it may go on."""

    def __init__(self, *, held: bool = False) -> None:
        self.hashes: list[bytes] = []
        self.threads: set[str] = set()
        self.at_once = self.most = 0
        self.go_on = threading.Event()
        if not held:
            self.go_on.set()

    def __call__(self, password: bytes, expected: bytes) -> bool:
        self.threads.add(threading.current_thread().name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.hashes.append(expected)
        self.go_on.wait(5)
        good = bcrypt.checkpw(password, expected)
        self.at_once -= 1
        return good


async def ask(people: Users, sent: bytes) -> Verdict:
    """What the guard does for each request."""
    return people.known(sent) or await people.find_out(sent)


def run(test: Callable[[Users, Bcrypt], Awaitable[None]], *, held: bool = False) -> Bcrypt:
    counted = Bcrypt(held=held)
    people = Users(HASHES, counted)

    async def guarded() -> None:
        async with asyncio.timeout(10):
            await test(people, counted)

    try:
        asyncio.run(guarded())
    finally:
        counted.go_on.set()
        people.close()
    return counted


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        (basic("ann", "open"), GOOD),
        (basic("bert", "sesame"), GOOD),
        (basic("\xe4", "g\xfcn"), GOOD),
        (b"bAsIc  " + base64.b64encode(b"ann:open"), GOOD),
        (basic("ann", "sesame"), BAD),
        (basic("ann", "open\0"), BAD),
        (basic("ann", "\0"), BAD),
        (basic("ann", ""), BAD),
        (basic("", ""), BAD),
        (basic("Ann", "open"), BAD),
        (basic("ann ", "open"), BAD),
        (basic("nobody", "open"), BAD),
        (basic("ann", b"\xff" * 10_000), BAD),
    ],
)
def test_only_a_user_with_the_right_password_gets_in(sent: bytes, verdict: Verdict) -> None:
    async def test(people: Users, _: Bcrypt) -> None:
        assert await ask(people, sent) is verdict
        assert await ask(people, sent) is verdict, "remembered as something else"

    assert len(run(test).hashes) == 1


def test_a_password_with_a_null_byte_is_not_taken_for_what_stands_before_it() -> None:
    people = Users({"ann": hashed(b"")})
    try:
        assert asyncio.run(ask(people, basic("ann", "\0open"))) is BAD
    finally:
        people.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic ====",
        b"Basic !!!!",
        b"Basic " + base64.b64encode(b"ann"),
        b"Basic YW5uOm9wZW4=\xff",
        b"Basic YW5uOm9wZW4",
        b"Bearer " + base64.b64encode(b"ann:open"),
        b"Basic\t" + base64.b64encode(b"ann:open"),
        base64.b64encode(b"ann:open"),
        b"Basic a b",
        b"\x00" * 100,
    ],
)
def test_a_malformed_header_is_refused_without_a_check(sent: bytes) -> None:
    async def test(people: Users, _: Bcrypt) -> None:
        assert await ask(people, sent) is BAD

    assert run(test).hashes == []


def test_a_password_may_hold_colons() -> None:
    assert parse_basic(basic("ann", "a:b:c")) == (b"ann", b"a:b:c")


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_hashes_of_htpasswd_and_others_are_understood_also_for_long_passwords(prefix: bytes) -> None:
    long = b"x" * 100
    people = Users({"ann": hashed(long, prefix)})
    try:
        assert asyncio.run(ask(people, basic("ann", long))) is GOOD
    finally:
        people.close()


def test_bcrypt_runs_once_for_a_hundred_scrapes_and_beside_the_loop() -> None:
    async def test(people: Users, _: Bcrypt) -> None:
        for _ in range(100):
            assert await ask(people, basic("ann", "open")) is GOOD

    counted = run(test)
    assert len(counted.hashes) == 1
    assert all(name.startswith("bcrypt") for name in counted.threads)


def test_a_hundred_scrapes_at_once_wait_for_one_check() -> None:
    async def test(people: Users, counted: Bcrypt) -> None:
        asked = [asyncio.create_task(ask(people, basic("ann", "open"))) for _ in range(100)]
        await asyncio.sleep(0)
        counted.go_on.set()
        assert set(await asyncio.gather(*asked)) == {GOOD}

    assert len(run(test, held=True).hashes) == 1


def test_a_scrape_that_gives_up_does_not_take_the_check_from_the_others() -> None:
    async def test(people: Users, counted: Bcrypt) -> None:
        first, second = (asyncio.create_task(ask(people, basic("ann", "open"))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        counted.go_on.set()
        assert await second is GOOD

    assert len(run(test, held=True).hashes) == 1


def test_a_name_that_does_not_exist_costs_the_same_check_as_one_that_does() -> None:
    async def test(people: Users, _: Bcrypt) -> None:
        for number in range(5):
            assert await ask(people, basic("ann", f"wrong{number}")) is BAD
            assert await ask(people, basic("nobody", f"wrong{number}")) is BAD

    counted = run(test)
    known, unknown = counted.hashes[::2], counted.hashes[1::2]
    assert len(known) == len(unknown) == 5
    assert {text[:7] for text in known} == {text[:7] for text in unknown} == {b"$2b$04$"}
    assert len(unknown[0]) == len(known[0])


def test_the_check_of_nobody_is_as_dear_as_the_dearest_user() -> None:
    counted = Bcrypt()
    people = Users({"ann": HASHES["ann"], "bert": HASHES["bert"].replace("$04$", "$05$")}, counted)
    try:
        asyncio.run(ask(people, basic("nobody", "x")))
    finally:
        people.close()
    assert counted.hashes[0].startswith(b"$2b$05$")


@pytest.mark.parametrize("guessers", [1, 6, 200])
def test_the_right_password_waits_for_one_check_of_each_who_guesses(guessers: int) -> None:
    """Each guesses again as soon as it has an answer, and for as long as anybody wants to watch."""

    async def test(people: Users, counted: Bcrypt) -> None:
        verdicts: list[Verdict] = []

        async def guess(who: int) -> None:
            for number in range(1_000):
                verdicts.append(await ask(people, basic("ann", f"{who} {number}")))
                await asyncio.sleep(0)

        guessing = [asyncio.create_task(guess(who)) for who in range(guessers)]
        await asyncio.sleep(0)
        scrape = asyncio.create_task(ask(people, basic("ann", "open")))
        await asyncio.sleep(0)
        counted.go_on.set()
        assert await scrape is GOOD
        assert len(counted.hashes) <= guessers + 2, "the one in hand, one of each, and one begun meanwhile"
        assert set(verdicts) <= {BAD}, "nobody is sent away to come back before others"
        for task in guessing:
            task.cancel()
        await asyncio.gather(*guessing, return_exceptions=True)

    assert run(test, held=True).most == 1


def test_a_scraper_that_gave_up_waiting_is_let_in_when_it_asks_again() -> None:
    """Its time-out may be shorter than the queue; it must not begin at the end of it each time."""

    async def test(people: Users, counted: Bcrypt) -> None:
        guesses = [asyncio.create_task(ask(people, basic("ann", f"{n}"))) for n in range(200)]
        await asyncio.sleep(0)
        scrape = asyncio.create_task(ask(people, basic("ann", "open")))
        await asyncio.sleep(0)
        scrape.cancel()
        await asyncio.wait([scrape])
        counted.go_on.set()
        assert set(await asyncio.gather(*guesses)) == {BAD}
        # Another one, so that the check of the scraper's has ended.
        assert await ask(people, basic("ann", "the last")) is BAD
        assert people.known(basic("ann", "open")) is GOOD

    run(test, held=True)


def test_guesses_whose_callers_have_gone_are_bounded_and_make_room() -> None:
    async def test(people: Users, counted: Bcrypt) -> None:
        waiting = asyncio.create_task(ask(people, basic("ann", "open")))
        await asyncio.sleep(0)
        for number in range(2000):
            guess = asyncio.create_task(ask(people, basic("ann", f"{number}")))
            await asyncio.sleep(0)
            guess.cancel()
            await asyncio.wait([guess])
        assert len(people._queue) == users._QUEUED
        last = asyncio.create_task(ask(people, basic("bert", "sesame")))
        await asyncio.sleep(0)
        counted.go_on.set()
        assert await asyncio.gather(waiting, last) == [GOOD, GOOD]

    run(test, held=True)


def test_those_who_are_known_are_served_while_others_wait() -> None:
    async def test(people: Users, counted: Bcrypt) -> None:
        counted.go_on.set()
        assert await ask(people, basic("ann", "open")) is GOOD
        counted.go_on.clear()
        guesses = [asyncio.create_task(ask(people, basic("ann", f"{n}"))) for n in range(users._QUEUED + 10)]
        await asyncio.sleep(0)
        assert people.known(basic("ann", "open")) is GOOD
        counted.go_on.set()
        verdicts = await asyncio.gather(*guesses)
        assert (verdicts.count(BAD), verdicts.count(BUSY)) == (users._QUEUED, 10)
        assert await ask(people, basic("bert", "sesame")) is GOOD, "the queue is empty again"

    assert run(test, held=True).most == 1


def test_what_is_remembered_is_bounded_and_bad_ones_do_not_push_out_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_REMEMBERED", 10)

    async def test(people: Users, _: Bcrypt) -> None:
        assert await ask(people, basic("ann", "open")) is GOOD
        for number in range(30):
            assert await ask(people, basic("ann", f"{number}")) is BAD
        assert people.known(basic("ann", "open")) is GOOD
        assert people.known(basic("ann", "29")) is BAD
        assert people.known(basic("ann", "0")) is None
        assert len(people._bad) == 10

    run(test)


def test_no_password_and_no_hash_of_it_that_can_be_tried_elsewhere_is_kept() -> None:
    """The digest is keyed with what only this process knows."""

    async def test(people: Users, _: Bcrypt) -> None:
        other = Users(HASHES)
        assert await ask(people, basic("ann", "open")) is GOOD
        assert await ask(other, basic("ann", "open")) is GOOD
        assert not people._good.keys() & other._good.keys()
        assert b"open" not in b"".join(people._good)
        other.close()

    run(test)


def test_those_who_wait_when_the_users_change_are_asked_to_come_again() -> None:
    async def test(people: Users, counted: Bcrypt) -> None:
        asked = asyncio.create_task(ask(people, basic("ann", "open")))
        await asyncio.sleep(0)
        people.close()
        assert await asked is BUSY

    run(test, held=True)
