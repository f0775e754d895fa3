// Mastra: @mastra/mcp, and an agent of @mastra/core with the scripted model.

import { load, provider } from './signin.mjs';

const { MCPClient } = await load('@mastra/mcp');
const { Agent } = await load('@mastra/core/agent');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');

const { MCP_URL, MODEL, SCRIPT } = process.env;
const authProvider = provider('Mastra');
const open = (id) => new MCPClient({ id, servers: { epicme: { url: new URL(MCP_URL), authProvider } } });
const toolsOf = (client) => (client.listTools ?? client.getTools).call(client).catch((error) => {
  console.log(String(error.message).split('\n')[0]);
  return {};
});

let client = open('before');
let tools = await toolsOf(client);
if (Object.keys(tools).length === 0) {
  const query = await authProvider.back;
  const { auth: authorize } = await load('@modelcontextprotocol/client').catch(() => load('@modelcontextprotocol/sdk/client/auth.js'));
  await authorize(authProvider, {
    serverUrl: MCP_URL,
    authorizationCode: query.get('code'),
    iss: query.get('iss') ?? undefined,
  });
  await client.disconnect();
  client = open('after');
  tools = await toolsOf(client);
}
const model = createOpenAICompatible({ name: 'scripted', baseURL: `${MODEL}/v1`, apiKey: 'none' })('scripted');
const agent = new Agent({ id: 'journal', name: 'journal', instructions: 'Keep a journal.', model, tools });
const { text, toolResults } = await agent.generate(SCRIPT, { maxSteps: 10 });
console.log(JSON.stringify(toolResults));
console.log(text);
await client.disconnect();
process.exit(0);
