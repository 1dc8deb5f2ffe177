//! The real mock server: the command `schematic mock`, and links to it that misbehave as a test wants.
//!
//! `SCHEMATIC_BIN` names the command. Without it, Cargo builds and runs it.

import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { webSocketTransport, type Transport, type WebSocketConstructor } from "../src/index.js";

/** A server that runs. */
export interface Mock {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the server of a definition; `args` are those of `schematic mock`. */
export async function startMock(definition: string, ...args: string[]): Promise<Mock> {
  const [command, ...before] = binary();
  const process = spawn(command, [...before, "mock", definition, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  return { url: await firstLine(process), stop: () => stopped(process) };
}

function binary(): [string, ...string[]] {
  const built = process.env["SCHEMATIC_BIN"];
  if (built) return [built];
  const manifest = fileURLToPath(new URL("../../../../Cargo.toml", import.meta.url));
  return ["cargo", "run", "--quiet", "--manifest-path", manifest, "--package", "schematic-gen", "--bin", "schematic", "--"];
}

function firstLine(process: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    process.once("error", reject);
    process.once("exit", (code) => reject(new Error(`schematic mock ended with code ${code}`)));
    if (process.stdout) createInterface(process.stdout).once("line", resolve);
  });
}

function stopped(process: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    process.removeAllListeners("exit").once("exit", () => resolve());
    process.kill();
  });
}

/** Sockets of the package `ws`. Each next link asks the mock for the next of these faults, and later ones for none. */
export function sockets(...faults: string[]): Transport {
  const transport = webSocketTransport({ socket: WebSocket as unknown as WebSocketConstructor, takesOptions: true });
  return {
    ...transport,
    connect(request, events) {
      const url = new URL(request.url);
      const fault = faults.shift();
      if (fault) url.searchParams.set("mock", fault);
      return transport.connect({ ...request, url: url.href }, events);
    },
  };
}
