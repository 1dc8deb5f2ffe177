//! Bodies of requests. Each can be sent again as it is, so that a repeated call says the same.

import { SchematicError } from "./errors.js";
import { encoded } from "./rest-request.js";
import { checked, type Shape } from "./shape.js";

/** A body with its media type. */
export interface RestBody {
  readonly contentType: string;
  readonly content: Blob | string | Uint8Array<ArrayBuffer>;
}

/** A file of a form. */
export interface Upload {
  /** Name of the file, as the server sees it. */
  readonly fileName: string;
  readonly content: Blob | string | Uint8Array<ArrayBuffer>;
  /** Media type; without it `application/octet-stream`. */
  readonly contentType?: string | undefined;
}

/** A field of a form. */
export interface Part {
  readonly name: string;
  readonly content: Upload["content"];
  readonly fileName?: string;
  readonly contentType?: string;
}

/** A body of JSON. */
export function jsonBody<T>(shape: Shape<T>, value: T): RestBody {
  return { contentType: "application/json", content: written("body", shape, value) };
}

/** A body of another media type. */
export const body = (contentType: string, content: RestBody["content"]): RestBody => ({ contentType, content });

function written<T>(what: string, shape: Shape<T>, value: T): string {
  return JSON.stringify(checked(what, undefined, () => shape.encode(value)));
}

/** A field with text; none if it is absent. */
export const textPart = (name: string, text: string | undefined): Part[] => (text === undefined ? [] : [{ name, content: text }]);

/** A field with JSON; none if it is absent. */
export function jsonPart<T>(name: string, shape: Shape<T>, value: T | undefined): Part[] {
  return value === undefined ? [] : [{ name, content: written(name, shape, value), contentType: "application/json" }];
}

/** Files under one name. */
export function fileParts(name: string, files: readonly Upload[] | Upload | undefined): Part[] {
  const list = files === undefined ? [] : "fileName" in files ? [files] : files;
  return list.map(({ fileName, content, contentType = "application/octet-stream" }) => ({ name, fileName, content, contentType }));
}

/** A body of `multipart/form-data`. The platform's `FormData` cannot write a field of JSON that is no file. */
export function multipart(...parts: readonly (readonly Part[])[]): RestBody {
  const chance = crypto.getRandomValues(new Uint32Array(4));
  const boundary = `schematic-${Array.from(chance, (word) => word.toString(16).padStart(8, "0")).join("")}`;
  const pieces = parts.flat().flatMap((part) => [head(boundary, part), part.content, "\r\n"]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, content: new Blob([...pieces, `--${boundary}--\r\n`]) };
}

function head(boundary: string, { name, fileName, contentType }: Part): string {
  // It stands in a line of its own, which it may not end.
  if (contentType !== undefined && !/^[\x20-\x7e]+$/.test(contentType)) {
    throw new SchematicError("shape", `The media type of a file in ${name} is none; give one such as audio/mpeg`);
  }
  const file = fileName === undefined ? "" : `; filename="${quoted(fileName)}"`;
  const type = contentType === undefined ? "" : `\r\nContent-Type: ${contentType}`;
  return `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"${file}${type}\r\n\r\n`;
}

/** A name between quotes, as HTML says: what would end the name or its line is percent-encoded. */
function quoted(name: string): string {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** A body of `application/x-www-form-urlencoded`, whose fields are text. */
export function urlencoded(...parts: readonly (readonly Part[])[]): RestBody {
  const pairs = parts.flat().map(({ name, content }) => `${encoded(name)}=${encoded(String(content))}`);
  return { contentType: "application/x-www-form-urlencoded", content: pairs.join("&") };
}
