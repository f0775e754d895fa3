// The four interfaces of models' providers that hosts use. Each has
//   matches     the path
//   read(body)  { names: of the tools offered, text: the user's, results: [text of each tool's result], system, tools }
//   write(body, said, asked)  { whole: the body, events: [{ event, data }] of the stream } for what model.mjs says

let serial = 0;

/** The text in a message's content, whichever way its provider nests it. */
function flat(content) {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part) => part.text ?? flat(part.content)).join('\n');
  return JSON.stringify(content);
}

/** What follows the last message of the user's. */
const sinceUser = (messages) => messages.slice(messages.map(({ role }) => role).lastIndexOf('user') + 1);

const usersText = (messages) => messages.filter(({ role }) => role === 'user').map(({ content }) => flat(content)).join('\n');

const chat = {
  matches: /\/chat\/completions$/,
  read({ tools = [], messages = [] }) {
    return {
      names: tools.map((tool) => (tool.function ?? tool).name),
      text: usersText(messages),
      results: sinceUser(messages).filter(({ role }) => role === 'tool').map(({ content }) => flat(content)),
      system: messages.filter(({ role }) => ['system', 'developer'].includes(role)).map(({ content }) => flat(content)).join('\n'),
      tools,
    };
  },
  write({ model }, { calls, say }) {
    const base = { id: `chatcmpl-${++serial}`, created: 1, model };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const tool_calls = calls?.map((call, index) => ({
      id: `call_${serial}_${index}`,
      type: 'function',
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    }));
    const message = { role: 'assistant', content: say ?? null, ...(calls && { tool_calls }) };
    const finish_reason = calls ? 'tool_calls' : 'stop';
    const delta = { ...message, ...(calls && { tool_calls: tool_calls.map((call, index) => ({ index, ...call })) }) };
    const chunk = (choices, more) => ({ data: { ...base, object: 'chat.completion.chunk', choices, ...more } });
    return {
      whole: { ...base, object: 'chat.completion', choices: [{ index: 0, message, finish_reason }], usage },
      events: [
        chunk([{ index: 0, delta, finish_reason: null }]),
        chunk([{ index: 0, delta: {}, finish_reason }]),
        chunk([], { usage }),
        { data: '[DONE]' },
      ],
    };
  },
};

const responses = {
  matches: /\/responses$/,
  read({ tools: given = [], input = [], instructions }) {
    const tools = given.flatMap((tool) =>
      tool.type === 'namespace' ? (tool.tools ?? []).map((inner) => ({ ...inner, namespace: tool.name })) : [tool],
    );
    const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input;
    return {
      names: tools.map(({ name }) => name ?? ''),
      text: usersText(items),
      results: sinceUser(items).filter(({ output }) => output !== undefined).map(({ output }) => flat(output)),
      system: flat(instructions),
      tools,
    };
  },
  write({ model }, { calls, say }, { tools }) {
    const id = ++serial;
    const output = calls
      ? calls.map((call, index) => {
          const { namespace } = tools.find(({ name }) => name === call.name);
          return {
            type: 'function_call',
            id: `fc_${id}_${index}`,
            call_id: `call_${id}_${index}`,
            name: call.name,
            ...(namespace && { namespace }),
            arguments: JSON.stringify(call.arguments),
            status: 'completed',
          };
        })
      : [
          {
            type: 'message',
            id: `msg_${id}`,
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_text', text: say, annotations: [] }],
          },
        ];
    const whole = {
      id: `resp_${id}`,
      object: 'response',
      created_at: 1,
      status: 'completed',
      model,
      output,
      parallel_tool_calls: true,
      tool_choice: 'auto',
      tools: [],
      error: null,
      incomplete_details: null,
      instructions: null,
      metadata: {},
      usage: {
        input_tokens: 1,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 1,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 2,
      },
    };
    let sequence_number = 0;
    const event = (type, more) => ({ event: type, data: { type, sequence_number: sequence_number++, ...more } });
    const begun = { ...whole, status: 'in_progress', output: [], usage: null };
    return {
      whole,
      events: [
        event('response.created', { response: begun }),
        event('response.in_progress', { response: begun }),
        ...output.flatMap((item, output_index) => this.item(event, item, output_index)),
        event('response.completed', { response: whole }),
      ],
    };
  },
  item(event, item, output_index) {
    const its = { item_id: item.id, output_index };
    const body = item.arguments
      ? [
          event('response.function_call_arguments.delta', { ...its, delta: item.arguments }),
          event('response.function_call_arguments.done', { ...its, arguments: item.arguments }),
        ]
      : [
          event('response.content_part.added', { ...its, content_index: 0, part: { type: 'output_text', text: '', annotations: [] } }),
          event('response.output_text.delta', { ...its, content_index: 0, delta: item.content[0].text, logprobs: [] }),
          event('response.output_text.done', { ...its, content_index: 0, text: item.content[0].text, logprobs: [] }),
          event('response.content_part.done', { ...its, content_index: 0, part: item.content[0] }),
        ];
    const begun = { ...item, status: 'in_progress', ...(item.arguments ? { arguments: '' } : { content: [] }) };
    return [
      event('response.output_item.added', { output_index, item: begun }),
      ...body,
      event('response.output_item.done', { output_index, item }),
    ];
  },
};

const anthropic = {
  matches: /\/messages$/,
  read({ tools = [], messages = [], system }) {
    const blocks = messages.flatMap(({ role, content }) =>
      typeof content === 'string' ? [{ role, type: 'text', text: content }] : content.map((block) => ({ ...block, role })),
    );
    return {
      names: tools.map(({ name }) => name ?? ''),
      text: blocks.filter(({ role, type }) => role === 'user' && type === 'text').map(({ text }) => text).join('\n'),
      results: blocks.filter(({ type }) => type === 'tool_result').map(({ content }) => flat(content)),
      system: flat(system),
      tools,
    };
  },
  write({ model }, { calls, say }) {
    const id = ++serial;
    const content = calls
      ? calls.map((call, index) => ({ type: 'tool_use', id: `toolu_${id}_${index}`, name: call.name, input: call.arguments }))
      : [{ type: 'text', text: say }];
    const stop_reason = calls ? 'tool_use' : 'end_turn';
    const usage = { input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
    const whole = { id: `msg_${id}`, type: 'message', role: 'assistant', model, content, stop_reason, stop_sequence: null, usage };
    const event = (type, more) => ({ event: type, data: { type, ...more } });
    return {
      whole,
      events: [
        event('message_start', { message: { ...whole, content: [], stop_reason: null } }),
        ...content.flatMap((block, index) => [
          event('content_block_start', { index, content_block: calls ? { ...block, input: {} } : { type: 'text', text: '' } }),
          event('content_block_delta', {
            index,
            delta: calls
              ? { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
              : { type: 'text_delta', text: say },
          }),
          event('content_block_stop', { index }),
        ]),
        event('message_delta', { delta: { stop_reason, stop_sequence: null }, usage }),
        event('message_stop', {}),
      ],
    };
  },
};

const gemini = {
  matches: /:(stream)?generateContent$/i,
  read({ tools: given = [], contents = [], systemInstruction }) {
    const tools = given.flatMap((tool) => tool.functionDeclarations ?? tool.function_declarations ?? []);
    const parts = contents.flatMap((content) => (content.parts ?? []).map((part) => ({ ...part, role: content.role })));
    return {
      names: tools.map(({ name }) => name),
      text: parts.filter(({ role, text }) => role === 'user' && text).map(({ text }) => text).join('\n'),
      results: parts.filter((part) => part.functionResponse).map((part) => JSON.stringify(part.functionResponse.response)),
      system: flat(systemInstruction?.parts),
      tools,
    };
  },
  write(_, { calls, say }) {
    const id = ++serial;
    const parts = calls
      ? calls.map((call, index) => ({ functionCall: { id: `c${id}_${index}`, name: call.name, args: call.arguments } }))
      : [{ text: say }];
    const whole = {
      candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
      modelVersion: 'scripted',
      responseId: `r${id}`,
    };
    return { whole, events: [{ data: whole }] };
  },
};

export const dialects = [chat, responses, anthropic, gemini];
