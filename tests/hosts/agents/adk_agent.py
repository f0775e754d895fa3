"""Google ADK with the scripted model. Its OAuth is in its web page, so TOKEN is sent in a header."""

import asyncio
import os

from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StreamableHTTPConnectionParams
from google.genai import types


async def main():
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    toolset = McpToolset(
        connection_params=StreamableHTTPConnectionParams(url=os.environ["MCP_URL"], headers=headers)
    )
    agent = LlmAgent(name="journal", model="gemini-2.5-flash", instruction="Keep a journal.", tools=[toolset])
    runner = InMemoryRunner(agent=agent, app_name="journal")
    session = await runner.session_service.create_session(app_name="journal", user_id="ada")
    message = types.Content(role="user", parts=[types.Part(text=os.environ["SCRIPT"])])
    async for event in runner.run_async(user_id="ada", session_id=session.id, new_message=message):
        for part in event.content.parts if event.content else []:
            print(part.function_response.response if part.function_response else part.text or part.function_call.name)
    await toolset.close()


asyncio.run(main())
