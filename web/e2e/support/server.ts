//! The real server under the page: the binary that `TIDEWIRE_BIN` names, a fresh data folder, the demo catalogue.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STARTS_WITHIN_MS = 60_000;

/** A server that keeps its port and its data over restarts. */
export class TidewireServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'tidewire-e2e-'));
  private process: ChildProcess | undefined;
  private output = '';

  private constructor(
    readonly port: number,
    private readonly model: string,
    private readonly extra: Readonly<Record<string, string>>,
  ) {}

  /** Starts one. `model` is as in the configuration: `embedded` answers for real, `scripted` counts tokens. */
  static async start(model: 'embedded' | 'scripted', env: Readonly<Record<string, string>> = {}): Promise<TidewireServer> {
    const server = new TidewireServer(await freePort(), model, env);
    await server.restart();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private get data(): string {
    return join(this.folder, 'data');
  }

  /** What another command of the binary writes, done on this server's data. */
  command(...args: readonly string[]): string {
    const env = { ...process.env, ...this.extra };
    return execFileSync(binary(), [...args, '--data', this.data], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  }

  /** Starts it again on the same port and data. */
  async restart(): Promise<void> {
    const args = ['serve', '--demo', '--listen', `127.0.0.1:${this.port}`, '--data', this.data];
    const env = { ...process.env, TIDEWIRE_MODEL: this.model, ...this.extra };
    this.process = spawn(binary(), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    await this.untilHealthy();
  }

  /** Ends it as a crash would: nothing is said to anybody. */
  async kill(): Promise<void> {
    const process = this.process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What `/api/health` says. */
  async health(): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.url}/api/health`);
    return (await response.json()) as Record<string, unknown>;
  }

  private async untilHealthy(): Promise<void> {
    const until = Date.now() + STARTS_WITHIN_MS;
    while (Date.now() < until) {
      if (this.process?.exitCode != null) throw new Error(`the server ended:\n${this.output}`);
      if (await this.isHealthy()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the server did not become healthy:\n${this.output}`);
  }

  private async isHealthy(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/api/health`)).ok;
    } catch {
      return false; // not listening yet
    }
  }
}

function binary(): string {
  const named = process.env.TIDEWIRE_BIN;
  if (!named) throw new Error('TIDEWIRE_BIN is not set; run `cargo xtask test`, or name the tidewire binary');
  return named;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
