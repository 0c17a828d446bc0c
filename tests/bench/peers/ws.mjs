// A bare fan-out on Node's `ws`: what comes on /pub goes to everybody on /ws. Prints its port.
import { WebSocketServer } from 'ws';

const watchers = new Set();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false });
server.on('listening', () => console.log(`port=${server.address().port}`));
server.on('connection', (socket, request) => {
  if (request.url === '/pub') {
    socket.on('message', (message) => {
      for (const watcher of watchers) watcher.send(message, { binary: true });
    });
    return;
  }
  watchers.add(socket);
  socket.on('close', () => watchers.delete(socket));
  socket.on('error', () => watchers.delete(socket));
});
