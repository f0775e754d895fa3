"""OpenAI Agents SDK with the scripted model, and the schemas of all tools made strict."""

import asyncio
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp, MCPUtil
from openai import AsyncOpenAI

from signin import provider


async def main():
    set_tracing_disabled(True)
    connection = {"url": os.environ["MCP_URL"], "auth": provider("OpenAI Agents SDK")}
    async with MCPServerStreamableHttp(params=connection, name="epicme", client_session_timeout_seconds=60) as server:
        tools = await MCPUtil.get_function_tools(
            server, convert_schemas_to_strict=True, run_context=None, agent=Agent(name="journal")
        )
        print("not strict:", [tool.name for tool in tools if not tool.strict_json_schema])
        client = AsyncOpenAI(base_url=os.environ["MODEL"] + "/v1", api_key="none")
        agent = Agent(
            name="journal",
            mcp_servers=[server],
            model=OpenAIChatCompletionsModel(model="scripted", openai_client=client),
            mcp_config={"convert_schemas_to_strict": True},
        )
        print((await Runner.run(agent, os.environ["SCRIPT"])).final_output)


asyncio.run(main())
