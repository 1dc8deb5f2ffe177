//! A session's connection: one socket, opened when somebody listens.

import type { ServerFrame } from '../conversation/frames';
import { takeTicket } from '../server/access';
import type { ChatPort, PortListener } from './port';

/** The connection of a session. Nothing is sent before somebody listens to it. */
export function openPort(sessionId: string): ChatPort {
  let socket: WebSocket | undefined;
  let listener: PortListener | undefined;
  const say = (frame: object): boolean => {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(frame));
    return true;
  };
  const connect = async () => {
    listener?.status({ state: 'connecting' });
    const ticket = await takeTicket();
    const query = ticket === undefined ? '' : `?ticket=${encodeURIComponent(ticket)}`;
    socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/ws/${sessionId}${query}`);
    socket.onopen = () => {
      say({ after_seq: 0, partials: 'delta' });
      listener?.status({ state: 'online' });
    };
    socket.onmessage = (event) => listener?.frame(JSON.parse(String(event.data)) as ServerFrame);
    socket.onclose = () => listener?.status({ state: 'failed', attempts: 1 });
  };
  return {
    open(next) {
      listener = next;
      void connect();
      return () => {
        listener = undefined;
        socket?.close();
      };
    },
    send: (content, message_id) => say({ content, message_id }),
    stop: (run_id) => say({ stop: true, run_id }),
    reconnect: () => void connect(),
  };
}
