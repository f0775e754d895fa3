// LangChain in JavaScript: @langchain/mcp-adapters and a LangGraph agent with the scripted model. TOKEN is sent in a header.

import { load } from './signin.mjs';

const { MultiServerMCPClient } = await load('@langchain/mcp-adapters');
const { ChatOpenAI } = await load('@langchain/openai');
const { createReactAgent } = await load('@langchain/langgraph/prebuilt');

const { MCP_URL, MODEL, SCRIPT, TOKEN } = process.env;
const headers = { Authorization: `Bearer ${TOKEN}` };
const client = new MultiServerMCPClient({ mcpServers: { epicme: { transport: 'http', url: MCP_URL, headers } } });
const llm = new ChatOpenAI({ model: 'scripted', apiKey: 'none', configuration: { baseURL: `${MODEL}/v1` } });
const agent = createReactAgent({ llm, tools: await client.getTools() });
const { messages } = await agent.invoke({ messages: [{ role: 'user', content: SCRIPT }] });
for (const { constructor, content } of messages) console.log(constructor.name, JSON.stringify(content));
await client.close();
