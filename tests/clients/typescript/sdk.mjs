// The official TypeScript client in both of its generations, and what one calls otherwise than the other.

import { readFileSync } from 'node:fs';
import * as second from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;

/** The second generation, which knows both eras. */
export const SECOND = {
  version: versionOf('@modelcontextprotocol/client'),
  ...second,
  finish: (transport, params) => transport.finishAuth(params),
  callTool: (client, request, options) => client.callTool(request, options),
  /** What handlers are set for. */
  ELICIT: 'elicitation/create',
  SAMPLE: 'sampling/createMessage',
  LOGGED: 'notifications/message',
  UPDATED: 'notifications/resources/updated',
  /** What a resource that is not there is thrown as: it makes one code of those of both eras. */
  NOT_FOUND: -32602,
  /** How it may be told to begin, and the revision that it then has to speak. */
  modes: [
    ['2026-07-28', { pin: '2026-07-28' }, '2026-07-28'],
    ['auto', 'auto', '2026-07-28'],
    ['legacy', 'legacy', '2025-11-25'],
  ],
};

/** The first generation, which most hosts ship. */
export const FIRST = {
  version: versionOf('@modelcontextprotocol/sdk'),
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params.get('code')),
  // A schema for the result comes before the options.
  callTool: (client, request, options) => client.callTool(request, undefined, options),
  ELICIT: ElicitRequestSchema,
  SAMPLE: CreateMessageRequestSchema,
  LOGGED: LoggingMessageNotificationSchema,
  UPDATED: ResourceUpdatedNotificationSchema,
  NOT_FOUND: -32002,
  modes: [['legacy', undefined, '2025-11-25']],
  // It answers a 403 by refreshing, if it can, which never brings a new scope.
  stepsUpOnlyWithoutRefreshToken: true,
};
