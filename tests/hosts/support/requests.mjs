// How many requests with a token a host sends until it has called a tool, plus one more: node requests.mjs WIRE

import { Wire } from './reading.mjs';

const { mcp } = new Wire(process.argv[2]);
const withToken = mcp.filter(({ headers }) => headers.authorization);
const first = withToken.findIndex(({ body }) => body.includes('"tools/call"'));
console.log(first + 2);
