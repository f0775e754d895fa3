"""LangChain: langchain-mcp-adapters, and a LangGraph agent with the scripted model."""

import asyncio
import os

from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent

from signin import provider


async def main():
    connection = {"transport": "streamable_http", "url": os.environ["MCP_URL"], "auth": provider("LangChain")}
    tools = await MultiServerMCPClient({"epicme": connection}).get_tools()
    for tool in tools:
        convert_to_openai_tool(tool, strict=True)
    model = ChatOpenAI(model="scripted", base_url=os.environ["MODEL"] + "/v1", api_key="none")
    result = await create_react_agent(model, tools).ainvoke({"messages": [("user", os.environ["SCRIPT"])]})
    for message in result["messages"]:
        print(type(message).__name__, message.content)


asyncio.run(main())
