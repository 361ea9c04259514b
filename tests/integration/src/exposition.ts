// Reads Prometheus' text format 0.0.4 strictly, as `promtool check metrics` does: whatever it would complain
// of is an error here.

export type Family = { type: string; help: string; samples: Sample[] };
export type Sample = { name: string; labels: Map<string, string>; value: number };
export type Families = Map<string, Family>;

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const number = /^(?:[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Inf)|NaN)$/;
// What is no base unit.
const wrongUnits = /_(?:milliseconds|ms|microseconds|us|nanoseconds|minutes|hours|days|kb|kib|kilobytes|mb|mib|megabytes|bits|percent)(?:_|$)/;

function parseValue(text: string): number {
  if (!number.test(text)) throw new Error(`no number: ${text}`);
  return text.endsWith("Inf") ? (text.startsWith("-") ? -Infinity : Infinity) : Number(text);
}

function parseLabels(text: string): Map<string, string> {
  const labels = new Map<string, string>();
  let rest = text;
  while (rest !== "") {
    const match = /^([^=]+)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/.exec(rest);
    if (match === null) throw new Error(`malformed labels: ${text}`);
    const [whole, name, value, comma] = match as unknown as [string, string, string, string];
    if (!labelName.test(name) || name.startsWith("__")) throw new Error(`malformed label name: ${name}`);
    if (labels.has(name)) throw new Error(`label twice: ${name}`);
    labels.set(name, value.replace(/\\(.)/g, (_all, each: string) => (each === "n" ? "\n" : each)));
    rest = rest.slice(whole.length);
    if (comma === "," && rest === "") throw new Error(`a comma too many: ${text}`);
  }
  return labels;
}

function parseSample(line: string): Sample {
  const match = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`malformed line: ${line}`);
  const [, name, labels, value] = match as unknown as [string, string, string | undefined, string];
  if (!metricName.test(name)) throw new Error(`malformed name: ${name}`);
  return { name, labels: parseLabels(labels ?? ""), value: parseValue(value) };
}

const keyOf = (labels: Map<string, string>, without?: string): string =>
  JSON.stringify([...labels].filter(([name]) => name !== without).sort());

function checkHistogram(name: string, family: Family): void {
  const series = new Map<string, Sample[]>();
  for (const sample of family.samples) {
    const key = keyOf(sample.labels, "le");
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const samples of series.values()) {
    const buckets = samples.filter((each) => each.name === `${name}_bucket`);
    const bounds = buckets.map((each) => parseValue(each.labels.get("le") ?? "missing"));
    const sum = samples.find((each) => each.name === `${name}_sum`);
    const count = samples.find((each) => each.name === `${name}_count`);
    if (sum === undefined || count === undefined) throw new Error(`${name} has no _sum or no _count`);
    if (bounds.at(-1) !== Infinity) throw new Error(`${name} has no bucket +Inf at the end`);
    if (buckets.at(-1)!.value !== count.value) throw new Error(`${name}: the bucket +Inf is not _count`);
    for (let i = 1; i < bounds.length; i++) {
      if (bounds[i]! <= bounds[i - 1]!) throw new Error(`${name}: bounds do not ascend`);
      if (buckets[i]!.value < buckets[i - 1]!.value) throw new Error(`${name}: buckets are not cumulative`);
    }
  }
}

function checkFamily(name: string, family: Family): void {
  if (family.samples.length === 0) throw new Error(`${name} has no sample`);
  if ((family.type === "counter") !== name.endsWith("_total")) throw new Error(`${name}: a counter ends in _total, nothing else does`);
  if (wrongUnits.test(name)) throw new Error(`${name}: not in base units`);
  if (/_(?:count|sum|bucket|info_total)$/.test(name)) throw new Error(`${name}: a reserved ending`);
  const seen = new Set<string>();
  for (const sample of family.samples) {
    const key = sample.name + keyOf(sample.labels);
    if (seen.has(key)) throw new Error(`sample twice: ${key}`);
    seen.add(key);
    if (family.type !== "gauge" && !(sample.value >= 0)) throw new Error(`${name}: negative`);
  }
  if (family.type === "histogram") checkHistogram(name, family);
}

/** Parses and checks; throws at the first mistake. */
export function parseExposition(text: string): Families {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families: Families = new Map();
  let current = "";
  let helps = "";
  for (const line of text.slice(0, -1).split("\n")) {
    if (line.startsWith("# HELP ")) {
      const match = /^# HELP (\S+) (\S.*\S|\S)$/.exec(line);
      if (match === null || !metricName.test(match[1]!)) throw new Error(`malformed line: ${line}`);
      if (families.has(match[1]!)) throw new Error(`${match[1]} twice`);
      [current, helps] = [match[1]!, match[1]!];
      families.set(current, { type: "", help: match[2]!, samples: [] });
    } else if (line.startsWith("# TYPE ")) {
      const match = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
      const family = families.get(match?.[1] ?? "");
      if (match === null || match[1] !== helps || family === undefined) throw new Error(`TYPE without HELP before: ${line}`);
      if (family.type !== "") throw new Error(`TYPE twice: ${line}`);
      family.type = match[2]!;
    } else {
      const sample = parseSample(line);
      const family = families.get(current);
      if (family === undefined || family.type === "") throw new Error(`a sample before its TYPE: ${line}`);
      const allowed = family.type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => current + end) : [current];
      if (!allowed.includes(sample.name)) throw new Error(`a sample outside of its family: ${line}`);
      family.samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

/** The sum of a family's samples with these labels. */
export function total(families: Families, name: string, labels: Record<string, string> = {}): number {
  const family = families.get(name);
  if (family === undefined) throw new Error(`no metric ${name}`);
  return family.samples
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value))
    .reduce((sum, sample) => sum + sample.value, 0);
}
