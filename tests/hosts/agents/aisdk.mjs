// Vercel AI SDK: @ai-sdk/mcp, and generateText with the scripted model.

import { load, provider } from './signin.mjs';

const { auth: authorize, createMCPClient } = await load('@ai-sdk/mcp');
const { generateText, isStepCount } = await load('ai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');

const { MCP_URL, MODEL, SCRIPT } = process.env;
const authProvider = provider('Vercel AI SDK');
const open = () => createMCPClient({ transport: { type: 'http', url: MCP_URL, authProvider } });

const client = await open().catch(async (error) => {
  if (error.name !== 'UnauthorizedError' && !/unauthorized/i.test(error.message)) throw error;
  const query = await authProvider.back;
  await authorize(authProvider, {
    serverUrl: new URL(MCP_URL),
    authorizationCode: query.get('code'),
    callbackState: query.get('state'),
    callbackIssuer: query.get('iss'),
  });
  return open();
});
const model = createOpenAICompatible({ name: 'scripted', baseURL: `${MODEL}/v1`, apiKey: 'none' })('scripted');
const { steps, text } = await generateText({ model, tools: await client.tools(), stopWhen: isStepCount(10), prompt: SCRIPT });
for (const { toolResults } of steps) for (const { toolName, output } of toolResults) console.log(toolName, JSON.stringify(output));
console.log(text);
await client.close();
