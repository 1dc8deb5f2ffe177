//! The real server: started, killed, started again; and a line to it that is cut at drawn offsets.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server as TcpServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server of its own, with the scripted model and a fresh data folder. */
export class Server {
  readonly #data = mkdtempSync(join(tmpdir(), "tidewire-live-"));
  #process: ChildProcess | undefined;
  constructor(readonly port: number) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ["serve", "--model", "scripted", "--listen", `127.0.0.1:${this.port}`, "--data", this.#data];
    const env = { ...process.env, TIDEWIRE_LIMITS_MESSAGE_BURST: "1000" };
    this.#process = spawn(binary(), args, { stdio: "ignore", env });
    for (let tries = 0; tries < 1_000; tries += 1) {
      if (this.#process.exitCode !== null) throw new Error(`the server ended with ${this.#process.exitCode}`);
      const healthy = await fetch(`${this.url}/api/health`).then((answer) => answer.ok, () => false);
      if (healthy) return;
      await pause(20);
    }
    throw new Error("the server did not become healthy");
  }

  /** As a loss of power to the process: nothing is said. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

function binary(): string {
  const named = process.env["TIDEWIRE_BIN"];
  if (!named) throw new Error("TIDEWIRE_BIN is not set; run `cargo xtask test`, or name the tidewire binary");
  return named;
}

export async function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

/** Numbers by chance, the same for the same seed. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A line to a server that is cut after so many bytes of what it says, half of the times inside a frame. */
export class Cutter {
  cuts = 0;
  inside = 0;
  /** Nothing is cut any more. */
  calm = false;
  readonly #listener: TcpServer;
  readonly #next: () => number;

  private constructor(port: number, seed: number) {
    this.#next = chance(seed);
    this.#listener = createServer((client) => this.#carry(client, connect(port, "127.0.0.1")));
  }

  static async before(port: number, seed: number): Promise<Cutter> {
    const cutter = new Cutter(port, seed);
    await new Promise<void>((resolve) => cutter.#listener.listen(0, "127.0.0.1", resolve));
    return cutter;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#listener.close();
  }

  #carry(client: Socket, server: Socket): void {
    const after = 1 + Math.floor(this.#next() * 6_000);
    const inside = this.#next() < 0.5;
    const frames = new Frames(after, inside);
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => {
      const passes = this.calm ? undefined : frames.passes(bytes);
      if (passes === undefined) return void client.write(bytes);
      this.cuts += 1;
      if (inside) this.inside += 1;
      server.destroy();
      client.write(bytes.subarray(0, passes), end);
    });
  }
}

/** Where a stream of frames is. */
class Frames {
  #head = "";
  #upgraded = false;
  #header: number[] = [];
  #left = 0;
  #count = 0;
  constructor(
    readonly after: number,
    readonly inside: boolean,
  ) {}

  /** How many of these bytes pass before the cut, if it lies in them. */
  passes(bytes: Uint8Array): number | undefined {
    for (const [at, byte] of bytes.entries()) {
      this.#take(byte);
      const within = this.#header.length > 0 || this.#left > 0;
      if (this.#upgraded && this.#count >= this.after && within === this.inside) return at + 1;
    }
    return undefined;
  }

  #take(byte: number): void {
    if (!this.#upgraded) {
      this.#head = (this.#head + String.fromCharCode(byte)).slice(-4);
      this.#upgraded = this.#head === "\r\n\r\n";
      return;
    }
    this.#count += 1;
    if (this.#left > 0) {
      this.#left -= 1;
      return;
    }
    const header = this.#header;
    header.push(byte);
    if (header.length < 2) return;
    const short = (header[1] ?? 0) & 0x7f;
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (header.length < 2 + extra) return;
    this.#left = extra === 0 ? short : header.slice(2).reduce((sum, each) => sum * 256 + each, 0);
    this.#header = [];
  }
}
