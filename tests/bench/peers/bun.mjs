// A bare fan-out on Bun's uWebSockets: what comes on /pub goes to everybody on /ws. Prints its port.
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, server) {
    const data = { publishes: new URL(request.url).pathname === '/pub' };
    return server.upgrade(request, { data }) ? undefined : new Response('websockets only', { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      if (!socket.data.publishes) socket.subscribe('feed');
    },
    message(_, message) {
      server.publish('feed', message);
    },
  },
});
console.log(`port=${server.port}`);
