"""Checks that go on after a failure: a line each, and a count at the end."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

# How long a check may take, and how long it waits for what the server says unasked, in seconds.
LONGEST_CHECK = 60
LONGEST_WAIT = 15


class Checks:
    def __init__(self, name: str) -> None:
        self.name = name
        self.passed = self.failed = 0

    async def check(self, what: str, body: Callable[[], Awaitable[None]]) -> bool:
        try:
            # In this task, not in one of its own: a connection is left by the task that made it.
            async with within("an end of the check", LONGEST_CHECK):
                await body()
        except Exception:
            self.failed += 1
            print(f"FAILED  {self.name}, {what}\n{traceback.format_exc()}", flush=True)
            return False
        self.passed += 1
        print(f"ok      {self.name}, {what}", flush=True)
        return True

    def end(self) -> int:
        print(f"{self.name}: {self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


@asynccontextmanager
async def within(what: str, seconds: int = LONGEST_WAIT):
    """Has what is inside done in time."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AssertionError(f"{what} did not come within {seconds} s") from error


def equal(left: object, right: object, what: str) -> None:
    assert left == right, f"{what}: {left!r} is not {right!r}"
