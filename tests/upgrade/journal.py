"""A user's journal as it has to be, and a client that changes it and compares it through MCP; check.py tells what is checked."""

import http.client
import json
import threading

MODERN = "2026-07-28"
ANSWERS_WITHIN = 30
# Entries of a page, so that several are asked for.
PAGE = 7


class Client:
    """Calls the tools of one process as one user."""

    def __init__(self, port, host, bearer):
        self.host, self.bearer = host, bearer
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERS_WITHIN)

    def call(self, tool, **arguments):
        """What the tool answers. Whatever is not a success is an error."""
        envelope = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "upgrade", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": tool, "arguments": arguments, "_meta": envelope}
        fields = {
            "Host": self.host,
            "Authorization": f"Bearer {self.bearer}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        self.connection.request("POST", "/mcp", body, fields)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if text.startswith(("event:", "data:", ":", "id:")):
            # As a stream: the last event is the answer.
            text = [line[5:] for line in text.splitlines() if line.startswith("data:")][-1]
        result = json.loads(text).get("result", {}) if answer.status == 200 else {}
        if result.get("isError") or "structuredContent" not in result:
            raise AssertionError(f"{tool} {arguments}: {answer.status} {text}")
        return result["structuredContent"]

    def pages(self, tool, field, **arguments):
        """Every element of a list, page by page."""
        found, cursor = [], {}
        while True:
            page = self.call(tool, limit=PAGE, **arguments, **cursor)
            found += page[field]
            if not page.get("nextCursor"):
                return found
            cursor = {"cursor": page["nextCursor"]}


class Journal:
    """What was written, whoever served it."""

    def __init__(self):
        self.entries, self.tags = {}, {}
        self.number, self.lock = 0, threading.Lock()

    def next(self):
        with self.lock:
            self.number += 1
            return self.number

    def use(self, client):
        """Each tool that writes, once or more, and those that read. Leaves two entries more and one tag more."""
        number = self.next()
        kept, dropped = (
            client.call("create_tag", name=f"{word} {number}", idempotencyKey=f"{word} {number}")["tag"]
            for word in ("kept", "dropped")
        )
        self.tags[kept["id"]] = kept["name"]
        arguments = {
            "title": f"title {number}",
            "content": f"word{number} and others",
            "tags": [kept["id"], dropped["id"]],
            "idempotencyKey": f"entry {number}",
        }
        entry = client.call("create_entry", **arguments)["entry"]
        again = client.call("create_entry", **arguments)["entry"]
        assert again["id"] == entry["id"], (entry, again)
        other = client.call("create_entry", title=f"other {number}", content="plain")["entry"]
        client.call("add_tag_to_entry", entryId=other["id"], tagId=kept["id"])
        client.call("remove_tag_from_entry", entryId=entry["id"], tagId=kept["id"])
        client.call("update_entry", id=other["id"], title=f"changed {number}", isFavorite=True)
        client.call("update_tag", id=kept["id"], description="of the test")
        passing = client.call("create_entry", title="passing", content="gone soon", tags=[kept["id"]])["entry"]
        client.call("delete_entry", id=passing["id"])
        client.call("delete_tag", id=dropped["id"])
        self.entries[entry["id"]] = (f"title {number}", set())
        self.entries[other["id"]] = (f"changed {number}", {kept["id"]})
        found = client.call("search_entries", query=f"word{number}")["entries"]
        assert [hit["id"] for hit in found] == [entry["id"]], found
        client.call("whoami")
        client.call("list_activity")
        client.call("list_connected_clients")

    def pass_on(self, one, other):
        """Tags that one process puts on an entry, and that another takes off."""
        entry = min(self.entries)
        _, tags = self.entries[entry]
        for tag in set(list(self.tags)[:5]) - tags:
            one.call("add_tag_to_entry", entryId=entry, tagId=tag)
            seen = other.call("get_entry", id=entry)["entry"]["tags"]
            assert tag in {tag["id"] for tag in seen}, seen
            other.call("remove_tag_from_entry", entryId=entry, tagId=tag)
        tag = next(iter(self.tags))
        other.call("add_tag_to_entry", entryId=entry, tagId=tag)
        tags.add(tag)

    def compare(self, client):
        """Whether a process finds everything, and nothing else."""
        listed = client.pages("list_entries", "entries")
        found = {entry["id"]: (entry["title"], entry["tagCount"]) for entry in listed}
        expected = {entry: (title, len(tags)) for entry, (title, tags) in self.entries.items()}
        assert len(listed) == len(found) and found == expected, difference(expected, found)
        named = {tag["id"]: tag["name"] for tag in client.pages("list_tags", "tags")}
        assert named == self.tags, difference(self.tags, named)
        for tag in self.tags:
            tagged = {entry["id"] for entry in client.pages("list_entries", "entries", tagIds=[tag])}
            expected = {entry for entry, (_, tags) in self.entries.items() if tag in tags}
            assert tagged == expected, (tag, expected, tagged)
        favourites = {entry["id"] for entry in client.pages("list_entries", "entries", isFavorite=True)}
        expected = {entry for entry, (title, _) in self.entries.items() if title.startswith("changed")}
        assert favourites == expected, (expected, favourites)
        client.call("export_journal")


def difference(expected, found):
    """Where two maps differ, as a text that can be read."""
    keys = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
    return {key: (expected.get(key), found.get(key)) for key in sorted(keys)}
