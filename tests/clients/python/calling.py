"""The journal's tools, called as a host does; and what a call says that goes wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from checks import equal
from mcp import MCPError

if TYPE_CHECKING:
    from session import Session

SCOPES = Path(__file__).resolve().parents[3] / "docs/SCOPES.md"


def declared_tools() -> set[str]:
    """The tools of the table that the server itself prints (`epicme scopes`)."""
    return set(re.findall(r"^\| tool \| `(\w+)`", SCOPES.read_text(), re.MULTILINE))


def without_digits(words: str) -> str:
    return re.sub(r"\d", "", words)


async def calling(session: Session) -> None:
    check, journal, mark = session.check, session.journal, session.mark
    made: dict[str, dict] = {}

    async def lists_the_tools() -> None:
        equal(set(await journal.tools()), declared_tools(), "tools")

    async def who_it_speaks_for() -> None:
        answer = await journal.call("whoami")
        assert answer["user"]["subject"], answer
        assert "entries:read" in answer["scopes"], answer

    async def creates_a_tag() -> None:
        made["tag"] = (await journal.call("create_tag", name=mark))["tag"]
        equal(made["tag"]["name"], mark, "name")

    async def changes_the_tag() -> None:
        tag = made["tag"]["id"]
        await journal.call("update_tag", id=tag, description="Where I go.")
        equal((await journal.call("get_tag", id=tag))["tag"]["description"], "Where I go.", "description")
        tags = (await journal.call("list_tags"))["tags"]
        assert mark in [tag["name"] for tag in tags], tags

    async def creates_an_entry() -> None:
        content = f"A walk, {mark}."
        tags = [made["tag"]["id"]]
        made["entry"] = (await journal.call("create_entry", title=mark, content=content, tags=tags))["entry"]
        equal([tag["id"] for tag in made["entry"]["tags"]], tags, "tags")

    async def lists_it() -> None:
        equal((await journal.titles())[0], mark, "newest")
        tagged = await journal.call("list_entries", tagIds=[made["tag"]["id"]])
        equal(len(tagged["entries"]), 1, "entries")

    async def finds_it() -> None:
        found = await journal.call("search_entries", query=mark)
        equal(found["entries"][0]["id"], made["entry"]["id"], "id")

    async def reads_it() -> None:
        read = await journal.call("get_entry", id=made["entry"]["id"])
        equal(read["entry"]["content"], f"A walk, {mark}.", "content")

    async def changes_it() -> None:
        changed = await journal.call("update_entry", id=made["entry"]["id"], title=f"{mark}!", mood="calm")
        equal(changed["entry"]["title"], f"{mark}!", "title")

    async def tags_it() -> None:
        both = {"entryId": made["entry"]["id"], "tagId": made["tag"]["id"]}
        for tool, count in [("remove_tag_from_entry", 0), ("add_tag_to_entry", 1)]:
            await journal.call(tool, **both)
            tagged = await journal.call("list_entries", tagIds=[made["tag"]["id"]])
            equal(len(tagged["entries"]), count, f"entries after {tool}")

    async def exports_it() -> None:
        steps: list[tuple[float, float | None]] = []

        async def progress(done: float, total: float | None, _: str | None) -> None:
            steps.append((done, total))

        result = await journal.client.call_tool("export_journal", {"format": "json"}, progress_callback=progress)
        assert not result.is_error, result.content
        assert steps and steps[-1][0] == steps[-1][1], steps
        text = result.structured_content["document"]
        entries = json.loads(text)["entries"]
        assert f"A walk, {mark}." in [entry["content"] for entry in entries], entries
        [contents] = (await journal.client.read_resource(result.structured_content["uri"])).contents
        equal(contents.text, text, "document")

    async def wrong_arguments() -> None:
        words = await journal.failing("create_entry", title=mark)
        assert "content" in words, words

    async def not_there() -> None:
        words = await journal.failing("get_entry", id=999999999)
        assert "999999999" in words, words

    async def unknown_tool() -> None:
        try:
            answer = await journal.client.call_tool("no_such_tool", {})
        except MCPError as error:
            equal(error.code, -32602, "code")
        else:
            raise AssertionError(f"it answered: {answer}")

    async def another_user() -> None:
        entry = made["entry"]["id"]
        async with session.connected(session.bela) as his:
            titles = await his.titles()
            assert f"{mark}!" not in titles, titles
            equal((await his.call("search_entries", query=mark))["entries"], [], "found")
            hers = await his.failing("get_entry", id=entry)
            nobodys = await his.failing("get_entry", id=999999999)
            equal(without_digits(hers), without_digits(nobodys), "the same words")
            await his.client.call_tool("delete_entry", {"id": entry})
        equal((await journal.call("get_entry", id=entry))["entry"]["title"], f"{mark}!", "still there")

    async def deletes_it() -> None:
        equal((await journal.call("delete_entry", id=made["entry"]["id"]))["success"], True, "success")
        titles = await journal.titles()
        assert f"{mark}!" not in titles, titles
        equal((await journal.call("delete_tag", id=made["tag"]["id"]))["success"], True, "success of the tag")

    await check("lists the tools", lists_the_tools)
    await check("is told who it speaks for", who_it_speaks_for)
    await check("creates a tag", creates_a_tag)
    await check("changes the tag, reads it and lists it", changes_the_tag)
    await check("creates an entry with the tag", creates_an_entry)
    await check("lists it, also by its tag", lists_it)
    await check("finds it", finds_it)
    await check("reads it", reads_it)
    await check("changes it", changes_it)
    await check("takes the tag off and puts it on again", tags_it)
    await check("exports the journal, is told how far it has come, and reads the document", exports_it)
    await check("is told what is wrong with arguments", wrong_arguments)
    await check("is told that an entry is not there", not_there)
    await check("gets a protocol error for an unknown tool", unknown_tool)
    await check("another user sees nothing of it", another_user)
    await check("deletes it unasked, having declared nobody to ask", deletes_it)
