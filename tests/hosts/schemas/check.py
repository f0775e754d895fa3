"""The schemas of all tools' arguments, given to what providers of models make of them.

    check.py TOOLS      the result of tools/list, as a file

Each library has to take every tool, and the arguments of a call of it: the required ones alone, and all of them. Each check
has to refuse a schema that the library, or the provider, is known to refuse.
"""

import copy
import json
import re
import sys

import outlines_core.json_schema
from agents.strict_schema import ensure_strict_json_schema
from google.genai import _mcp_utils
from llguidance import LLMatcher, LLTokenizer
from mcp.types import Tool


def schemas_in(schema):
    """A schema and those within it."""
    yield schema
    for inner in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from schemas_in(inner)
    if "items" in schema:
        yield from schemas_in(schema["items"])


def example(schema):
    """A value that the schema allows."""
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: example(inner) for name, inner in schema["properties"].items()}
    return {
        "array": lambda: [example(schema["items"])],
        "boolean": lambda: True,
        "integer": lambda: schema.get("minimum", 1),
        "null": lambda: None,
        "string": lambda: schema.get("examples", ["a journal"])[0],
    }[schema["type"]]()


def calls(schema):
    every = example(schema)
    required = schema.get("required", [])
    yield {name: value for name, value in every.items() if name in required}
    yield every


def outlines(tool):
    """outlines-core: vLLM and TGI."""
    pattern = re.compile(outlines_core.json_schema.build_regex_from_schema(json.dumps(tool["inputSchema"])))
    for arguments in calls(tool["inputSchema"]):
        assert pattern.fullmatch(json.dumps(arguments)), f"does not allow {arguments}"


TOKENIZER = LLTokenizer("byte")


def guidance(tool):
    """llguidance: llama.cpp, SGLang, vLLM."""
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(tool["inputSchema"]))
    fault = LLMatcher.validate_grammar(grammar, TOKENIZER)
    assert not fault, fault
    for arguments in calls(tool["inputSchema"]):
        matcher = LLMatcher(TOKENIZER, grammar)
        text = json.dumps(arguments).encode()
        assert matcher.try_consume_tokens(list(text)) == len(text) and matcher.is_accepting(), f"does not allow {arguments}"


def gemini(tool):
    """Function declarations, as google-genai makes them of MCP tools. Of formats of strings Gemini has two."""
    schema = {**tool["inputSchema"]}
    # It fails at every schema that says false here: googleapis/python-genai#2393.
    schema.pop("additionalProperties", None)
    converted = _mcp_utils.mcp_to_gemini_tool(Tool.model_validate({**tool, "inputSchema": schema}))
    [declaration] = converted.function_declarations
    declared = declaration.parameters
    assert set(declared.properties or {}) == set(schema["properties"]), "lost a property"
    assert set(declared.required or []) == set(schema.get("required", [])), "lost what is required"
    for name, inner in (declared.properties or {}).items():
        assert inner.type, f"{name} has no type"
        assert inner.format in (None, "enum", "date-time"), f"{name} has the format {inner.format}"


def strict(tool):
    """OpenAI's strict mode, by the OpenAI Agents SDK: every object closed, every property required, every schema typed."""
    schema = ensure_strict_json_schema(copy.deepcopy(tool["inputSchema"]))
    for inner in schemas_in(schema):
        assert any(key in inner for key in ("type", "anyOf", "enum")), f"no type: {inner}"
        if inner.get("type") == "object":
            assert inner["additionalProperties"] is False
            assert set(inner.get("required", [])) == set(inner.get("properties", {}))


def moonshot(tool):
    """Moonshot: a type stands in the alternatives of anyOf, and not beside it. There is no library to ask."""
    for inner in schemas_in(tool["inputSchema"]):
        if "anyOf" in inner:
            assert "type" not in inner, f"a type beside anyOf: {inner}"
            assert all("type" in one for one in inner["anyOf"]), f"no type in anyOf: {inner}"


def tool_with(property_schema, more=None):
    schema = {"type": "object", "properties": {"it": property_schema}, **(more or {})}
    return {"name": "refused", "inputSchema": schema}


CHECKS = {
    outlines: tool_with({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
    guidance: tool_with({"type": "string", "pattern": "(?=a)b"}),
    gemini: tool_with({"type": "string", "format": "date"}),
    strict: tool_with({"type": "string"}, {"additionalProperties": True}),
    moonshot: tool_with({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
}


def faults_of(check, tools):
    faults = []
    for tool in tools:
        try:
            check(tool)
        # Each library has exceptions of its own.
        except Exception as fault:
            faults.append(f"{tool['name']}: {type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}")
    return faults


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        tools = json.load(file)["result"]["tools"]
    failed = 0
    for check, refused in CHECKS.items():
        faults = faults_of(check, tools)
        if not tools:
            faults.append("there are no tools")
        if not faults_of(check, [refused]):
            faults.append("it takes a schema that it has to refuse")
        failed += bool(faults)
        print("FAILED " if faults else "passed ", check.__doc__.splitlines()[0])
        for fault in faults:
            print("        ", fault)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
