// OpenAI Agents SDK for JavaScript, with the scripted model. TOKEN is sent in a header.

import { load } from './signin.mjs';

const { Agent, MCPServerStreamableHttp, OpenAIChatCompletionsModel, run, setTracingDisabled } = await load('@openai/agents');
const { default: OpenAI } = await load('openai');

const { MCP_URL, MODEL, SCRIPT, TOKEN } = process.env;
setTracingDisabled(true);
const requestInit = { headers: { Authorization: `Bearer ${TOKEN}` } };
const server = new MCPServerStreamableHttp({ url: MCP_URL, name: 'epicme', requestInit });
await server.connect();
const model = new OpenAIChatCompletionsModel(new OpenAI({ baseURL: `${MODEL}/v1`, apiKey: 'none' }), 'scripted');
const agent = new Agent({ name: 'journal', instructions: 'Keep a journal.', mcpServers: [server], model });
const { finalOutput } = await run(agent, SCRIPT);
console.log(finalOutput);
await server.close();
