// An HTTP server that can be away for a while.
import { once } from 'node:events';

/** Functions that take a server away from its port, and bring it back with all that it knew. */
export const offAndOn = (http, port) => ({
  async stop() {
    http.close();
    http.closeAllConnections();
    await once(http, 'close');
  },
  async start() {
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
  },
});
