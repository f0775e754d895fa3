"""Tags for a new entry, suggested by the host's model. A modern server asks no model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from checks import equal, within
from journal import Host, Journal
from mcp.types import CreateMessageRequestParams, CreateMessageResult, TextContent

if TYPE_CHECKING:
    from session import Session


async def sampling(session: Session) -> None:
    name = f"Sampling {session.mark}"
    asked: list[CreateMessageRequestParams] = []

    def sample(question: CreateMessageRequestParams) -> CreateMessageResult:
        asked.append(question)
        return CreateMessageResult(model="none", role="assistant", content=TextContent(text=json.dumps([name])))

    async def what_became_of_it(journal: Journal) -> dict:
        async with within("what became of the suggestion"):
            while (message := await journal.logged.get()).logger != "tag-suggestions":
                continue
            return message.data

    async def lends_its_model() -> None:
        async with session.connected(session.ada, Host(sample=sample)) as journal:
            async with within("the general stream"):
                await journal.listening.wait()
            await journal.client.set_logging_level("info")
            entry = (await journal.call("create_entry", title=name, content="What is it about?"))["entry"]["id"]
            told = await what_became_of_it(journal)
            equal((told["message"], told["entryId"]), ("Suggested tags", entry), "log message")
            equal(len(asked), 1, "questions")
            assert name in asked[0].messages[0].content.text, asked
            tags = (await journal.call("get_entry", id=entry))["entry"]["tags"]
            equal([tag["name"] for tag in tags], [name], "tags")
            await journal.call("delete_entry", id=entry)
            await journal.call("delete_tag", id=tags[0]["id"])

    await session.check("lends its model, which suggests a tag for a new entry", lends_its_model)
