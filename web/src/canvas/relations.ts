//! An ER diagram as a list: the same relations for those who read rather than look.

/** One table of a diagram and what it refers to. */
export interface Entity {
  readonly name: string;
  readonly references: readonly { readonly to: string; readonly label: string }[];
}

const RELATION = /^\s*("[^"]+"|[^\s"]+)\s+[|}o][|o](?:--|\.\.)[|o][|{o]\s+("[^"]+"|[^\s":]+)\s*(?::\s*(.*))?$/;
const ENTITY = /^\s*("[^"]+"|[^\s"{[]+)\s*(?:\[\s*("[^"]+"|[^\]]+)\s*\]\s*\{?|\{)\s*$/;

/** Reads entities and relations from the text of an `erDiagram`, in the order in which they are first named. */
export function readEntities(source: string): readonly Entity[] {
  const entities = new Map<string, { name: string; references: { to: string; label: string }[] }>();
  const aliases = new Map<string, string>();
  const entity = (id: string) => {
    const found = entities.get(id) ?? { name: id, references: [] };
    entities.set(id, found);
    return found;
  };
  for (const line of source.split('\n')) {
    const block = ENTITY.exec(line);
    const relation = RELATION.exec(line);
    if (block?.[1]) {
      entity(bare(block[1]));
      if (block[2]) aliases.set(bare(block[1]), bare(block[2]));
    } else if (relation?.[1] && relation[2]) {
      const from = entity(bare(relation[1]));
      const to = entity(bare(relation[2]));
      from.references.push({ to: to.name, label: bare(relation[3] ?? '') });
    }
  }
  const shown = (id: string) => aliases.get(id) ?? id;
  return [...entities.values()].map(({ name, references }) => ({
    name: shown(name),
    references: references.map(({ to, label }) => ({ to: shown(to), label })),
  }));
}

/** Without its quotes, and with Mermaid's `#34;` read as the character that it stands for. */
function bare(name: string): string {
  const unquoted = name.trim().replace(/^"(.*)"$/, '$1');
  return unquoted.replace(/#(\d{1,6});/g, (_, code: string) => String.fromCodePoint(Math.min(Number(code), 0x10ffff)));
}
