// The language server that editors ask about YAML, over its standard input and output.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('node_modules/yaml-language-server/bin/yaml-language-server', import.meta.url));

export class Server {
  #child = spawn(process.execPath, [program, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  #received = Buffer.alloc(0);
  #asked = 0;
  #answers = new Map();
  #opened = new Map();

  static async start() {
    const server = new Server();
    server.#child.stdout.on('data', (bytes) => server.#receive(bytes));
    const textDocument = {
      hover: { contentFormat: ['markdown'] },
      completion: { completionItem: { documentationFormat: ['markdown'] } },
    };
    await server.#ask('initialize', { processId: process.pid, rootUri: null, capabilities: { textDocument } });
    server.#tell('initialized', {});
    // No schemas but those that files name: nothing is fetched.
    const yaml = { schemaStore: { enable: false }, validate: true, hover: true, completion: true };
    server.#tell('workspace/didChangeConfiguration', { settings: { yaml } });
    return server;
  }

  stop() {
    this.#child.kill();
  }

  /** Opens a file with that text; gives what the editor underlines. */
  open(uri, text) {
    const told = new Promise((done) => this.#opened.set(uri, done));
    this.#tell('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } });
    return told;
  }

  /** What is shown over a place, as Markdown. */
  async hover(uri, position) {
    return (await this.#ask('textDocument/hover', { textDocument: { uri }, position }))?.contents.value ?? '';
  }

  /** What is offered at a place. */
  async complete(uri, position) {
    const offered = await this.#ask('textDocument/completion', { textDocument: { uri }, position });
    return (offered.items ?? offered).map((item) => item.label);
  }

  #ask(method, params) {
    const id = ++this.#asked;
    this.#send({ id, method, params });
    return new Promise((done) => this.#answers.set(id, done));
  }

  #tell(method, params) {
    this.#send({ method, params });
  }

  #send(message) {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  }

  #receive(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const head = this.#received.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.#received.subarray(0, head))[1]);
      const end = head + 4 + length;
      if (this.#received.length < end) return;
      const message = JSON.parse(this.#received.subarray(head + 4, end));
      this.#received = this.#received.subarray(end);
      this.#take(message);
    }
  }

  #take({ id, method, params, result, error }) {
    if (method === 'textDocument/publishDiagnostics') {
      this.#opened.get(params.uri)?.(params.diagnostics);
    } else if (method !== undefined && id !== undefined) {
      // It asks for settings, of which we have no more than were told.
      this.#send({ id, result: method === 'workspace/configuration' ? params.items.map(() => null) : null });
    } else if (method === undefined) {
      this.#answers.get(id)?.(error === undefined ? result : Promise.reject(new Error(error.message)));
    }
  }
}
