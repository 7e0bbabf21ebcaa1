// Runs egret for a suite, and ends it by SIGTERM.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const binary = process.env.EGRET_BIN ?? `${root}target/debug/egret`;
const ready = /listen"?\s*[=:]\s*"?([0-9.]+:\d+)/;

export async function start(policy = "policy.yaml") {
  const egret = spawn(
    binary,
    ["run", "--policy", `${root}tests/sdk/${policy}`, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = once(egret, "exit");
  let written = "";
  egret.stdout.on("data", (data) => (written += data));
  const listen = await new Promise((resolve, reject) => {
    const fail = (why) => {
      clearTimeout(late);
      egret.kill("SIGKILL");
      reject(new Error(`${why}:\n${written}`));
    };
    const late = setTimeout(fail, 30_000, "egret did not get ready in 30 s");
    egret.on("error", (error) => fail(`egret did not start (${error.message})`));
    egret.on("exit", (code) => fail(`egret ended with ${code}`));
    egret.stderr.on("data", (data) => {
      written += data;
      const found = ready.exec(written);
      if (found) {
        clearTimeout(late);
        resolve(found[1]);
      }
    });
  });
  return {
    baseURL: `http://${listen}/v1`,
    written: () => written,
    // Gives the exit code, or the signal that it took.
    async stop() {
      const late = setTimeout(() => egret.kill("SIGKILL"), 30_000);
      egret.kill("SIGTERM");
      const [code, signal] = await ended;
      clearTimeout(late);
      return code ?? signal;
    },
  };
}
