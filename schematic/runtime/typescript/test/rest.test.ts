//! Generated clients of REST APIs against a server over a real socket.

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ElevenLabsVoices, isElevenLabsVoicesError } from "../../../gen/tests/golden/elevenlabs_rest/eleven_labs_voices_rest.js";
import { RestKinds, isRestKindsError } from "../../../gen/tests/golden/rest_kinds/rest_kinds_rest.js";
import { String2 as Names } from "../../../gen/tests/golden/rest_names/rest_rest.js";
import { RECEIVED_LIMIT, systemClock, type Clock } from "../src/index.js";
import { RestClient, UnexpectedStatus, events, jsonLines, pages, shape, type Call, type RestOptions } from "../src/rest.js";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Status, body and headers of an answer; without a status the connection is cut. */
type Answer = readonly [status: number, body?: string, headers?: Record<string, string>];

interface Peer {
  readonly url: string;
  readonly seen: Seen[];
  readonly answers: Answer[];
  readonly http: Server;
}

const peers: Peer[] = [];

/** A server that gives these answers in turn, and then `{}`. */
async function serve(...answers: Answer[]): Promise<Peer> {
  const seen: Seen[] = [];
  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      seen.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body: Buffer.concat(parts).toString("latin1") });
      const [status, body = "", headers = {}] = answers.shift() ?? [200, "{}"];
      if (status === 0) return request.socket.destroy();
      response.writeHead(status, headers).end(body);
      return undefined;
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const peer = { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, seen, answers, http };
  peers.push(peer);
  return peer;
}

/** Waits between attempts, which take no time. A minute is the time limit of an attempt, which is real. */
let waits: number[] = [];
const clock: Clock = {
  ...systemClock,
  now: () => Date.parse("Sun, 06 Nov 1994 08:49:37 GMT"),
  after: (delay_ms, action) => {
    if (delay_ms === 59_000) return setTimeout(action, delay_ms);
    waits.push(delay_ms);
    return queueMicrotask(action);
  },
  random: () => 0,
};

const optionsFor = (peer: Peer): RestOptions => ({ baseUrl: peer.url, credential: "s3cr/t", username: "ann", clock, timeout_ms: 59_000 });

beforeEach(() => {
  waits = [];
});

afterEach(() => {
  for (const { http } of peers.splice(0)) {
    http.closeAllConnections();
    http.close();
  }
});

const spec = { baseUrl: "https://example.com", auth: { header: "x-key" } } as const;
const client = (peer: Peer, options: RestOptions = {}): RestClient => new RestClient(spec, { ...optionsFor(peer), ...options });
const get: Call = { method: "GET", path: "/x/{id}", in: { id: 1 } };
const item = (x: number): { pair: [number, string] } => ({ pair: [x, "a"] });

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of items) list.push(each);
  return list;
}

describe("what is asked", () => {
  it("has each parameter in its place", async () => {
    const peer = await serve();
    await new RestKinds(optionsFor(peer)).json(-7, item(1), { a: 1, "X-A": 2, a_cookie: 3 });
    expect(peer.seen[0]).toMatchObject({ method: "PUT", path: "/json/-7?a=1", body: '{"pair":[1,"a"]}' });
    const { "x-a": header, "x-b": fixed, accept, cookie, authorization, "content-type": type } = peer.seen[0]?.headers ?? {};
    expect([header, fixed, accept, cookie, authorization, type]).toEqual(["2", "mine", "text/csv", "a=3", "Basic YW5uOnMzY3IvdA==", "application/json"]);
  });

  it("keeps hostile ids in their segment", async () => {
    const peer = await serve([200, '{"voice_id": "v", "name": "n", "category": "new"}']);
    const voice = await new ElevenLabsVoices(optionsFor(peer)).getVoice("a/b ä?#", { with_settings: false });
    expect(voice.category).toBe("new");
    expect(peer.seen[0]).toMatchObject({ path: "/v1/voices/a%2Fb%20%C3%A4%3F%23?with_settings=false", headers: { "xi-api-key": "s3cr/t" } });
  });

  it("refuses values that would lead elsewhere before anything is sent", async () => {
    const peer = await serve();
    const calls: Call[] = [
      ...["", ".", "..", "\ud800"].map((id) => ({ ...get, in: { id } })),
      { ...get, headers: { "X-A": "1\r\nX-B: 2" } },
      { ...get, headers: { "X-A": "ä" } },
    ];
    for (const call of calls) await expect(client(peer).send(call)).rejects.toMatchObject({ kind: "shape" });
    expect(peer.seen).toEqual([]);
    for (const id of ["../..", "%2e%2e", "{id}"]) await client(peer).send({ ...get, in: { id } });
    expect(peer.seen.map(({ path }) => path)).toEqual(["/x/..%2F..", "/x/%252e%252e", "/x/%7Bid%7D"]);
  });

  it("has each kind of body", async () => {
    const peer = await serve();
    const kinds = new RestKinds(optionsFor(peer));
    await kinds.urlencoded("x", { word: "a b&ä" });
    await kinds.text("x", "a,b");
    await kinds.binary("x", Uint8Array.of(0, 255));
    const sent = peer.seen.map(({ headers, body }) => [headers["content-type"], body]);
    expect(sent).toEqual([["application/x-www-form-urlencoded", "word=a%20b%26%C3%A4"], ["text/csv", "a,b"], ["audio/mpeg", "\u0000ÿ"]]);
  });

  it("has forms with files", async () => {
    const peer = await serve();
    const many = [{ fileName: '1"\r\nX: y', content: "one" }, { fileName: "o", content: new Blob(["two"]), contentType: "audio/wav" }];
    await new RestKinds(optionsFor(peer)).form("x", { one: { fileName: "o", content: Uint8Array.of(1) }, many, data: item(2) });
    const [, boundary = ""] = /^multipart\/form-data; boundary=(.+)$/.exec(peer.seen[0]?.headers["content-type"] ?? "") ?? [];
    expect(peer.seen[0]?.body.replaceAll(boundary, "B")).toBe(
      [
        '--B\r\nContent-Disposition: form-data; name="one"; filename="o"\r\nContent-Type: application/octet-stream\r\n\r\n\u0001\r\n',
        '--B\r\nContent-Disposition: form-data; name="many"; filename="1%22%0D%0AX: y"\r\nContent-Type: application/octet-stream\r\n\r\none\r\n',
        '--B\r\nContent-Disposition: form-data; name="many"; filename="o"\r\nContent-Type: audio/wav\r\n\r\ntwo\r\n',
        '--B\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: application/json\r\n\r\n{"pair":[2,"a"]}\r\n',
        "--B--\r\n",
      ].join(""),
    );
  });

  it("has names that no language takes", async () => {
    const peer = await serve();
    await new Names(optionsFor(peer)).delete("1", "2", "3", "4", { self: "x" }, { type: 1, '"': 2 });
    expect(peer.seen[0]).toMatchObject({ path: "/delete/1/2/3/4?type=1&%22=2", body: "self=x" });
  });
});

describe("what comes back", () => {
  it("is of each kind", async () => {
    const said = 'data: {"pair":\ndata: [1,"a"]}\n\n: hm\ndata: {"pair":[2,"a"]}\r\n\r\ndata: [DONE]\n\n';
    const peer = await serve([200, "häh"], [200, "\u0000"], [200, said], [200, '{"pair":[3,"a"]}\n\n{"pair":[4,"a"]}'], [200]);
    const kinds = new RestKinds(optionsFor(peer));
    expect(await kinds.plain()).toBe("häh");
    expect([...(await kinds.bytes())]).toEqual([0]);
    expect(await all(kinds.events())).toEqual([item(1), item(2)]);
    expect(await all(kinds.lines())).toEqual([item(3), item(4)]);
    await kinds.peek();
    expect(peer.seen.map(({ headers }) => headers.accept)).toEqual(["text/plain", "*/*", "text/event-stream", "application/x-ndjson", "*/*"]);
  });

  it("has the type of its status", async () => {
    const body = '{"pair":[1,"a"]}';
    const statuses = [200, 202, 204, 404, 409, 410, 418, 201];
    const peer = await serve(...statuses.map((status): Answer => [status, status === 204 ? "" : body]));
    const kinds = new RestKinds(optionsFor(peer));
    expect(await kinds.several()).toEqual({ status: 200, body: item(1) });
    const streamed = await kinds.several();
    expect(streamed.status === 202 && (await all(streamed.body))).toEqual([item(1)]);
    expect(await kinds.several()).toEqual({ status: 204, body: undefined });
    for (const expected of [body, item(1), undefined, new TextEncoder().encode(body)]) {
      const thrown: unknown = await kinds.several().catch((error: unknown) => error);
      expect(isRestKindsError(thrown) && thrown.fault.body).toEqual(expected);
    }
    await expect(kinds.several()).rejects.toMatchObject({ name: "UnexpectedStatus", status: 201, body });
  });

  it("may be a declared error, without the credential that it repeats", async () => {
    const peer = await serve([404, '{"detail": {"status": "gone", "message": "s3cr/t may not"}}'], [422, "[]"], [500, `s3cr/t ${"y".repeat(2000)}`]);
    const voices = new ElevenLabsVoices(optionsFor(peer));
    const thrown: unknown = await voices.listVoices().catch((error: unknown) => error);
    if (!isElevenLabsVoicesError(thrown) || thrown.fault.status !== 404) throw thrown;
    expect(thrown.fault.body.detail).toEqual({ name: "Reason", body: { status: "gone", message: "*** may not" } });
    await expect(voices.listVoices()).rejects.toMatchObject({ kind: "shape", received: "[]" });
    const other: unknown = await voices.listVoices().catch((error: unknown) => error);
    expect(other instanceof UnexpectedStatus && [other.body.length, other.body.slice(0, 5)]).toEqual([RECEIVED_LIMIT, "*** y"]);
  });

  it("may not be as declared, and is then quoted up to a bound", async () => {
    const peer = await serve([200, '{"a": s3cr/t'], [200, `"${"x".repeat(5000)}"`], [200, "\u00ff"], [200, "x".repeat(5000)]);
    const read = async (): Promise<unknown> => (await client(peer, { bodyBytes: 6000 }).send(get)).json(shape.integer);
    await expect(read()).rejects.toMatchObject({ kind: "shape", received: '{"a": ***' });
    const wrong = await read().catch((error: unknown) => error as { received: string; message: string });
    expect(wrong).toMatchObject({ message: expect.stringContaining("GET /x/{id}: the body with status 200") as string });
    expect((wrong as { received: string }).received.length).toBe(RECEIVED_LIMIT);
    await expect(read()).rejects.toMatchObject({ kind: "shape" });
    await expect(client(peer, { bodyBytes: 2000 }).send(get)).rejects.toThrow("longer than 2000 bytes");
  });

  it("may be a stream that breaks", async () => {
    const peer = await serve([200, "1\n2\nx\n4\n"], [200, "1".repeat(3000)]);
    const opened = (): ReturnType<RestClient["open"]> => client(peer, { bodyBytes: 2000 }).open(get);
    const numbers = jsonLines(await opened(), shape.integer);
    expect([(await numbers.next()).value, (await numbers.next()).value]).toEqual([1, 2]);
    await expect(numbers.next()).rejects.toMatchObject({ kind: "shape", received: "x" });
    await expect(all(events(await opened(), shape.integer))).rejects.toThrow("longer than 2000 bytes");
  });
});

describe("pages", () => {
  const voices = (ids: string[], next: string | null): Answer => {
    const list = ids.map((voice_id) => ({ voice_id, name: "", category: "x" }));
    return [200, JSON.stringify({ voices: list, has_more: true, next_page_token: next })];
  };

  it("are turned by cursor", async () => {
    const peer = await serve(voices(["a", "b"], "2/"), voices([], "3"), voices(["c"], null));
    const found = await all(new ElevenLabsVoices(optionsFor(peer)).searchVoicesAll({ search: "x y" }));
    expect(found.map(({ voice_id }) => voice_id)).toEqual(["a", "b", "c"]);
    expect(peer.seen.map(({ path }) => path)).toEqual(["", "next_page_token=2%2F&", "next_page_token=3&"].map((more) => `/v2/voices?${more}search=x%20y`));
  });

  it("are turned by number, by offset and by link", async () => {
    const list = (...numbers: number[]): string => JSON.stringify(numbers.map(item));
    const listed = (...numbers: number[]): Answer => [200, `{"items":${list(...numbers)}}`];
    const linked = (link: string, ...numbers: number[]): Answer => [200, list(...numbers), { link }];
    const expected = [1, 2, 3, 4, 5].map(item);
    const peer = await serve(listed(1, 2), listed(3, 4, 5), listed(), listed(1, 2), listed(3, 4, 5), listed());
    peer.answers.push(linked('</b?c=1>; rel="next"', 1, 2), linked("<d>; rel=next", 3, 4), linked("</>; rel=prev", 5));
    const kinds = new RestKinds(optionsFor(peer));
    expect(await all(kinds.numberedAll({ limit: 3 }))).toEqual(expected);
    expect(await all(kinds.skippedAll({ page: 10, limit: 3 }))).toEqual(expected);
    expect(await all(kinds.linkedAll())).toEqual(expected);
    const asked = peer.seen.map(({ path }) => new URL(path, peer.url)).map(({ pathname, searchParams }) => [pathname, searchParams.get("page")]);
    const numbered = [null, "2", "3"].map((page) => ["/numbered", page]);
    const skipped = ["10", "12", "15"].map((page) => ["/skipped", page]);
    expect(asked).toEqual([...numbered, ...skipped, ...["/linked", "/b", "/d"].map((path) => [path, null])]);
  });

  it("that would never end are an error", async () => {
    const same: Answer = [200, '{"list": [1], "next": "a"}'];
    const peer = await serve(same, same, same);
    const items = pages(client(peer), get, { turn: { cursor: "after", next: ["next"] }, items: ["list"], item: shape.integer });
    expect((await items.next()).value).toBe(1);
    await expect(items.next()).rejects.toMatchObject({ kind: "protocol" });
  });

  it.each(["{}", "[]", "no", '{"list": ["x"]}'])("without their list are an error: %s", async (body) => {
    const peer = await serve([200, body]);
    const items = pages(client(peer), get, { turn: "link", items: ["list"], item: shape.integer });
    await expect(all(items)).rejects.toMatchObject({ kind: "shape" });
  });
});

describe("repetition", () => {
  const later = (when: string): Answer => [429, "", { "retry-after": when }];

  it("comes after growing waits, up to a number", async () => {
    const peer = await serve([503], [502], [504], [200], ...Array.from({ length: 9 }, (): Answer => [429, "slow"]));
    expect((await client(peer).send(get)).status).toBe(200);
    expect(waits).toEqual([500, 1000, 2000]);
    await expect(client(peer).send(get)).rejects.toMatchObject({ status: 429, body: "slow" });
    expect(peer.seen.length).toBe(8);
  });

  it("comes when the server says so, within bounds", async () => {
    const peer = await serve(later("7"), later("Sun, 06 Nov 1994 08:49:40 GMT"), later("86400"));
    await client(peer).send(get);
    expect(waits).toEqual([7000, 3000, 60_000]);
  });

  it("does not come for what is not idempotent, nor for other errors", async () => {
    for (const method of ["POST", "PATCH"] as const) await expect(client(await serve(later("1"))).send({ ...get, method })).rejects.toMatchObject({ status: 429 });
    for (const status of [400, 404, 500]) await expect(client(await serve([status])).send(get)).rejects.toMatchObject({ status });
    expect([waits, ...peers.map(({ seen }) => seen.length)]).toEqual([[], 1, 1, 1, 1, 1]);
  });

  it("comes after a lost connection", async () => {
    const peer = await serve([0], [0], [200, "{}"], [0]);
    expect((await client(peer).send(get)).status).toBe(200);
    await expect(client(peer).send({ ...get, method: "POST" })).rejects.toMatchObject({ kind: "connect" });
    expect(peer.seen.length).toBe(4);
  });

  it("ends when the caller gives up", async () => {
    const gone = new AbortController();
    const peer = await serve([503]);
    const waiting: Clock = { ...clock, after: (delay_ms, action) => (delay_ms === 59_000 ? clock.after(delay_ms, action) : (gone.abort(new Error("enough")), 0)) };
    await expect(client(peer, { clock: waiting }).send(get, { signal: gone.signal })).rejects.toThrow("enough");
  });
});

it("takes silence for a timeout", async () => {
  const http = createServer(() => undefined);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const peer = { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, seen: [], answers: [], http };
  peers.push(peer);
  await expect(client(peer, { clock: systemClock, timeout_ms: 50 }).send(get)).rejects.toMatchObject({ kind: "timeout" });
});

describe("credentials", () => {
  it("stand where the API wants them", async () => {
    const peer = await serve();
    for (const auth of [{ query: "key" }, { cookie: "sid" }, "basic"] as const) {
      await new RestClient({ ...spec, auth }, optionsFor(peer)).send({ ...get, query: { q: "a b&c" }, cookies: { c: "1;2" } });
    }
    expect(peer.seen.map(({ path }) => path)).toEqual(["/x/1?q=a%20b%26c&key=s3cr%2Ft", "/x/1?q=a%20b%26c", "/x/1?q=a%20b%26c"]);
    expect(peer.seen.map(({ headers }) => headers.cookie)).toEqual(["c=1%3B2", "c=1%3B2; sid=s3cr/t", "c=1%3B2"]);
    expect(peer.seen[2]?.headers.authorization).toBe("Basic YW5uOnMzY3IvdA==");
  });

  it("follow redirects at home and nowhere else", async () => {
    const away = await serve();
    const home = await serve([307, "", { location: "/y?a=1" }], [307, "", { location: `${away.url}/z` }]);
    await client(home).send({ ...get, headers: { "X-Tenant": "t", Accept: "a/b" }, cookies: { c: 1 } });
    expect(home.seen[1]).toMatchObject({ path: "/y?a=1", headers: { "x-key": "s3cr/t", cookie: "c=1" } });
    expect(away.seen[0]?.headers).toMatchObject({ accept: "a/b" });
    for (const name of ["x-key", "x-tenant", "cookie"]) expect(away.seen[0]?.headers).not.toHaveProperty(name);
  });

  it("and bodies are not carried away", async () => {
    const post: Call = { method: "POST", path: "/x", body: { contentType: "a/b", content: "1" } };
    const home = await serve([303, "", { location: "/y" }], [200], [307, "", { location: "/y" }]);
    await client(home).send(post);
    await client(home).send(post);
    expect(home.seen.map(({ method, body }) => method + body)).toEqual(["POST1", "GET", "POST1", "POST1"]);
    for (const [call, location] of [[post, "http://127.0.0.1:9/"], [get, "http://127.0.0.1:9/?k=s3cr%2Ft"]] as const) {
      await expect(client(await serve([308, "", { location }])).send(call)).rejects.toMatchObject({ kind: "insecure", message: expect.not.stringContaining("s3cr") as string });
    }
    const circle = await serve(...Array.from({ length: 20 }, (): Answer => [302, "", { location: "/x" }]));
    await expect(client(circle).send(get)).rejects.toMatchObject({ kind: "protocol" });
  });

  it("are not given to clients that would give them away", () => {
    const made = (baseUrl: string, credential: string | undefined = "k"): RestClient => new RestClient({ ...spec, env: ["SCHEMATIC_REST_TEST_KEY"] }, { baseUrl, credential });
    for (const url of ["http://example.com", "http://127.0.0.1.example.com"]) expect(() => made(url)).toThrow("https://");
    for (const url of ["http://localhost:1", "http://[::1]:1", "https://example.com/base"]) expect(() => made(url)).not.toThrow();
    for (const url of ["", "ftp://h", "https://user:secret@h", "https://h/?key=secret"]) expect(() => made(url)).toThrow(/^Give an address(?!.*secret)/);
    expect(() => new RestClient({ ...spec, env: ["SCHEMATIC_REST_TEST_KEY"] })).toThrow("SCHEMATIC_REST_TEST_KEY");
  });

  it("come from the environment that the definition names", async () => {
    const peer = await serve([200, '{"voices": []}']);
    process.env["ELEVENLABS_API_KEY"] = "from-env";
    try {
      await new ElevenLabsVoices({ baseUrl: peer.url }).listVoices();
    } finally {
      delete process.env["ELEVENLABS_API_KEY"];
    }
    expect(peer.seen[0]?.headers["xi-api-key"]).toBe("from-env");
  });
});
