// Validates custom resources by validators that are made from the operators' Go types (npm, see tools.py).
//
// Called with the folder of the packages; reads a JSON list of resources, prints a JSON list of errors. The validators
// let unknown keys pass, as a cluster drops them in silence. A key that its validator never looked at is therefore an
// error too: the resource is handed over behind a proxy that remembers what was read.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const packages = {
  "keda.sh/v1alpha1": "@kubernetes-models/keda",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
};

function watched(value) {
  if (typeof value !== "object" || value === null) return { value, unread: () => [] };
  const children = new Map();
  const child = (key) => {
    if (!children.has(key)) children.set(key, watched(value[key]));
    return children.get(key);
  };
  const proxy = new Proxy(value, {
    get: (target, key) => (Object.hasOwn(target, key) && key !== "length" ? child(key).value : target[key]),
  });
  const unread = () =>
    Object.keys(value).flatMap((key) =>
      children.has(key) ? child(key).unread().map((path) => `${key}.${path}`) : [key],
    );
  return { value: proxy, unread };
}

const errors = [];
for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${resource.kind} ${resource.metadata.name}`;
  const from = packages[resource.apiVersion];
  if (!from) {
    errors.push(`${name}: no schema for ${resource.apiVersion}`);
    continue;
  }
  const folder = `${process.argv[2]}/node_modules/${from}/${resource.apiVersion}`;
  const models = await import(pathToFileURL(`${folder}/index.js`));
  const model = models[resource.kind];
  if (!model) {
    errors.push(`${name}: ${from} knows no ${resource.kind}`);
    continue;
  }
  const { value, unread } = watched(resource);
  try {
    new model().validate.call(value);
    errors.push(...unread().map((path) => `${name}: unknown key ${path}`));
  } catch (error) {
    errors.push(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify(errors));
