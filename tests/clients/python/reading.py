"""Resources, prompts and completions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from checks import equal
from mcp import MCPError
from mcp.types import EmbeddedResource, GetPromptResult, PromptReference, ResourceTemplateReference, TextContent

if TYPE_CHECKING:
    from session import Session


def words(prompt: GetPromptResult) -> str:
    return "\n".join(message.content.text for message in prompt.messages if isinstance(message.content, TextContent))


def embedded(prompt: GetPromptResult) -> dict[str, str]:
    found = [message.content.resource for message in prompt.messages if isinstance(message.content, EmbeddedResource)]
    return {str(resource.uri): resource.text for resource in found}


async def reading(session: Session) -> None:
    check, journal, client = session.check, session.journal, session.journal.client
    title = f"Reading {session.mark}"
    content = f"A book, {session.mark}."
    tag: dict = {}
    entry: dict = {}

    def uri() -> str:
        return f"epicme://entries/{entry['id']}"

    async def suggestions(ref: PromptReference | ResourceTemplateReference, name: str, value: str) -> list[str]:
        return (await client.complete(ref, {"name": name, "value": value})).completion.values

    async def writes() -> None:
        tag.update((await journal.call("create_tag", name=title))["tag"])
        entry.update((await journal.call("create_entry", title=title, content=content, tags=[tag["id"]]))["entry"])

    async def lists_the_resources() -> None:
        listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert {"epicme://users/current", "epicme://tags", f"epicme://tags/{tag['id']}"} <= listed, listed

    async def lists_the_templates() -> None:
        listed = {template.uri_template for template in (await client.list_resource_templates()).resource_templates}
        assert {"epicme://entries/{id}", "epicme://exports/{id}", "epicme://tags/{id}"} <= listed, listed

    async def lists_the_prompts() -> None:
        prompts = (await client.list_prompts()).prompts
        arguments = {prompt.name: {argument.name for argument in prompt.arguments} for prompt in prompts}
        expected = {"suggest_tags": {"entryId"}, "summarize_entries": {"from", "to", "timeZone", "tags"}}
        equal({name: arguments.get(name) for name in expected}, expected, "prompts")

    async def reads_the_entry() -> None:
        read = await journal.read(uri())
        equal((read["id"], read["content"]), (entry["id"], content), "entry")
        equal(read["tags"], [{"id": tag["id"], "uri": f"epicme://tags/{tag['id']}", "name": title}], "tags")

    async def reads_the_tags() -> None:
        tags = await journal.read("epicme://tags")
        assert {"id": tag["id"], "uri": f"epicme://tags/{tag['id']}", "name": title} in tags, tags
        equal((await journal.read(f"epicme://tags/{tag['id']}"))["name"], title, "name")

    async def reads_the_user() -> None:
        equal(await journal.read("epicme://users/current"), (await journal.call("whoami"))["user"], "user")

    async def reads_what_is_not_there() -> None:
        nowhere = "epicme://entries/999999999"
        try:
            answer = await client.read_resource(nowhere)
        except MCPError as error:
            equal(error.code, -32602 if journal.is_modern else -32002, "code")
            equal(error.data["uri"], nowhere, "URI")
        else:
            raise AssertionError(f"it answered: {answer}")

    async def suggests_tags() -> None:
        prompt = await client.get_prompt("suggest_tags", {"entryId": str(entry["id"])})
        assert f"entry {entry['id']} " in words(prompt), words(prompt)
        equal(list(embedded(prompt)), ["epicme://tags", uri()], "embedded")
        equal(json.loads(embedded(prompt)[uri()])["content"], content, "content")

    async def summarizes_entries() -> None:
        span = {"from": "2020-01-01", "to": "2100-01-01", "timeZone": "Europe/Budapest"}
        prompt = await client.get_prompt("summarize_entries", {"tags": str(tag["id"]), **span})
        assert "Europe/Budapest" in words(prompt), words(prompt)
        equal(list(embedded(prompt)), [uri()], "embedded")

    async def completes_an_argument() -> None:
        suggest, summarize = (PromptReference(name=name) for name in ("suggest_tags", "summarize_entries"))
        equal(await suggestions(suggest, "entryId", title), [str(entry["id"])], "entryId")
        equal(await suggestions(summarize, "timeZone", "europe/buda"), ["Europe/Budapest"], "timeZone")

    async def completes_a_variable() -> None:
        tags, entries = (ResourceTemplateReference(uri=f"epicme://{kind}/{{id}}") for kind in ("tags", "entries"))
        equal(await suggestions(tags, "id", title), [str(tag["id"])], "tag")
        equal(await suggestions(entries, "id", title), [str(entry["id"])], "entry")

    async def tidies_up() -> None:
        await journal.call("delete_entry", id=entry["id"])
        await journal.call("delete_tag", id=tag["id"])

    if not await check("writes what it is going to read", writes):
        return
    await check("lists the resources", lists_the_resources)
    await check("lists the resource templates", lists_the_templates)
    await check("lists the prompts with their arguments", lists_the_prompts)
    await check("reads the entry as a resource", reads_the_entry)
    await check("reads the list of tags and the tag", reads_the_tags)
    await check("reads the current user", reads_the_user)
    await check("gets a protocol error for an entry that is not there", reads_what_is_not_there)
    await check("gets the prompt that suggests tags", suggests_tags)
    await check("gets the prompt that summarizes entries", summarizes_entries)
    await check("has an argument of a prompt completed", completes_an_argument)
    await check("has the variable of a template completed", completes_a_variable)
    await check("tidies up what it read", tidies_up)
