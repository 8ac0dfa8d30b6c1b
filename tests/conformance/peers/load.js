// k6 as a client: each iteration posts one call in OTLP/JSON and wants whole success.
import { check } from "k6";
import http from "k6/http";

export const options = {
  vus: 2,
  iterations: 50,
  thresholds: { checks: ["rate==1"] },
};

const hex = (length) =>
  Array.from({ length }, () => "123456789abcdef"[Math.floor(Math.random() * 15)]).join("");

export default function () {
  const now = Date.now();
  const attributes = [
    { key: "gen_ai.operation.name", value: { stringValue: "chat" } },
    { key: "gen_ai.provider.name", value: { stringValue: "openai" } },
    { key: "gen_ai.request.model", value: { stringValue: "gpt-4o" } },
    { key: "gen_ai.usage.input_tokens", value: { intValue: 1000 } },
    { key: "gen_ai.usage.output_tokens", value: { intValue: "300" } },
  ];
  const span = {
    traceId: hex(32),
    spanId: hex(16),
    name: "chat gpt-4o",
    startTimeUnixNano: `${now - 1000}000000`,
    endTimeUnixNano: `${now}000000`,
    attributes,
  };
  const service = { key: "service.name", value: { stringValue: __ENV.SERVICE } };
  const resourceSpans = [{ resource: { attributes: [service] }, scopeSpans: [{ spans: [span] }] }];
  const answer = http.post(`${__ENV.URL}/v1/traces`, JSON.stringify({ resourceSpans }), {
    headers: { "Content-Type": "application/json" },
  });
  check(answer, { "whole success": (given) => given.status === 200 && given.body === "{}" });
}
