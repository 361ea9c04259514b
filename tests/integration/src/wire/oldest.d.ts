// Its types cannot be found from an ES module; socketio.ts says what it needs of them.
declare module "socket.io-client-oldest" {
  export const io: unknown;
}
