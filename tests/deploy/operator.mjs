// Reads a JSON list of the Prometheus operator's objects and prints what its published schemas say against each.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , folder, file] = process.argv;
const models = `${folder}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js`;
const v1 = await import(pathToFileURL(models));
const v1alpha1 = await import(pathToFileURL(models.replace("/v1/", "/v1alpha1/")));
const faults = [];
for (const object of JSON.parse(readFileSync(file, "utf-8"))) {
  try {
    new (v1[object.kind] ?? v1alpha1[object.kind])(object).validate();
  } catch (error) {
    faults.push(`${object.kind}: ${error.message}`);
  }
}
console.log(JSON.stringify(faults));
