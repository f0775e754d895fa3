"""Pydantic AI with the scripted model."""

import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from signin import provider


async def main():
    toolset = MCPToolset(
        os.environ["MCP_URL"], auth=provider("Pydantic AI"), include_instructions=True, init_timeout=60
    )
    model = OpenAIChatModel(
        "scripted", provider=OpenAIProvider(base_url=os.environ["MODEL"] + "/v1", api_key="none")
    )
    agent = Agent(model, toolsets=[toolset])
    async with agent:
        print((await agent.run(os.environ["SCRIPT"])).output)


asyncio.run(main())
