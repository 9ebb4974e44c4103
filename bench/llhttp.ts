/** llhttp through WebAssembly, the build that undici carries: the bench measures it, the fuzz run asks its opinion. */
import { createRequire } from 'node:module';

export const REQUEST = 1;
export const RESPONSE = 2;

export interface Llhttp {
  memory: { buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  /** 0 if the bytes were taken. */
  llhttp_execute(parser: number, at: number, bytes: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
}

/** Called with the parser, an address in its memory and a length; return 0 to go on. */
type Span = (parser: number, at: number, length: number) => number;

export interface LlhttpCallbacks {
  wasm_on_message_begin(parser: number): number;
  wasm_on_url: Span;
  wasm_on_status: Span;
  wasm_on_header_field: Span;
  wasm_on_header_value: Span;
  wasm_on_headers_complete(parser: number, status: number): number;
  wasm_on_body: Span;
  wasm_on_message_complete(parser: number): number;
}

/** The compiler's settings hold no browser types, where WebAssembly is declared. */
interface WasmApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}

const require = createRequire(import.meta.url);

export function loadLlhttp(env: LlhttpCallbacks): Llhttp {
  const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
  const module = new wasm.Module(require('undici/lib/llhttp/llhttp_simd-wasm.js') as Uint8Array);
  const llhttp = new wasm.Instance(module, { env }).exports as Llhttp;
  llhttp._initialize();
  return llhttp;
}

/** Method names at the numbers that llhttp_get_method gives. It refuses every method that is not among them. */
export function llhttpMethods(): string[] {
  const { METHODS } = require('undici/lib/llhttp/constants.js') as { METHODS: Record<string, number> };
  const names: string[] = [];
  for (const [name, number] of Object.entries(METHODS)) names[number] = name;
  return names;
}
