import { parseServerMessage } from './messages';
import type { Address, ClientMessage } from './types';

const SUBPROTOCOL = 'ashya.v1';
/** A gateway that has not said `welcome` by then is taken for gone, in milliseconds. */
const WELCOME_MS = 10_000;

/** A websocket closed before it said `welcome`. */
export class SocketClosed extends Error {
  override readonly name = 'SocketClosed';

  constructor(readonly code: number) {
    super(`the socket was closed with ${code}`);
  }
}

/** An open websocket whose wallet the gateway has accepted. */
export interface Welcomed {
  readonly socket: WebSocket;
  readonly wallet: Address;
}

/** Opens the websocket and signs in. Rejects with `SocketClosed`. */
export function openSocket(url: string, token: string): Promise<Welcomed> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    const timer = setTimeout(() => socket.close(), WELCOME_MS);
    const settle = (): void => {
      clearTimeout(timer);
      socket.onopen = socket.onclose = socket.onmessage = null;
    };
    const fail = (code: number): void => {
      settle();
      socket.close();
      reject(new SocketClosed(code));
    };
    socket.onopen = () => send(socket, { type: 'auth', token });
    socket.onclose = ({ code }) => fail(code);
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      const message = typeof data === 'string' ? readOrNull(data) : null;
      if (message?.type === 'welcome') {
        settle();
        resolve({ socket, wallet: message.wallet });
      } else {
        fail(message?.type === 'error' && message.code === 'unauthorized' ? 4001 : 4000);
      }
    };
  });
}

/** Says something on a socket; nothing happens when it is no longer open, since its `close` tells. */
export function send(socket: WebSocket, message: ClientMessage): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function readOrNull(data: string): ReturnType<typeof parseServerMessage> | null {
  try {
    return parseServerMessage(data);
  } catch {
    return null;
  }
}
