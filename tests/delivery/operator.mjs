// Checks objects of the Prometheus operator's kinds, a JSON array on standard input, against the schemas that are made
// of its Go types. Says all faults, as a JSON array. A field that the schema does not know is one: the operator's
// schemas are open, so such a field is found by never being looked at.

const faults = [];
for (const thing of JSON.parse(await new Response(process.stdin).text())) {
  const { [thing.kind]: Model } = await import(`@kubernetes-models/prometheus-operator/${thing.apiVersion}/${thing.kind}`);
  const unread = new Set();
  const fields = Object.getOwnPropertyDescriptors(watched(thing, thing.kind, unread));
  try {
    Object.defineProperties(new Model(), fields).validate();
    faults.push(...[...unread].map((field) => `${field} is unknown`));
  } catch (error) {
    faults.push(`${thing.kind}: ${error.message}`);
  }
}
console.log(JSON.stringify(faults));

// The value, with every field of its objects in `unread` until it is read.
function watched(value, path, unread) {
  if (typeof value !== "object" || value === null) return value;
  const inner = Array.isArray(value) ? [] : {};
  for (const [key, one] of Object.entries(value)) {
    const at = `${path}.${key}`;
    const below = watched(one, at, unread);
    if (!Array.isArray(value)) unread.add(at);
    Object.defineProperty(inner, key, {
      enumerable: true,
      get() {
        unread.delete(at);
        return below;
      },
    });
  }
  return inner;
}
