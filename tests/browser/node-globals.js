// What the wallet's stream packages take from Node's globals, for the bundle alone: the page does not see it.

export const process = {
  env: {},
  nextTick: (run, ...values) => queueMicrotask(() => run(...values)),
};
