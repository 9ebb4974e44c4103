/** Resources from a file: any number of YAML documents, lists among them (`kind: List`), JSON too. */
import type { ConfigFault, FieldPath } from '../../protocol/config-fault.ts';
import { readYamlDocuments, type YamlPart } from '../../protocol/yaml-document.ts';
import type { Resource } from './resource.ts';
import { validateResource } from './validate.ts';

export interface ReadResource {
  readonly resource: Resource;
  /** Where a field of the resource stands; of what is missing, its nearest parent. */
  place(path: FieldPath): Pick<ConfigFault, 'file' | 'line' | 'column'>;
  /** A fault at a field, for what can only be seen beside other resources. */
  fault(path: FieldPath, expected: string, found?: string): ConfigFault;
}

/** Everything in the file and everything that is wrong with it, each with its place. It never throws. */
export function readResources(
  text: string,
  file: string,
): { readonly resources: readonly ReadResource[]; readonly faults: readonly ConfigFault[] } {
  const { documents, faults: unreadable } = readYamlDocuments(text, file);
  const faults = [...unreadable];
  const resources: ReadResource[] = [];
  for (const document of documents) {
    for (const { value, path } of itemsOf(document, faults)) {
      const validated = validateResource(value);
      const fault: YamlPart['fault'] = (at, expected, found) =>
        document.fault([...path, ...at], expected, found);
      faults.push(...validated.faults.map(({ path: at, expected, found }) => fault(at, expected, found)));
      const { resource } = validated;
      if (resource === undefined) continue;
      const place: ReadResource['place'] = (at) => {
        const { line, column } = fault(at, '');
        return { file, line, column };
      };
      resources.push(Object.freeze({ resource, place, fault }));
    }
  }
  return { resources, faults: faults.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

interface Item {
  readonly value: unknown;
  /** Within its document. */
  readonly path: FieldPath;
}

/** A document is a resource, or a list of them as `get -o yaml` prints it. */
function itemsOf(document: YamlPart, faults: ConfigFault[]): Item[] {
  const { value } = document;
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'List') {
    return [{ value, path: [] }];
  }
  const items: unknown = 'items' in value ? value.items : undefined;
  if (!Array.isArray(items)) {
    faults.push(document.fault(['items'], 'a list of resources'));
    return [];
  }
  return items.map((item: unknown, at) => ({ value: item, path: ['items', at] }));
}
